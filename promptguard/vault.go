package promptguard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"
)

// Limits of a Vault. What comes after them is masked by a placeholder without a number, that does not return.
const (
	maxVaultValues = 20_000
	maxVaultBytes  = 4 << 20
)

// A Vault remembers what was masked within one request, so that the same value gets the same placeholder everywhere, and
// puts values back into an answer. It lives and dies with the request: it is never stored or shared. It may be used by many
// goroutines at once.
type Vault struct {
	key []byte

	mu           sync.Mutex
	placeholders map[string]string // by label and value
	values       map[string]string // by normal form of the placeholder: what returns
	counts       map[string]int    // by label
	bytes        int
}

// NewVault returns an empty Vault. The key is the secret of the action Hash: equal values have equal hashes under one key.
func NewVault(key []byte) *Vault {
	return &Vault{key: key, placeholders: map[string]string{}, values: map[string]string{}, counts: map[string]int{}}
}

// Apply appends a text to dst with its findings of Mask and Hash replaced. Findings must be sorted as Inspect gives them.
// Where findings overlap, what an earlier one leaves of a later one is replaced as well.
func (t *Vault) Apply(dst, text []byte, findings []Finding) []byte {
	done := 0
	for _, f := range findings {
		if f.Action != Mask && f.Action != Hash || f.End <= done {
			continue
		}
		start := max(done, f.Start)
		dst = append(dst, text[done:start]...)
		dst = t.replace(dst, text[start:f.End], f)
		done = f.End
	}
	return append(dst, text[done:]...)
}

func (t *Vault) replace(dst, value []byte, f Finding) []byte {
	if f.Action == Hash {
		return t.hash(dst, value, f)
	}
	return append(dst, t.placeholder(string(value), f)...)
}

// hash is as long as it must be for a million values to be told apart.
func (t *Vault) hash(dst, value []byte, f Finding) []byte {
	key, label := []byte(f.key), f.label
	if len(key) == 0 {
		key = t.key
	}
	m := hmac.New(sha256.New, key)
	m.Write([]byte(label))
	m.Write([]byte{0})
	m.Write(value)
	dst = append(append(append(dst, '['), label...), ':')
	dst = hex.AppendEncode(dst, m.Sum(nil)[:8])
	return append(dst, ']')
}

func (t *Vault) placeholder(value string, f Finding) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := f.label + "\x00" + value
	name, ok := t.placeholders[key]
	if !ok {
		if len(t.placeholders) >= maxVaultValues || t.bytes+len(value) > maxVaultBytes {
			return "[" + f.label + "]"
		}
		t.counts[f.label]++
		name = "[" + f.label + "_" + strconv.Itoa(t.counts[f.label]) + "]"
		t.placeholders[key] = name
		t.bytes += len(value)
	}
	if f.restore {
		t.values[string(normalName(nil, []byte(name)))] = value
	}
	return name
}

// Len is the number of values in the vault.
func (t *Vault) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.placeholders)
}

// Restores says whether some value returns.
func (t *Vault) Restores() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.values) > 0
}

// String never shows what is inside.
func (t *Vault) String() string { return "Vault(" + strconv.Itoa(t.Len()) + ")" }

// GoString never shows what is inside.
func (t *Vault) GoString() string { return t.String() }

// lookup returns the value of a placeholder however it is written, if it returns.
func (t *Vault) lookup(name []byte) (string, bool) {
	var buf [maxPlaceholder]byte
	normal := normalName(buf[:0], name)
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.values[string(normal)]
	return v, ok
}
