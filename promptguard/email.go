package promptguard

import "slices"

// Lengths of RFC 5321, section 4.5.3.1: local part 64, domain 255 of which no label is longer than 63.
const (
	maxLocal  = 64
	maxDomain = 255
	maxLabel  = 63
)

func emailDetector() detector {
	return detector{kind: "Email", label: "EMAIL", cue: cueAt, reach: maxLocal + 2, match: matchEmail}
}

// matchEmail judges the sign @ at an offset: unquoted local parts of ASCII and Latin letters, and domains whose last label
// is of letters.
func matchEmail(v *view, at int) match {
	start := localStart(v, at)
	if start == at || v.b[at-1] == '.' || at-start == 3 && equalFold(v.b[start:at], "git") {
		return match{} // git@host is how SSH URLs begin
	}
	if inAuthority(v, start) {
		return match{}
	}
	end, dot, i := 0, false, at+1
	for i < len(v.b) && i-at <= maxDomain {
		stop := labelEnd(v, i)
		if stop == i || stop == len(v.b) && !v.end || v.b[i] == '-' {
			break
		}
		if dot && isTopLevel(v.b[i:stop]) && v.b[stop-1] != '-' {
			end = stop
		}
		if i = stop; i == len(v.b) || v.b[i] != '.' {
			break
		}
		dot = true
		i++
	}
	switch {
	case (i == len(v.b) || labelEnd(v, i) == len(v.b)) && !v.end && i-at <= maxDomain:
		return v.undecided(start)
	case end == 0:
		return match{}
	}
	return found(start, end)
}

// inAuthority says whether an offset is in the authority of a URL, where what stands before an @ is a user and password.
func inAuthority(v *view, at int) bool {
	for i := at; i > 1 && at-i < maxLocal; i-- {
		if c := v.b[i-1]; c == '/' {
			return v.b[i-2] == '/'
		} else if is(c, isSpace) {
			return false
		}
	}
	return false
}

// localStart returns where the local part before an @ begins: at a letter or digit.
func localStart(v *view, at int) int {
	i := at
	for i > 0 && at-i < maxLocal {
		if is(v.b[i-1], isLocal) {
			i--
		} else if i > 1 && isLatin(v.b[i-2], v.b[i-1]) {
			i -= 2
		} else {
			break
		}
	}
	for i < at && (v.b[i] == '.' || v.b[i] == '-' || v.b[i] == '+' || v.b[i] == '%') {
		i++
	}
	return i
}

// isLatin says whether two bytes are a Latin letter beyond ASCII (U+00C0 to U+017F).
func isLatin(lead, c byte) bool { return lead >= 0xC3 && lead <= 0xC5 && c&0xC0 == 0x80 }

// labelEnd returns where the label of a domain that starts at an offset ends.
func labelEnd(v *view, i int) int {
	limit := min(len(v.b), i+maxLabel)
	for i < limit {
		if is(v.b[i], isAlnum) || v.b[i] == '-' {
			i++
		} else if i+1 < len(v.b) && isLatin(v.b[i], v.b[i+1]) {
			i += 2
		} else if isLatin(v.b[i], 0x80) && i+1 == len(v.b) {
			return len(v.b) // half a letter
		} else {
			break
		}
	}
	return i
}

// isTopLevel says whether a label can be a top-level domain: letters, at least two, or punycode, and not what a file's name
// ends with.
func isTopLevel(label []byte) bool {
	if len(label) > 4 && equalFold(label[:4], "xn--") {
		return true
	}
	for _, c := range label {
		if !is(c, isLetter) {
			return false
		}
	}
	return len(label) >= 2 && len(label) <= 24 &&
		!slices.ContainsFunc(fileEndings, func(e string) bool { return len(e) == len(label) && equalFold(label, e) })
}

// fileEndings are no top-level domains: "icon@2x.png" is a file.
var fileEndings = []string{"png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "css", "js", "ts", "tsx", "jsx", "json", "html",
	"htm", "php", "pdf", "txt", "yaml", "yml", "xml", "jar", "war", "dll", "exe", "tar", "gz", "tgz", "whl", "service", "target", "timer",
	"socket", "mount", "slice", "scope", "tmpl", "conf", "cfg", "ini", "log", "bak", "lock", "proto", "test"}
