package llm

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
	"github.com/nantian-gw/nantian/tokenizer"
)

// The simulator's fasthttp keeps two goroutines asleep.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

var tokens = tokenizer.New()

// vendor is a fake provider: it answers by a script and remembers what it was asked.
type vendor struct {
	*httptest.Server
	mu     sync.Mutex
	script http.HandlerFunc
	heads  []http.Header
	paths  []string
	bodies []string
}

func newVendor(t testing.TB, script http.HandlerFunc) *vendor {
	v := &vendor{script: script}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		v.mu.Lock()
		v.heads = append(v.heads, r.Header)
		v.paths = append(v.paths, r.URL.RequestURI())
		v.bodies = append(v.bodies, string(body))
		script := v.script
		v.mu.Unlock()
		script(w, r)
	}))
	v.Config.ErrorLog = nil
	t.Cleanup(v.Close)
	return v
}

func (v *vendor) play(script http.HandlerFunc) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.script = script
}

func (v *vendor) asked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.bodies)
}

// status answers an error as OpenAI does.
func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error":{"message":"because of %d","type":"vendor_type","param":null,"code":"vendor_code"}}`, code)
	}
}

func jsonBody(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}
}

// reset breaks the connection after what was written.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if c, ok := conn.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	conn.Close()
}

// silent says nothing until the gateway gives up.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// events sends the events one by one; the pseudo events "@wait:<duration>", "@cut" and "@hang" do what they say.
func events(list ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Request-Id", "req_vendor")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for _, e := range list {
			d, wait := strings.CutPrefix(e, "@wait:")
			switch {
			case wait:
				pause, err := time.ParseDuration(d)
				if err != nil {
					panic(err)
				}
				time.Sleep(pause)
			case e == "@cut":
				panic(http.ErrAbortHandler)
			case e == "@hang":
				<-r.Context().Done()
			default:
				io.WriteString(w, e+"\n\n")
				w.(http.Flusher).Flush()
			}
		}
	}
}

const (
	chatID    = `"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-x"`
	completed = `{` + chatID + `,"choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9},"odd":1}`
	unmeasured    = `{` + chatID + `,"choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}]}`
	anthropicDone = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"Hello there"}],` +
		`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":2}}`

	chunkID   = `"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-x"`
	roleChunk = `data: {` + chunkID + `,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`
	stopChunk = `data: {` + chunkID + `,"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	usage     = `data: {` + chunkID + `,"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}`
	doneMark  = `data: [DONE]`
	errChunk  = `data: {"error":{"message":"stream broke","type":"server_error","param":null,"code":"oops"}}`
)

func textChunk(s string) string {
	return fmt.Sprintf(`data: {%s,"choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`, chunkID, s)
}

// greeting is a whole stream.
var greeting = []string{roleChunk, textChunk("Hello"), textChunk(" there"), stopChunk, usage, doneMark}

// clusters is a ClusterSource.
type clusters struct {
	m map[string]*upstream.Cluster
	// balancing is that of clusters to come.
	balancing *xdsv1.LoadBalancing
}

func (c *clusters) For(key string) (*upstream.Cluster, error) {
	if cl := c.m[key]; cl != nil {
		return cl, nil
	}
	return nil, fmt.Errorf("%s: there is no such backend", key)
}

func (c *clusters) ForConfig(cfg upstream.Config, hash string) (*upstream.Cluster, error) {
	cl := c.m[hash]
	if cl == nil {
		cfg.LoadBalancing = c.balancing
		cl = upstream.NewCluster(cfg)
		c.m[hash] = cl
	}
	return cl, nil
}

func (c *clusters) TLS(_ *xdsv1.BackendTLS, host string) (*tls.Config, error) {
	return &tls.Config{ServerName: host}, nil
}

// gateway is an LLM with its resources.
type gateway struct {
	t        testing.TB
	llm      *LLM
	rs       map[string]*xdsv1.Resource
	clusters *clusters
	handler  exchange.Handler
}

func newGateway(t testing.TB, o Options) *gateway {
	o.Tokenizers = tokens
	g := &gateway{t: t, llm: New(o), rs: map[string]*xdsv1.Resource{}, clusters: &clusters{m: map[string]*upstream.Cluster{}}}
	t.Cleanup(func() {
		for _, c := range g.clusters.m {
			c.Close()
		}
	})
	return g
}

