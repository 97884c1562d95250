package tcpwhy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/diagnose"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

const (
	real3  = "testdata/corpus/captures/linux-3.10.0-1127.el7/"
	real5  = "testdata/corpus/captures/linux-5.10.223-debian/"
	real6  = "testdata/corpus/captures/linux-6.18.44/"
	labbed = "testdata/corpus/lab/linux-6.18.44-fc-v782/"
	waited = "testdata/corpus/waits/linux-6.18.44/"
	posted = "testdata/text/"
)

// cases are the real cases that the page of each question shows: the first with its ladder,
// the others with what the verdict rests on.
var cases = map[string][]string{
	"reopened-accepted": {
		real6 + "tw_syn_after_nots.pcap", real3 + "recycle1_syn_before_ts_newer_3s.pcap", labbed + "client_closed_first.pcap",
	},
	"reopened-challenged": {
		real5 + "tw_syn_after_ts_older.pcap", real6 + "close_wait_syn.pcap", real3 + "est_syn_before.pcap",
	},
	"reopened-refused": {real5 + "fw2_syn_equal_seq.pcap", labbed + "syn_recv_in_window.pcap", real3 + "listener_gone_tw_syn_before.pcap"},
	"reopened-silent":  {real5 + "real_before_nots_rst_dropped.pcap", real3 + "recycle1_nat_same_port_older_ts.pcap", labbed + "tw_syn_fin.pcap"},
	"port-taken-over":  {real3 + "real_client_closes_first_bound_tw_reuse_0.client.pcap", labbed + "tw_reuse.pcap"},
	"connect-stuck":    {labbed + "final_ack_ignored.pcap", posted + "011-stale-synack-old-ack-number.txt"},
	"connect-silent":   {posted + "008-syn-dropped-by-xdp.txt", posted + "003-syn-dropped-accept-queue-full.txt"},
	"connect-refused":  {labbed + "connect_refused.pcap", posted + "045-port-blocked-icmp-then-wrong-protocol-rst.txt", labbed + "abort_on_overflow.pcap"},
	"connect-slow":     {labbed + "connect_syn_lost_once.pcap", labbed + "queue_full_for_a_while.pcap"},
	"connect-odd":      {posted + "001-synack-from-other-address.txt", posted + "016-tfo-server-data-before-ack.txt", labbed + "simultaneous_open.pcap"},
	"reset":            {real6 + "data_after_close_rst.pcap", labbed + "keepalive.pcap", posted + "013-synproxy-rst-wrong-seq-ignored.txt"},
	"close-unfinished": {labbed + "fin_lost.pcap", labbed + "close_wait_leak.pcap", waited + "orphan_timed_out.pcap"},
	"close-odd":        {labbed + "simultaneous_close.pcap", labbed + "half_close.pcap"},
	"stalled":          {posted + "019-nfs-jumbo-frame-mtu-mismatch.txt", labbed + "zero_window_peer.pcap", labbed + "rto.pcap", waited + "small_writes.pcap", waited + "slow_answer.pcap"},
	"connection":       {real6 + "accept_queue_full_abort_on_overflow.pcap"},
}

// questionPages are the newcomers' pages, by path.
func questionPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	var index strings.Builder
	index.WriteString(`# What happened to my connection?

A page for each question that tcpwhy asks of a capture: what it looks like, what it can be, and what tells the causes apart.
Each ends with cases: captures of real kernels, or public posts. Find the line that looks like yours, or let ` + code("tcpwhy FILE") + ` find it.

Written by ` + "`go test . -run TestGeneratedDocs -update`" + ` from the program's own tables, and from what it says about captures in testdata.

| what you see | question |
|---|---|
`)
	for _, q := range diagnose.Vocabulary() {
		tableRow(&index, fmt.Sprintf("[%s](%s.md)", diagnose.GuideTo(q.Slug).Title, q.Slug), code(q.Slug))
		pages["docs/questions/"+q.Slug+".md"] = questionPage(t, &q)
	}
	index.WriteString(`
## Words on these pages

- **client, server**: the client sent the SYN, the server answers.
- **seq, ack, win**: sequence number, acknowledged number, window. Ladders print absolute numbers, as the kernel has them:
  ` + code("S 100:100(0) win 64240") + ` is a SYN with sequence number 100 and no data; ` + code("S.") + ` SYN-ACK, ` + code(".") + ` ACK, ` + code("F") + ` FIN, ` + code("R") + ` RST, ` + code("P") + ` push.
- **rcv_nxt, snd_nxt**: the number that an end waits for next, and the one that it will send next.
- **ISN**: the initial sequence number, which a SYN carries. **TSval, TSecr**: the timestamp option, and its echo.
- **four-tuple**: the two addresses and the two ports of a connection.
- **TIME_WAIT**: for 60 s the end that closed first keeps the four-tuple, so that late segments do no harm.
- **RTO**: the timer after which a segment is repeated; it doubles with each repeat.
- **certain, likely, open**: forced by the frames; stands apart, but a rival is not ruled out; not decided by what was captured.
- **harmless, notice, problem**: how much it matters; a notice is worth knowing.
- **the end that acted, the other end**: where a question is about what one end did (sent a RST, a FIN, data that stood still).
- In the commands CLIENT, SERVER and PORT stand for the client's address, the server's, and the server's port; PEER for the other end's address.
`)
	pages["docs/questions/README.md"] = index.String()
	return pages
}

