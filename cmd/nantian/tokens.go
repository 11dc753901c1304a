package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/openai"
	"github.com/nantian-gw/nantian/gateway/llm"
	"github.com/nantian-gw/nantian/tokenizer"
	"github.com/nantian-gw/nantian/tokenizer/approx"
)

// tokensOptions are the flags of nantian tokens.
type tokensOptions struct {
	model, encoding, request, admin, output string
}

func newTokensCommand() *cobra.Command {
	var o tokensOptions
	cmd := &cobra.Command{
		Use:   "tokens [--model M | --encoding E] [--request SCHEMA] [FILE]",
		Short: "Count tokens as the data path counts them",
		Long: `Tokens counts the tokens of a file, or of standard input, and prints the number alone; -o json says more. Counts are exact
for OpenAI's encodings and estimates for models whose vocabulary is not public.

With --request the input is the body of a chat, and its messages, tools and images are counted with what the model reads
around them. With --admin estimates are calibrated by what a running gateway has learned from its providers.`,
		Example: "  echo -n 'hello world' | nantian tokens --model gpt-5\n" +
			"  nantian tokens --encoding cl100k_base -o json README.md\n" +
			"  nantian tokens --request openai -o json body.json\n" +
			"  nantian tokens --model claude-sonnet-4-5 --admin http://127.0.0.1:15000 -o json README.md",
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error { return o.run(cmd, files) },
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "count as this model does (default that of the request, or gpt-5)")
	f.StringVar(&o.encoding, "encoding", "", "count in this encoding: "+strings.Join(tokenizer.New().Encodings(), ", "))
	f.Var(&oneOf{&o.request, []string{"openai", "anthropic"}}, "request", "the input is the body of a chat: openai or anthropic")
	f.StringVar(&o.admin, "admin", "", "address of the admin listener of a gateway, to calibrate estimates by what it has learned")
	outputFlag(cmd, &o.output)
	return cmd
}

// counted is what -o json shows.
type counted struct {
	Tokens   int    `json:"tokens"`
	Model    string `json:"model,omitempty"`
	Encoding string `json:"encoding"`
	// Exact: the model's own vocabulary, and nothing but text.
	Exact bool `json:"exact"`
	Bytes int  `json:"bytes"`
	// MeasuredError is the share by which estimates of this family were off at most, where that could be measured.
	MeasuredError float64 `json:"measuredError,omitempty"`
	// Calibration is what a gateway has learned of the model. Tokens are adjusted by it.
	Calibration *approx.Ratio `json:"calibration,omitempty"`
	Request     *parts        `json:"request,omitempty"`
}

// parts are what the tokens of a request are spent on, before calibration.
type parts struct {
	Text    int `json:"text"`
	Framing int `json:"framing"`
	Calls   int `json:"calls"`
	Tools   int `json:"tools"`
	Images  int `json:"images"`
	Other   int `json:"other"`
}

func (o *tokensOptions) run(cmd *cobra.Command, files []string) error {
	if o.model != "" && o.encoding != "" {
		return usageError{errors.New("--model and --encoding: expected one of them")}
	}
	r := tokenizer.New()
	if _, ok := r.ForEncoding(o.encoding); !ok && o.encoding != "" {
		return usageError{fmt.Errorf("--encoding %s: expected one of %s", o.encoding, strings.Join(r.Encodings(), ", "))}
	}
	text, err := readText(cmd.InOrStdin(), files)
	if err != nil {
		return err
	}
	c, err := o.count(r, text)
	if err != nil {
		return err
	}
	if o.admin != "" && !c.Exact {
		if err := c.calibrate(cmd.Context(), o.admin); err != nil {
			return err
		}
	}
	if o.output != "json" {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), c.Tokens)
		return err
	}
	return json.NewEncoder(cmd.OutOrStdout()).Encode(c)
}

// count counts text, or the request that it is.
func (o *tokensOptions) count(r *tokenizer.Registry, text []byte) (counted, error) {
	if o.request == "" {
		tok, model := o.tokenizer(r, "gpt-5")
		return describe(tok, model, text, tok.Count(text)), nil
	}
	x := ai.Exchange{Op: ai.OpChat, Client: openai.Dialect{}}
	if o.request == "anthropic" {
		x.Client = anthropic.Dialect{}
	}
	x.Request.Raw = text
	var wrong *ai.Error
	err := x.Client.Peek(x.Op, text, &x.Request)
	if errors.As(err, &wrong) && wrong.Param == "model" && o.model+o.encoding != "" {
		err = nil // a request without a model
	}
	if err != nil {
		return counted{}, fmt.Errorf("the request: %w", err)
	}
	tok, model := o.tokenizer(r, x.Request.Model)
	p, err := llm.Count(tok, r.Rules(cmp.Or(model, x.Request.Model)), &x)
	if err != nil {
		return counted{}, fmt.Errorf("the request: %w", err)
	}
	c := describe(tok, model, text, p.Total())
	c.Request = &parts{p.Text, p.Framing, p.Calls, p.Tools, p.Images, p.Other}
	c.Exact = c.Exact && p.Plain && p.Tools+p.Calls+p.Other == 0
	return c, nil
}

// tokenizer is the one that the flags ask for, else that of fallback.
func (o *tokensOptions) tokenizer(r *tokenizer.Registry, fallback string) (t tokenizer.Tokenizer, model string) {
	if t, ok := r.ForEncoding(o.encoding); ok {
		return t, ""
	}
	if o.model == "" {
		return r.ForModel(fallback), fallback
	}
	return r.ForModel(o.model), o.model
}

func describe(t tokenizer.Tokenizer, model string, text []byte, tokens int) counted {
	c := counted{Tokens: tokens, Model: model, Encoding: t.Name(), Exact: t.Exact(), Bytes: len(text)}
	if e, ok := t.(*approx.Estimator); ok {
		c.MeasuredError = e.Error()
	}
	return c
}

// calibrate adjusts an estimate by what the gateway with that admin listener has learned of the model.
func (c *counted) calibrate(ctx context.Context, admin string) error {
	learned, err := estimates(ctx, admin)
	if err != nil {
		return fmt.Errorf("--admin %s: %w", admin, err)
	}
	for _, l := range learned {
		if l.Model == c.Model {
			c.Calibration = &l.Input
			c.Tokens = l.Input.Adjust(c.Tokens)
		}
	}
	return nil
}

func estimates(ctx context.Context, admin string) ([]approx.Learned, error) {
	if !strings.Contains(admin, "://") {
		admin = "http://" + admin
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(admin, "/")+"/estimates", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	var page struct{ Models []approx.Learned }
	err = json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&page)
	return page.Models, err
}

func readText(stdin io.Reader, files []string) ([]byte, error) {
	if len(files) == 0 || files[0] == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(files[0])
}
