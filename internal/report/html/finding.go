package html

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/text"
)

// finding is one finding as the template shows it.
type finding struct {
	ID, Anchor, Asks, Client, Server, Question string
	Says, Cause, Fault, Means, Refs            string
	Severity, Certainty                        badge
	Asked                                      []frame
	Pictures                                   []picture
	Ladder                                     []rung
	Why                                        *cause
	MayBe, CameOfIt                            []cause
	Standing                                   []standing
	Out                                        []ruledOut
	Commands                                   []text.Command
	Advice                                     []string
	Warnings                                   []warning
}

// frame is a number that leads to its rung, where the ladder has one.
type frame struct {
	Number uint64
	Anchor string
}

type rung struct {
	Frame                                uint64
	Anchor, At, From, Segment, Note, Ref string
	Asked, Gap                           bool
}

type cause struct {
	Cause, Says string
	Assumes     []string
	Evidence    []evidence
}

type evidence struct {
	Class, Answer, Says, Source, Data string
	Frames                            []frame
}

type standing struct{ Cause, Says string }

type ruledOut struct {
	Causes, Says, Data string
	Frames             []frame
}

type warning struct {
	report.Warning
	Data   string
	Frames []frame
}

// finder leads from a frame's number to its rung.
type finder map[uint64]string

// finding arranges one; in full with pictures, the reasons against each rival and the
// places in sources.
func (p *page) finding(r *report.Report, f *report.Finding, anchor string, full bool) *finding {
	o := text.NewOutline(f)
	v := &f.Verdict
	out := &finding{
		ID: f.ID, Anchor: anchor, Asks: f.Asks, Client: f.Flow.Client, Server: f.Flow.Server, Question: f.Question,
		Says: v.Says, Cause: v.Cause, Fault: text.FaultWords(v.Fault), Means: sentence(text.CertaintyMeans(v.Certainty)),
		Severity: severityBadge(v.Severity), Certainty: certaintyBadge(v.Certainty),
		Commands: o.Commands, Advice: f.Advice, Refs: refs(r, f.Refs),
	}
	at := finder{}
	out.Ladder = at.ladder(r, f, anchor)
	out.Asked = at.frames(f.Frames)
	if full {
		out.Pictures = picturesOf(f, anchor, len(p.Findings) < maxSmall)
	}
	if o.Why != nil && len(o.Why.Evidence)+len(o.Why.Assumes) > 0 {
		c := at.cause(o.Why)
		out.Why = &c
	}
	for _, c := range o.MayBe {
		out.MayBe = append(out.MayBe, at.cause(c))
	}
	for _, c := range o.CameOfIt {
		out.CameOfIt = append(out.CameOfIt, at.cause(c))
	}
	for _, c := range o.Standing {
		says := c.Says
		if len(c.Assumes) > 0 {
			says = "assumes " + strings.Join(c.Assumes, "; assumes ")
		}
		out.Standing = append(out.Standing, standing{c.Cause, says})
	}
	for _, x := range o.Out {
		out.Out = append(out.Out, ruledOut{strings.Join(x.Causes, ", "), x.Says, numbers(x.Frames), at.frames(x.Frames)})
	}
	if !full {
		out.shorten(o)
	}
	for _, w := range f.Warnings {
		var frames []uint64
		if w.Frame != 0 {
			frames = []uint64{w.Frame}
		}
		out.Warnings = append(out.Warnings, warning{w, numbers(frames), at.frames(frames)})
	}
	return out
}

// shorten leaves out why rivals are out, and where sources say so.
func (f *finding) shorten(o *text.Outline) {
	var names []string
	for _, x := range o.Out {
		names = append(names, x.Causes...)
	}
	f.Out = nil
	if len(names) > 0 {
		f.Out = []ruledOut{{Causes: strings.Join(names, ", ")}}
	}
	for _, cs := range [][]cause{f.MayBe, f.CameOfIt} {
		for i := range cs {
			cs[i].shorten()
		}
	}
	if f.Why != nil {
		f.Why.shorten()
	}
}

