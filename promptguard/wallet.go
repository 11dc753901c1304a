package promptguard

import (
	"bytes"
	"crypto/sha256"

	"golang.org/x/crypto/sha3"
)

func walletDetectors(*Rule) []detector {
	return []detector{
		{kind: "CryptoWallet/base58", label: "WALLET", cue: cueRun, reach: 31, match: matchBase58},
		{kind: "CryptoWallet/ethereum", label: "WALLET", cue: cueRun, reach: 31, match: matchEthereum},
		{kind: "CryptoWallet/bech32", label: "WALLET", cue: cueLiteral, literals: []string{"bc1q", "bc1p", "ltc1q"}, match: matchBech32},
	}
}

const (
	base58       = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	rippleBase58 = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
)

// matchBase58 judges a run of letters and digits: an address of 25 bytes whose last four are the beginning of a double
// SHA-256 of the others (Bitcoin, "Base58Check encoding"), of a known version.
func matchBase58(v *view, at int) match {
	end := v.run(at, 36, isAlnum)
	if end-at > 35 {
		return match{}
	}
	if end == len(v.b) && !v.end {
		return v.undecided(at)
	}
	if v.before(at, isAlnum) || end-at < 26 {
		return match{}
	}
	alphabet := base58
	if v.b[at] == 'r' {
		alphabet = rippleBase58
	}
	raw, ok := decode58(v.b[at:end], alphabet)
	if !ok {
		return match{}
	}
	once := sha256.Sum256(raw[:21])
	twice := sha256.Sum256(once[:])
	if !bytes.Equal(twice[:4], raw[21:]) || bytes.IndexByte(walletVersions, raw[0]) < 0 {
		return match{}
	}
	return found(at, end)
}

// walletVersions are those of Bitcoin and Ripple (0, 5), Litecoin (48, 50), Dogecoin (30, 22), Dash (76, 16), Tron (65).
var walletVersions = []byte{0, 5, 48, 50, 30, 22, 76, 16, 65}

func decode58(text []byte, alphabet string) (raw [25]byte, ok bool) {
	for _, c := range text {
		carry := bytes.IndexByte([]byte(alphabet), c)
		if carry < 0 {
			return raw, false
		}
		for i := len(raw) - 1; i >= 0; i-- {
			carry += int(raw[i]) * 58
			raw[i] = byte(carry)
			carry >>= 8
		}
		if carry != 0 {
			return raw, false
		}
	}
	return raw, true
}

// matchEthereum judges a run: 0x and forty hexadecimal digits, whose case is a checksum if it is mixed (EIP-55).
func matchEthereum(v *view, at int) match {
	const length = 42
	if v.before(at, isAlnum) {
		return match{}
	}
	for i := at; i < at+length; i++ {
		if i == len(v.b) {
			return v.undecided(at)
		}
		if c := v.b[i]; i == at && c != '0' || i == at+1 && lower(c) != 'x' || i > at+1 && !is(c, isHex) {
			return match{}
		}
	}
	of, known := v.after(at+length, isAlnum)
	if !known {
		return v.undecided(at)
	}
	if of || !eip55(v.b[at+2:at+length]) {
		return match{}
	}
	return found(at, at+length)
}

func eip55(hex []byte) bool {
	low := bytes.ToLower(hex)
	if bytes.Equal(low, hex) || bytes.Equal(bytes.ToUpper(hex), hex) {
		return entropy(hex) > 2.5 // not a number filled with zeros
	}
	h := sha3.NewLegacyKeccak256()
	h.Write(low)
	sum := h.Sum(nil)
	for i, c := range hex {
		nibble := sum[i/2] >> (4 * (1 - i%2)) & 15
		if is(c, isLetter) && is(c, isUpper) != (nibble >= 8) {
			return false
		}
	}
	return true
}

const bech32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// matchBech32 judges a prefix of segregated witness addresses by their checksum (BIP 173, BIP 350).
func matchBech32(v *view, at int) match {
	end := v.run(at, 91, isAlnum)
	if end-at > 90 {
		return match{}
	}
	if end == len(v.b) && !v.end {
		return v.undecided(at)
	}
	if v.before(at, isAlnum) || end-at < 42 {
		return match{}
	}
	text := bytes.ToLower(v.b[at:end])
	sep := bytes.IndexByte(text, '1')
	if sep != 2 && sep != 3 { // "bc" and "ltc"
		return match{}
	}
	chk := uint32(1)
	for _, c := range text[:sep] {
		chk = polymod(chk, uint32(c>>5))
	}
	chk = polymod(chk, 0)
	for _, c := range text[:sep] {
		chk = polymod(chk, uint32(c&31))
	}
	for _, c := range text[sep+1:] {
		n := bytes.IndexByte([]byte(bech32), c)
		if n < 0 {
			return match{}
		}
		chk = polymod(chk, uint32(n))
	}
	if chk != 1 && chk != 0x2bc830a3 {
		return match{}
	}
	return found(at, end)
}

func polymod(chk, v uint32) uint32 {
	top := chk >> 25
	chk = chk&0x1ffffff<<5 ^ v
	for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
		if top>>i&1 == 1 {
			chk ^= g
		}
	}
	return chk
}
