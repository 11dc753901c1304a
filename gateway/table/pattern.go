package table

import (
	"regexp"
	"regexp/syntax"
)

// patterns are compiled regular expressions by their text.
type patterns map[string]*regexp.Regexp

// pattern compiles an expression that is matched against a whole path or value, or takes it from the table before.
func (c *compiler) pattern(text string) (*regexp.Regexp, error) {
	if re := c.table.patterns[text]; re != nil {
		return re, nil
	}
	re := c.prev.patterns[text]
	if re == nil {
		var err error
		if re, err = compileWhole(text); err != nil {
			return nil, err
		}
	}
	c.table.patterns[text] = re
	return re, nil
}

// compileWhole parses text alone before it puts it between anchors: "a)|(b" is an expression only inside a group, and an
// open "\Q" would quote what follows.
func compileWhole(text string) (*regexp.Regexp, error) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + re.String() + `)\z`)
}
