package lab

import (
	"fmt"
	"io"
	"maps"
	"slices"
)

// WriteText writes the result for people: the differences first, each with its
// scenario, then the figures. Everything else than the scenarios is a comment, so that
// the whole is a file of scenarios.
func (r *Result) WriteText(w io.Writer) error {
	p := printer{w: w}
	for _, k := range r.Kinds {
		p.f("# %s: %d\n", k.Key, k.Count)
		if k.Known != "" {
			p.f("# known: %s\n", k.Known)
		}
		p.f("%s\n", k.Scenario)
	}
	p.f("# kernel %s, %s, seed %d\n", r.Kernel, r.Mode, r.Seed)
	p.f("# %d connections, %d probes, %d looks at the state after\n", r.Stories, r.Probes, r.FollowUps)
	for _, why := range slices.Sorted(maps.Keys(r.Open)) {
		p.f("# %d not predicted: %s\n", r.Open[why], why)
	}
	for _, why := range slices.Sorted(maps.Keys(r.SkippedFor)) {
		p.f("# %d skipped: %s\n", r.SkippedFor[why], why)
	}
	for _, c := range r.ISNs {
		p.f("# %s, %s, tcp_syncookies=%d:", c.What, c.Family, c.SynCookies)
		for _, o := range slices.Sorted(maps.Keys(c.Seen)) {
			p.f(" %d %s", c.Seen[o], o)
		}
		if c.Predicted == "" {
			p.f(" (the model leaves it open)")
		} else {
			p.f(" (predicted: %s)", c.Predicted)
		}
		p.f("\n")
	}
	p.f("# %d rules tried, %d mismatches", len(r.Rules), r.Mismatches)
	if r.Ledgered > 0 {
		p.f(", %d more that the ledger lists", r.Ledgered)
	}
	p.f("\n")
	return p.err
}

// printer remembers the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
