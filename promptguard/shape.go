package promptguard

import "strings"

// A shape is how a number is written. In it 9 is a digit, A a letter of either case, X a letter or digit, _ a space, dash or
// dot that may be missing, and anything else itself.
type shape string

// maxShape is more than the letters and digits of any shape.
const maxShape = 40

// A number is the letters and digits of a match, letters in upper case.
type number struct {
	buf [maxShape]byte
	n   int
}

func (n *number) text() []byte { return n.buf[:n.n] }

func (n *number) add(c byte) bool {
	if n.n == maxShape {
		return false
	}
	if is(c, isLower) {
		c &^= 0x20
	}
	n.buf[n.n] = c
	n.n++
	return true
}

// match reads a shape at an offset, its number into the view's work, and returns where it ends. Neither a letter nor a digit
// may stand before or after it.
func (sh shape) match(v *view, at int) (end int, s state) {
	if v.before(at, isAlnum) || at > 0 && v.b[at-1] >= 0xC3 && v.b[at-1] <= 0xC9 {
		return 0, no
	}
	into := &v.work.number
	into.n = 0
	i := at
	for k := range len(sh) {
		if i == len(v.b) && (sh[k] != '_' || !v.end) {
			return 0, more
		}
		if sh[k] == '_' {
			if i < len(v.b) && (v.b[i] == ' ' || v.b[i] == '-' || v.b[i] == '.') {
				i++
			}
			continue
		}
		if !sh.allows(k, v.b[i]) {
			return 0, no
		}
		if is(v.b[i], isAlnum) && !into.add(v.b[i]) {
			return 0, no
		}
		i++
	}
	if of, known := v.after(i, isAlnum); !known {
		return 0, more
	} else if of {
		return 0, no
	}
	return i, yes
}

func (sh shape) allows(k int, c byte) bool {
	switch sh[k] {
	case '9':
		return is(c, isDigit)
	case 'A':
		return is(c, isLetter)
	case 'X':
		return is(c, isAlnum)
	}
	return c == sh[k]
}

// lead is the number of bytes before the first two digits.
func (sh shape) lead() int { return strings.Index(string(sh), "99") }

// run is the length of the run of these digits and the byte that follows it: A for any letter, 0 for a
// digit or nothing.
func (sh shape) run() (length int, then byte) {
	i := sh.lead()
	for i+length < len(sh) && sh[i+length] == '9' {
		length++
	}
	if i+length == len(sh) || sh[i+length] == 'X' {
		return length, 0
	}
	return length, sh[i+length]
}

// runs are the lengths that the run can have, as bits.
func (sh shape) runs() uint32 {
	n, _ := sh.run()
	if i := sh.lead() + n; i < len(sh) && sh[i] == 'X' {
		return 3 << n
	}
	return 1 << n
}

// continued says whether a number goes on after its end: by a dot or dash and one more digit.
func continued(v *view, end int) (goesOn, known bool) {
	if end < len(v.b) && (v.b[end] == '.' || v.b[end] == '-') {
		return v.after(end+1, isDigit)
	}
	return false, end < len(v.b) || v.end
}
