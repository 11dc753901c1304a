// Command gen writes the vocabularies that package bpe embeds, from the rank files that tiktoken-go-loader carries.
//
// A file holds (integers little endian):
//
//	4 bytes   magic "BPE3"
//	4 bytes   number of tokens
//	4 bytes   number of slots of the trie
//	256 bytes the byte that token i stands for, i < 256
//	7 bytes   for each further token, in rank order: left | right<<18 | prefix<<36, the two tokens that merge into it
//	          and the longest that is a proper prefix of it
//	6 bytes   for each slot of the trie: node | token<<28, the two words of package bpe's slot, 0 for an empty one
//
// The rest (lengths of tokens, the table of pairs) follows from it when it is loaded. The trie and the prefixes could be
// computed too, but that would take most of the time of loading.
package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"

	loader "github.com/pkoukk/tiktoken-go-loader"
)

func main() {
	// r50k_base is p50k_base without the runs of spaces that were added at its end: it needs no file.
	for _, name := range []string{"o200k_base", "cl100k_base", "p50k_base"} {
		ranks, err := loader.NewOfflineLoader().LoadTiktokenBpe(name + ".tiktoken")
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		b, err := encode(ranks)
		if err != nil {
			log.Fatalf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join("vocab", name+".bin"), b, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// encode returns the file of a vocabulary.
func encode(ranks map[string]int) ([]byte, error) {
	tokens := make([]string, 0, len(ranks))
	for t := range ranks {
		tokens = append(tokens, t)
	}
	slices.SortFunc(tokens, func(a, b string) int { return cmp.Compare(ranks[a], ranks[b]) })
	ids := make(map[string]uint32, len(tokens))
	for i, t := range tokens {
		ids[t] = uint32(i)
	}
	root, order := buildTrie(tokens)
	slots := place(root, order)

	b := []byte("BPE3")
	b = binary.LittleEndian.AppendUint32(b, uint32(len(tokens)))
	b = binary.LittleEndian.AppendUint32(b, uint32(slots))
	for i, t := range tokens[:256] {
		if len(t) != 1 {
			return nil, fmt.Errorf("token %d is %q, want one byte", i, t)
		}
		b = append(b, t[0])
	}
	for _, t := range tokens[256:] {
		left, right, ok := split(t, ids)
		if !ok {
			return nil, fmt.Errorf("token %q is not made by merging two of lower rank", t)
		}
		m := uint64(left) | uint64(right)<<18 | uint64(prefix(t, ids))<<36
		b = append(b, binary.LittleEndian.AppendUint64(nil, m)[:7]...)
	}
	for _, s := range fill(root, order, slots) {
		b = append(b, binary.LittleEndian.AppendUint64(nil, s)[:6]...)
	}
	return b, nil
}

// fill returns the slots of the trie.
func fill(root *node, order []*node, slots int) []uint64 {
	const labelBits, occupied, tokenAt = 9, 1 << 8, 28
	all := make([]uint64, slots)
	for _, n := range append([]*node{root}, order...) {
		for i, c := range n.labels {
			child := n.children[i]
			all[n.base^int(c)] = uint64(child.base)<<labelBits | occupied | uint64(c) | uint64(child.token)<<tokenAt
		}
	}
	return all
}

// split merges the bytes of t as the encoder would, with tokens of lower rank only. What is left are the two halves of t.
func split(t string, ids map[string]uint32) (left, right uint32, ok bool) {
	parts := make([]string, len(t))
	for i := range parts {
		parts[i] = t[i : i+1]
	}
	for len(parts) > 2 {
		at, best := -1, ids[t]
		for i := range len(parts) - 1 {
			if id, ok := ids[parts[i]+parts[i+1]]; ok && id < best {
				at, best = i, id
			}
		}
		if at < 0 {
			return 0, 0, false
		}
		parts[at] += parts[at+1]
		parts = slices.Delete(parts, at+1, at+2)
	}
	return ids[parts[0]], ids[parts[1]], true
}

// prefix returns the longest token that is a proper prefix of t.
func prefix(t string, ids map[string]uint32) uint32 {
	n := len(t) - 1
	for ids[t[:n]] == 0 && n > 1 {
		n--
	}
	return ids[t[:n]]
}

type node struct {
	labels   []byte
	children []*node
	base     int // 0: leaf
	token    int // id+1 of the token that ends here, or 0
}

func (n *node) child(c byte) *node {
	if i := slices.Index(n.labels, c); i >= 0 {
		return n.children[i]
	}
	return nil
}

// buildTrie returns the root and the other nodes in the order of their creation.
func buildTrie(tokens []string) (root *node, order []*node) {
	root = new(node)
	for id, t := range tokens {
		n := root
		for _, c := range []byte(t) {
			next := n.child(c)
			if next == nil {
				next = new(node)
				n.labels, n.children = append(n.labels, c), append(n.children, next)
				order = append(order, next)
			}
			n = next
		}
		n.token = id + 1
	}
	return root, order
}

// place gives each inner node its base: child c of n is at slot n.base^c. Bases are unique, so that the label alone
// tells whose child a slot is. The root has base 0. It returns the number of slots, a multiple of 256.
func place(root *node, order []*node) int {
	inner := slices.DeleteFunc(slices.Clone(order), func(n *node) bool { return len(n.labels) == 0 })
	limit := 2*len(order) + 1<<16
	used, taken := make([]bool, limit), make([]bool, limit) // slots, bases
	taken[0] = true
	for _, c := range root.labels {
		used[c] = true
	}
	from, last := 0, 0
	for _, n := range inner {
		for used[from] {
			from++
		}
		for slot := from; ; slot++ {
			base := slot ^ int(n.labels[0])
			if used[slot] || taken[base] || !fits(n, base, used) {
				continue
			}
			n.base, taken[base] = base, true
			for _, c := range n.labels {
				used[base^int(c)] = true
				last = max(last, base^int(c))
			}
			break
		}
	}
	if last >= 1<<19 {
		log.Fatalf("slot %d: bases have 19 bits", last)
	}
	return (last | 255) + 1
}

func fits(n *node, base int, used []bool) bool {
	for _, c := range n.labels {
		if used[base^int(c)] {
			return false
		}
	}
	return true
}
