package translate

import (
	"fmt"
	"strconv"
	"strings"
)

// nanos reads a decimal such as "0.30" into billionths, exactly. Empty is zero.
func nanos(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if len(whole) > 9 || len(fraction) > 9 || strings.ContainsAny(s, "+-") {
		return 0, fmt.Errorf("%q is not a decimal with up to nine digits before and after the point", s)
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", 9-len(fraction)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a decimal", s)
	}
	return n, nil
}
