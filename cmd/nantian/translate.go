package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/nantian-gw/nantian/controlplane/endpoints"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

func newTranslateCommand() *cobra.Command {
	var in input
	cmd := &cobra.Command{
		Use:   "translate -f PATH...",
		Short: "Print the snapshot that a data plane would receive",
		Long: `Translate reads files and folders and prints what the control plane makes of them: the resources that go to a data
plane, without the content of secrets. What cannot be read is told on standard error, and the exit code is then 1.`,
		Example: "  nantian translate -f examples/quickstart\n  nantian translate -f gateway.yaml -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printSnapshot(cmd.OutOrStdout(), cmd.ErrOrStderr(), in.read(), in.output)
		},
	}
	in.flags(cmd, "yaml", "json")
	return cmd
}

func printSnapshot(w, messages io.Writer, set *resources.Set, format string) error {
	r, err := translate.Translate(set, translate.Options{Standalone: true})
	if err != nil {
		return err
	}
	s := r.Snapshots[translate.Standalone]
	dump, err := snapshot.NewDump(s, endpoints.Build(set, s))
	if err != nil {
		return err
	}
	out, err := dump.YAML()
	if format == "json" {
		out, err = json.MarshalIndent(dump, "", "  ")
		out = append(out, '\n')
	}
	if err != nil {
		return err
	}
	if _, err := w.Write(out); err != nil {
		return err
	}
	return tell(messages, set.Problems())
}

// tell prints problems and says whether one is more than a warning.
func tell(w io.Writer, problems []resources.Problem) error {
	bad := false
	for _, p := range problems {
		if _, err := fmt.Fprintln(w, p); err != nil {
			return err
		}
		bad = bad || !p.Warning
	}
	if bad {
		return errors.New("some files cannot be read in full")
	}
	return nil
}