func questionPage(t *testing.T, q *diagnose.Question) string {
	t.Helper()
	g := diagnose.GuideTo(q.Slug)
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n*%s* In reports this question is called %s. [All questions, and the words used here](README.md)\n\n", g.Title, q.Asks, code(q.Slug))
	fmt.Fprintf(&b, "## What it looks like\n\n%s\n\n**What Wireshark writes:** %s\n\n", g.Looks, g.Labels)
	b.WriteString("## What it can be, and what tells it apart\n\n| cause | what it means | what tells it apart | whose fault | how much it matters |\n|---|---|---|---|---|\n")
	for _, c := range q.Causes {
		tableRow(&b, code(c.Slug), c.Means, g.Tells[c.Slug], faultWords(c.Fault), string(c.Severity))
	}
	if commands := commandList(q); commands != "" {
		b.WriteString("\n## What settles it on a host\n\n" + commands)
	}
	if advice := adviceList(q); advice != "" {
		b.WriteString("\n## What to do\n\n" + advice)
	}
	b.WriteString("\n## Real cases\n")
	for i, path := range cases[q.Slug] {
		fmt.Fprintf(&b, "\n%s (%s):\n\n```text\n%s```\n", origin(path), code("tcpwhy "+path), toldOf(t, path, q.Slug, i == 0))
	}
	return b.String()
}

// origin says where a case comes from.
func origin(path string) string {
	if strings.HasPrefix(path, posted) {
		return "From a public post"
	}
	kernel := strings.Replace(filepath.Base(filepath.Dir(path)), "linux-", "Linux ", 1)
	if strings.HasPrefix(path, labbed) {
		kernel, _, _ = strings.Cut(kernel, "-fc")
		return "From the laboratory, where a real kernel (" + kernel + ") met a peer that was played"
	}
	return "From a capture of a real kernel, " + kernel
}

// toldOf returns what the program says to a question about a capture: the verdict, its
// reasons and, if wanted, the ladder and the rivals.
func toldOf(t *testing.T, path, question string, whole bool) string {
	t.Helper()
	r, err := tcpwhy.Explain(t.Context(), []string{path}, tcpwhy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.Findings, func(f report.Finding) bool { return f.Question == question })
	if i < 0 {
		t.Errorf("%s does not raise the question %s: choose another case for its page", path, question)
		return ""
	}
	f := r.Findings[i]
	f.ID = "f1"                                    // here it is alone
	f.Settle, f.Advice, f.Warnings = nil, nil, nil // the page has them for all causes
	if !whole {
		f.Ladder = nil
		f.Causes = slices.DeleteFunc(slices.Clone(f.Causes), func(c report.Cause) bool {
			return c.Cause != f.Verdict.Cause && (f.Verdict.Cause != "" || c.Stands == report.RuledOut)
		})
	}
	var b strings.Builder
	if err := text.Write(&b, &report.Report{Findings: []report.Finding{f}}, text.Options{}); err != nil {
		t.Fatal(err)
	}
	_, says, found := strings.Cut(b.String(), "[1/1] ")
	if !found {
		t.Errorf("%s: the text has no finding:\n%s", path, b.String())
	}
	if end := strings.LastIndex(says, "\n1 finding:"); end >= 0 {
		says = says[:end]
	}
	return strings.TrimRight(says, "\n") + "\n"
}

// commandList is every command that settles a cause of the question, once, with its outcomes.
func commandList(q *diagnose.Question) string {
	var keys []string
	outcomes := map[string][]string{}  // of a command, in order
	causes := map[[2]string][]string{} // of an outcome of a command
	for _, c := range q.Causes {
		for _, s := range c.Settle {
			key := fmt.Sprintf("on %s: %s", hostWords(s.On), code(s.Command))
			says := conditionOf(s.If, "../")
			if outcomes[key] == nil {
				keys = append(keys, key)
			}
			if !slices.Contains(outcomes[key], says) {
				outcomes[key] = append(outcomes[key], says)
			}
			if then := [2]string{key, says}; !slices.Contains(causes[then], code(s.Then)) {
				causes[then] = append(causes[then], code(s.Then))
			}
		}
	}
	var b strings.Builder
	for _, key := range keys {
		b.WriteString("- " + key + "\n")
		for _, says := range outcomes[key] {
			fmt.Fprintf(&b, "  - %s → %s\n", says, strings.Join(causes[[2]string{key, says}], " or "))
		}
	}
	return b.String()
}

