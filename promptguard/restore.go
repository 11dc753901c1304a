package promptguard

import "bytes"

// maxPlaceholder is how long a placeholder may become in a model's answer, in bytes.
const maxPlaceholder = 64

// normalName is a placeholder without brackets, spaces and the signs between words, in upper case: models change these.
func normalName(dst, name []byte) []byte {
	for _, c := range name {
		if is(c, isLower) {
			c &^= 0x20
		}
		if is(c, isAlnum) {
			dst = append(dst, c)
		}
	}
	return dst
}

// inName says whether a byte may stand inside of a placeholder's brackets.
func inName(c byte) bool {
	return is(c, isAlnum) || c == '_' || c == '-' || c == ' ' || c == '\\' || c == '*' || c == '`'
}

func isWord(c byte) bool { return is(c, isAlnum) || c == '_' }

// Restore appends a text to dst with the placeholders of the vault replaced by their values, also where a model changed
// their case or spacing or left the brackets out.
func (t *Vault) Restore(dst, text []byte) []byte {
	r := restorer{vault: t}
	return r.push(dst, text, true)
}

// A restorer puts values back into a text that comes in pieces. It holds back at most maxPlaceholder bytes.
type restorer struct {
	vault *Vault
	held  []byte
	word  bool // the last byte let go belongs to a word
}

func (r *restorer) push(dst, text []byte, end bool) []byte {
	r.held = append(r.held, text...)
	b, i := r.held, 0
	for i < len(b) {
		n, value, known := r.at(b[i:], end)
		if !known {
			break
		}
		if value != nil {
			dst = append(dst, *value...)
		} else {
			dst = append(dst, b[i:i+n]...)
		}
		r.word = isWord(b[i+n-1])
		i += n
	}
	r.held = append(b[:0], b[i:]...)
	return dst
}

// at looks at the beginning of b. It returns how much of it is settled, the value that replaces it, and whether that much is
// known already.
func (r *restorer) at(b []byte, end bool) (n int, value *string, known bool) {
	if b[0] == '[' {
		return r.bracket(b, end)
	}
	if isWord(b[0]) {
		return r.bare(b, end)
	}
	next := bytes.IndexFunc(b, func(c rune) bool { return c == '[' || c < 0x80 && isWord(byte(c)) })
	if next < 0 {
		next = len(b)
	}
	return next, nil, true
}

func (r *restorer) bracket(b []byte, end bool) (int, *string, bool) {
	for i := 1; i < len(b) && i < maxPlaceholder; i++ {
		if b[i] == ']' {
			if v, ok := r.vault.lookup(b[1:i]); ok {
				return i + 1, &v, true
			}
			return 1, nil, true
		}
		if !inName(b[i]) {
			return 1, nil, true
		}
	}
	return 1, nil, end || len(b) >= maxPlaceholder
}

// bare judges a word: a placeholder that lost its brackets keeps its underscores.
func (r *restorer) bare(b []byte, end bool) (int, *string, bool) {
	n := 0
	for n < len(b) && isWord(b[n]) {
		n++
	}
	if r.word {
		return n, nil, true
	}
	if n >= maxPlaceholder {
		return n, nil, true
	}
	if n == len(b) && !end {
		return n, nil, !r.vault.begins(b)
	}
	if bytes.IndexByte(b[:n], '_') > 0 {
		if v, ok := r.vault.lookup(b[:n]); ok {
			return n, &v, true
		}
	}
	return n, nil, true
}

// begins says whether a word may become a placeholder that returns.
func (t *Vault) begins(word []byte) bool {
	var buf, name [maxPlaceholder]byte
	normal := normalName(buf[:0], word)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.values) == 0 {
		return false
	}
	for label := range t.counts {
		l := normalName(name[:0], []byte(label))
		if bytes.HasPrefix(l, normal) || bytes.HasPrefix(normal, l) && isNumber(normal[len(l):]) {
			return true
		}
	}
	return false
}

func isNumber(b []byte) bool {
	for _, c := range b {
		if !is(c, isDigit) {
			return false
		}
	}
	return true
}
