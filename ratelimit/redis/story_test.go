//go:build redis

package redis

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/nantian-gw/nantian/ratelimit/ratelimittest"
)

var update = flag.Bool("update", false, "rewrite the stories' answers")

// TestStories runs what every limiter does the same, and then what only a store can.
func TestStories(t *testing.T) {
	client := newServer(t).client()
	ratelimittest.Stories(t, "../ratelimittest/testdata", false, func(t testing.TB) *ratelimittest.Harness {
		return newFleet(t, client, Options{}).harness()
	})
	ratelimittest.Stories(t, "testdata", *update, openStory)
}

// openStory makes a fleet of four on a server of its own, which can be killed, and knows the commands
//
//	> store down         the server is killed
//	> store up           and starts with what it had
//	> store lost         or with nothing
//	> kill N             the Nth replica is gone without a word
//	> overshoot          what was used beyond limits so far
func openStory(t testing.TB) *ratelimittest.Harness {
	s := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
	f := newFleet(t, s.client(), Options{Replicas: func() int { return 4 }})
	h := f.harness()
	h.Do = func(command string, args []string) string {
		switch command + " " + args[0] {
		case "store down":
			s.kill()
		case "store up":
			s.start()
		case "store lost":
			os.RemoveAll(filepath.Join(s.dir, "appendonlydir"))
			s.start()
		case "overshoot of":
			n, _ := strconv.Atoi(args[1])
			return fmt.Sprint(f.replica(n).Stats().Overshot)
		default:
			n, err := strconv.Atoi(args[0])
			if command != "kill" || err != nil {
				return "no such command"
			}
			f.kill(n)
		}
		return ""
	}
	return h
}
