package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/source/file"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

// input is what the commands that look at files have in common.
type input struct {
	paths  []string
	output string
}

// flags adds -f and -o to a command; formats are the values of -o, the default first. Without formats there is no -o.
func (i *input) flags(cmd *cobra.Command, formats ...string) {
	cmd.Flags().StringArrayVarP(&i.paths, "filename", "f", nil, "file or folder of YAML or JSON; may be given several times")
	if len(formats) > 0 {
		i.output = formats[0]
		cmd.Flags().VarP(&oneOf{&i.output, formats}, "output", "o", "format of the output: "+strings.Join(formats, " or "))
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if i.paths = append(i.paths, args...); len(i.paths) == 0 {
			return usageError{fmt.Errorf("no files: give some with -f; see '%s --help'", cmd.CommandPath())}
		}
		return nil
	}
}

// read reads the files once, with the environment's variables in Secrets.
func (i *input) read() *resources.Set {
	return file.New(file.Options{Paths: i.paths, Decoder: resources.NewDecoder(os.LookupEnv)}).Read()
}

func newValidateCommand() *cobra.Command {
	var in input
	cmd := &cobra.Command{
		Use:   "validate -f PATH...",
		Short: "Say what a cluster would say of files: every object's conditions, with file and line",
		Long: `Validate reads files and folders as a cluster would take them and prints the status conditions that each object would
have. It exits with 1 when an object is not accepted, when something that it refers to cannot be resolved, or when a
file cannot be read.`,
		Example: "  nantian validate -f examples/quickstart\n  nantian validate -f gateway.yaml -f routes -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return validate(cmd.OutOrStdout(), in.read(), in.output)
		},
	}
	in.flags(cmd, "text", "json")
	return cmd
}

func validate(w io.Writer, set *resources.Set, format string) error {
	r, err := translate.Translate(set, translate.Options{Standalone: true})
	if err != nil {
		return err
	}
	if format == "json" {
		err = status.JSON(w, r.Statuses, set.Problems())
	} else {
		err = status.Text(w, r.Statuses, set.Problems())
	}
	if err != nil {
		return err
	}
	report := status.NewReport(r.Statuses, set.Problems())
	if report.OK {
		return nil
	}
	return fmt.Errorf("not valid: %s", summary(report))
}

// summary counts what is wrong.
func summary(r status.Report) string {
	var problems, objects int
	for _, p := range r.Problems {
		if p.Level == "error" {
			problems++
		}
	}
	for _, o := range r.Objects {
		if !o.OK {
			objects++
		}
	}
	return fmt.Sprintf("errors in files: %d, objects with a bad condition: %d of %d", problems, objects, len(r.Objects))
}
