package bpe

import "fmt"

// load reads the first n tokens, all if n is 0, of a file of command gen, whose doc comment gives the format.
func load(file string, n int) (*vocab, error) {
	const head, bytes = 12, 256
	if len(file) < head+bytes || file[:4] != "BPE1" {
		return nil, fmt.Errorf("bpe: not a vocabulary of this version")
	}
	total, slots := int(le32(file[4:])), int(le32(file[8:]))
	if n == 0 {
		n = total
	}
	merges := file[head+bytes:]
	l := loader{
		v:      &vocab{tokens: make([]token, 0, n), slots: make([]slot, slots)},
		nodes:  merges[(total-bytes)*mergeSize:],
		bytes:  make([]byte, 0, 8*n), // tokens have 6 to 7 bytes
		starts: append(make([]uint32, 0, n+1), 0),
		ends:   make([]uint32, 0, n),
	}
	paired := make(chan struct{})
	go func() {
		defer close(paired)
		l.v.pairs = pairUp(merges, n)
	}()
	for i := range bytes {
		id := uint32(i)
		l.bytes = append(l.bytes, file[head+i])
		l.insert(newToken(id, id, 1), 0, l.bytes[i:])
	}
	for i := range n - bytes {
		l.merge(halves(merges[i*mergeSize:]))
	}
	<-paired
	return l.v, nil
}

const mergeSize = 5

type loader struct {
	v      *vocab
	nodes  string   // what is left of the bases
	bytes  []byte   // of all tokens, one after the other
	starts []uint32 // of each token in bytes, and of the next
	ends   []uint32 // slot in which each token ends
}

// halves reads the first of merges.
func halves(merges string) (left, right uint32) {
	h := uint64(le32(merges)) | uint64(merges[4])<<32
	return uint32(h & 0xFFFFF), uint32(h >> 20)
}

// pairUp returns the table of the first n tokens.
func pairUp(merges string, n int) pairs {
	p := newPairs(n)
	for id := 256; id < n; id++ {
		left, right := halves(merges)
		p.add(left, right, uint32(id))
		merges = merges[mergeSize:]
	}
	return p
}

// merge adds the token made of two others.
func (l *loader) merge(left, right uint32) {
	head, tail := l.text(left), l.text(right)
	l.bytes = append(append(l.bytes, head...), tail...)
	l.insert(newToken(left, right, uint32(len(head)+len(tail))), l.v.slots[l.ends[left]].node>>labelBits, tail)
}

func (l *loader) text(id uint32) []byte { return l.bytes[l.starts[id]:l.starts[id+1]] }

// insert adds t to the trie, where it ends with the bytes of tail below a node with that base. Its bytes are the last
// of l.bytes.
func (l *loader) insert(t token, base uint32, tail []byte) {
	var at uint32
	for _, c := range tail {
		at = base ^ uint32(c)
		s := &l.v.slots[at]
		if s.node == 0 {
			s.node = l.base()<<labelBits | occupied | uint32(c)
		}
		base = s.node >> labelBits
	}
	l.v.tokens = append(l.v.tokens, t)
	l.v.slots[at].token = uint32(len(l.v.tokens))
	l.ends = append(l.ends, at)
	l.starts = append(l.starts, uint32(len(l.bytes)))
}

// base reads the base of the next node.
func (l *loader) base() uint32 {
	high := uint32(l.nodes[0])
	if high == 0 {
		l.nodes = l.nodes[1:]
		return 0
	}
	b := (high-1)<<16 | uint32(l.nodes[1]) | uint32(l.nodes[2])<<8
	l.nodes = l.nodes[3:]
	return b
}

func le32(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}
