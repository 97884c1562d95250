package whatif

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// versionsDir holds one question a file, and pairs of kernels that answer it
// otherwise; beside them differences.txt, the list of what is known to differ.
const versionsDir = "testdata/versions"

// differences is everything known to differ between kernels in what they answer
// about a closed or half-open connection: first the changes in the order in which
// they were found in the sources, then what only running the kernels showed. Each
// has a line in differences.txt with the files that show it, or with the reason
// why a capture cannot.
var differences = []string{
	"zero-ts-recent", "syn-fin", "challenge-ack", "ack-limit", "exact-timer", "coarse-timer", "accept-queue", "timestamp-offset",
	"recycle-gone", "timestamp-clock", "rst-rearm", "reuse-default", "resend-at-once", "fin-wait2-spared", "paws-idle", "reuse-delay",
	"paws-counter", "psp", "isn-lost", "isn-left-behind",

	"measured: syn accepted", "measured: syncookies=2", "measured: syn into a live connection", "measured: three syns",
	"measured: full queue, fresh syn", "measured: full queue, time-wait", "measured: syn-fin, then another syn",
	"measured: recycled", "measured: gate, older timestamp", "measured: gate, no timestamp", "measured: gate, 65 s later",
	"measured: opener's repeat", "measured: bound socket", "measured: time-wait length", "measured: fin-timeout",
	"measured: first window", "measured: timestamp steps", "measured: repeats of the syn", "measured: isn clock outrun", "measured: challenge limit",
	"measured: rst into a request", "measured: timestamp of a request", "measured: segment beyond the window",
	"measured: rst behind a sack", "measured: old ack, older timestamp", "measured: ack of what was never sent", "measured: old ack while closing", "measured: timestamp of a bad ack",
}

// unpaired are changes of a behaviour that no question can show, with the reason.
// The key is the behaviour, or "behaviour newer-version" for one of its changes.
var unpaired = map[string]string{}

// versionPair is two kernels that answer otherwise, and one between them.
type versionPair struct{ older, inside, newer string }

// versionFile is one file of versionsDir.
type versionFile struct {
	name, says string
	ask        func(t *testing.T, p kernel.Profile) prediction
	shows      []string
	pairs      []versionPair
	also       []string
	head, want string // above and below the line of dashes
}

// prediction is what one kernel does.
type prediction struct {
	says  []string // what is possible, in words
	rules []string // the rules that it comes from
	open  bool     // it is not known which, for want of the kernel
}

// TestVersions asks the model each question for the last kernel that was seen
// without a change, the first one seen with it, and one between them, where the
// answer has to stay open.
func TestVersions(t *testing.T) {
	files := readVersions(t)
	covered := map[string]bool{}
	for _, f := range files {
		t.Run(f.name, func(t *testing.T) {
			got := f.told(t)
			for _, p := range f.pairs {
				f.checkPair(t, p, covered)
			}
			if got == f.want {
				return
			}
			if !*update {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s\n(go test ./internal/whatif -run TestVersions -update rewrites it)", f.says, got, f.want)
				return
			}
			if err := os.WriteFile(filepath.Join(versionsDir, f.name+".txt"), []byte(f.head+"----\n"+got), 0o644); err != nil {
				t.Error(err)
			}
		})
	}
	everyChangeIsPaired(t, covered)
	differencesAreTold(t, files)
}

func readVersions(t *testing.T) []*versionFile {
	t.Helper()
	paths, err := filepath.Glob(versionsDir + "/*.txt")
	if err != nil || len(paths) < 20 {
		t.Fatalf("only %d files in %s: %v", len(paths), versionsDir, err)
	}
	var out []*versionFile
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		if name == "differences" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parseVersions(name, string(text))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, f)
	}
	return out
}

