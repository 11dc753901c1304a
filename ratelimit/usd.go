package ratelimit

import (
	"fmt"
	"strconv"
	"strings"
)

// USD is one US dollar in the unit of cost buckets.
const USD = 1_000_000_000

// ParseUSD reads a decimal amount of US dollars such as "25.00" exactly, as 1e-9 dollars. It takes digits with up to nine
// decimals; no sign, no exponent. Amounts over MaxLimit are refused.
func ParseUSD(s string) (int64, error) {
	whole, fraction, point := strings.Cut(s, ".")
	if !digits(whole) || point && !digits(fraction) || len(fraction) > 9 || len(whole) > 9 {
		return 0, fmt.Errorf("cost %q: expected US dollars such as 25.00, with up to nine decimals", s)
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", 9-len(fraction)), 10, 64)
	if err != nil || n > MaxLimit {
		return 0, fmt.Errorf("cost %q: expected at most %s US dollars", s, FormatUSD(MaxLimit))
	}
	return n, nil
}

// FormatUSD writes 1e-9 dollars as ParseUSD reads them, with two decimals or as many as it needs.
func FormatUSD(n int64) string {
	sign := ""
	u := uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	fraction := strings.TrimRight(fmt.Sprintf("%09d", u%USD), "0")
	return fmt.Sprintf("%s%d.%s", sign, u/USD, fraction+strings.Repeat("0", max(0, 2-len(fraction))))
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0
}