func (c *cause) shorten() {
	for i := range c.Evidence {
		c.Evidence[i].Source = ""
	}
}

// sentence makes a remark one.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// refs names the frames asked about in their own files.
func refs(r *report.Report, rs []report.Ref) string {
	var b strings.Builder
	for i, x := range rs {
		if i == 0 {
			b.WriteString("In ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(own(r, x))
	}
	return b.String()
}

// own names a frame in its own file, without folders where the file is known without them.
func own(r *report.Report, x report.Ref) string {
	base := filepath.Base(x.Source)
	if slices.ContainsFunc(r.Capture.Sources, func(s string) bool { return s != x.Source && filepath.Base(s) == base }) {
		base = x.Source
	}
	return base + " frame " + strconv.FormatUint(x.Frame, 10)
}

func (at finder) frames(fs []uint64) []frame {
	var out []frame
	for _, n := range fs {
		out = append(out, frame{n, at[n]})
	}
	return out
}

// numbers lists frames as an attribute does.
func numbers(fs []uint64) string {
	var s []string
	for _, n := range fs {
		s = append(s, strconv.FormatUint(n, 10))
	}
	return strings.Join(s, " ")
}

func (at finder) cause(c *report.Cause) cause {
	out := cause{Cause: c.Cause, Says: c.Says, Assumes: c.Assumes}
	for i := range c.Evidence {
		e := &c.Evidence[i]
		class := "unknown"
		if e.Answer == "yes" || e.Answer == "no" {
			class = e.Answer
		}
		out.Evidence = append(out.Evidence, evidence{class, e.Answer, e.Says, e.Source, numbers(e.Frames), at.frames(e.Frames)})
	}
	return out
}

// maxRungs is how many steps of a ladder are listed: a report has fewer, one that a
// stranger made may have any number.
const maxRungs = 2000

// ladder lists the steps, and remembers where each frame stands.
func (at finder) ladder(r *report.Report, f *report.Finding, anchor string) []rung {
	var out []rung
	own := ownFrames(r, f)
	incarnation := 0
	for i := range f.Ladder[:min(len(f.Ladder), maxRungs)] {
		s := &f.Ladder[i]
		if s.Incarnation != 0 && s.Incarnation != incarnation {
			incarnation = s.Incarnation
			out = append(out, rung{Gap: true, Note: "connection " + strconv.Itoa(incarnation) + " on these ports"})
		}
		x := rung{Frame: s.Frame, From: s.From, Segment: withoutPadding(s.Segment), Note: s.Note, Asked: s.Asked, Gap: s.Frame == 0, Ref: own[s.Frame]}
		if s.Frame != 0 || s.Time != "" {
			x.At = strings.TrimSuffix(text.At(s.AtS), " s")
		}
		if _, ok := at[s.Frame]; s.Frame != 0 && !ok {
			x.Anchor = anchor + "-" + strconv.FormatUint(s.Frame, 10)
			at[s.Frame] = x.Anchor
		}
		out = append(out, x)
	}
	return out
}

// withoutPadding takes the padding out of a list of options: it tells nothing here.
func withoutPadding(s string) string {
	fixed, options, ok := strings.Cut(s, "<")
	if !ok {
		return s
	}
	list, rest, ok := strings.Cut(options, ">")
	if !ok {
		return s
	}
	all := slices.DeleteFunc(strings.Split(list, ","), func(o string) bool { return o == "nop" || o == "eol" })
	return fixed + "<" + strings.Join(all, ", ") + ">" + rest
}

// ownFrames collects what is told about frames in their own files.
func ownFrames(r *report.Report, f *report.Finding) map[uint64]string {
	out := map[uint64]string{}
	add := func(frames []uint64, refs []report.Ref) {
		for i := range refs {
			if len(refs) == len(frames) {
				out[frames[i]] = own(r, refs[i])
			}
		}
	}
	add(f.Frames, f.Refs)
	for i := range f.Causes {
		for _, e := range f.Causes[i].Evidence {
			add(e.Frames, e.Refs)
		}
	}
	return out
}
