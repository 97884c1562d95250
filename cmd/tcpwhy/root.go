package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// rootCommand builds the tree of commands. The root explains, like its
// subcommand of that name: that is what most people want.
func (a *app) rootCommand() *cobra.Command {
	root := a.explainCommand()
	root.Use = "tcpwhy FILE..."
	root.Short = "Says why a TCP connection did what it did"
	root.Long = `tcpwhy reads a packet capture and says why a TCP connection did what it did:
the cause, what rules the other causes out, what stays open, and the command
on a host that settles it. "tcpwhy FILE" is short for "tcpwhy explain FILE".

It reads pcap and pcapng, also compressed (.gz, .zst), and the text that people
paste of tcpdump, tshark and Wireshark; "-" is standard input.

Exit code: 0 done, 1 failed, 2 used wrongly, 3 findings that
are more than harmless (with --exit-code), 130 interrupted.`
	root.Example = `  tcpwhy trace.pcapng
  ssh host tcpdump -i any -U -w - tcp | tcpwhy -
  tcpwhy --fact server:kernel=5.10 --fact server:tcp_tw_reuse=1 trace.pcap
  tcpwhy connections trace.pcap`
	root.Version = readVersion().Version
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SuggestionsMinimumDistance = 2
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err: err} })
	root.AddCommand(a.explainCommand(), a.browseCommand(), a.connectionsCommand(), a.labCommand(), a.renderCommand(), a.serveCommand(), a.versionCommand(), a.whatifCommand())
	// cobra completes no file names for a command that has subcommands.
	root.ValidArgsFunction = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveDefault
	}
	root.SetHelpCommand(a.helpCommand())
	root.InitDefaultCompletionCmd()
	// Without this cobra shows the help of "completion fsh" and reports success.
	child(root, "completion").RunE = func(*cobra.Command, []string) error {
		return &usageError{err: errors.New("no shell given"), hint: "tcpwhy completion bash|zsh|fish|powershell"}
	}
	return root
}

// helpCommand replaces cobra's own, which takes an unknown command for no mistake.
func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Help about a command",
		Example: "  tcpwhy help connections",
		RunE: func(cmd *cobra.Command, args []string) error {
			at := cmd.Root()
			for _, name := range args {
				next := child(at, name)
				if next == nil {
					return &usageError{err: fmt.Errorf("there is no command %q", strings.Join(args, " ")), hint: "see tcpwhy --help"}
				}
				at = next
			}
			at.InitDefaultHelpFlag()
			at.InitDefaultVersionFlag()
			return at.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			var names []cobra.Completion
			if len(args) == 0 {
				for _, c := range cmd.Root().Commands() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// child returns the subcommand of that name, nil where there is none.
func child(c *cobra.Command, name string) *cobra.Command {
	for _, sub := range c.Commands() {
		if sub.Name() == name {
			return sub
		}
	}
	return nil
}

// checkFiles refuses a list of captures that cannot be meant. terminal tells
// that standard input is a terminal.
func checkFiles(paths []string, terminal bool) error {
	if len(paths) == 0 {
		hint := ""
		if !terminal {
			hint = `to read standard input, give "-"`
		}
		return &usageError{err: errors.New("no capture file given"), hint: hint}
	}
	stdin := 0
	for _, p := range paths {
		switch p {
		case "":
			return &usageError{err: errors.New("a file name is empty"), hint: "is a shell variable unset?"}
		case "-":
			stdin++
		}
	}
	if stdin > 1 {
		return &usageError{err: errors.New("standard input (-) can be read only once")}
	}
	if stdin > 0 && terminal {
		return &usageError{err: errors.New("standard input (-) is a terminal"), hint: "pipe a capture into it: tcpdump -U -w - tcp | tcpwhy -"}
	}
	return nil
}

// repeated is a flag that may be given several times. pflag's own writes its value as CSV for each
// flag at each start, through a buffer of 4 KiB.
type repeated struct{ values *[]string }

func (r repeated) String() string { return "" } // there is no default to show

// Type is the name by which cobra knows that the flag may follow itself.
func (r repeated) Type() string { return "stringArray" }

func (r repeated) Set(s string) error {
	*r.values = append(*r.values, s)
	return nil
}

// choice is a flag that takes one of a few words.
type choice struct {
	value   *string
	allowed []string
}

func (c choice) String() string {
	if c.value == nil { // cobra asks a zero value too
		return ""
	}
	return *c.value
}

func (c choice) Type() string { return strings.Join(c.allowed, "|") }

func (c choice) Set(s string) error {
	for _, w := range c.allowed {
		if s == w {
			*c.value = s
			return nil
		}
	}
	return fmt.Errorf("must be %s", strings.Join(c.allowed, " or "))
}

// addChoice adds such a flag; the first word is its default.
func addChoice(cmd *cobra.Command, value *string, name, usage string, allowed ...string) {
	*value = allowed[0]
	cmd.Flags().Var(choice{value, allowed}, name, usage)
	// It fails only for a flag that does not exist or was registered twice.
	if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}
