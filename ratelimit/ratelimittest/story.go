package ratelimittest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

// Stories runs every story (*.txt) of a folder, each against a harness of its own. A line that begins with ">" is a
// command, the lines after it are what it answers, and what stands before the first command or begins with "#" is comment.
// With update the answers are rewritten.
//
//	> limit NAME AMOUNT WINDOW [closed]   WINDOW: 10s, day@Europe/Berlin
//	> reserve ID NAME=AMOUNT ...
//	> settle ID AMOUNT ...
//	> release ID
//	> extend ID
//	> peek NAME ...
//	> wait DURATION
//	> on N COMMAND ...                    by the Nth replica; the first one otherwise
//
// Other commands are the store's own.
func Stories(t *testing.T, folder string, update bool, open func(testing.TB) *Harness) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in %s: %v", folder, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			s := &story{Harness: open(t), limits: map[string]ratelimit.Bucket{}, grants: map[string]ratelimit.Grant{}, replica: 1}
			s.tell(t, file, update)
		})
	}
}

type story struct {
	*Harness
	limits  map[string]ratelimit.Bucket
	grants  map[string]ratelimit.Grant
	replica int
}

func (s *story) tell(t *testing.T, file string, update bool) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	begun := false
	for line := range strings.Lines(string(want)) {
		line = strings.TrimSuffix(line, "\n")
		command, is := strings.CutPrefix(line, "> ")
		switch {
		case is:
			begun = true
			fmt.Fprintln(&got, line)
			if answer := s.do(strings.Fields(command)); answer != "" {
				fmt.Fprintln(&got, answer)
			}
		case !begun, line == "", strings.HasPrefix(line, "#"):
			fmt.Fprintln(&got, line)
		}
	}
	if update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(want) {
		t.Errorf("%s: got\n%s", file, got.String())
	}
}

func (s *story) do(words []string) string {
	if len(words) == 0 {
		return "no command"
	}
	commands := map[string]func([]string) (string, error){
		"limit": s.limit, "reserve": s.reserve, "settle": s.settle, "release": s.release, "extend": s.extend, "peek": s.peek,
		"wait": s.wait, "on": s.on,
	}
	f := commands[words[0]]
	if f == nil && s.Do != nil {
		return s.Do(words[0], words[1:])
	}
	if f == nil {
		return "no such command"
	}
	answer, err := f(words[1:])
	if err != nil {
		return describe(err)
	}
	return answer
}

func describe(err error) string {
	var limited *ratelimit.LimitedError
	var away *ratelimit.UnavailableError
	switch {
	case errors.As(err, &limited) && limited.Never():
		return fmt.Sprintf("refused: %s: %d asked, never more than %d", limited.Bucket.Key, limited.Amount, limited.Bucket.Limit)
	case errors.As(err, &limited):
		return fmt.Sprintf("refused: %s: %d asked, %d left, retry after %s", limited.Bucket.Key, limited.Amount, limited.Remaining, limited.RetryAfter)
	case errors.As(err, &away):
		return fmt.Sprintf("unavailable: %s", away.Bucket.Key)
	}
	return "error: " + err.Error()
}

func (s *story) limiter() ratelimit.Limiter { return s.Replica(s.replica) }

func (s *story) on(words []string) (string, error) {
	n, err := strconv.Atoi(words[0])
	if err != nil {
		return "", err
	}
	s.replica = n
	defer func() { s.replica = 1 }()
	return s.do(words[1:]), nil
}

func (s *story) limit(words []string) (string, error) {
	if len(words) < 3 {
		return "", errors.New("expected a name, an amount and a window")
	}
	amount, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		return "", err
	}
	w, err := parseWindow(words[2])
	if err != nil {
		return "", err
	}
	b := ratelimit.Bucket{Key: words[0], Limit: amount, Window: w}
	if len(words) > 3 && words[3] == "closed" {
		b.Failure = ratelimit.Closed
	}
	s.limits[words[0]] = b
	return "", b.Validate()
}

func parseWindow(word string) (ratelimit.Window, error) {
	unit, zone, calendar := strings.Cut(word, "@")
	if !calendar {
		d, err := time.ParseDuration(word)
		return ratelimit.Sliding(d), err
	}
	place, err := time.LoadLocation(zone)
	for _, p := range []ratelimit.Period{ratelimit.Day, ratelimit.Week, ratelimit.Month} {
		if p.String() == unit {
			return ratelimit.Calendar(p, place), err
		}
	}
	return ratelimit.Window{}, fmt.Errorf("no such window: %s", word)
}

func (s *story) reserve(words []string) (string, error) {
	var charges []ratelimit.Charge
	for _, w := range words[1:] {
		name, n, _ := strings.Cut(w, "=")
		amount, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return "", err
		}
		charges = append(charges, ratelimit.Charge{Bucket: s.limits[name], Amount: amount})
	}
	g, err := s.limiter().Reserve(context.Background(), ratelimit.ID(words[0]), charges)
	if err != nil {
		return "", err
	}
	s.grants[words[0]] = g
	answer := "granted"
	if g.Local {
		answer = "granted locally"
	}
	for i, state := range g.States {
		answer += "; " + show(charges[i].Bucket.Key, state)
	}
	return answer, nil
}

func show(name string, s ratelimit.State) string {
	return fmt.Sprintf("%s %d of %d, reset %s", name, s.Remaining, s.Limit, s.Reset)
}

func (s *story) settle(words []string) (string, error) {
	var actual []int64
	for _, w := range words[1:] {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return "", err
		}
		actual = append(actual, n)
	}
	return "", s.limiter().Settle(context.Background(), s.grants[words[0]], actual)
}

func (s *story) release(words []string) (string, error) {
	return "", s.limiter().Release(context.Background(), s.grants[words[0]])
}

func (s *story) extend(words []string) (string, error) {
	return "", s.limiter().Extend(context.Background(), s.grants[words[0]])
}

func (s *story) peek(words []string) (string, error) {
	s.sync()
	var buckets []ratelimit.Bucket
	for _, w := range words {
		buckets = append(buckets, s.limits[w])
	}
	states, err := s.limiter().Peek(context.Background(), buckets)
	var lines []string
	for i, state := range states {
		lines = append(lines, show(words[i], state))
	}
	return strings.Join(lines, "\n"), err
}

func (s *story) wait(words []string) (string, error) {
	d, err := time.ParseDuration(words[0])
	if err == nil {
		s.Advance(d)
	}
	return "", err
}
