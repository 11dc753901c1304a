package promptguard

// layouts are how the numbers of payment cards are grouped, by one sign throughout.
var layouts = [][]int{{4, 4, 4, 4}, {4, 6, 5}, {4, 6, 4}, {4, 4, 4, 4, 3}}

func cardDetector() detector {
	return detector{kind: "CreditCard", label: "CREDIT_CARD", cue: cueDigits, runs: 1<<4 | 127<<13, match: matchCard}
}

// matchCard judges a run of digits: 13 to 19 together, or in the groups that cards are printed in, whose issuer range is in
// use and whose last digit is Luhn's (ISO/IEC 7812-1).
func matchCard(v *view, at int) match {
	if v.before(at, isLetter) || at > 0 && v.b[at-1] == '-' || at > 1 && v.b[at-1] == '.' && is(v.b[at-2], isAlnum) {
		return match{}
	}
	var num number
	end := v.run(at, 20, isDigit)
	first := end - at
	if end == len(v.b) && !v.end && first <= 19 {
		return v.undecided(at)
	}
	if first >= 13 {
		num.n = copy(num.buf[:], v.b[at:end])
		return cardEnd(v, at, end, &num)
	}
	if first != 4 || end == len(v.b) || v.b[end] != ' ' && v.b[end] != '-' {
		return match{}
	}
	for _, l := range layouts {
		m := matchLayout(v, at, l, &num)
		if m.state != no {
			return m
		}
	}
	return match{}
}

func matchLayout(v *view, at int, groups []int, num *number) match {
	num.n = 0
	sep := v.b[at+groups[0]]
	i := at
	for g, want := range groups {
		if g > 0 {
			if i == len(v.b) {
				return v.undecided(at)
			}
			if v.b[i] != sep {
				return match{}
			}
			i++
		}
		end := v.run(i, want, isDigit)
		if end-i < want {
			if end == len(v.b) {
				return v.undecided(at)
			}
			return match{}
		}
		num.n += copy(num.buf[num.n:], v.b[i:end])
		i = end
	}
	return cardEnd(v, at, i, num)
}

// cardEnd judges the digits of a card, and what follows them.
func cardEnd(v *view, at, end int, num *number) match {
	digits := num.text()
	if len(digits) > 19 || !issued(digits) || !luhn(digits) || uniform(digits) {
		return match{}
	}
	of, known := v.after(end, isAlnum)
	if !known {
		return v.undecided(at)
	}
	if of {
		return match{}
	}
	if on, known := continued(v, end); !known {
		return v.undecided(at)
	} else if on {
		return match{}
	}
	return found(at, end)
}

// An issuer is a range of leading digits and the lengths of its cards, as bits. Source: the networks' own BIN tables as
// listed under "Issuer identification number" by ISO/IEC 7812 registrars.
type issuer struct {
	low, high int
	digits    int
	lengths   uint32
}

const sixteen = 1 << 16

var issuers = []issuer{
	{4, 4, 1, 1<<13 | sixteen | 1<<19},               // Visa
	{51, 55, 2, sixteen},                             // Mastercard
	{2221, 2720, 4, sixteen},                         // Mastercard
	{34, 34, 2, 1 << 15},                             // American Express
	{37, 37, 2, 1 << 15},                             // American Express
	{6011, 6011, 4, sixteen | 1<<19},                 // Discover
	{644, 659, 3, sixteen | 1<<19},                   // Discover, RuPay
	{3528, 3589, 4, sixteen | 1<<17 | 1<<18 | 1<<19}, // JCB
	{300, 305, 3, 1<<14 | sixteen},                   // Diners Club
	{36, 36, 2, 1<<14 | sixteen},                     // Diners Club
	{38, 39, 2, 1<<14 | sixteen},                     // Diners Club
	{62, 62, 2, sixteen | 1<<17 | 1<<18 | 1<<19},     // UnionPay
	{81, 82, 2, sixteen},                             // UnionPay, RuPay
	{5018, 5018, 4, 1<<13 | 1<<15 | sixteen | 1<<19}, // Maestro
	{5020, 5020, 4, 1<<13 | 1<<15 | sixteen | 1<<19}, // Maestro
	{5038, 5038, 4, 1<<13 | 1<<15 | sixteen | 1<<19}, // Maestro
	{6304, 6304, 4, 1<<13 | 1<<15 | sixteen | 1<<19}, // Maestro
	{6759, 6763, 4, 1<<13 | 1<<15 | sixteen | 1<<19}, // Maestro
	{2200, 2204, 4, sixteen | 1<<17 | 1<<18 | 1<<19}, // Mir
	{9792, 9792, 4, sixteen},                         // Troy
	{506099, 506198, 6, sixteen | 1<<18 | 1<<19},     // Verve
	{636297, 636369, 6, sixteen},                     // Elo
	{606282, 606282, 6, sixteen},                     // Hipercard
}

func issued(digits []byte) bool {
	for _, is := range issuers {
		if is.lengths>>len(digits)&1 == 0 {
			continue
		}
		n := decimal(digits[:is.digits])
		if n >= is.low && n <= is.high {
			return true
		}
	}
	return false
}

func decimal(digits []byte) int {
	n := 0
	for _, c := range digits {
		n = n*10 + int(c-'0')
	}
	return n
}

// luhn checks the last digit of a number (ISO/IEC 7812-1, annex B).
func luhn(digits []byte) bool {
	sum := 0
	for i, c := range digits {
		d := int(c - '0')
		if (len(digits)-i)%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// uniform says whether a number is one digit over and over: nobody's.
func uniform(digits []byte) bool {
	for _, c := range digits {
		if c != digits[0] {
			return false
		}
	}
	return true
}
