package promptguard

// ibanLengths are the lengths of account numbers by country. Source: SWIFT, IBAN registry (ISO 13616).
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28, "CH": 21,
	"CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18,
	"FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
	"IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24,
	"ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
	"PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23,
	"ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

func ibanDetector() detector {
	return detector{kind: "IBAN", label: "IBAN", cue: cueDigits, lead: 2, match: matchIBAN}
}

// matchIBAN judges a country's two letters before digits: a known length, in one piece or with a space or dash now and then
// as people write them, and the remainder of ISO 7064's MOD 97-10.
func matchIBAN(v *view, at int) match {
	if v.before(at, isAlnum) || !is(v.b[at], isLetter) || !is(v.b[at+1], isLetter) {
		return match{}
	}
	want := ibanLengths[string([]byte{v.b[at] &^ 0x20, v.b[at+1] &^ 0x20})]
	var num number
	i := at
	for num.n < want {
		switch {
		case i == len(v.b):
			return v.undecided(at)
		case is(v.b[i], isAlnum):
			num.add(v.b[i])
		case v.b[i] != ' ' && v.b[i] != '-' || !is(v.b[i-1], isAlnum):
			return match{}
		}
		i++
	}
	if want == 0 || !is(num.buf[2], isDigit) || !is(num.buf[3], isDigit) || mod97(num.text()) != 1 {
		return match{}
	}
	if of, known := v.after(i, isAlnum); !known {
		return v.undecided(at)
	} else if of {
		return match{}
	}
	return found(at, i)
}

// mod97 is the remainder of ISO 7064 MOD 97-10, of a number whose first four characters count last.
func mod97(text []byte) int {
	r := 0
	for i := range text {
		c := text[(i+4)%len(text)]
		if is(c, isDigit) {
			r = (r*10 + int(c-'0')) % 97
		} else {
			r = (r*100 + int(c-'A') + 10) % 97
		}
	}
	return r
}
