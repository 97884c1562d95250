package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/pages"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// explainFlags are the flags of explain, and of the root command that stands for it.
type explainFlags struct {
	presentation
	facts, files []string
	only, flows  []string
	since, until string
	exitCode     bool
	frames       frameFlags
	follow       followFlags
	maxMemory    byteSize
	workers      int
	noProgress   bool
}

func (a *app) explainCommand() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain FILE...",
		Short: "Say why connections did what they did",
		Long: `Explain reads captures, in the order of their packets where there are several,
and answers what is worth asking about the connections in them: for each
question the cause and how sure it is, the frames that decide, the arithmetic,
what rules the other causes out, and the command that settles what stays open.

It reads pcap and pcapng (Ethernet, Linux cooked, raw IP and more; inside
tunnels too), plain, .gz or .zst, a file or a stream ("-"), and the text that
tcpdump, tshark and Wireshark print, as people paste it.

A fact is what you know about an end and the capture cannot show: WHO is
client, server or an address, NAME is kernel or the name of a sysctl. A file of
facts holds what "sysctl -a" printed there.

--only, --flow, --since and --until select findings: those that all of them
take. The whole capture is read nevertheless, for its past, and a finding keeps
the number and the id that it has among all. --only takes questions and causes;
a cause selects what it is the answer to, or is not ruled out in. --flow takes
either direction, and * or nothing for any port or end. A time is RFC 3339,
"2006-01-02 15:04:05.25", 15:04:05 on the day of the first packet (both UTC, as
reports print it) or +12.5s from the first packet; a finding lies where the
frames lie that it asks about.

Harmless findings beside others, and more than three that say the same of one
server, are a line each; --all writes all in full.

--format pcapng copies the frames of the findings' connections, with comments
that Wireshark shows: what each finding says of a frame, and the verdicts as the
file's comment. It leaves out payload, and with --anonymize addresses. Files
are read a second time for it, so that it does not work on a stream.

A directory stands for the captures in it, such as the files of tcpdump -G and -C.

--follow reads on as a capture grows: a file, a directory in which files appear
one after another, or a stream. Each finding is written once it is sure: when its
question is settled, or its connection is over and even its late segments would
have come (four minutes, of the capture's time), so that nothing to come belongs
to it. What it says of hosts is what was seen until then. Text has the findings
as they come and the numbers at the end; JSON has an object a line. An interrupt
ends it: what is left is answered as at the end of a capture. With --checkpoint
a run that was killed can be started again with the same command line: it reads
the capture again, and FILE goes on behind the last finding, with the same ids:
tcpwhy --follow -o found.jsonl --checkpoint found.state /var/captures

An interrupt (Ctrl-C) while files are read ends the reading: what was read is
explained, with a warning. A second one stops at once.`,
		Example: `  tcpwhy explain trace.pcap
  tcpwhy explain --fact server:kernel=3.10.0-1127.el7 --fact server:tcp_tw_recycle=1 trace.pcap
  tcpwhy explain --facts 10.0.0.2=sysctl.txt client.pcap server.pcap
  tcpwhy explain --only reset,stalled --flow '10.0.0.1-10.0.0.2:443' trace.pcap
  tcpwhy explain --since 09:30:00 --until 09:31:00 trace.pcap
  tcpwhy explain --format json trace.pcapng
  tcpwhy explain --anonymize -o ticket.html trace.pcapng
  tcpwhy explain --anonymize -o ticket.pcapng trace.pcapng
  tcpdump -i any -U -w - tcp | tcpwhy explain -`,
		Args: cobra.ArbitraryArgs, // checked in runExplain, which words it better
		RunE: func(cmd *cobra.Command, args []string) error { return a.runExplain(cmd, args, &f) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(repeated{&f.facts}, "fact", "what is known about an end, `WHO:NAME=VALUE`; may be repeated")
	fs.Var(repeated{&f.files}, "facts", "a file of what an end printed (sysctl -a), `WHO=FILE`; may be repeated")
	fs.StringSliceVar(&f.only, "only", nil, "findings of these questions or causes, `SLUG,…`")
	fs.Var(repeated{&f.flows}, "flow", "findings between these ends, `ADDR:PORT-ADDR:PORT`; may be repeated")
	fs.StringVar(&f.since, "since", "", "findings at this `TIME` or later")
	fs.StringVar(&f.until, "until", "", "findings at this `TIME` or earlier")
	addPresentation(cmd, &f.presentation, append(slices.Clone(formats), formatLines, formatPcapng)...)
	addFrameFlags(cmd, &f.frames)
	fs.BoolVar(&f.follow.on, "follow", false, "read on as the capture grows, and write each finding once it is sure")
	fs.StringVar(&f.follow.checkpoint, "checkpoint", "", "keep in `FILE` how far the output is, so that a run that was killed can go on")
	fs.Var(&f.maxMemory, "max-memory", "forget what was silent longest rather than take more than `SIZE`, such as 256MiB")
	fs.IntVarP(&f.workers, "workers", "j", 1, "with 2 decode beside the rest and answer side by side: the same report, sooner where connections are many and short")
	fs.BoolVar(&f.exitCode, "exit-code", false, "exit with 3 if a finding that is more than harmless is reported")
	addProgressFlag(cmd, &f.noProgress)
	// It fails only for a flag that does not exist or was registered twice.
	if err := cmd.RegisterFlagCompletionFunc("only", completeOnly); err != nil {
		panic(err)
	}
	return cmd
}

