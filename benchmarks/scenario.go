package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/benchmarks/load"
)

// scenario is one kind of traffic.
type scenario struct {
	// Name is as in Go's benchmarks: "chat/prompt=1KiB/conns=32".
	Name string
	// Goal is the ratio of the gateway's CPU time per request to the bare proxy's that is aimed at; 0: none.
	Goal float64
	// GoalMemory is in bytes per stream.
	GoalMemory float64

	host        string // empty: that of the routes without stages
	h2          bool   // by HTTP/2 on both sides
	redis       bool   // limits are counted in Redis
	path        string
	body        []byte
	conns       int
	events      int           // of a stream; 0: the answer is whole
	pace        time.Duration // between two events
	memory      bool          // memory is measured, in fresh processes
	contentType string
}

func scenarios(o *options) []scenario {
	const kib = 1 << 10
	// One event more than fits into the time, so that no stream ends before its memory has been looked at.
	held := int(o.hold/time.Second) + 2
	return []scenario{
		plain(1*kib, 1, 1.15),
		plain(1*kib, 32, 1.15),
		chat("chat", "", 1*kib, 1, 1.3),
		chat("chat", "", 1*kib, 32, 1.3),
		chat("chat", "", 32*kib, 1, 1.6),
		chat("chat", "", 32*kib, 32, 1.6),
		stream("stream/burst", "", 50, 0, 50, 1.3),
		stream("stream/paced=10ms", "", 50, 10*time.Millisecond, 50, 1.15),
		idle(stream("idle", "", held, time.Second, o.streams, 0)),
		chat("chat", "", 4*kib, 32, 0),
		chat("translated", "anthropic/", 4*kib, 32, 0),
		stage("limits", chat("chat", "", 1*kib, 32, 0)),
		stage("guard", chat("chat", "", 1*kib, 32, 0)),
		stage("all", chat("chat", "", 1*kib, 32, 1.6)),
		stage("limits", chat("chat", "", 32*kib, 32, 0)),
		stage("guard", chat("chat", "", 32*kib, 32, 0)),
		stage("all", chat("chat", "", 32*kib, 32, 8)),
		stage("all", stream("stream/burst", "", 50, 0, 50, 0)),
		inRedis("limits", chat("chat", "", 1*kib, 32, 0)),
		inRedis("all", chat("chat", "", 1*kib, 32, 1.8)),
		stream("translated-stream/burst", "anthropic/", 50, 0, 50, 0),
		overH2("h2.example", plain(1*kib, 32, 1)),
		overH2("grpc.example", unary(1*kib, 32, 1)),
	}
}

// many are scenarios of so many open streams that they run only when they are asked for.
func many(o *options) []scenario {
	held := int(o.hold/openPace) + 2
	h1 := idle(stream("open/h1", "", held, openPace, 9000, 0))
	h1.GoalMemory = 24 << 10
	h2 := overH2("grpc.example", idle(unary(16, 20000, 0)))
	h2.Name, h2.path, h2.events, h2.pace = "open/grpc/conns=20000", fmt.Sprintf("/bench.Echo/stream-%d-%s", held, openPace), held, openPace
	return []scenario{h1, h2}
}

// openPace is the time between two events of many open streams: at one a second the load generator itself would be what is measured.
const openPace = 5 * time.Second

func plain(size, conns int, goal float64) scenario {
	return scenario{
		Name: fmt.Sprintf("plain/body=%dKiB/conns=%d", size>>10, conns), Goal: goal, conns: conns,
		path: "/echo", contentType: "application/octet-stream", body: []byte(strings.Repeat("0123456789abcdef", size/16)),
	}
}

func chat(name, vendor string, prompt, conns int, goal float64) scenario {
	return scenario{
		Name: fmt.Sprintf("%s/prompt=%dKiB/conns=%d", name, prompt>>10, conns), Goal: goal, conns: conns,
		path: chatPath, contentType: "application/json", body: chatBody(vendor+"gpt-4o", prompt, false),
	}
}

func stream(name, vendor string, events int, pace time.Duration, conns int, goal float64) scenario {
	model := fmt.Sprintf("%sstream-%d-%s", vendor, events, pace)
	return scenario{
		Name: fmt.Sprintf("%s/conns=%d", name, conns), Goal: goal, conns: conns, events: events, pace: pace,
		path: chatPath, contentType: "application/json", body: chatBody(model, 1<<10, true),
	}
}

