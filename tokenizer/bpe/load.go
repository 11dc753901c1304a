package bpe

import "fmt"

// load reads the first n tokens, all if n is 0, of a file of command gen, whose doc comment gives the format.
func load(file string, n int) (*vocab, error) {
	const head, bytes = 12, 256
	if len(file) < head+bytes || file[:4] != "BPE2" {
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
	for i := range l.v.first {
		l.v.first[i] = noToken
	}
	paired := make(chan struct{})
	go func() {
		defer close(paired)
		l.v.pairs = pairUp(merges, n)
	}()
	for i := range bytes {
		l.bytes = append(l.bytes, file[head+i])
		l.v.bytes[file[head+i]] = uint8(i)
		t := token(i) | token(i)<<tokenBits | token(i)<<(2*tokenBits) | 1<<(3*tokenBits)
		l.insert(t, 0, l.bytes[i:])
	}
	for i := range n - bytes {
		l.add(merge(merges[i*mergeSize:]))
	}
	<-paired
	return l.v, nil
}

type loader struct {
	v      *vocab
	nodes  string   // what is left of the bases
	bytes  []byte   // of all tokens, one after the other
	starts []uint32 // of each token in bytes, and of the next
	ends   []uint32 // slot in which each token ends
}

const mergeSize = 7

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

// add adds a token that is made of two others.
func (l *loader) add(t token) {
	head, tail := l.text(t.left()), l.text(t.right())
	l.bytes = append(append(l.bytes, head...), tail...)
	if len(head)+len(tail) == 2 {
		l.v.first[uint32(head[0])<<8|uint32(tail[0])] = uint32(len(l.v.tokens))
	}
	t |= token(len(head)+len(tail)) << (3 * tokenBits)
	l.insert(t, l.v.slots[l.ends[t.left()]].node>>labelBits, tail)
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
