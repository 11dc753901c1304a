package memory_test

import (
	"flag"
	"testing"

	"github.com/nantian-gw/nantian/ratelimit/ratelimittest"
)

var update = flag.Bool("update", false, "rewrite the stories' answers")

func TestStories(t *testing.T) { ratelimittest.Stories(t, "../ratelimittest/testdata", *update, open) }
