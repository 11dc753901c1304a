package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/benchmarks/load"
	"github.com/nantian-gw/nantian/benchmarks/process"
)

// of are the subjects that can do a scenario, and have not failed.
func (b *bench) of(s *scenario) []string {
	names := slices.Clone(s.of(b.subjects))
	return slices.DeleteFunc(names, func(name string) bool { return !b.peers[name].does(s) || slices.Contains(b.failed, name) })
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
	file := filepath.Join(dir, cmp.Or(p.File, "config"))
	s.peer = p.filled(strings.NewReplacer("DIR", dir, "FILE", file, "PORT", portOf(s.addr), "UPSTREAM", portOf(b.upstream.addr)))
	if err := os.WriteFile(file, []byte(s.peer.Config), 0o600); err != nil {
		return nil, err
	}
	program := process.Program{Path: p.Program, Args: s.peer.Args, Ready: p.Ready}
	for k, v := range s.peer.Env {
		program.Env = append(program.Env, k+"="+v)
	}
	if s.proc, err = program.Start(ctx, s.addr); err != nil {
		return nil, err
	}
	if err := s.await(ctx, cmp.Or(p.Ready, firstChat)); err != nil {
		s.proc.Stop()
		return nil, err
	}
	return s, nil
}

// firstChat is how long most peers may take to answer a chat once they accept connections.
const firstChat = 15 * time.Second

// await waits until a chat is answered: some programs accept connections before they know where to send what comes.
func (s *subject) await(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	probe := chat("chat", "", 1<<10, 1, 0)
	job := probe.job(s, &options{duration: time.Millisecond})
	for {
		r, err := load.Run(ctx, job, func() {}, func() {})
		if err == nil && r.Requests() > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no chat was answered within %s: %w", patience, errors.Join(r.LastError, ctx.Err()))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
