package promptguard

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/nantian-gw/nantian/internal/pattern"
)

// secretFile has the formats that vendors document for their keys: a name and an expression a line.
//
//go:embed secrets.txt
var secretFile string

func secretDetectors(*Rule) []detector {
	var dets []detector
	for line := range strings.Lines(secretFile) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, expr, _ := strings.Cut(line, "\t")
		dets = append(dets, secretDetector(name, strings.TrimSpace(expr)))
	}
	dets = append(dets, detector{kind: "Secret/assignment", label: "SECRET", cue: cueLiteral, literals: secretNames, late: true, match: matchAssignment})
	return dets
}

// secretDetector makes a detector of a line of secretFile. The file is part of the program, so that a line which does not
// compile is a mistake of ours that the first test meets.
func secretDetector(name, expr string) detector {
	p, re, err := newProgram(expr, pattern.MaxLength)
	if err != nil {
		panic(fmt.Sprintf("promptguard: secrets.txt: %s: %v", name, err))
	}
	d := detector{kind: "Secret/" + name, label: "SECRET", cue: cueLiteral, literals: leading(re)}
	check := secretChecks[name]
	whole := name == "private-key" // a part of it is worth nothing to whom is guarded
	d.match = func(v *view, at int) match {
		if v.before(at, isAlnum) {
			return match{}
		}
		m := p.match(v, at)
		if m.state != yes {
			return m
		}
		if m.cut = whole && m.end-m.start > pattern.MaxLength-utf8.UTFMax; m.cut {
			return m
		}
		if of, known := v.after(m.end, isAlnum); !known {
			return v.undecided(at)
		} else if of || check != nil && !check(v.b[m.start:m.end]) {
			return match{}
		}
		return m
	}
	in, inner := innerCues[name]
	d.whole = !inner
	if d.literals != nil && !inner {
		return d
	}
	if !inner && p.first['9'] && !p.first['a'] && !p.first['A'] {
		d.cue, d.runs = cueDigits, 7<<8
		return d
	}
	start := d.match
	d.cue, d.literals, d.reach = cueRun, nil, in.back+31
	if in.literal != "" {
		d.cue, d.literals, d.reach = cueLiteral, []string{in.literal}, in.back+len(in.literal)
	}
	d.match = func(v *view, at int) match {
		if at < in.back {
			return match{}
		}
		return start(v, at-in.back)
	}
	return d
}

// An innerCue is what calls a secret that does not begin with a literal: a literal, or a long run of letters and digits, that
// comes so many bytes after its beginning.
type innerCue struct {
	back    int
	literal string
}

var innerCues = map[string]innerCue{
	"terraform-cloud": {14, ".atlasv1."},
	"asana-token":     {len("0/") + 16 + len(":"), ""},
	"airtable-token":  {len("pat") + 14 + len("."), ""},
}

var secretChecks = map[string]func([]byte) bool{
	"jwt":            isJWT,
	"openai-legacy":  mixedChars,
	"aws-access-key": mixedChars,
	"github-token":   mixedChars,
	"gitlab-token":   mixedChars,
}

// isJWT says whether the first part of three is a header (RFC 7519, section 5).
func isJWT(token []byte) bool {
	head, _, _ := bytes.Cut(token, []byte("."))
	raw, err := base64.RawURLEncoding.DecodeString(string(head))
	return err == nil && bytes.HasPrefix(raw, []byte(`{"`)) && (bytes.Contains(raw, []byte(`"alg"`)) || bytes.Contains(raw, []byte(`"typ"`)))
}

// mixedChars keeps out what manuals fill with one letter, or with a run of the alphabet.
func mixedChars(token []byte) bool {
	return entropy(token) > 2.9 && !bytes.Contains(token, []byte("EXAMPLE")) && !bytes.Contains(token, []byte("xxxx"))
}

// secretNames are what names of variables that hold secrets have in them.
var secretNames = []string{"password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api key", "access_key", "accesskey", "access key",
	"auth_key", "private_key", "encryption_key", "signing_key", "credential", "contraseña", "passwort", "kennwort", "mot de passe", "senha"}

// Limits of an assignment.
const (
	maxName       = 32 // bytes of a name after the word that tells
	minSecret     = 8
	maxSecret     = 256
	secretEntropy = 2.75 // bits a character, of values of letters and digits
)

// matchAssignment judges a word that names secrets: a sign of assignment and a value that looks random. Only the value is
// the match.
func matchAssignment(v *view, at int) match {
	i, ok, known := valueStart(v, at)
	if !known {
		return v.undecided(at)
	}
	if !ok {
		return match{}
	}
	end := i
	for end < len(v.b) && end-i <= maxSecret && inValue(v.b[end]) {
		end++
	}
	if end == len(v.b) && !v.end && end-i <= maxSecret {
		return v.undecided(at)
	}
	for end > i && endsSentence(v.b[end-1]) {
		end--
	}
	if end-i < minSecret || end-i > maxSecret || !random(v.b[i:end]) {
		return match{}
	}
	return found(i, end)
}

// endsSentence says whether a sign after a value belongs to the text around it.
func endsSentence(c byte) bool {
	return c == '.' || c == ')' || c == '*' || c == '?' || c == ':' || c == ']'
}

func inValue(c byte) bool {
	return c > ' ' && c < 0x7f && c != '"' && c != '\'' && c != '`' && c != '<' && c != '>' && c != '{' && c != '}' && c != '\\' && c != '|' && c != ',' && c != ';' && c != '&'
}

// valueStart skips the rest of a name, and the signs between it and its value.
func valueStart(v *view, at int) (start int, ok, known bool) {
	i, limit := at, at+2*maxName
	for i < len(v.b) && i < limit && (is(v.b[i], isAlnum) || v.b[i] == '_' || v.b[i] == '-' || v.b[i] >= 0x80 || v.b[i] == ' ' && i-at < 12) {
		i++
	}
	signs, assigned := 0, false
	for i < len(v.b) && signs < 8 {
		switch c := v.b[i]; {
		case c == '=' || c == ':':
			assigned = true
		case c == '"' || c == '\'' || c == '`' || is(c, isSpace) && c != '\n' || c == '>' && assigned:
		default:
			return i, assigned, true
		}
		i++
		signs++
	}
	return 0, false, i < len(v.b) || v.end || i >= limit
}

// random says whether a value looks like a secret: letters and digits mixed, and hardly a word.
func random(value []byte) bool {
	if isStandIn(value) || bytes.Contains(value, []byte("://")) || bytes.Contains(value, []byte("...")) || bytes.ContainsAny(value, "([") ||
		bytes.Contains(value, []byte("EXAMPLE")) || bytes.Contains(value, []byte("xxxx")) {
		return false
	}
	var kinds uint8
	digits := 0
	for _, c := range value {
		kinds |= charTable[c] & (isDigit | isUpper | isLower)
		if is(c, isDigit) {
			digits++
		}
	}
	if kinds&isDigit == 0 || kinds&isLetter == 0 || digits*8 < len(value) && len(value) > 16 {
		return false
	}
	return entropy(value) >= secretEntropy
}

// entropy is Shannon's, in bits a character.
func entropy(text []byte) float64 {
	var count [256]int
	for _, c := range text {
		count[c]++
	}
	e := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(text))
			e -= p * math.Log2(p)
		}
	}
	return e
}