// parseVersions reads a file: a sentence; the question, which is "$" and a command
// as it is typed; and lines "shows BEHAVIOUR…", "pair OLDER INSIDE NEWER" (- where
// nothing lies between) and "also KERNEL…".
func parseVersions(name, text string) (*versionFile, error) {
	head, want, ok := strings.Cut(text, "----\n")
	if !ok {
		head, want = strings.TrimRight(text, "\n")+"\n", ""
	}
	f := &versionFile{name: name, head: head, want: want}
	for line := range strings.Lines(head) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "":
		case "#":
			f.says = strings.TrimSpace(f.says + " " + rest)
		case "$":
			if f.ask != nil {
				return nil, fmt.Errorf("line %q: a file holds one question", line)
			}
			in, err := typed(rest)
			if err != nil {
				return nil, err
			}
			f.ask = func(t *testing.T, p kernel.Profile) prediction { return answered(t, in, p) }
		case "shows":
			f.shows = append(f.shows, strings.Fields(rest)...)
		case "also":
			f.also = append(f.also, strings.Fields(rest)...)
		case "pair":
			w := strings.Fields(rest)
			if len(w) != 3 {
				return nil, fmt.Errorf("%q is not: pair OLDER INSIDE NEWER", line)
			}
			f.pairs = append(f.pairs, versionPair{w[0], w[1], w[2]})
		default:
			return nil, fmt.Errorf("line %q: expected #, $, shows, pair or also", line)
		}
	}
	if f.says == "" || f.ask == nil || len(f.pairs) == 0 {
		return nil, errors.New("it has no sentence, no question, or no pair")
	}
	return f, nil
}

