package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/nantian-gw/nantian/internal/build"
)

func newVersionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit and Gateway API version",
		Example: "  nantian version -o json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Version    string `json:"version"`
				Commit     string `json:"commit,omitempty"`
				GatewayAPI string `json:"gatewayAPI"`
				Go         string `json:"go"`
			}{build.Version, build.Commit(), build.GatewayAPI, runtime.Version()}
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "nantian %s\ncommit %s\nGateway API %s\n%s\n", v.Version, v.Commit, v.GatewayAPI, v.Go)
			return err
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// outputFlag adds -o, which takes text and json.
func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().VarP(&oneOf{output, []string{"text", "json"}}, "output", "o", "text or json")
	*output = "text"
}

// oneOf is a flag that takes one of a few words.
type oneOf struct {
	value *string
	words []string
}

func (o *oneOf) String() string { return *o.value }
func (o *oneOf) Type() string   { return "string" }

// Set implements pflag.Value.
func (o *oneOf) Set(s string) error {
	for _, w := range o.words {
		if s == w {
			*o.value = s
			return nil
		}
	}
	return fmt.Errorf("must be one of %v", o.words)
}
