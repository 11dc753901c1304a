package tokens

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// codePoints passes on every code point between neighbours that show its class to each alternative of the patterns.
func codePoints(add func(string)) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		// Planes 4 to 13 have no characters, 15 and 16 private ones only: one in a hundred of these.
		if utf8.ValidRune(r) && (r < 0x40000 || r>>16 == 0xE || r%97 == 0) {
			add(fmt.Sprintf("a%[1]cb B%[1]cA %[1]c%[1]c 1%[1]c2'%[1]c!%[1]c \n%[1]c's\t%[1]c", r))
		}
	}
}

// fragments are what generated texts are made of: the edges of every alternative of the patterns, and special tokens.
var fragments = strings.Split("a|B|z|word|Word|WORD|wOrD|the| the|ing|é|É|ß|ǅ|ʰ|ª|中|中文|日本語|の|한국|ا|سلام|א|ก|ำ|ি|́|̈|⃝|"+
	"0|1|42|123|4567|٣|Ⅳ|½|²|一|'|'s|'S|'t|'re|'RE|'ve|'m|'ll|'lL|'d|'x|''|’s|'ſ|"+
	" |  |   |\t|\n|\r|\r\n|\n\n|\n  \n| \n|\v|\f|\u0085|\u00a0|\u2003|\u2028|\u3000|\u200b|\u200d|\ufeff|"+
	"!|?|.|...|,|/|//|\\|_|-|--|==|{|}|[]|();|\":\"|<|>|#|$|%|&|*|+|~|`|€|→|…|—|"+
	"😀|👍🏽|👨‍👩‍👧|🇩🇪|❤️|\x00|\x01|\x1b|\x7f|\xff|\xc3|\xe4\xb8|\xf0\x9f|\xed\xa0\x80|\xc0\xaf|�|\U000e0001|\U00010400|\U0001d400|\U00013460", "|")

// specials are special tokens of the encodings, and what nearly is one.
var specials = strings.Fields("<|endoftext|> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|endofprompt|> <|start|> <|end|> <|message|> " +
	"<|channel|> <|constrain|> <|return|> <|call|> <|startoftext|> <|reserved_200013|> <|im_start|> <|im_sep|> <|endoftext| |endoftext|>")

// A generator makes texts for the oracle, which is quadratic in pieces: they are short.
type generator struct {
	*rand.Rand
	corpus []string
}

func (g generator) text() string {
	if g.IntN(4) == 0 {
		return g.fuzzed()
	}
	var b strings.Builder
	for range 1 + g.IntN(8) {
		g.part(&b)
	}
	return b.String()
}

func (g generator) part(b *strings.Builder) {
	switch g.IntN(14) {
	case 0:
		b.WriteString(strings.Repeat(g.fragment(), 1+g.IntN(30)))
	case 1:
		b.WriteRune(rune(g.IntN(utf8.MaxRune)))
	case 2:
		b.WriteRune(rune(g.IntN(0x3000)))
	case 3:
		for range g.IntN(6) {
			b.WriteRune(0x4E00 + rune(g.IntN(0x5200)))
		}
	case 4:
		fmt.Fprintf(b, "%x", g.Uint64()>>g.IntN(64))
	case 5:
		g.letters(b)
	case 6:
		b.WriteString(specials[g.IntN(len(specials))])
	default:
		b.WriteString(g.fragment())
	}
}

func (g generator) fragment() string { return fragments[g.IntN(len(fragments))] }

var alphabets = []string{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ _-0123456789", "etaoinshrdlu", "ab", "aA", " \n\t\r", "-=_*#/", "!?.,;:()"}

func (g generator) letters(b *strings.Builder) {
	alphabet := alphabets[g.IntN(len(alphabets))]
	for range g.IntN(40) {
		b.WriteByte(alphabet[g.IntN(len(alphabet))])
	}
}

// fuzzed returns a cut of the corpus with some bytes changed, taken out, doubled or put in.
func (g generator) fuzzed() string {
	const most = 60
	text := g.corpus[g.IntN(len(g.corpus))]
	if len(text) > most {
		at := g.IntN(len(text) - most)
		text = text[at : at+1+g.IntN(most)]
	}
	b := []byte(text)
	for range g.IntN(4) {
		if len(b) == 0 {
			break
		}
		at := g.IntN(len(b))
		switch g.IntN(4) {
		case 0:
			b[at] = byte(g.Uint32())
		case 1:
			b = append(b[:at], b[at+1:]...)
		case 2:
			b = append(b[:at+1], b[at:]...)
		case 3:
			b = append(b[:at:at], g.fragment()+string(b[at:])...)
		}
	}
	return string(b)
}
