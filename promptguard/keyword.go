package promptguard

import (
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/nantian-gw/nantian/internal/pattern"
)

// keyword makes a detector of a word or words, found in any case of their letters where neither a letter nor a digit
// stands before or after. Spaces in it stand for any number of spaces up to eight.
func keyword(word string) (detector, error) {
	if word == "" || len(word) > pattern.MaxExpression/4 || !utf8.ValidString(word) {
		return detector{}, fmt.Errorf("a keyword has 1 to %d bytes of UTF-8", pattern.MaxExpression/4)
	}
	expr := spaces.ReplaceAllString(regexp.QuoteMeta(word), `\s{1,8}`)
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	p, re, err := newProgram("(?i:"+expr+")", pattern.MaxLength)
	if err != nil {
		return detector{}, err
	}
	d := detector{kind: "Keyword", label: "KEYWORD", cue: cueRegexp, program: p, expr: "(?i:" + expr + ")"}
	if lits := leading(re); lits != nil {
		d.cue, d.literals = cueLiteral, lits
	}
	d.match = func(v *view, at int) match { return wholeWord(v, p.match(v, at), joins(first), joins(last)) }
	return d, nil
}

var spaces = regexp.MustCompile(`\s+`)

// joins says whether a character is one of a word in a script that puts spaces between words.
func joins(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsDigit(r)) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer)
}

// wholeWord drops a match that is part of a longer word.
func wholeWord(v *view, m match, atStart, atEnd bool) match {
	if m.state != yes {
		return m
	}
	if atStart && joins(v.runeBefore(m.start)) {
		return match{}
	}
	if atEnd {
		next, _, known := v.rune(m.end)
		if !known {
			return v.undecided(m.start)
		}
		if joins(next) {
			return match{}
		}
	}
	return m
}
