package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/l4"
	"github.com/nantian-gw/nantian/gateway/observe"
)

const accessLogIntroduction = `# Access log

Written by ` + "`make generate`" + `; a test compares the fields with those that the program writes.

One JSON object a line for each request, written when the last byte of the response has been sent. ` + "`nantian run`" + ` writes it to
standard output; ` + "`--access-log FILE`" + ` and ` + "`--access-log \"\"`" + ` change that. The log never holds a prompt, an answer, a key or a query
string. Texts that a client chose are cut at 1024 bytes. When the writer is slow, up to 4 MiB are kept; lines beyond are lost and
counted in ` + "`nantian_access_log_dropped_total`" + `.

| field | when | meaning |
|---|---|---|
`

// logField is a field of the access log, in the order in which it is written.
type logField struct{ name, when, meaning string }

var logFields = []logField{
	{"time", "always", "when the head of the request had begun to be read, in UTC"},
	{"client", "always", "address of the peer"},
	{"method", "always", "method"},
	{"host", "always", "Host field, or :authority"},
	{"path", "always", "normalised path, as it was forwarded: after a rewrite the new one"},
	{"protocol", "always", "HTTP/1.0, HTTP/1.1 or HTTP/2"},
	{"status", "always", "status of the response; 499: the client left before its end"},
	{"grpc_status", "gRPC", "the status of gRPC in the response's head or trailer"},
	{"duration_ms", "always", "milliseconds until the last byte"},
	{"bytes_sent", "always", "bytes of the response, heads included for HTTP/1.1"},
	{"gateway", "a route matched", "`<namespace>/<name>` of the Gateway"},
	{"listener", "a route matched", "name of the listener"},
	{"route", "a route matched", "`<namespace>/<name>` of the route"},
	{"rule", "a route matched", "name of the rule, or its index"},
	{"backend", "a backend was chosen", "`<namespace>/<service>:<port>`, or `<namespace>/<name>` of an AIProvider"},
	{"api_key", "an AuthPolicy knows the caller by an API key", "`<namespace>/<name>` of the Secret that holds the key, never the key"},
	{"issuer", "an AuthPolicy knows the caller by a token", "issuer of the token"},
	{"subject", "an AuthPolicy knows the caller by a token", "subject of the token"},
	{"external_auth", "the filter ExternalAuth asked a server", "what came of it: allowed, denied, failed, overflow, too_large or client"},
	{"external_auth_ms", "the filter ExternalAuth asked a server", "milliseconds that the request waited for it"},
	{"operation", "model calls", "chat, text_completion, embeddings, count_tokens, list_models, get_model; none for a path that is none of these"},
	{"requested_model", "model calls", "the model that the client asked for"},
	{"provider", "a provider was asked", "`<namespace>/<name>` of the AIProvider that was asked last"},
	{"model", "a provider was asked", "the provider's name of the model"},
	{"attempts", "model calls", "calls of providers that were made"},
	{"stream", "streams", "true"},
	{"input_tokens", "usage is known", "tokens of the prompt, cached ones included"},
	{"cached_input_tokens", "usage is known", "of these, read from the provider's cache"},
	{"cache_write_tokens", "usage is known", "of these, written to the provider's cache"},
	{"output_tokens", "usage is known", "tokens that were generated, reasoning included"},
	{"reasoning_tokens", "usage is known", "of these, reasoning"},
	{"usage_estimated", "tokens were counted here", "true: the provider did not report them, or the stream did not reach its end"},
	{"cost_usd", "there is a price", "US dollars that the call cost, all attempts together"},
	{"limit", "a limit was reached", "`<namespace>/<policy>/<limit>`"},
	{"limit_outcome", "a limit was reached", "refused, warned (it went on) or cut (the stream was ended)"},
	{"finish", "known", "why the answer ended: stop, stop_sequence, length, tool_calls, content_filter, refusal, pause_turn, error"},
	{"first_token_ms", "streams", "milliseconds from the request to the first event with content"},
	{"aborted", "the client left", "true"},
	{"guard", "a prompt guard found something", "a list of what rules found: `policy`, `rule`, `action`, `side` (request or response), `monitor` where it had no consequences, `count`; never what"},
	{"note", "something went wrong", "the reason, in the gateway's own words"},
}

const sessionLogIntroduction = `
## Connections and datagrams

Each connection of a TCP or TLS listener, and the datagrams of each client of a UDP listener, have a line when they have ended.

| field | when | meaning |
|---|---|---|
`

var sessionFields = []logField{
	{"time", "always", "when the connection was accepted, or the first datagram came, in UTC"},
	{"client", "always", "address of the peer, or what the PROXY protocol said of it"},
	{"protocol", "always", "TCP, TLS or UDP"},
	{"server_name", "TLS", "the server name that the client asked for"},
	{"outcome", "always", "ok, no_route, no_backend (a reference that is not valid), no_endpoint, connect, handshake, reset, idle, cut (at a shutdown)"},
	{"duration_ms", "always", "milliseconds until the end"},
	{"bytes_received", "always", "bytes from the client"},
	{"bytes_sent", "always", "bytes to the client"},
	{"gateway", "a route matched", "`<namespace>/<name>` of the Gateway"},
	{"listener", "a route matched", "name of the listener; of one in a ListenerSet `<namespace>/<set>/<listener>`"},
	{"kind", "a route matched", "TCPRoute, TLSRoute or UDPRoute"},
	{"route", "a route matched", "`<namespace>/<name>` of the route"},
	{"backend", "a backend was chosen", "`<namespace>/<service>:<port>`, with `/udp` for datagrams"},
}

// fullSession is a session of which everything is known.
func fullSession() *l4.Session {
	return &l4.Session{
		Start: time.Now(), Protocol: "TLS", Client: netip.MustParseAddrPort("192.0.2.1:1234"), ServerName: "db.example.com", Backend: "ns/db:5432",
		Route:    &exchange.RouteInfo{Gateway: "ns/gw", Listener: "tls", Kind: "TLSRoute", Route: "ns/route", Rule: "0"},
		Received: 1, Sent: 2, Outcome: l4.OK,
	}
}

// fieldsOf writes the rows of a table, and holds them to the fields of a line.
func fieldsOf(t *testing.T, b *strings.Builder, line []byte, fields []logField) {
	t.Helper()
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", f.name, f.when, f.meaning)
	}
	if have := keys(t, line); !slices.Equal(have, names) {
		t.Errorf("the log has the fields\n%q, the page\n%q", have, names)
	}
}

func TestAccessLog(t *testing.T) {
	var out bytes.Buffer
	o := &observe.Observer{Metrics: observe.NewMetrics(), Log: slog.New(slog.DiscardHandler)}
	o.Access = observe.NewAccessLog(&out, t.FailNow)
	x := fullExchange()
	o.Finished(x, 1)
	exchange.Release(x)
	o.SessionOpened(fullSession())
	o.SessionEnded(fullSession(), true)
	o.Access.Close()
	lines := bytes.SplitAfter(out.Bytes(), []byte("\n"))
	var b strings.Builder
	b.WriteString(accessLogIntroduction)
	fieldsOf(t, &b, lines[0], logFields)
	b.WriteString(sessionLogIntroduction)
	fieldsOf(t, &b, lines[1], sessionFields)
	generated(t, "reference/access-log.md", b.String())
}

// keys lists the members of a JSON object in their order.
func keys(t *testing.T, object []byte) []string {
	d := json.NewDecoder(bytes.NewReader(object))
	var out []string
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, name.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
