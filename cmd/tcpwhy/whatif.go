package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/whatif"
)

// whatifFlags are the flags of whatif: those of a question to the model, and
// those of a capture under other facts.
type whatifFlags struct {
	in           whatif.Input
	format       string
	facts, files []string
}

func (a *app) whatifCommand() *cobra.Command {
	var f whatifFlags
	cmd := &cobra.Command{
		Use:   "whatif STATE [KEY=VALUE...] [SEGMENT] | whatif CAPTURE... --fact WHO:NAME=VALUE",
		Short: "Ask the kernel model without packets, or a capture under other facts",
		Example: `  tcpwhy whatif --kernel 3.10 time-wait rcv_nxt=4008801888 snd_nxt=1082535342 ts_recent=1500952968 '< S 3145977016:3145977016(0) win 29200 <TS val 1500969973 ecr 0>'
  tcpwhy whatif --kernel all time-wait rcv_nxt=4008801888 snd_nxt=1082535342 ts_recent=1500952968 '< S 3145977016:3145977016(0) win 29200 <TS val 1500969973 ecr 0>'
  tcpwhy whatif --kernel 5.10 --peer-kernel 4.19 time-wait rcv_nxt=4008801888 snd_nxt=1082535342 ts_recent=none '< S 3145977016:3145977016(0) win 29200'
  tcpwhy whatif --kernel 4.9 --set tcp_tw_recycle=1 --at 17 time-wait rcv_nxt=4008801888 snd_nxt=1082535342 ts_recent=7 rto=0.2 '< S 3145977016:3145977016(0) win 29200 <TS val 9 ecr 0>'
  tcpwhy whatif --kernel 5.10 established rcv_nxt=1001 snd_nxt=5001 rcv_wnd=64240 '< R 1500:1500(0) win 0'
  tcpwhy whatif --kernel all syn-sent iss=3145977016 '< . 1082535342:1082535342(0) ack 4008801888 win 229'
  tcpwhy whatif --kernel all syn-sent
  tcpwhy whatif --kernel 5.10 --set tcp_retries2=8 established rto=0.3
  tcpwhy whatif --kernel all --announces listen seen_tsval=900 seen=2 seen_on=pair '< S 1:1(0) win 64240 <mss 1460,sackOK,TS val 7 ecr 0,wscale 7>'
  tcpwhy whatif --kernel 6.1 --set tcp_tw_reuse=1 own-time-wait snd_nxt=1001 ts_recent=900 bound=no
  tcpwhy whatif trace.pcap --fact server:kernel=3.10 --fact server:tcp_tw_recycle=1`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return a.runWhatif(cmd, args, &f) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return completeWhatif(args)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.in.Kernel, "kernel", "", "the kernel, `RELEASE` as uname -r prints it, or all")
	fs.StringVar(&f.in.PeerKernel, "peer-kernel", "", "the kernel of the other end, `RELEASE`, where TIME_WAIT challenges its SYN; without it every kernel")
	fs.Var(repeated{&f.in.Set}, "set", "a sysctl of the host, `SYSCTL=VALUE`; may be repeated")
	fs.StringVar(&f.in.Listener, "listener", "", "whether somebody listens: `yes|no|unknown`")
	fs.StringVar(&f.in.QueueFull, "queue-full", "", "whether the listener's accept queue is full: `yes|no|unknown`")
	fs.BoolVar(&f.in.IPv6, "ipv6", false, "the connection runs over IPv6")
	fs.BoolVar(&f.in.Announces, "announces", false, "what a SYN-ACK announces too: window, options, timestamps")
	fs.Float64Var(&f.in.At, "at", 1, "`SECONDS` from the start of the state to the segment")
	fs.Var(repeated{&f.facts}, "fact", "of a capture: what is known about an end, `WHO:NAME=VALUE`; may be repeated")
	fs.Var(repeated{&f.files}, "facts", "of a capture: a file of what an end printed (sysctl -a), `WHO=FILE`; may be repeated")
	addChoice(cmd, &f.format, "format", "how to write the answer", "text", "json")
	// The list of states is made where somebody asks for help, and not at each start.
	help := cmd.HelpFunc()
	cmd.SetHelpFunc(func(c *cobra.Command, args []string) {
		c.Long = whatifHelp()
		help(c, args)
	})
	return cmd
}

