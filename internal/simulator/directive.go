package simulator

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	headerPrefix = "x-simulate-"
	textOpen     = "[[simulate:"
	textClose    = "]]"

	maxWait  = time.Hour
	maxWords = 1 << 20
	maxBytes = 256 << 20
)

// Directives are faults, latencies and sizes, as the package comment lists them. The zero value asks for nothing. They are
// made by ParseDirectives.
type Directives struct {
	head, firstToken, delay, retryDelay time.Duration
	// Numbers are kept plus one, so that zero says "not given".
	tokens, bytes, status, errorStatus, retryAfterMS int
	hangAfter, cutAfter, errorAfter, malformedAfter  int
	calls, reasoning, cached                         int
	reset, hang, omitUsage, refuse, showReasoning    bool
	errorCode, retryAfter, echo, header              string
}

// ParseDirectives reads directives separated by spaces, such as "status=429 retry-after=3". The error names the directive.
func ParseDirectives(s string) (Directives, error) {
	var d Directives
	for _, part := range strings.Fields(s) {
		if err := d.setPair(part); err != nil {
			return Directives{}, err
		}
	}
	return d, nil
}

// given returns a number and whether the directive was given.
func given(stored int) (int, bool) { return stored - 1, stored > 0 }

// setPair reads "name=value" or "name".
func (d *Directives) setPair(pair string) error {
	name, val, found := strings.Cut(pair, "=")
	if !found {
		val = "true"
	}
	return d.set(name, val)
}

func (d *Directives) set(name, val string) error {
	var err error
	if p := d.duration(name); p != nil {
		*p, err = parseWait(val)
	} else if p, least, most := d.number(name); p != nil {
		*p, err = parseNumber(val, least, most)
	} else if p := d.flag(name); p != nil {
		*p, err = strconv.ParseBool(val)
	} else if p := d.word(name); p != nil {
		*p = strings.Clone(val)
	} else {
		return fmt.Errorf("simulate: there is no directive %q", name)
	}
	if err != nil {
		return fmt.Errorf("simulate: directive %s=%q: %w", name, val, err)
	}
	return nil
}

func parseWait(s string) (time.Duration, error) {
	w, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("want a duration such as 250ms")
	}
	if w < 0 || w > maxWait {
		return 0, fmt.Errorf("want a duration from 0 to %v", maxWait)
	}
	return w, nil
}

func parseNumber(s string, least, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("want a number from %d to %d", least, most)
	}
	return n + 1, nil
}

func (d *Directives) duration(name string) *time.Duration {
	switch name {
	case "head":
		return &d.head
	case "first-token":
		return &d.firstToken
	case "delay":
		return &d.delay
	case "retry-delay":
		return &d.retryDelay
	}
	return nil
}

func (d *Directives) number(name string) (p *int, least, most int) {
	switch name {
	case "tokens":
		return &d.tokens, 0, maxWords
	case "bytes":
		return &d.bytes, 0, maxBytes
	case "status":
		return &d.status, 400, 599
	case "error-status":
		return &d.errorStatus, 400, 599
	case "retry-after-ms":
		return &d.retryAfterMS, 0, int(maxWait / time.Millisecond)
	case "hang-after":
		return &d.hangAfter, 0, maxWords
	case "cut-after":
		return &d.cutAfter, 0, maxWords
	case "error-after":
		return &d.errorAfter, 0, maxWords
	case "malformed-after":
		return &d.malformedAfter, 0, maxWords
	case "calls":
		return &d.calls, 0, maxCalls
	case "reasoning":
		return &d.reasoning, 0, maxWords
	case "cached":
		return &d.cached, 0, 1 << 30
	}
	return nil, 0, 0
}

func (d *Directives) flag(name string) *bool {
	switch name {
	case "reset":
		return &d.reset
	case "hang":
		return &d.hang
	case "omit-usage":
		return &d.omitUsage
	case "refuse":
		return &d.refuse
	case "show-reasoning":
		return &d.showReasoning
	}
	return nil
}

func (d *Directives) word(name string) *string {
	switch name {
	case "error-code":
		return &d.errorCode
	case "retry-after":
		return &d.retryAfter
	case "echo":
		return &d.echo
	case "header":
		return &d.header
	}
	return nil
}

// fromModel takes the directives off a model name such as "sim?status=429&delay=1s".
func (d *Directives) fromModel(model []byte) ([]byte, error) {
	name, query, found := bytes.Cut(model, []byte("?"))
	if !found {
		return model, nil
	}
	for pair := range strings.SplitSeq(string(query), "&") {
		if err := d.setPair(pair); err != nil {
			return name, err
		}
	}
	return name, nil
}

// fromText reads the directives between "[[simulate:" and "]]" and returns the text without them.
func (d *Directives) fromText(text []byte) ([]byte, error) {
	for {
		open := bytes.Index(text, []byte(textOpen))
		if open < 0 {
			return text, nil
		}
		inside, rest, found := bytes.Cut(text[open+len(textOpen):], []byte(textClose))
		if !found {
			return text, nil
		}
		for _, pair := range strings.Fields(string(inside)) {
			if err := d.setPair(pair); err != nil {
				return text, err
			}
		}
		text = bytes.TrimSpace(append(bytes.Clone(text[:open]), rest...))
	}
}

// fromHeader reads the x-simulate- headers.
func (d *Directives) fromHeader(h *fasthttp.RequestHeader) error {
	for k, v := range h.All() {
		if len(k) <= len(headerPrefix) || k[1] != '-' || !strings.EqualFold(string(k[:len(headerPrefix)]), headerPrefix) {
			continue
		}
		if err := d.set(strings.ToLower(string(k[len(headerPrefix):])), string(v)); err != nil {
			return err
		}
	}
	return nil
}
