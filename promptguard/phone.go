package promptguard

import (
	"slices"

	"github.com/nyaruka/phonenumbers"
)

// Numbers have at most 15 digits (ITU-T E.164), and people write signs between them.
const (
	maxPhoneDigits = 15
	minPhoneDigits = 7
	maxPhone       = 32
)

func phoneDetectors(regions []string) []detector {
	if len(regions) == 0 {
		regions = []string{"US"}
	}
	national := nationalPhone(regions)
	return []detector{
		{kind: "PhoneNumber", label: "PHONE_NUMBER", cue: cuePlus, reach: 4, match: matchPhone},
		{kind: "PhoneNumber", label: "PHONE_NUMBER", cue: cueDigits, match: national},
	}
}

// matchPhone judges a plus before a digit: a number in the international way, as the country's numbering plan has it.
func matchPhone(v *view, at int) match {
	if v.before(at, isAlnum) {
		return match{}
	}
	return judgePhone(v, at, at+1, func(digits []byte) bool { return inPlan("+"+string(digits), "ZZ") })
}

// phoneWords let a number without any sign between its digits pass for a phone number.
var phoneWords = []string{"phone", "tel", "telephone", "mobile", "cell", "call", "call me", "fax", "whatsapp", "dial", "sms", "text me", "contact",
	"telefon", "handy", "rufnummer", "téléphone", "tél", "portable", "teléfono", "móvil", "telefone", "celular", "telefono", "cellulare", "tel."}

// nationalPhone judges a run of digits: a number written the way of one of some regions, with signs between its digits or
// after a word that calls it a phone number.
func nationalPhone(regions []string) func(*view, int) match {
	nanp := slices.ContainsFunc(regions, func(r string) bool { return phonenumbers.GetCountryCodeForRegion(r) == 1 })
	return func(v *view, at int) match {
		start := at
		switch group := v.run(at, 12, isDigit) - at; {
		case v.b[at] == '0':
		case !nanp || group != 3 && group < 10:
			return match{}
		case at > 1 && v.b[at-2] == '1' && (v.b[at-1] == '-' || v.b[at-1] == '.'):
			start -= 2
		}
		if start > 0 && v.b[start-1] == '(' {
			start--
		}
		if start > 0 && !opens(v.b[start-1]) || afterPlus(v, start) {
			return match{}
		}
		return judgePhone(v, start, start, func(digits []byte) bool {
			if len(digits) > 2 && digits[0] == '0' && digits[1] == '0' {
				return inPlan("+"+string(digits[2:]), "ZZ")
			}
			return slices.ContainsFunc(regions, func(r string) bool { return nationalLength(r, digits) && inPlan(string(digits), r) })
		})
	}
}

// nationalLength keeps the short local forms out, that have no area code.
func nationalLength(region string, digits []byte) bool {
	if phonenumbers.GetCountryCodeForRegion(region) == 1 {
		if len(digits) == 11 && digits[0] == '1' {
			digits = digits[1:]
		}
		return len(digits) == 10 && digits[0] >= '2' && digits[3] >= '2' // NXX-NXX-XXXX
	}
	return len(digits) >= 9
}

// afterPlus says whether a number follows a country's code, which belongs to it.
func afterPlus(v *view, at int) bool {
	code := v.back(at-1, 3, isDigit)
	return at > 1 && code < at-1 && code > 0 && v.b[code-1] == '+'
}

func opens(c byte) bool {
	return is(c, isSpace) || c == ':' || c == ',' || c == ';' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '[' || c == '(' || c >= 0x80 ||
		c == '|' || c == '`' || c == '*' || c == '='
}

func inPlan(number, region string) bool {
	n, err := phonenumbers.Parse(number, region)
	return err == nil && phonenumbers.IsValidNumber(n)
}

// A phone is the digits of a number and the places where it may end: after each group.
type phone struct {
	digits [maxPhoneDigits]byte
	n      int
	signs  int // groups beyond the first
	ends   [maxPhoneDigits + 1]struct{ end, digits int }
	groups int
}

// judgePhone reads groups of digits from an offset on, and takes the longest number that a numbering plan has.
func judgePhone(v *view, start, at int, valid func([]byte) bool) match {
	p := &v.work.phone
	*p = phone{}
	end, known := p.read(v, at)
	if !known {
		return v.undecided(start)
	}
	if end < 0 || p.groups == 0 || p.n < minPhoneDigits {
		return match{}
	}
	bare := p.groups == 1 || p.digits[0] == '0' && p.digits[1] == '0'
	if v.b[start] != '+' && bare && !v.said(start, 32, phoneWords) {
		return match{}
	}
	for g := p.groups - 1; g >= 0; g-- {
		e := p.ends[g]
		if last := p.group(g); last < 2 || v.b[start] != '+' && p.digits[0] >= '1' && last != 4 && g > 0 {
			continue // all of North America's end with four digits
		}
		if e.digits >= minPhoneDigits && (v.b[start] == '+' || g > 0 || p.groups == 1) && valid(p.digits[:e.digits]) {
			return found(start, e.end)
		}
	}
	return match{}
}

// group is the number of digits of a group.
func (p *phone) group(g int) int {
	if g == 0 {
		return p.ends[0].digits
	}
	return p.ends[g].digits - p.ends[g-1].digits
}

// read gathers digits and the signs between them. It returns -1 for what is no phone number by its looks, and whether the
// text goes far enough to tell.
func (p *phone) read(v *view, at int) (end int, known bool) {
	i := at
	for i < len(v.b) && i-at < maxPhone {
		c := v.b[i]
		if is(c, isDigit) {
			if p.n == maxPhoneDigits {
				return i, true // what comes before this group may be one
			}
			p.digits[p.n] = c
			p.n++
			p.ends[p.groups] = struct{ end, digits int }{i + 1, p.n}
			i++
			continue
		}
		next, ok, known := phoneSign(v, i)
		if !known {
			return 0, false
		}
		if !ok {
			break
		}
		if p.n > 0 {
			p.groups++
		}
		i = next
	}
	if i == len(v.b) && !v.end && i-at < maxPhone {
		return 0, false
	}
	if p.n > 0 && p.ends[p.groups].digits == p.n {
		p.groups++
	}
	if i < len(v.b) && (is(v.b[i], isLetter) || v.b[i] == '_' || v.b[i] == '@' || v.b[i] == '%') && is(v.b[i-1], isDigit) {
		return -1, true
	}
	return i, true
}

// phoneSign says whether what stands at an offset is up to three signs between two digits of a number, and where the next digit is.
func phoneSign(v *view, i int) (next int, ok, known bool) {
	for k := range 4 {
		if i+k == len(v.b) {
			return 0, false, v.end
		}
		c := v.b[i+k]
		if is(c, isDigit) {
			return i + k, k > 0, true
		}
		if k == 3 || c != ' ' && c != '-' && c != '.' && c != '(' && c != ')' && c != '/' {
			return 0, false, true
		}
	}
	return 0, false, true
}