// whatifHelp is what the command says of itself.
func whatifHelp() string {
	return `Whatif asks the model what a kernel answers to one segment in a given state:
the reply to the field, what becomes of the state, every rule that was asked
with the numbers it used, and what is missing where more than one thing can
happen. With --kernel all it prints a line for each way in which kernels differ.
Without a segment it says what the socket does by its timers while nothing
arrives: what it repeats and when, and when it gives up.

Where its first argument is a capture, it explains that capture twice, without
and with the given facts, and prints the findings that come out otherwise.

The segment is in packetdrill's notation, in quotes, numbers absolute:
  '< S 1001:1001(0) win 64240 <mss 1460,TS val 7 ecr 0>'

States and their keys; a number that is left out is not known:
` + stateHelp() + `
Numbers are as on the wire. ts_recent=none: the connection had no timestamps.
last_ack, ts_stored and gate_stored are seconds before the segment. gate_ts is
what tcp_tw_recycle remembers of the peer's address; left_isn is what a SYN
that was dropped left behind on that processor. isn and irs are the own
and the peer's first number; first_tsval and last_tsval the own timestamps of
the first and the latest SYN or SYN-ACK. Where TIME_WAIT answers a SYN with an
ACK, what the opener does then is followed too. What is usual for a host is taken for
granted, and said where it matters; "unknown" as a value takes it away.

With --announces what the SYN-ACK announces is predicted as well: its first window
and its options in their order, and how its timestamps run. mss is what the own
device lets through; seen_tsval is a TSval that the host sent, seen_isn the
number of its SYN or SYN-ACK, seen seconds before, on the same four-tuple
(seen_on=tuple), to other ports of the same address (pair) or to another
address (peer).`
}

// stateHelp lists the states with their keys.
func stateHelp() string {
	var b strings.Builder
	for _, s := range whatif.States() {
		fmt.Fprintf(&b, "  %-15s %s\n", s.Name, s.Says)
		if len(s.Keys) > 0 {
			fmt.Fprintf(&b, "  %15s   %s\n", "", strings.Join(s.Keys, " "))
		}
	}
	return b.String()
}

// completeWhatif offers the states, beside files, and then the keys of the state.
func completeWhatif(args []string) (out []cobra.Completion, d cobra.ShellCompDirective) {
	for _, s := range whatif.States() {
		switch {
		case len(args) == 0:
			out = append(out, cobra.CompletionWithDesc(s.Name, s.Says))
		case args[0] == s.Name:
			for _, k := range s.Keys {
				out = append(out, k+"=")
			}
			return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
	}
	return out, cobra.ShellCompDirectiveDefault
}

// isCapture tells a capture from a state: no state's name has a dot or a slash.
func isCapture(arg string) bool {
	if arg == "-" || strings.ContainsAny(arg, "./") && !strings.ContainsAny(arg, " <=") {
		return true
	}
	info, err := os.Stat(arg)
	return err == nil && !info.IsDir()
}

func (a *app) runWhatif(cmd *cobra.Command, args []string, f *whatifFlags) error {
	a.confineTo()
	if len(args) > 0 && isCapture(args[0]) {
		for _, flag := range []string{"kernel", "peer-kernel", "set", "listener", "queue-full", "ipv6", "announces", "at"} {
			if cmd.Flags().Changed(flag) {
				return &usageError{err: fmt.Errorf("--%s is about a state, and %s is a capture", flag, args[0]), hint: "of the ends of a capture say --fact WHO:NAME=VALUE"}
			}
		}
		return a.whatifCapture(cmd.Context(), args, f)
	}
	if len(f.facts)+len(f.files) > 0 {
		return &usageError{err: errors.New("--fact and --facts are about a capture, and the first argument is none"), hint: "of a state say --kernel RELEASE and --set SYSCTL=VALUE"}
	}
	f.in.Args = args
	q, err := whatif.Parse(f.in)
	if err != nil {
		return &usageError{err: err}
	}
	if q.All {
		all := q.AskAll()
		return a.present(f.format, all, all.Write)
	}
	answer := q.Ask()
	return a.present(f.format, answer, answer.Write)
}

// whatifCapture explains the captures without and with the facts.
func (a *app) whatifCapture(ctx context.Context, paths []string, f *whatifFlags) error {
	if len(f.facts)+len(f.files) == 0 {
		return &usageError{err: errors.New("no fact given: what should be otherwise?"), hint: "for example --fact server:kernel=3.10"}
	}
	if err := checkFiles(paths, a.terminalWidth(a.stdin) > 0); err != nil {
		return err
	}
	for _, p := range paths {
		if p == "-" {
			return &usageError{err: errors.New("standard input (-) can be read only once, and the capture is read twice")}
		}
	}
	before, err := a.explain(ctx, paths, tcpwhy.Options{})
	if err != nil {
		return err
	}
	after, err := a.explain(ctx, paths, tcpwhy.Options{Facts: f.facts, FactFiles: f.files})
	if err != nil {
		return err
	}
	c := whatif.Compare(before, after)
	return a.present(f.format, c, c.Write)
}

// present writes a value as JSON, or as its own text.
func (a *app) present(format string, v any, write func(io.Writer) error) error {
	if format == "json" {
		return writeJSON(a.stdout, v)
	}
	return write(a.stdout)
}
