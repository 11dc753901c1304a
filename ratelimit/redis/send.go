package redis

import (
	"context"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// send runs the script for every group and leaves its answer or its error there.
func (l *Limiter) send(ctx context.Context, groups []*group) {
	l.counts.roundTrips.Add(1)
	left := l.now()
	if l.cluster == nil {
		l.pipeline(ctx, l.client, groups)
	} else {
		l.scatter(ctx, groups)
	}
	for _, g := range groups {
		g.left = left
		l.mend(ctx, g)
		if g.err == nil {
			l.offset.Store(g.now - (left+l.now())/2e6)
		}
	}
}

// A doer is one node's client.
type doer interface{ Pipeline() redis.Pipeliner }

// pipeline sends groups to one node at once, and the WAIT that the options ask for after them.
func (l *Limiter) pipeline(ctx context.Context, node doer, groups []*group) {
	s := l.script.Load()
	p := node.Pipeline()
	replies := make([]*redis.Cmd, len(groups))
	for i, g := range groups {
		replies[i] = p.EvalSha(ctx, s.sha, g.keys(), l.replica, string(g.encode(l)))
	}
	var replicated *redis.Cmd
	if w := l.options.Wait; w.Replicas > 0 {
		replicated = p.Do(ctx, "WAIT", w.Replicas, w.Timeout.Milliseconds())
	}
	p.Exec(ctx) // every command has its own error
	for i, g := range groups {
		g.take(replies[i])
	}
	if replicated == nil {
		return
	}
	if n, err := replicated.Int(); err != nil || n < l.options.Wait.Replicas {
		l.counts.unreplicated.Add(1)
	}
}

// scatter sends one pipeline to every node at the same time.
func (l *Limiter) scatter(ctx context.Context, groups []*group) {
	nodes := make(map[*redis.Client][]*group)
	for _, g := range groups {
		node, err := l.cluster.MasterForKey(ctx, g.accounts[0].key)
		if err != nil {
			g.err = err
			continue
		}
		nodes[node] = append(nodes[node], g)
	}
	var all sync.WaitGroup
	for node, its := range nodes {
		all.Go(func() { l.pipeline(ctx, node, its) })
	}
	all.Wait()
}

// mend runs the script once more where the first answer was not the last word: the node does not know the script, the slot
// has moved, or this machine's clock is in another calendar period than the store's.
func (l *Limiter) mend(ctx context.Context, g *group) {
	for range 3 {
		switch {
		case g.err == nil && (len(g.answer) > 0 || len(g.accounts) == 0):
			return
		case g.err == nil:
			l.offset.Store(g.now - l.now()/1e6)
			g.take(l.client.EvalSha(ctx, l.script.Load().sha, g.keys(), l.replica, string(g.encode(l))))
		case redis.HasErrorPrefix(g.err, "NOSCRIPT"):
			g.take(l.client.Eval(ctx, l.script.Load().source, g.keys(), l.replica, string(g.encode(l))))
		case moved(g.err):
			l.cluster.ReloadState(ctx)
			g.take(l.client.EvalSha(ctx, l.script.Load().sha, g.keys(), l.replica, string(g.encode(l))))
		default:
			if l.cluster != nil {
				l.cluster.ReloadState(ctx)
			}
			return
		}
	}
	if g.err == nil {
		g.err = errClock
	}
}

// moved says that another node of the cluster is to be asked.
func moved(err error) bool {
	s := err.Error()
	return strings.HasPrefix(s, "MOVED ") || strings.HasPrefix(s, "ASK ")
}

func (g *group) keys() []string {
	keys := make([]string, len(g.accounts))
	for i, a := range g.accounts {
		keys[i] = a.key
	}
	return keys
}

func (g *group) take(c *redis.Cmd) {
	var reply string
	if reply, g.err = c.Text(); g.err == nil {
		g.answer = nil
		g.err = g.read(reply)
	}
}
