package bpe

import "fmt"

const (
	headSize  = 12
	mergeSize = 7
	slotSize  = 6
	tokenAt   = 28
)

// load reads the first n tokens, all if n is 0, of a file of command gen, whose doc comment gives the format.
func load(file string, n int) (*vocab, error) {
	const bytes = 256
	if len(file) < headSize+bytes || file[:4] != "BPE3" {
		return nil, fmt.Errorf("bpe: not a vocabulary of this version")
	}
	total, slots := int(le32(file[4:])), int(le32(file[8:]))
	merges := file[headSize+bytes:]
	if total < bytes || n > total || len(merges) != (total-bytes)*mergeSize+slots*slotSize {
		return nil, fmt.Errorf("bpe: vocabulary of %d tokens and %d slots has %d bytes", total, slots, len(file))
	}
	if n == 0 {
		n = total
	}
	paired := make(chan *pairs)
	go func() { paired <- pairUp(merges, n) }()
	v := &vocab{tokens: make([]token, n), slots: make([]slot, slots)}
	v.readSlots(merges[(total-bytes)*mergeSize:])
	v.readTokens(file[headSize:], merges)
	v.pairs = <-paired
	return v, nil
}

// readSlots reads the trie. Tokens that are left out leave nodes that lead nowhere.
func (v *vocab) readSlots(file string) {
	n := uint32(len(v.tokens))
	for i := range v.slots {
		s := file[:slotSize]
		file = file[slotSize:]
		node := le32(s) & (1<<tokenAt - 1)
		t := uint32(s[3])>>4 | uint32(s[4])<<4 | uint32(s[5])<<12
		if t > n {
			t = 0
		}
		v.slots[i] = slot{node, t}
	}
}

// readTokens reads the tokens of single bytes, and those that are made of two others.
func (v *vocab) readTokens(bytes, merges string) {
	for i := range v.first {
		v.first[i] = noToken
	}
	var text [256]uint8 // of the tokens that are bytes
	for id := range token(256) {
		c := bytes[id]
		v.bytes[c], text[id] = uint8(id), c
		v.tokens[id] = id | id<<tokenBits | id<<(2*tokenBits) | 1<<lenAt
	}
	for id := 256; id < len(v.tokens); id++ {
		t := merge(merges)
		merges = merges[mergeSize:]
		left, right := t.left(), t.right()
		v.tokens[id] = t | (v.tokens[left]>>lenAt+v.tokens[right]>>lenAt)<<lenAt
		if left < 256 && right < 256 {
			v.first[uint32(text[left])<<8|uint32(text[right])] = uint32(id)
		}
	}
}

// merge reads the first of merges: a token without its length.
func merge(merges string) token {
	return token(le32(merges)) | token(le32(merges[3:]))>>8<<32
}

// pairUp returns the table of the first n tokens.
func pairUp(merges string, n int) *pairs {
	p := newPairs(n)
	for id := 256; id < n; id++ {
		t := merge(merges)
		p.add(t.left(), t.right(), uint32(id))
		merges = merges[mergeSize:]
	}
	return p
}

func le32(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}
