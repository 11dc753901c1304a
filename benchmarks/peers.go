package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/nantian-gw/nantian/benchmarks/process"
)

// peer is another proxy, as a file of the folder peers describes it. DIR, FILE, PORT and UPSTREAM stand for a folder of its own, its
// configuration in there, and the ports. It runs in one process, in the foreground.
type peer struct {
	Name    string   `yaml:"name"`
	Program string   `yaml:"program"`
	Args    []string `yaml:"args"`
	Config  string   `yaml:"config"`
}

//go:embed peers/*.yaml
var peerFiles embed.FS

// findPeers finds those whose name matches. Missing ones, whose program is not on PATH, are left out by name.
func findPeers(pattern string) (found []*peer, missing []string, err error) {
	if pattern == "" {
		return nil, nil, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, nil, fmt.Errorf("-peers: %w", err)
	}
	files, err := fs.Glob(peerFiles, "peers/*.yaml")
	if err != nil {
		return nil, nil, err
	}
	for _, name := range files {
		text, err := peerFiles.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		p := &peer{}
		if err := yaml.Unmarshal(text, p); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
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

// startPeer starts a peer.
func (b *bench) startPeer(ctx context.Context, p *peer) (s *subject, err error) {
	s = &subject{name: p.Name}
	if s.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, p.Name+"-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config")
	fill := strings.NewReplacer("DIR", dir, "FILE", file, "PORT", portOf(s.addr), "UPSTREAM", portOf(b.upstream.addr))
	if err := os.WriteFile(file, []byte(fill.Replace(p.Config)), 0o600); err != nil {
		return nil, err
	}
	args := make([]string, len(p.Args))
	for i, a := range p.Args {
		args[i] = fill.Replace(a)
	}
	s.proc, err = process.Start(ctx, s.addr, p.Program, args...)
	return s, err
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
