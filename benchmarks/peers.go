package main

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// peer is another proxy, as a file of the folder peers describes it. DIR, FILE, PORT and UPSTREAM stand for a folder of its own, its
// configuration in there, and the ports. It runs in the foreground.
type peer struct {
	Name    string   `yaml:"name"`
	Program string   `yaml:"program"`
	Args    []string `yaml:"args"`
	Config  string   `yaml:"config"`
	// File is the name of FILE, for programs that tell from it how it is written; empty: config.
	File string            `yaml:"file"`
	Env  map[string]string `yaml:"env"`
	// Ready is how long it may take to answer its first chat; 0: 15 s.
	Ready time.Duration `yaml:"ready"`
	// Scenarios are the first words of the names of those that it can do; empty: all that have no stages of our own.
	Scenarios []string `yaml:"scenarios"`
	// Headers are more fields of each request. Path is where chats go; empty: /v1/chat/completions.
	Headers map[string]string `yaml:"headers"`
	Path    string            `yaml:"path"`
	// Model is how a chat names its model; "*" stands for the name that the upstream is to see, which may have "vendor/" before it.
	Model string `yaml:"model"`
}

// kinds are the scenarios that peers may say they can do.
var kinds = []string{"plain", "chat", "stream", "idle", "open"}

//go:embed peers/*.yaml
var peerFiles embed.FS

// readPeers reads all adapters.
func readPeers() (all []*peer, err error) {
	files, err := fs.Glob(peerFiles, "peers/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		text, err := peerFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		p, err := parsePeer(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func parsePeer(text []byte) (*peer, error) {
	p := &peer{}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(p); err != nil {
		return nil, err
	}
	if p.Name == "" || p.Program == "" {
		return nil, fmt.Errorf("name %q, program %q: want both", p.Name, p.Program)
	}
	if p.Model != "" && strings.Count(p.Model, "*") != 1 {
		return nil, fmt.Errorf("model %q: want one * for the name that the upstream sees", p.Model)
	}
	for _, k := range p.Scenarios {
		if !slices.Contains(kinds, k) {
			return nil, fmt.Errorf("scenario %q: want one of %s", k, strings.Join(kinds, ", "))
		}
	}
	return p, nil
}

// findPeers finds those whose name matches. Missing ones, whose program is not on PATH, are left out by name.
func findPeers(pattern string) (found []*peer, missing []string, err error) {
	if pattern == "" {
		return nil, nil, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, nil, fmt.Errorf("-peers: %w", err)
	}
	all, err := readPeers()
	if err != nil {
		return nil, nil, err
	}
	for _, p := range all {
		if !re.MatchString(p.Name) {
			continue
		}
		if p.Program, err = exec.LookPath(p.Program); err != nil {
			missing = append(missing, p.Name)
			continue
		}
		found = append(found, p)
	}
	return found, missing, nil
}

// does tells whether a peer can do a scenario.
func (p *peer) does(s *scenario) bool {
	return p == nil || len(p.Scenarios) == 0 || slices.Contains(p.Scenarios, s.kind())
}

// ask is how a peer is asked for what a scenario wants. A nil peer is asked as our gateway is.
func (p *peer) ask(s *scenario) (path string, fields []string, body []byte) {
	path, body = s.path, s.body
	if p == nil {
		return path, nil, body
	}
	for _, name := range slices.Sorted(maps.Keys(p.Headers)) {
		fields = append(fields, name+": "+p.Headers[name])
	}
	if path != chatPath {
		return path, fields, body
	}
	if p.Path != "" {
		path = p.Path
	}
	if before, after, ok := strings.Cut(p.Model, "*"); ok {
		_, rest, _ := bytes.Cut(body, []byte(`{"model":"`))
		name, rest, _ := bytes.Cut(rest, []byte{'"'})
		body = fmt.Appendf(nil, `{"model":"%s%s%s"%s`, before, name, after, rest)
	}
	return path, fields, body
}

// filled is a peer with the words that stand for something replaced.
func (p *peer) filled(fill *strings.Replacer) *peer {
	out := *p
	out.Config = fill.Replace(p.Config)
	out.Args = slices.Clone(p.Args)
	for i, a := range out.Args {
		out.Args[i] = fill.Replace(a)
	}
	out.Env, out.Headers = maps.Clone(p.Env), maps.Clone(p.Headers)
	for _, m := range []map[string]string{out.Env, out.Headers} {
		for k, v := range m {
			m[k] = fill.Replace(v)
		}
	}
	return &out
}
