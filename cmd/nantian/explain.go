package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nantian-gw/nantian/controlplane/translate"
	"github.com/nantian-gw/nantian/gateway"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/llm"
)

// explainOptions are the flags of nantian explain, and the request.
type explainOptions struct {
	in      input
	method  string
	url     string
	data    string
	headers []string
}

func newExplainCommand() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain -f PATH... [METHOD] URL",
		Short: "Say what would become of one request, without making it",
		Long: `Explain reads files as nantian run does, compiles them as a data plane does, and takes one request through them: listener,
route and rule and why the other rules lost, filters, the policies in force, the models' targets in order, estimates of tokens and cost,
and what each rule of a prompt guard finds in the body: where, never what. Nothing is listened at and nothing is sent; webhooks are not asked, callers
are not authenticated and limits are not charged.

The method is POST where there is a body, else GET. It exits with 1 when the request would be refused.`,
		Example: `  nantian explain -f examples/quickstart --data '{"model": "sim", "messages": [{"role": "user", "content": "Hello!"}]}' http://127.0.0.1:8080/v1/chat/completions
  nantian explain -f examples/prompt-guard --data @body.json -o json POST http://127.0.0.1:8080/v1/chat/completions`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.in.flags(cmd, "text", "json")
	cmd.Flags().StringVarP(&o.data, "data", "d", "", "body; @FILE reads a file, @- standard input")
	cmd.Flags().StringArrayVarP(&o.headers, "header", "H", nil, `header field, as "X-Team: red"; may be given several times`)
	cmd.Args = func(_ *cobra.Command, args []string) error { return o.args(cmd, args) }
	return cmd
}

// args takes the request.
func (o *explainOptions) args(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 1:
		o.url = args[0]
	case 2:
		o.method, o.url = strings.ToUpper(args[0]), args[1]
	default:
		return usageError{fmt.Errorf("one request is explained: [METHOD] URL; see '%s --help'", cmd.CommandPath())}
	}
	if len(o.in.paths) == 0 {
		return usageError{fmt.Errorf("no files: give some with -f; see '%s --help'", cmd.CommandPath())}
	}
	return nil
}

func (o *explainOptions) run(cmd *cobra.Command) error {
	x, port, err := o.request(cmd.InOrStdin())
	if err != nil {
		return usageError{err}
	}
	defer exchange.Release(x)
	set := o.in.read()
	r, err := translate.Translate(set, translate.Options{Standalone: true})
	if err != nil {
		return err
	}
	e, err := gateway.Explain(gateway.Options{}, r.Snapshots[translate.Standalone].Resources, port, x)
	if err != nil {
		return err
	}
	if o.in.output == "json" {
		out := json.NewEncoder(cmd.OutOrStdout())
		out.SetIndent("", "  ")
		err = out.Encode(e)
	} else {
		_, err = io.WriteString(cmd.OutOrStdout(), explainText(e))
	}
	if told := tell(cmd.ErrOrStderr(), set.Problems()); err != nil || told != nil {
		return told
	}
	if refused(e) {
		return errWrong
	}
	return nil
}

// request makes the exchange that a front end would make of the request.
func (o *explainOptions) request(stdin io.Reader) (*exchange.Exchange, uint32, error) {
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, 0, fmt.Errorf("%q is not an http or https URL", o.url)
	}
	body, err := readData(o.data, stdin)
	if err != nil {
		return nil, 0, err
	}
	port, _ := strconv.ParseUint(u.Port(), 10, 16)
	if port == 0 {
		port = map[string]uint64{"http": 80, "https": 443}[u.Scheme]
	}
	if o.method == "" {
		o.method = map[bool]string{true: "POST", false: "GET"}[len(body) > 0]
	}
	x := exchange.Acquire(context.Background(), nil)
	x.Start, x.Proto, x.Minor, x.Scheme = time.Now(), 1, 1, u.Scheme
	x.Client = netip.MustParseAddrPort("127.0.0.1:1")
	x.Req.SetMethod(o.method)
	x.Req.SetHost(u.Host)
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return nil, 0, fmt.Errorf("--header %q is not Name: value", h)
		}
		x.Req.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if len(body) > 0 && len(x.Req.ContentType()) == 0 {
		x.Req.SetContentType("application/json")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if x.Path, err = exchange.AppendPath(x.Path[:0], []byte(path)); err != nil {
		return nil, 0, fmt.Errorf("%q: %w", path, err)
	}
	x.Query, x.HasQuery = append(x.Query[:0], u.RawQuery...), u.RawQuery != ""
	x.ReqBody = exchange.BytesBody(body)
	return x, uint32(port), nil
}