// typed reads a command as a shell would, and returns what tcpwhy whatif is asked.
func typed(command string) (in Input, err error) {
	var args []string
	for i, part := range strings.Split(command, "'") {
		if i%2 == 1 {
			args = append(args, part)
			continue
		}
		args = append(args, strings.Fields(part)...)
	}
	if len(args) < 3 || args[0] != "tcpwhy" || args[1] != "whatif" {
		return in, fmt.Errorf("%q is no command of tcpwhy whatif", command)
	}
	fs := flag.NewFlagSet("whatif", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Func("set", "", func(s string) error { in.Set = append(in.Set, s); return nil })
	fs.StringVar(&in.Listener, "listener", "", "")
	fs.StringVar(&in.QueueFull, "queue-full", "", "")
	fs.BoolVar(&in.IPv6, "ipv6", false, "")
	fs.BoolVar(&in.Announces, "announces", false, "")
	fs.Float64Var(&in.At, "at", 1, "")
	err = fs.Parse(args[2:])
	in.Args = fs.Args()
	return in, err
}

// told is what every kernel of the file answers, each once.
func (f *versionFile) told(t *testing.T) string {
	t.Helper()
	var kernels []string
	for _, p := range f.pairs {
		kernels = append(kernels, p.older, p.inside, p.newer)
	}
	kernels = append(kernels, f.also...)
	var b bytes.Buffer
	for i, k := range kernels {
		if k == "-" || slices.Contains(kernels[:i], k) {
			continue
		}
		fmt.Fprintf(&b, "%s\n", k)
		for _, says := range f.ask(t, profile(t, k)).says {
			fmt.Fprintf(&b, "  %s\n", says)
		}
	}
	return b.String()
}

// answered puts the question of a command to one kernel.
func answered(t *testing.T, in Input, p kernel.Profile) (x prediction) {
	t.Helper()
	in.Kernel = p.Label
	q, err := Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	a := q.Ask()
	for _, s := range a.Stages {
		if len(s.Outcomes) == 0 {
			x.says = append(x.says, s.When)
		}
		for _, o := range s.Outcomes {
			line := fmt.Sprintf("%s [%s]", o.Says, o.Rule)
			if s.When != "" {
				line = s.When + ": " + line
			}
			x.says, x.rules = append(x.says, line), append(x.rules, o.Rule)
			x.open = x.open || strings.Contains(o.Says, "perhaps")
		}
	}
	for _, w := range a.Waits {
		x.says = append(x.says, w.words())
	}
	for _, m := range a.Missing {
		x.open = x.open || m.Fact == string(kernel.FactKernel)
	}
	return x
}

// checkPair: the two kernels answer otherwise, the pair stands at the edges of a
// change, and between them it is not known which of the two answers is right.
func (f *versionFile) checkPair(t *testing.T, p versionPair, covered map[string]bool) {
	t.Helper()
	older, newer := f.ask(t, profile(t, p.older)), f.ask(t, profile(t, p.newer))
	if slices.Equal(older.says, newer.says) {
		t.Errorf("%s and %s answer alike: %q", p.older, p.newer, older.says)
	}
	at := false
	var between bool
	for _, id := range f.shows {
		c := changeAt(t, id, p)
		if c == nil {
			continue
		}
		at = true
		covered[id+" "+p.newer] = true
		between = gap(*c)
	}
	if !at {
		t.Errorf("none of %q changes between %s and %s: the pair is not at the edge of a change", f.shows, p.older, p.newer)
	}
	if p.inside == "-" {
		if between {
			t.Errorf("versions between %s and %s were not read: name one of them", p.older, p.newer)
		}
		return
	}
	lo, in, hi := profile(t, p.older), profile(t, p.inside), profile(t, p.newer)
	if in.Version.Compare(lo.Version) <= 0 || in.Version.Compare(hi.Version) >= 0 {
		t.Errorf("%s does not lie between %s and %s", p.inside, p.older, p.newer)
	}
	x := f.ask(t, in)
	if !x.open {
		t.Errorf("%s: it is not said that the kernel is what is missing: %q", p.inside, x.says)
	}
	for _, r := range slices.Concat(older.rules, newer.rules) {
		if !slices.Contains(x.rules, r) {
			t.Errorf("%s: %s is not among what is possible: %q", p.inside, r, x.says)
		}
	}
}

func profile(t *testing.T, release string) kernel.Profile {
	t.Helper()
	p, err := kernel.ParseRelease(release)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// changeAt returns the change of the behaviour whose edges the pair are.
func changeAt(t *testing.T, id string, p versionPair) *kernel.Change {
	t.Helper()
	i := slices.IndexFunc(kernel.Behaviours(), func(b *kernel.Behaviour) bool { return b.ID == id })
	if i < 0 {
		t.Fatalf("there is no behaviour %s", id)
	}
	for _, c := range kernel.Behaviours()[i].Changes {
		last := strings.Count(c.Before.String(), ".") == 1 && strings.HasPrefix(p.older, c.Before.String()+".") // of a whole series
		if (c.Before.String() == p.older || last) && c.After.String() == p.newer {
			return &c
		}
	}
	return nil
}

// gap tells whether a version lies between the two of a change: within one series,
// or across series that are not next to each other or not whole.
func gap(c kernel.Change) bool {
	b, a := c.Before, c.After
	whole := strings.Count(b.String(), ".") == 1 // the whole series is meant
	switch {
	case b.Major == a.Major && b.Minor == a.Minor:
		return a.Patch-b.Patch > 1
	case !whole || a.Patch > 0:
		return true
	}
	last := map[int]int{3: 19, 4: 20, 5: 19, 6: 19}
	return !(b.Major == a.Major && a.Minor == b.Minor+1 || a.Major == b.Major+1 && a.Minor == 0 && last[b.Major] == b.Minor)
}

// everyChangeIsPaired: what differs by version is shown by a pair, or it is said
// why it is not.
func everyChangeIsPaired(t *testing.T, covered map[string]bool) {
	used := map[string]bool{}
	for _, b := range kernel.Behaviours() {
		was := b.First
		for _, c := range b.Changes {
			alike := c.To == was || was == kernel.Unknown // only what lies between, or before, was not read
			was = c.To
			if alike {
				continue
			}
			key := b.ID + " " + c.After.String()
			_, whole := unpaired[b.ID]
			_, one := unpaired[key]
			switch {
			case covered[key] && (whole || one):
				t.Errorf("%s has a pair, and yet a reason why it has none", key)
			case !covered[key] && !whole && !one:
				t.Errorf("%s: %s: no pair %s … %s in %s, and no reason why", b.ID, b.Says, c.Before, c.After, versionsDir)
			}
			used[key], used[b.ID] = true, true
		}
	}
	for key := range unpaired {
		if !used[key] {
			t.Errorf("unpaired: there is no change %q", key)
		}
	}
}

// differencesAreTold: each difference has a line "NAME: files FILE…" or "NAME:
// reason WORDS", in order, and each file is named by one.
func differencesAreTold(t *testing.T, files []*versionFile) {
	text, err := os.ReadFile(filepath.Join(versionsDir, "differences.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	named := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		name, rest, ok := strings.Cut(line, " = ")
		names = append(names, name)
		kind, rest, _ := strings.Cut(rest, " ")
		switch {
		case !ok || rest == "" || kind != "files" && kind != "reason":
			t.Errorf("%q: expected NAME = files FILE… or NAME = reason WORDS", line)
		case kind == "files":
			for _, f := range strings.Fields(rest) {
				if !slices.ContainsFunc(files, func(v *versionFile) bool { return v.name == f }) {
					t.Errorf("%s: there is no file %s", name, f)
				}
				named[f] = true
			}
		}
	}
	if !slices.Equal(names, differences) {
		t.Errorf("differences.txt has %q,\nwant %q", names, differences)
	}
	for _, f := range files {
		if !named[f.name] {
			t.Errorf("%s: no difference names this file", f.name)
		}
	}
}
