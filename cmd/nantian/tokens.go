package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nantian-gw/nantian/tokenizer"
)

func newTokensCommand() *cobra.Command {
	var model, encoding, output string
	cmd := &cobra.Command{
		Use:   "tokens [--model M | --encoding E] [FILE]",
		Short: "Count tokens as the data path counts them",
		Long: `Tokens counts the tokens of a file, or of standard input, and prints the number alone. Counts are exact for OpenAI's
encodings and estimates for models whose vocabulary is not public; -o json says which.`,
		Example: "  echo -n 'hello world' | nantian tokens --model gpt-5\n  nantian tokens --encoding cl100k_base -o json README.md",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			t, err := chooseTokenizer(tokenizer.New(), model, encoding)
			if err != nil {
				return err
			}
			text, err := readText(cmd.InOrStdin(), files)
			if err != nil {
				return err
			}
			return printCount(cmd.OutOrStdout(), t, model, text, output)
		},
	}
	cmd.Flags().StringVar(&model, "model", "", "count as this model does (default gpt-5)")
	cmd.Flags().StringVar(&encoding, "encoding", "", "count in this encoding: "+strings.Join(tokenizer.New().Encodings(), ", "))
	outputFlag(cmd, &output)
	return cmd
}

func chooseTokenizer(r *tokenizer.Registry, model, encoding string) (tokenizer.Tokenizer, error) {
	if model != "" && encoding != "" {
		return nil, usageError{errors.New("--model and --encoding: expected one of them")}
	}
	if encoding == "" {
		if model == "" {
			model = "gpt-5"
		}
		return r.ForModel(model), nil
	}
	t, ok := r.ForEncoding(encoding)
	if !ok {
		return nil, usageError{fmt.Errorf("--encoding %s: expected one of %s", encoding, strings.Join(r.Encodings(), ", "))}
	}
	return t, nil
}

func readText(stdin io.Reader, files []string) ([]byte, error) {
	if len(files) == 0 || files[0] == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(files[0])
}

func printCount(w io.Writer, t tokenizer.Tokenizer, model string, text []byte, output string) error {
	n := t.Count(text)
	if output != "json" {
		_, err := fmt.Fprintln(w, n)
		return err
	}
	return json.NewEncoder(w).Encode(struct {
		Tokens   int    `json:"tokens"`
		Model    string `json:"model,omitempty"`
		Encoding string `json:"encoding"`
		Exact    bool   `json:"exact"`
		Bytes    int    `json:"bytes"`
	}{n, model, t.Name(), t.Exact(), len(text)})
}
