package capture

import (
	"fmt"
	"slices"
	"time"
)

// Stats is what was seen so far; after Read returned io.EOF it is complete.
type Stats struct {
	// Packets counts the records as Wireshark numbers them, Segments those
	// that held a TCP segment.
	Packets, Segments uint64
	// Tunnelled counts the segments that were inside tunnels, and FirstTunnelled
	// is the first such frame, in the merged numbering; 0: none was.
	Tunnelled, FirstTunnelled uint64
	// First and Last are the earliest and the latest time of a packet, in
	// nanoseconds since the Unix epoch; 0 where there is none.
	First, Last int64
	// Skipped says what the other records were; only reasons that occur.
	Skipped []Count
	// Warnings are doubts about the captures, by source, then by code.
	Warnings []Warning
}

// Count is how many records gave no segment for one reason.
type Count struct {
	Code  string // a slug, such as not-tcp
	Says  string // what the records are or hold
	Count uint64
	Frame uint64 // the first, in the merged numbering
}

// Warning is a doubt about a capture.
type Warning struct {
	Code   string // a slug, such as capture-drops
	Says   string // one sentence
	Frame  uint64 // the first frame concerned, in the merged numbering; 0: none
	Source int    // index into Reader.Sources, 0 for those about a directory
}

// Stats returns what was seen so far. Call it from the goroutine that reads.
func (r *Reader) Stats() Stats {
	var st Stats
	var skipped [numReasons]tally
	var inside tally
	gaps := uint64(0) // frames that a text left out
	for _, s := range r.sources {
		for i := range skipped {
			skipped[i].join(s.skipped[i])
		}
		st.Segments += s.segments
		inside.join(s.inside)
		if s.text != nil {
			gaps += s.text.gaps - uint64(s.text.Others)
		}
		if s.frames > s.skipped[notPacket].n {
			if st.First == 0 || s.first < st.First {
				st.First = s.first
			}
			st.Last = max(st.Last, s.last, s.prev)
		}
		st.Warnings = append(st.Warnings, s.warnings()...)
	}
	st.Warnings = append(st.Warnings, r.overlooked...)
	st.Warnings = append(st.Warnings, r.watch.warnings()...)
	st.Packets = r.frames - gaps
	st.Tunnelled, st.FirstTunnelled = inside.n, inside.frame
	for i, t := range skipped {
		if t.n > 0 {
			st.Skipped = append(st.Skipped, Count{reasons[i].code, reasons[i].says, t.n, t.frame})
		}
	}
	return st
}

// Missed tells whether the captures themselves say, up to a frame in the merged numbering,
// that they miss some: by drops that they count, by a file that breaks off.
func (r *Reader) Missed(frame uint64) bool {
	return r.missed || r.watch.misses() || slices.ContainsFunc(r.sources, func(s *source) bool {
		return s.lossFrame != 0 && s.lossFrame <= frame || (s.cut || s.broken != "") && s.lastFrame <= frame
	})
}

// warnings puts the doubts about one source into words, sorted by code.
func (s *source) warnings() []Warning {
	if s.text != nil {
		return s.textWarnings()
	}
	var all []Warning
	add := func(code string, frame uint64, format string, a ...any) {
		all = append(all, Warning{code, s.title() + fmt.Sprintf(format, a...), frame, s.index})
	}
	if s.broken != "" {
		add("capture-broken", s.lastFrame, " is damaged behind its frame %d: %s; what comes after was not read.", s.frames, s.broken)
	}
	if s.cut {
		add("capture-cut-short", s.lastFrame, " ends in the middle of a record: frame %d is its last whole one.", s.frames)
	}
	if n := s.drops(); n > 0 {
		add("capture-drops", s.pcapng.dropped.frame, " says that the capture lost %s.", count(n, "packet"))
	}
	if s.back.n > 0 {
		add("clock-backwards", s.back.frame, " has a clock that goes backwards %s, by up to %v.", count(s.back.n, "time"), time.Duration(s.backMax))
	}
	fragments := s.skipped[laterFragment]
	fragments.join(s.fragmented)
	if fragments.n > 0 {
		add("ip-fragments", fragments.frame, " has %s, %d with a TCP header and %d without; they are not put together, so that payload lengths around them are too small.",
			count(fragments.n, "IP fragment"), s.fragmented.n, s.skipped[laterFragment].n)
	}
	if s.longer.n > 0 {
		add("length-contradicts", s.longer.frame, " has %s longer by the IP header than by the record; the IP header was believed.", count(s.longer.n, "frame"))
	}
	if t := s.skipped[linkUnsupported]; t.n > 0 {
		name := linkName(s.badLink)
		if name != "" {
			name = " (" + name + ")"
		}
		add("link-unsupported", t.frame, " has %s of link type %d%s, which is not read.", count(t.n, "frame"), s.badLink, name)
	}
	bad := s.skipped[frameShort]
	bad.join(s.skipped[ipMalformed])
	bad.join(s.skipped[tcpMalformed])
	if bad.n > 0 {
		add("malformed", bad.frame, " has %s whose headers contradict themselves or end too early; they were left out.", count(bad.n, "frame"))
	}
	snapped := s.snapped
	snapped.join(s.skipped[tcpCut])
	snapped.join(s.skipped[ipCut])
	snapped.join(s.skipped[tunnelCut])
	if snapped.n > 0 {
		add("snapped", snapped.frame, " has %s whose headers were cut by the snap length: options may be missing from view.", count(snapped.n, "frame"))
	}
	if s.timeless.n > 0 {
		add("timeless", s.timeless.frame, " has %s without a time; that of the frame before was taken.", count(s.timeless.n, "frame"))
	}
	if t := s.skipped[tunnelled]; t.n > 0 {
		add("tunnel", t.frame, " has %s inside tunnels that are not opened.", count(t.n, "frame"))
	}
	return all
}

// count says "1 frame" or "7 frames".
func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
