package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nantian-gw/nantian/ai/jsonscan"
)

const (
	// maxPrompts bounds what is read of a file.
	maxPrompts = 100_000
	// maxPrompt is the largest prompt in bytes.
	maxPrompt = 16 << 20
)

// ReadPrompts reads a prompt from each line: a JSON object with "prompt", a JSON text, or the line as it is. Empty lines are
// left out. Errors name the line.
func ReadPrompts(from io.Reader) ([]string, error) {
	s := bufio.NewScanner(from)
	s.Buffer(nil, maxPrompt)
	var out []string
	for n := 1; s.Scan(); n++ {
		line := bytes.TrimSpace(s.Bytes())
		if len(line) == 0 {
			continue
		}
		p, err := prompt(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if len(out) == maxPrompts {
			return nil, fmt.Errorf("line %d: there are more than %d prompts", n, maxPrompts)
		}
		out = append(out, p)
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("there is no prompt")
	}
	return out, nil
}

func prompt(line []byte) (string, error) {
	if line[0] != '{' && line[0] != '"' {
		return string(line), nil
	}
	if jsonscan.Valid(line) != nil {
		if line[0] == '"' {
			return string(line), nil // prose may begin with a quotation mark
		}
		return "", errors.New("is not JSON, though it begins with {")
	}
	raw := line
	if line[0] == '{' {
		raw = jsonscan.Get(line, "prompt")
	}
	if jsonscan.Kind(raw) != jsonscan.String {
		return "", errors.New(`has no text under "prompt"`)
	}
	return jsonscan.Text(raw), nil
}

// words are of the most frequent of English; each is one token for the models of OpenAI, with the space before it.
var words = strings.Fields("time year people way day man thing woman life child world school state family student group country problem hand part " +
	"place case week company system program question work government number night point home water room mother area money story fact")

// Synthetic makes count prompts of about so many tokens. No two begin alike, so that no cache of prefixes answers them.
func Synthetic(count, tokens int) []string {
	out := make([]string, count)
	for i := range out {
		var b strings.Builder
		fmt.Fprintf(&b, "%d", i)
		for n, at := 1, i*7+1; n < tokens; n++ {
			at = (at*31 + 11) % 7919
			b.WriteByte(' ')
			b.WriteString(words[at%len(words)])
		}
		out[i] = b.String()
	}
	return out
}