// completeOnly offers the questions, and the causes once something is typed: they are many.
// What stands before the last comma is kept.
func completeOnly(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	cut := strings.LastIndexByte(typed, ',') + 1
	before, word := typed[:cut], typed[cut:]
	var out []cobra.Completion
	seen := map[string]bool{}
	add := func(slug, asks string) {
		if strings.HasPrefix(slug, word) && !seen[slug] {
			seen[slug] = true
			out = append(out, cobra.CompletionWithDesc(before+slug, asks))
		}
	}
	for _, q := range tcpwhy.Questions() {
		add(q.Slug, q.Asks)
	}
	for _, q := range tcpwhy.Questions() {
		for _, c := range q.Causes {
			if word != "" {
				add(c, "a cause: "+q.Slug)
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (a *app) runExplain(cmd *cobra.Command, paths []string, f *explainFlags) error {
	if err := checkFiles(paths, a.terminalWidth(a.stdin) > 0); err != nil {
		return err
	}
	f.settle(cmd)
	if err := checkOutput(f.output, paths); err != nil {
		return err
	}
	if err := f.frames.check(a, &f.presentation, paths); err != nil {
		return err
	}
	if err := f.follow.check(&f.presentation, paths); err != nil {
		return err
	}
	a.confineTo(f.output, f.follow.checkpoint)
	o := tcpwhy.Options{
		Facts: f.facts, FactFiles: f.files, Stdin: a.input(paths), Interrupt: a.interruptible(),
		Only: f.only, Flows: f.flows, Since: f.since, Until: f.until, MadeBy: madeBy(), MaxMemory: int64(f.maxMemory),
		Workers: f.workers,
	}
	limitHeap(o.MaxMemory)
	defer runtime.KeepAlive(growHeap(o.MaxMemory, paths))
	if f.follow.on {
		return a.follow(cmd.Context(), paths[0], f, o)
	}
	progress, end := a.startProgress(f.noProgress)
	o.Progress = progress
	wasRead := sync.OnceFunc(func() {
		a.interrupt.Store(nil)
		end()
	})
	if a.streams(&f.presentation) {
		o.JSON = func(write func(io.Writer) error) error {
			wasRead()
			return a.writeTo(f.output, write)
		}
	}
	r, err := a.explain(cmd.Context(), paths, o)
	wasRead()
	switch {
	case err != nil:
	case f.format == formatPcapng:
		err = a.writeFrames(cmd.Context(), &f.presentation, &f.frames, paths, r)
	case o.JSON == nil:
		err = a.writeReport(&f.presentation, r)
	}
	if err != nil {
		return err
	}
	if wasInterrupted(r) {
		return errInterrupted
	}
	if f.exitCode && slices.ContainsFunc(r.Summary, func(g report.Group) bool { return g.Severity != report.Harmless }) {
		return errFindings
	}
	return nil
}

// heapShare is the part of --max-memory, in eighths, that the Go heap may take before the collector
// works harder: the table of connections, which lies outside of it, has four.
const heapShare = 3

// limitHeap keeps the heap small where memory is bounded; it is a limit that is not kept at any price
// (debug.SetMemoryLimit).
func limitHeap(maxMemory int64) {
	if maxMemory > 0 {
		debug.SetMemoryLimit(max(maxMemory/8*heapShare, 16<<20))
	}
}

// growHeap has the heap grow in large pages for captures that make it grow. What findings need at a time
// is seldom more than the capture itself (907 MB with 33,000 findings: 180 MB). What it returns is to be kept.
func growHeap(maxMemory int64, paths []string) []byte {
	const worth, least, most, slack = 1 << 20, 32 << 20, 256 << 20, 16 << 20
	size := int64(0)
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
	}
	if maxMemory != 0 || size < worth {
		return nil
	}
	return pages.AdviseHeap(int(min(max(size, least), most)), slack)
}

// wasInterrupted tells whether a report covers a part of what was to be read.
func wasInterrupted(r *report.Report) bool {
	return slices.ContainsFunc(r.Capture.Warnings, func(w report.Warning) bool { return w.Code == "interrupted" })
}

// checkOutput refuses an output that cannot be written, before the work is
// done, and one that would destroy a capture.
func checkOutput(output string, paths []string) error {
	if output == "" {
		return nil
	}
	if dir := filepath.Dir(output); !isDir(dir) {
		return &usageError{err: fmt.Errorf("--output: there is no directory %s", dir)}
	}
	out, err := os.Stat(output)
	if err != nil {
		return nil // it does not exist yet
	}
	if out.IsDir() {
		return &usageError{err: fmt.Errorf("--output: %s is a directory", output)}
	}
	for _, p := range paths {
		if in, err := os.Stat(p); err == nil && os.SameFile(in, out) {
			return &usageError{err: fmt.Errorf("--output would overwrite the capture %s", p)}
		}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
