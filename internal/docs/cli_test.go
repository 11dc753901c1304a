package docs

import (
	"fmt"
	"strings"
	"testing"
)

const cliIntroduction = `# Commands

Written by ` + "`make generate`" + ` from the program's own help.

Exit codes: 0 fine, 1 the thing asked about is wrong, 2 wrong usage. Messages go to standard error, data to standard output.
`

func TestCLI(t *testing.T) {
	var b strings.Builder
	b.WriteString(cliIntroduction)
	for _, name := range commands(nantian(t, "--help")) {
		help := nantian(t, name, "--help")
		fmt.Fprintf(&b, "\n## nantian %s\n\n```text\n%s```\n", name, help)
	}
	generated(t, "reference/cli.md", b.String())
}

// commands lists the subcommands that a help text names, but for help itself.
func commands(help string) []string {
	_, list, _ := strings.Cut(help, "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	var names []string
	for line := range strings.Lines(list) {
		if name := strings.Fields(line)[0]; name != "help" {
			names = append(names, name)
		}
	}
	return names
}
