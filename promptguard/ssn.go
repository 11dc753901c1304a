package promptguard

func ssnDetector() detector {
	return detector{kind: "SSN", label: "SSN", cue: cueDigits, runs: 1<<3 | 1<<9, match: matchSSN}
}

var ssnWords = []string{"ssn", "ssns", "social security", "social", "soc sec", "itin", "taxpayer"}

// matchSSN judges a run of digits: a number of the US Social Security Administration as it is printed, with dashes or spaces;
// without any when it is called so.
func matchSSN(v *view, at int) match {
	if at > 0 && (v.b[at-1] == '-' || v.b[at-1] == '.' || v.b[at-1] == '/') && v.before(at-1, isAlnum) {
		return match{}
	}
	waits := false
	for _, sh := range []shape{"999-99-9999", "999 99 9999", "999999999"} {
		end, s := sh.match(v, at)
		num := &v.work.number
		if s == no {
			continue
		}
		if s == yes {
			on, known := continued(v, end)
			if known && !on && ssnIssued(num.text()) && (sh[3] != '9' || v.said(at, 48, ssnWords)) {
				return found(at, end)
			}
			if known {
				return match{}
			}
		}
		waits = true
	}
	if waits {
		return v.undecided(at)
	}
	return match{}
}

// ssnIssued leaves out numbers that were never given out, and two that were printed in advertisements. Individual taxpayer
// numbers of the IRS (9xx-50 to 99) count. Sources: SSA POMS RM 10201.035; 26 CFR 301.6109-1.
func ssnIssued(digits []byte) bool {
	area, group := decimal(digits[:3]), decimal(digits[3:5])
	switch n := decimal(digits); {
	case n == 78_05_1120 || n == 219_09_9999, area == 0, area == 666, group == 0, n%10000 == 0:
		return false
	case area >= 900:
		return group >= 50
	}
	return true
}