// provider adds an AIProvider with the secret "sk-gateway".
func (g *gateway) provider(name string, schema xdsv1.Schema, url string, edit ...func(*xdsv1.Provider)) *xdsv1.Provider {
	secret := xdsv1.SecretKey("ai", "key")
	g.rs[secret] = &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: secret, Kind: &xdsv1.Secret_Opaque{
		Opaque: &xdsv1.Opaque{Data: map[string][]byte{"token": []byte("sk-gateway\n")}}}}}}
	p := &xdsv1.Provider{
		Key: xdsv1.ProviderKey("ai", name), Namespace: "ai", Name: name, Schema: schema,
		Endpoint: &xdsv1.ProviderEndpoint{Kind: &xdsv1.ProviderEndpoint_Url{Url: url}},
		Auth:     &xdsv1.ProviderAuth{Kind: &xdsv1.ProviderAuth_ApiKey{ApiKey: &xdsv1.APIKey{Secret: secret, DataKey: "token"}}},
		Timeouts: &xdsv1.ProviderTimeouts{FirstByte: durationpb.New(time.Minute), Idle: durationpb.New(time.Minute)},
	}
	for _, e := range edit {
		e(p)
	}
	g.rs[p.Key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Provider{Provider: p}}
	return p
}

func (g *gateway) openAI(name string, v *vendor, edit ...func(*xdsv1.Provider)) *xdsv1.Provider {
	return g.provider(name, xdsv1.Schema_OPENAI, v.URL+"/v1", edit...)
}

func (g *gateway) anthropic(name string, v *vendor, edit ...func(*xdsv1.Provider)) *xdsv1.Provider {
	return g.provider(name, xdsv1.Schema_ANTHROPIC, v.URL, edit...)
}

func to(p *xdsv1.Provider, model string, weight, priority uint32) *xdsv1.ModelTarget {
	return &xdsv1.ModelTarget{Provider: p.Key, Model: model, Weight: weight, Priority: priority}
}

// serve compiles an AIBackend of models and makes it the handler.
func (g *gateway) serve(ms ...*xdsv1.Model) *gateway {
	g.t.Helper()
	m := &xdsv1.ModelMap{Key: xdsv1.ModelsKey("ai", "chat"), Namespace: "ai", Name: "chat", Models: ms}
	g.rs[m.Key] = &xdsv1.Resource{Kind: &xdsv1.Resource_ModelMap{ModelMap: m}}
	return g.compile(m.Key)
}

func (g *gateway) compile(key string) *gateway {
	g.t.Helper()
	m, err := g.llm.Models(key, g.rs, g.clusters)
	if err != nil {
		g.t.Fatal(err)
	}
	h, err := m.Under(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	g.handler = h
	return g
}

// inOrder is a model "smart" whose targets are tried one after the other.
func inOrder(ps ...*xdsv1.Provider) *xdsv1.Model {
	m := &xdsv1.Model{Name: "smart"}
	for i, p := range ps {
		m.Targets = append(m.Targets, to(p, "gpt-x", 1, uint32(i)))
	}
	return m
}

// reply is what a client got.
type reply struct {
	status int
	head   map[string]string
	body   string
	pieces []string
	x      *exchange.Exchange
	err    error
}

const hello = `{"model":"smart","messages":[{"role":"user","content":"Say hello"}]}`

func streamed(body string) string { return strings.Replace(body, "{", `{"stream":true,`, 1) }

func request(method, path, body string, header ...string) *exchange.Exchange {
	x := exchange.Acquire(context.Background(), nil)
	x.Start = time.Now()
	x.Req.SetMethod(method)
	for i := 0; i+1 < len(header); i += 2 {
		x.Req.Set(header[i], header[i+1])
	}
	p, q, _ := strings.Cut(path, "?")
	x.Path, x.Query = append(x.Path, p...), append(x.Query, q...)
	x.ReqBody = exchange.BytesBody([]byte(body))
	return x
}

// ask makes a request and reads the answer to its end.
func (g *gateway) ask(method, path, body string, header ...string) *reply {
	x := request(method, path, body, header...)
	g.handler.Serve(x)
	return read(x)
}

func (g *gateway) chat(body string) *reply { return g.ask("POST", "/v1/chat/completions", body) }

func read(x *exchange.Exchange) *reply {
	r := &reply{status: x.Resp.StatusCode(), head: map[string]string{}, x: x}
	for k, v := range x.Resp.All() {
		r.head[strings.ToLower(string(k))] = string(v)
	}
	var b bytes.Buffer
	if x.RespBody.Stream == nil {
		b.Write(x.RespBody.Bytes)
	} else {
		for {
			p, err := x.RespBody.Stream.Next()
			if err != nil {
				if err != io.EOF {
					r.err = err
				}
				break
			}
			b.Write(p)
			r.pieces = append(r.pieces, string(p))
		}
		x.RespBody.Close()
	}
	r.body = b.String()
	return r
}

func (r *reply) want(t *testing.T, status int, parts ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d, want %d: %s", r.status, status, r.body)
	}
	for _, p := range parts {
		if !strings.Contains(r.body, p) {
			t.Errorf("the answer lacks %q:\n%s", p, r.body)
		}
	}
}

func (r *reply) lacks(t *testing.T, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(r.body, p) {
			t.Errorf("the answer has %q:\n%s", p, r.body)
		}
	}
}