// stage is a scenario with stages of the pipeline on, which gateway.yaml has at a host of their name: limits count tokens and reserve
// them in memory, guard scans request and answer with all built-in detectors, all is both.
func stage(name string, s scenario) scenario {
	s.Name, s.host = "with="+name+"/"+s.Name, name+".example"
	return s
}

// inRedis is a stage whose limits are counted in Redis.
func inRedis(name string, s scenario) scenario {
	s = stage(name, s)
	s.Name, s.redis = strings.Replace(s.Name, "with="+name, "with="+name+"+redis", 1), true
	return s
}

// unary is a call of gRPC whose message comes back.
func unary(size, conns int, goal float64) scenario {
	message := append([]byte{0, 0, 0, byte(size >> 8), byte(size)}, strings.Repeat("x", size)...)
	return scenario{
		Name: fmt.Sprintf("grpc/unary=%dB/conns=%d", size, conns), Goal: goal, conns: conns,
		path: "/bench.Echo/Unary", contentType: "application/grpc", body: message,
	}
}

// overH2 is a scenario by HTTP/2, to a host whose backend speaks that, too.
func overH2(host string, s scenario) scenario {
	s.Name, s.host, s.h2 = "h2/"+s.Name, host, true
	return s
}

func idle(s scenario) scenario {
	s.memory, s.GoalMemory = true, 24<<10
	return s
}

// of are the subjects that can do a scenario: stages and translation are the gateway's own.
func (s *scenario) of(subjects []string) []string {
	if s.host != "" || strings.HasPrefix(s.Name, "translated") {
		return subjects[:min(len(subjects), 3)]
	}
	return subjects
}

// as names the process that plays a subject: some scenarios need another one.
func (s *scenario) as(name string) string {
	switch {
	case s.h2 && name != gateway:
		return name + h2Variant
	case s.redis && name == gateway:
		return name + redisVariant
	}
	return name
}

const (
	h2Variant    = "-h2"
	redisVariant = "-redis"
)

const chatPath = "/v1/chat/completions"

// page is prose as it stands in JSON, with the quotes and ends of lines that prose has.
const page = `It was late when the last of them came down to the harbour, and the lamps along the quay had been lit. ` +
	`Nobody spoke. The boat was where they had left it, its ropes stiff with salt, and beyond the wall the sea went on ` +
	`as it had all day.\nAfter a while the old man put down his bag. \"We wait for the tide,\" he said, and sat. ` +
	`So they waited: four people, a dog and eleven boxes, 40 minutes by the clock of the customs house, which was slow.\n\n`

// chatBody is a request with a prompt of a size in bytes.
func chatBody(model string, prompt int, stream bool) []byte {
	text := strings.Repeat(page, prompt/len(page)+1)[:prompt]
	text = text[:strings.LastIndexByte(text, ' ')] // splits no escape
	flag := ""
	if stream {
		flag = `"stream":true,`
	}
	return fmt.Appendf(nil, `{"model":"%s",%s"max_tokens":256,"messages":[`+
		`{"role":"system","content":"You are helpful and brief."},{"role":"user","content":"%s"}]}`, model, flag, text)
}

// kind is what adapters of peers call a scenario: the first word of its name.
func (s *scenario) kind() string {
	kind, _, _ := strings.Cut(s.Name, "/")
	return kind
}

// job is the scenario at one subject.
func (s *scenario) job(sub *subject, o *options) load.Job {
	j := load.Job{
		Addr: sub.addr, Conns: s.conns, Events: s.events, Warm: o.warm, Duration: o.duration, Stagger: s.pace,
	}
	if host := cmp.Or(s.host, "benchmark.example"); s.h2 {
		j.H2 = load.NewH2Request(host, s.path, s.contentType, s.body)
	} else {
		path, fields, body := sub.peer.ask(s)
		j.Request = load.NewRequest(host, path, s.contentType, body, fields...)
	}
	if s.memory {
		j.Warm, j.Duration = 0, s.pace+time.Millisecond // one stream on each connection
	}
	return j
}
