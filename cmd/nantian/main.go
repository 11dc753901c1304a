// Command nantian is Nantian Gateway: data plane, control plane and the tools around them. Each subcommand is a file.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // limits by calendar need zones, and containers have none

	"github.com/spf13/cobra"
)

// Exit codes: 0 fine, 1 the thing asked about is wrong, 2 wrong usage.
const (
	exitWrong = 1
	exitUsage = 2
)

// errWrong ends a command with code 1 after it has said everything itself.
var errWrong = errors.New("wrong")

// usageError ends a command with code 2.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	cmd := newRootCommand()
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errWrong):
		return exitWrong
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "nantian:", err)
		return exitUsage
	}
	fmt.Fprintln(os.Stderr, "nantian:", err)
	return exitWrong
}

func newRootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nantian",
		Short: "An AI gateway that is also a complete Kubernetes Gateway API implementation",
		Example: `  nantian run -f examples/quickstart --simulate 127.0.0.1:9100
  nantian validate -f examples/quickstart`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, c.CommandPath())}
	})
	cmd.AddCommand(newRunCommand(), newControllerCommand(), newProxyCommand(),
		newSimulateCommand(), newValidateCommand(), newTranslateCommand(), newTokensCommand(), newExplainCommand(), newBenchCommand(), newVersionCommand())
	return cmd
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q; see 'nantian --help'", args[0])}
	}
	return nil
}

// args is a check of cobra's with the exit code of wrong usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
		}
		return nil
	}
}