// maxData bounds a body, in bytes.
const maxData = 64 << 20

func readData(data string, stdin io.Reader) ([]byte, error) {
	name, file := strings.CutPrefix(data, "@")
	switch {
	case !file:
		return []byte(data), nil
	case name == "-":
		return io.ReadAll(io.LimitReader(stdin, maxData))
	}
	return os.ReadFile(name)
}

func refused(e *gateway.Explanation) bool {
	bad := e.Refused != ""
	for _, b := range e.Backends {
		bad = bad || b.Call != nil && b.Call.Refused != ""
	}
	for _, p := range e.Policies {
		bad = bad || p.Invalid != ""
	}
	return bad
}

func explainText(e *gateway.Explanation) string {
	var b bytes.Buffer
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, text)
		}
	}
	if e.Listener != "" {
		line("listener", e.Listener+" of Gateway "+e.Gateway)
	}
	if e.Route != "" {
		line("route", e.Route+", rule "+e.Rule)
	}
	for _, c := range e.Considered {
		verdict := "serves the request"
		if c.Lost != "" {
			verdict = "lost: " + c.Lost
		}
		fmt.Fprintf(&b, "  %s, rule %s (%s): %s\n", c.Route, c.Rule, c.Match, verdict)
	}
	line("filters", strings.Join(e.Filters, ", "))
	for _, p := range e.Policies {
		text := p.Kind + " " + p.Name
		if p.Invalid != "" {
			text += " cannot be run, and closes what it is for: " + p.Invalid
		}
		line("policy", text)
	}
	for i := range e.Backends {
		explainBackend(&b, &e.Backends[i])
	}
	if e.Refused != "" {
		line("refused", strings.TrimSpace(fmt.Sprint(statusText(e.Status), e.Refused)))
	}
	return b.String()
}

func statusText(status int) string {
	if status == 0 {
		return ""
	}
	return strconv.Itoa(status) + " "
}

func explainBackend(b *bytes.Buffer, backend *gateway.ExplainedBackend) {
	fmt.Fprintf(b, "%-10s %s, weight %d\n", "backend", backend.Name, backend.Weight)
	if len(backend.Filters) > 0 {
		fmt.Fprintf(b, "  filters: %s\n", strings.Join(backend.Filters, ", "))
	}
	c := backend.Call
	if c == nil {
		return
	}
	if c.Operation != "" {
		fmt.Fprintf(b, "  %s in the schema of %s", c.Operation, c.Client)
		if c.Model != "" {
			fmt.Fprintf(b, ", model %s, about %d tokens of input", c.Model, c.InputTokens)
		}
		if c.MaxOutputTokens > 0 {
			fmt.Fprintf(b, ", at most %d of output", c.MaxOutputTokens)
		}
		b.WriteByte('\n')
	}
	for i := range c.Targets {
		explainTarget(b, &c.Targets[i])
	}
	for _, f := range c.Findings {
		mode := ""
		if f.Monitor {
			mode = ", watched only"
		}
		fmt.Fprintf(b, "  guard %s rule %s (%s%s): %s at %s, bytes %d to %d\n", f.Policy, f.Rule, f.Action, mode, f.Kind, f.Path, f.Start, f.End)
	}
	for _, w := range c.Webhooks {
		fmt.Fprintf(b, "  webhook %s would be asked\n", w)
	}
	if c.Refused != "" {
		fmt.Fprintf(b, "  refused: %s%s\n", statusText(c.Status), c.Refused)
	}
}

func explainTarget(b *bytes.Buffer, t *llm.ExplainedTarget) {
	how := "translated to"
	if t.Bypass {
		how = "forwarded in"
	}
	fmt.Fprintf(b, "  target: %s of AIProvider %s, priority %d, weight %d, %s the schema of %s", t.Model, t.Provider, t.Priority, t.Weight, how, t.Schema)
	if t.Cost > 0 {
		fmt.Fprintf(b, ", input costs $%.6f", float64(t.Cost)/1e9)
	}
	if t.Unfit != "" {
		fmt.Fprintf(b, "; unfit: %s", t.Unfit)
	}
	b.WriteByte('\n')
}
