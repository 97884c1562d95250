package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// recipe is how a case is made.
type recipe struct {
	Case
	TS bool // the first connection has timestamps
	// Both makes the case once more over IPv6, with _v6 behind its name.
	Both bool
	Play func(*stage)
}

// recordsAtOnce is how many cases are recorded side by side: they mostly wait.
const recordsAtOnce = 8

// variant is a recipe in one family.
type variant struct {
	recipe
	ipv6 bool
}

func variants() []variant {
	var out []variant
	for _, r := range recipes() {
		out = append(out, variant{r, false})
		if r.Both {
			r.Name, r.Says = r.Name+"_v6", r.Says+" (IPv6)"
			out = append(out, variant{r, true})
		}
	}
	return out
}

// Cases returns the cases that can be recorded, in the order in which they are.
func Cases() []Case {
	var out []Case
	for _, v := range variants() {
		out = append(out, v.Case)
	}
	return out
}

// Record plays the cases named (all where none is, but the slow ones only with slow)
// against the kernel that runs here, and writes for each DIR/KERNEL/CASE.pcap and
// CASE.json. An error names the case.
func Record(ctx context.Context, dir string, names []string, slow bool) ([]Recorded, error) {
	cases, err := choose(Cases(), names, slow)
	if err != nil {
		return nil, err
	}
	p, err := Kernel()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "linux-"+strings.ReplaceAll(p.Label, "/", "_"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	wanted := map[string]int{}
	for i, c := range cases {
		wanted[c.Name] = i
	}
	out, errs := make([]Recorded, len(cases)), make([]error, len(cases))
	free := make(chan struct{}, recordsAtOnce)
	var done sync.WaitGroup
	for _, v := range variants() {
		i, ok := wanted[v.Name]
		if !ok {
			continue
		}
		free <- struct{}{}
		done.Go(func() {
			out[i], errs[i] = v.record(ctx, dir, p)
			<-free
		})
	}
	done.Wait()
	for _, err := range errs {
		if errors.Is(err, ErrPrivilege) {
			return nil, ErrPrivilege // for all of them
		}
	}
	return out, errors.Join(errs...)
}

// record plays one case in a namespace of its own, and writes its files.
func (v *variant) record(ctx context.Context, dir string, p kernel.Profile) (out Recorded, err error) {
	l := &Label{
		Scenario: v.Name, Cause: v.Cause, Description: v.Says, Kernel: p.Label, Environment: "network namespace, TUN device",
		KernelRole: "server", ClientKind: "scripted packets", Timestamps: v.TS, Steps: []LabelStep{}, Changed: map[string]string{},
	}
	out = Recorded{Case: v.Case, File: filepath.Join(dir, v.Name+".pcap")}
	var pcap []byte
	err = inNamespace(func(b *bench) error {
		w, err := newWire(b.tun)
		if err != nil {
			return err
		}
		pcap, err = v.play(ctx, b, w, p, l)
		return err
	})
	if err != nil {
		return out, fmt.Errorf("case %s: %w", v.Name, err)
	}
	out.Frames, out.Outcome = l.Capture.Frames, l.Outcome
	b, err := l.marshal()
	if err == nil {
		err = os.WriteFile(out.File, pcap, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, v.Name+".json"), b, 0o644)
	}
	return out, err
}

// play makes the capture, and fills in the label.
func (v *variant) play(ctx context.Context, b *bench, w *wire, p kernel.Profile, l *Label) ([]byte, error) {
	if v.ipv6 && !b.ipv6 {
		return nil, errors.New("the kernel has no IPv6")
	}
	// The peer's own numbers are the same every time.
	story := Story{IPv6: v.ipv6, TS: v.TS, ISS: seqOf(1_000_000_000), TSVal: seqOf(700_000_000)}
	x, err := newStage(ctx, b, w, story, p, l)
	if err != nil {
		return nil, err
	}
	defer x.r.shut()
	defer x.c.abort()
	before, err := readCounters()
	if err != nil {
		return nil, err
	}
	v.Play(x)
	if x.err != nil {
		return nil, x.err
	}
	after, err := readCounters()
	if err != nil {
		return nil, err
	}
	l.Counters, l.Sysctls = moved(before, after), readSysctls()
	x.finish(v.Name)
	return x.rec.file, nil
}

// finish fills in what the whole capture says.
func (x *stage) finish(name string) {
	l := x.label
	l.Server, l.Client = x.c.host.String(), x.c.peer.String()
	if x.client {
		l.KernelRole = "client"
		l.Server, l.Client = l.Client, l.Server
	}
	if n := x.old; n != nil {
		l.OldRcvNxt, l.OldSndNxt = ptr(n.RcvNxt.Uint32()), ptr(n.SndNxt.Uint32())
		if x.c.story.TS {
			l.OldTSRecent = ptr(n.TSRecent.Uint32())
		}
	}
	if x.rec.firstClose != 0 {
		l.KeyFrames.FirstClose = x.rec.firstClose
		if l.KeyFrames.Trigger == 0 {
			l.KeyFrames.Trigger = x.rec.firstClose // the close itself is what is to be explained
		}
		l.ClosedFirst = "client"
		if x.rec.byHost != x.client {
			l.ClosedFirst = "server"
		}
	}
	l.Capture.File, l.Capture.Frames, l.Capture.SnapLen = name+".pcap", x.rec.frames, recordSnapLen
	l.Capture.Link, l.Capture.Point, l.Capture.Tool = "tun", l.KernelRole+"'s interface", "tcpwhy lab record"
	l.conclude()
}