func adviceList(q *diagnose.Question) string {
	var order []string
	causes := map[string][]string{}
	for _, c := range q.Causes {
		for _, a := range c.Advice {
			if causes[a] == nil {
				order = append(order, a)
			}
			causes[a] = append(causes[a], code(c.Slug))
		}
	}
	var b strings.Builder
	for _, a := range order {
		fmt.Fprintf(&b, "- %s: %s\n", strings.Join(causes[a], ", "), a)
	}
	return b.String()
}

// conditionOf words the outcome of a command; a bare number is a value. A report lists the
// kernels that lose the ISN, here they have a page, in the directory docs.
func conditionOf(s, docs string) string {
	if strings.Trim(s, "0123456789") == "" {
		return "= " + s
	}
	return strings.ReplaceAll(s, ": LOSING", " ([which]("+docs+"kernels.md))")
}

// hostWords names the host that a command is for.
func hostWords(on string) string {
	switch on {
	case "actor":
		return "the host that acted"
	case "other":
		return "the other host"
	}
	return "the " + on
}

// faultWords says whose doing a cause is, where the question does not know yet which end is
// the client.
func faultWords(f report.Fault) string {
	side, part, ok := strings.Cut(string(f), "-")
	switch {
	case f == report.FaultUnknown:
		return "the capture cannot tell"
	case f == report.Path:
		return "the path between them"
	case !ok:
		return string(f)
	case side == "actor":
		return "the " + part + " of the end that acted"
	case side == "other":
		return "the " + part + " of the other end"
	}
	return "the " + side + "'s " + part
}

// TestGuides: every question and every cause is told to newcomers, and nothing else is; a
// page has its cases.
func TestGuides(t *testing.T) {
	var questions []string
	for _, q := range diagnose.Vocabulary() {
		questions = append(questions, q.Slug)
		g := diagnose.GuideTo(q.Slug)
		if g.Title == "" || g.Looks == "" || g.Labels == "" {
			t.Errorf("%s: the guide (internal/diagnose/guide.go) lacks its title, looks or labels", q.Slug)
		}
		if len(cases[q.Slug]) == 0 {
			t.Errorf("%s has no real case", q.Slug)
		}
		for _, c := range q.Causes {
			if g.Tells[c.Slug] == "" {
				t.Errorf("%s/%s: the guide does not say what tells it apart", q.Slug, c.Slug)
			}
		}
		for slug := range g.Tells {
			if !slices.ContainsFunc(q.Causes, func(c diagnose.Cause) bool { return c.Slug == slug }) {
				t.Errorf("%s/%s: the guide tells of a cause that the question does not have", q.Slug, slug)
			}
		}
	}
	pages, err := os.ReadDir("docs/questions")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if slug := strings.TrimSuffix(p.Name(), ".md"); slug != "README" && !slices.Contains(questions, slug) {
			t.Errorf("docs/questions/%s belongs to no question", p.Name())
		}
	}
	for slug := range cases {
		if !slices.Contains(questions, slug) {
			t.Errorf("the cases of %s belong to no question", slug)
		}
	}
}

// TestPlainWords: the words of the tables become those of a page.
func TestPlainWords(t *testing.T) {
	for f, want := range map[report.Fault]string{
		report.ServerHost: "the server's host", report.ClientApplication: "the client's application",
		report.Path: "the path between them", report.Nobody: "nobody", report.FaultUnknown: "the capture cannot tell",
		"actor-application": "the application of the end that acted", "other-host": "the host of the other end",
	} {
		if got := faultWords(f); got != want {
			t.Errorf("fault %q: got %q, want %q", f, got, want)
		}
	}
	got := commandList(&diagnose.Question{Causes: []diagnose.Cause{
		{Slug: "a", Settle: []report.Settle{{On: "actor", Command: "uname -r", If: "a kernel: LOSING", Then: "a"}}},
		{Slug: "b", Settle: []report.Settle{{On: "server", Command: "sysctl x", If: "1", Then: "b"}}},
		{Slug: "c", Settle: []report.Settle{{On: "server", Command: "sysctl x", If: "0", Then: "a"}, {On: "server", Command: "sysctl x", If: "1", Then: "c"}}},
	}})
	const want = "- on the host that acted: `uname -r`\n  - a kernel ([which](../kernels.md)) → `a`\n" +
		"- on the server: `sysctl x`\n  - = 1 → `b` or `c`\n  - = 0 → `a`\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
