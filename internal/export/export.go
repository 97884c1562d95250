// Package export copies the frames of a capture that a report speaks of into a
// pcapng file whose comments hold what the report says, for Wireshark and for a
// ticket: without payload, and without anybody's addresses if wished.
package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/anonymize"
)

// Options say what leaves. The zero value copies the frames of the findings, without
// their payload.
type Options struct {
	// AllFrames copies every frame, not only those of the findings.
	AllFrames bool
	// KeepPayload leaves frames as they were captured.
	KeepPayload bool
	// Mapping replaces addresses in frames and comments; nil: they stay. It does not
	// go with KeepPayload, in which addresses may be.
	Mapping *anonymize.Mapping
}

// ErrPayload is returned where payload would be kept and addresses replaced.
var ErrPayload = errors.New("payload may hold addresses and names: it cannot be kept where they are replaced")

// ErrNoFrames is returned for what is read only once, such as standard input, and for the
// text of packets.
var ErrNoFrames = capture.ErrNoFrames

// Check tells before the work is done whether Write can do its own: the captures are
// read a second time.
func Check(paths []string, o Options) error {
	if o.KeepPayload && o.Mapping != nil {
		return ErrPayload
	}
	return capture.Rereadable(paths)
}

// Write reads the captures once more and writes the frames of the report r, which must
// be of these captures in this order, with its words as comments. Of the
// captures themselves nothing but frames, their times, directions and losses is
// copied: no comments, names of interfaces, names of hosts or keys.
func Write(ctx context.Context, w io.Writer, paths []string, r *report.Report, o Options) error {
	if o.KeepPayload && o.Mapping != nil {
		return ErrPayload
	}
	shown := r
	if o.Mapping != nil {
		shown = o.Mapping.Report(r)
	}
	e := &exporter{
		ctx: ctx, o: o, limit: r.Capture.Packets,
		chosen:   choose(r),
		comments: comment(shown),
		cleaner:  cleaner{mapping: o.Mapping, keepPayload: o.KeepPayload},
		titles:   titles(shown),
		ifaces:   map[ifaceKey]uint32{},
	}
	out, err := capture.NewNGWriter(w, sectionComment(shown, o), r.MadeBy)
	if err != nil {
		return err
	}
	e.out = out
	left, err := capture.Records(paths, e.record)
	if err != nil {
		return err
	}
	if left.Frames < e.limit {
		return fmt.Errorf("%s: frame %d of %d is not there any more: the capture changed while it was read", strings.Join(paths, ", "), left.Frames+1, e.limit)
	}
	return e.drops(left.Drops)
}

// exporter writes one file.
type exporter struct {
	ctx      context.Context
	o        Options
	out      *capture.NGWriter
	chosen   *choice
	comments map[uint64][]string
	cleaner  cleaner
	titles   []string
	ifaces   map[ifaceKey]uint32
	dissect  capture.Dissector
	// limit is how many frames the report is of: what a growing file has got since is
	// not its matter. written counts those that were copied.
	limit, written uint64
}

// ifaceKey is what makes an interface of its own in the copy.
type ifaceKey struct {
	source          uint16
	iface, linkType uint32
}

// record copies a record, if it is wanted.
func (e *exporter) record(r *capture.Record) error {
	if r.Frame > e.limit {
		return io.EOF
	}
	if r.Frame%4096 == 0 && e.ctx.Err() != nil {
		return e.ctx.Err()
	}
	d := e.dissect.Dissect(r)
	if !e.o.AllFrames && !e.chosen.wants(r.Frame, &d) {
		return nil
	}
	iface, err := e.iface(r)
	if err != nil {
		return err
	}
	e.written++
	err = e.out.Packet(&capture.NGPacket{Interface: iface, Time: r.Time, Way: r.Way, Wire: r.Wire,
		Data: e.cleaner.clean(r.Data, d.Layers), Comments: e.commentsOf(r)})
	if err != nil {
		return fmt.Errorf("frame %d: %w", r.Frame, err)
	}
	return nil
}

// commentsOf returns what a frame is called where its number is another in the copy,
// and what the findings say of it.
func (e *exporter) commentsOf(r *capture.Record) []string {
	said := e.comments[r.Frame]
	switch {
	case len(e.titles) > 1:
		return append([]string{fmt.Sprintf("frame %d (frame %d of %s)", r.Frame, r.SourceFrame, e.title(r.Source))}, said...)
	case r.Frame != e.written:
		return append([]string{fmt.Sprintf("frame %d of %s", r.Frame, e.title(r.Source))}, said...)
	}
	return said
}

func (e *exporter) title(source uint16) string {
	if int(source) < len(e.titles) {
		return e.titles[source]
	}
	return "the capture"
}

// iface returns the interface of the copy for that of a record.
func (e *exporter) iface(r *capture.Record) (uint32, error) {
	k := ifaceKey{r.Source, r.Interface, r.LinkType}
	if n, ok := e.ifaces[k]; ok {
		return n, nil
	}
	n, err := e.out.Interface(r.LinkType, e.title(r.Source))
	if err == nil {
		e.ifaces[k] = n
	}
	return n, err
}

// drops says at one interface of each source what its capture lost: who reads the
// copy must doubt it as much.
func (e *exporter) drops(lost []uint64) error {
	for source, n := range lost {
		if n == 0 {
			continue
		}
		found, first := false, uint32(0)
		for k, i := range e.ifaces {
			if int(k.source) == source && (!found || i < first) {
				found, first = true, i
			}
		}
		if !found {
			continue
		}
		if err := e.out.Drops(first, n); err != nil {
			return err
		}
	}
	return nil
}

// titles are what the sources are called in comments.
func titles(shown *report.Report) []string {
	var out []string
	for _, s := range shown.Capture.Sources {
		out = append(out, plain(filepath.Base(s)))
	}
	return out
}
