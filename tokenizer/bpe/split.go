package bpe

// A splitter returns the end of the piece that starts at t[i], i < len(t), as the pattern of an encoding cuts it.
// Tokens never cross the end of a piece.
//
// The patterns are those of tiktoken's openai_public.py. Each splitter is its pattern by hand: alternatives in order,
// the first that matches wins, quantifiers are greedy and give back only where the comment says so.
type splitter func(t []byte, i int) int

// splitO200k is
//
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	\p{N}{1,3}
//	 ?[^\s\p{L}\p{N}]+[\r\n/]*
//	\s*[\r\n]+
//	\s+(?!\S)
//	\s+
func splitO200k(t []byte, i int) int {
	c, w := classAt(t, i)
	switch {
	case c&letter != 0:
		end, _ := word(t, i)
		return contraction(t, end)
	case c&number != 0:
		return digits(t, i)
	case c&newline != 0:
		return spacesOrLines(t, i)
	}
	end, lowerEnd := word(t, i+w)
	if c&both == both && !lowerEnd {
		// Before a mark may lead an all-upper word it is a word by itself.
		return contraction(t, i+w)
	}
	if end > i+w {
		return contraction(t, end)
	}
	if end := symbols(t, i); end > i {
		return slashesOrLines(t, end)
	}
	return spacesOrLines(t, i)
}

// word matches one of the first two alternatives of o200k without the leading character and the contraction. It
// returns i if neither matches; first says that the first did.
func word(t []byte, i int) (end int, first bool) {
	back := i // end of the last letter that may end a word too
	for end = i; end < len(t); {
		c, w := classAt(t, end)
		if c&upper == 0 {
			if c&lower != 0 {
				return run(t, end, lower), true
			}
			break
		}
		end += w
		if c&lower != 0 {
			back = end
		}
	}
	if back > i {
		return back, true
	}
	return end, false
}

// splitCL100k is
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)
//	[^\r\n\p{L}\p{N}]?\p{L}+
//	\p{N}{1,3}
//	 ?[^\s\p{L}\p{N}]+[\r\n]*
//	\s*[\r\n]+
//	\s+(?!\S)
//	\s+
func splitCL100k(t []byte, i int) int {
	if end := contraction(t, i); end > i {
		return end
	}
	c, w := classAt(t, i)
	switch {
	case c&letter != 0:
		return run(t, i+w, letter)
	case c&number != 0:
		return digits(t, i)
	case c&newline != 0:
		return spacesOrLines(t, i)
	}
	if end := run(t, i+w, letter); end > i+w {
		return end
	}
	if end := symbols(t, i); end > i {
		return run(t, end, newline)
	}
	return spacesOrLines(t, i)
}

// splitR50k is
//
//	's|'t|'re|'ve|'m|'ll|'d
//	 ?\p{L}+
//	 ?\p{N}+
//	 ?[^\s\p{L}\p{N}]+
//	\s+(?!\S)
//	\s+
func splitR50k(t []byte, i int) int {
	if end := contraction(t, i); end > i && isLower(t[i+1]) && isLower(t[end-1]) {
		return end
	}
	at := i
	if t[i] == ' ' && i+1 < len(t) {
		at++
	}
	switch c, _ := classAt(t, at); {
	case c&letter != 0:
		return run(t, at, letter)
	case c&number != 0:
		return run(t, at, number)
	case c&space == 0:
		return symbols(t, at)
	}
	return spaces(t, i)
}

// contraction returns the end of (?i:'s|'t|'re|'ve|'m|'ll|'d)? at t[i]. Without regard to case s is also the long s.
func contraction(t []byte, i int) int {
	if i+1 >= len(t) || t[i] != '\'' {
		return i
	}
	second := byte(0)
	if i+2 < len(t) {
		second = t[i+2]
	}
	switch t[i+1] | 0x20 {
	case 's', 't', 'm', 'd':
		return i + 2
	case 'r', 'v':
		if second|0x20 == 'e' {
			return i + 3
		}
	case 'l':
		if second|0x20 == 'l' {
			return i + 3
		}
	case "ſ"[0] | 0x20:
		if t[i+1] == "ſ"[0] && second == "ſ"[1] {
			return i + 3
		}
	}
	return i
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

// digits returns the end of \p{N}{1,3}.
func digits(t []byte, i int) int {
	for range 3 {
		if i == len(t) {
			break
		}
		c, w := classAt(t, i)
		if c&number == 0 {
			break
		}
		i += w
	}
	return i
}

// symbols returns the end of " ?[^\s\p{L}\p{N}]+", or i.
func symbols(t []byte, i int) int {
	end := i
	if t[i] == ' ' {
		end++
	}
	start := end
	for end < len(t) {
		c, w := classAt(t, end)
		if c&(letter|number|space) != 0 {
			break
		}
		end += w
	}
	if end == start {
		return i
	}
	return end
}

// run returns the end of the code points that have one of the classes of mask.
func run(t []byte, i int, mask class) int {
	if mask&(letter|lower) != 0 {
		i = skipLower(t, i)
	}
	for i < len(t) {
		c, w := classAt(t, i)
		if c&mask == 0 {
			break
		}
		i += w
	}
	return i
}

// slashesOrLines returns the end of [\r\n/]*.
func slashesOrLines(t []byte, i int) int {
	for i < len(t) && (t[i] == '/' || t[i] == '\n' || t[i] == '\r') {
		i++
	}
	return i
}

// spacesOrLines returns the end of \s*[\r\n]+|\s+(?!\S)|\s+: through the last end of a line, or else as spaces does.
func spacesOrLines(t []byte, i int) int {
	line, last, end := scanSpaces(t, i)
	switch {
	case line > i:
		return line
	case end == len(t) || last == i:
		return end
	}
	return last
}

// spaces returns the end of \s+(?!\S)|\s+: all spaces but the last if something follows them, unless there is only one.
func spaces(t []byte, i int) int {
	_, last, end := scanSpaces(t, i)
	if end == len(t) || last == i {
		return end
	}
	return last
}

// scanSpaces returns the end of the spaces at t[i], where the last of them begins, and the end of the last line that
// ends among them, i if none does.
func scanSpaces(t []byte, i int) (line, last, end int) {
	line, last, end = i, i, i
	for end < len(t) {
		if next := skipSpaces(t, end); next > end {
			last, end = next-1, next
			continue
		}
		c, w := classAt(t, end)
		if c&space == 0 {
			break
		}
		last, end = end, end+w
		if c&newline != 0 {
			line = end
		}
	}
	return line, last, end
}
