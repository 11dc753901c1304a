package promptguard

// weigh sums digits times weights.
func weigh(id []byte, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += w * int(id[i]-'0')
	}
	return sum
}

func digit(id []byte, i int) int { return int(id[i] - '0') }

// isDate says whether two digits can be a month and two a day.
func isDate(month, day int) bool { return month >= 1 && month <= 12 && day >= 1 && day <= 31 }

// elevens is the check digit 11 - sum mod 11, where 11 is 0.
func elevens(sum int) int { return (11 - sum%11) % 11 }

func arCUIT(id []byte) bool {
	prefix := decimal(id[:2])
	return (prefix >= 20 && prefix <= 27 || prefix == 30 || prefix == 33 || prefix == 34) &&
		elevens(weigh(id, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) == digit(id, 10)
}

func auTFN(id []byte) bool { return weigh(id, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0 }

func beNN(id []byte) bool {
	n, check := decimal(id[:9]), decimal(id[9:])
	return isDate(decimal(id[2:4]), decimal(id[4:6])) && (97-n%97 == check || 97-(n+2_000_000_000)%97 == check)
}

func brCNPJ(id []byte) bool {
	zeroTen := func(sum int) int { return elevens(sum) % 10 }
	return zeroTen(weigh(id, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) == digit(id, 12) &&
		zeroTen(weigh(id, 6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) == digit(id, 13)
}

func brCPF(id []byte) bool {
	return elevens(weigh(id, 10, 9, 8, 7, 6, 5, 4, 3, 2))%10 == digit(id, 9) && elevens(weigh(id, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2))%10 == digit(id, 10)
}

func chAHV(id []byte) bool {
	return string(id[:3]) == "756" && weigh(id, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1)%10 == 0
}

func clRUT(id []byte) bool {
	return "0123456789K"[elevens(weigh(id, 3, 2, 7, 6, 5, 4, 3, 2))] == id[8]
}

func cnRID(id []byte) bool {
	year := decimal(id[6:10])
	return id[0] >= '1' && id[0] <= '8' && year >= 1900 && year < 2100 && isDate(decimal(id[10:12]), decimal(id[12:14])) &&
		"10X98765432"[weigh(id, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)%11] == id[17]
}

func czRC(id []byte) bool {
	month := decimal(id[2:4])
	return isDate(month%50%20, decimal(id[4:6])) && decimal(id)%11 == 0
}

// mod1110 is ISO 7064 MOD 11,10.
func mod1110(id []byte) bool {
	p := 10
	for i := range len(id) - 1 {
		s := (digit(id, i) + p) % 10
		if s == 0 {
			s = 10
		}
		p = s * 2 % 11
	}
	return (11-p)%10 == digit(id, len(id)-1)
}

const dniLetters = "TRWAGMYFPDXBNJZSQVHLCKE"

func esDNI(id []byte) bool { return dniLetters[decimal(id[:8])%23] == id[8] }

func esNIE(id []byte) bool {
	return id[0] >= 'X' && id[0] <= 'Z' && dniLetters[(int(id[0]-'X')*10_000_000+decimal(id[1:8]))%23] == id[8]
}

func fiHETU(id []byte) bool {
	serial := id[len(id)-4:]
	return isDate(decimal(id[2:4]), decimal(id[:2])) && (len(id) == 10 || id[6] == 'A') && isNumber(serial[:3]) &&
		"0123456789ABCDEFHJKLMNPRSTUVWXY"[(decimal(id[:6])*1000+decimal(serial[:3]))%31] == serial[3]
}

func frNIR(id []byte) bool {
	month := decimal(id[3:5])
	return (id[0] == '1' || id[0] == '2') && (month >= 1 && month <= 12 || month >= 20 && month <= 42 || month >= 50) &&
		97-decimal(id[:13])%97 == decimal(id[13:])
}

// Verhoeff's scheme: the multiplication of the dihedral group D5, and a permutation.
var (
	dihedral = [10]string{"0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
		"5987604321", "6598710432", "7659821043", "8765932104", "9876543210"}
	verhoeff = [8]string{"0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258"}
)

func inAadhaar(id []byte) bool {
	c := 0
	for i := range id {
		c = int(dihedral[c][verhoeff[i%8][digit(id, len(id)-1-i)]-'0'] - '0')
	}
	return id[0] >= '2' && c == 0
}

func itCF(id []byte) bool {
	sum := 0
	for i := range 15 {
		n := int(id[i] - '0')
		if id[i] >= 'A' {
			n = int(id[i] - 'A')
		}
		if i%2 == 1 {
			sum += n
		} else {
			sum += int(cfOdd[n])
		}
	}
	return id[15] == byte('A'+sum%26)
}

// cfOdd are the values of characters at odd places (Decreto ministeriale 23/12/1976).
var cfOdd = [26]uint8{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}

func jpMyNumber(id []byte) bool {
	r := weigh(id, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2) % 11
	want := 0
	if r > 1 {
		want = 11 - r
	}
	return want == digit(id, 11)
}

func krRRN(id []byte) bool {
	return isDate(decimal(id[2:4]), decimal(id[4:6])) && id[6] >= '1' && id[6] <= '8' &&
		(11-weigh(id, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)%11)%10 == digit(id, 12)
}

func mxCURP(id []byte) bool {
	if !isDate(decimal(id[6:8]), decimal(id[8:10])) || id[10] != 'H' && id[10] != 'M' && id[10] != 'X' {
		return false
	}
	sum := 0
	for i := range 17 {
		n := int(id[i] - '0')
		if id[i] >= 'A' {
			if n = int(id[i]-'A') + 10; id[i] > 'N' {
				n++ // Ñ has a place of its own
			}
		}
		sum += n * (18 - i)
	}
	return (10-sum%10)%10 == digit(id, 17)
}

func nlBSN(id []byte) bool { return (weigh(id, 9, 8, 7, 6, 5, 4, 3, 2)-digit(id, 8))%11 == 0 }

func noFNR(id []byte) bool {
	return isDate(decimal(id[2:4])%40, decimal(id[:2])%40) && elevens(weigh(id, 3, 7, 6, 1, 8, 9, 4, 5, 2)) == digit(id, 9) &&
		elevens(weigh(id, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) == digit(id, 10)
}

func plPESEL(id []byte) bool {
	return isDate(decimal(id[2:4])%20, decimal(id[4:6])) && weigh(id, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)%10 == 0
}

func ptNIF(id []byte) bool {
	return id[0] != '0' && id[0] != '4' && elevens(weigh(id, 9, 8, 7, 6, 5, 4, 3, 2))%10 == digit(id, 8)
}

func sePNR(id []byte) bool {
	id = id[len(id)-10:]
	return isDate(decimal(id[2:4]), decimal(id[4:6])%60) && luhn(id)
}

func sgNRIC(id []byte) bool {
	sum := weigh(id[1:], 2, 7, 6, 5, 4, 3, 2)
	switch id[0] {
	case 'S':
		return "JZIHGFEDCBA"[sum%11] == id[8]
	case 'T':
		return "JZIHGFEDCBA"[(sum+4)%11] == id[8]
	case 'F':
		return "XWUTRQPNMLK"[sum%11] == id[8]
	case 'G':
		return "XWUTRQPNMLK"[(sum+4)%11] == id[8]
	}
	return false
}

func trKimlik(id []byte) bool {
	ten := (weigh(id, 7, -1, 7, -1, 7, -1, 7, -1, 7)%10 + 10) % 10
	return id[0] != '0' && ten == digit(id, 9) && weigh(id, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)%10 == digit(id, 10)
}

func ukNHS(id []byte) bool {
	c := elevens(weigh(id, 10, 9, 8, 7, 6, 5, 4, 3, 2))
	return c < 10 && c == digit(id, 9)
}

func zaID(id []byte) bool { return isDate(decimal(id[2:4]), decimal(id[4:6])) && luhn(id) }
