package capture

import (
	"encoding/binary"
	"sort"
)

// run is a stretch of merged frames that come from one source.
type run struct {
	start       uint64 // merged number of its first frame
	sourceStart uint64 // that frame's number in its source, at most start
	source      int
}

const (
	runBlockSize = 4096
	// maxRunBlocks bounds what Locate keeps to 16 MiB: with two files that
	// alternate at every frame this is more than two million frames.
	maxRunBlocks = 4096
	// maxRunSize is the most that one run takes in a block.
	maxRunSize = 3 * binary.MaxVarintLen64
)

// runList remembers the runs in the order of their frames, packed into some six
// bytes each, because two captures of one conversation alternate all the time.
// Past maxRunBlocks the oldest are forgotten.
type runList struct {
	// blocks hold all runs but the last, as varints: the number of frames, the
	// source, and start less sourceStart.
	blocks []runBlock
	last   run // its end is not known yet; start 0: there is none
}

type runBlock struct {
	start uint64 // merged number of its first frame
	data  []byte
}

// add appends a run. It continues the last one where that is of the same
// source: no frame of a source is ever left out.
func (l *runList) add(n run) {
	if l.last.start != 0 {
		if l.last.source == n.source {
			return
		}
		b := l.room()
		b.data = binary.AppendUvarint(b.data, n.start-l.last.start)
		b.data = binary.AppendUvarint(b.data, uint64(l.last.source))
		b.data = binary.AppendUvarint(b.data, l.last.start-l.last.sourceStart)
	}
	l.last = n
}

// room returns the block that the last run goes into.
func (l *runList) room() *runBlock {
	k := len(l.blocks)
	if k > 0 && cap(l.blocks[k-1].data)-len(l.blocks[k-1].data) >= maxRunSize {
		return &l.blocks[k-1]
	}
	b := runBlock{start: l.last.start}
	if k == maxRunBlocks {
		b.data = l.blocks[0].data[:0]
		k = copy(l.blocks, l.blocks[1:])
		l.blocks = l.blocks[:k]
	} else {
		b.data = make([]byte, 0, runBlockSize)
	}
	l.blocks = append(l.blocks, b)
	return &l.blocks[k]
}

// find returns the source of a merged frame that was read, and its number there.
func (l *runList) find(frame uint64) (source int, sourceFrame uint64, ok bool) {
	if l.last.start != 0 && frame >= l.last.start {
		return l.last.source, l.last.sourceStart + frame - l.last.start, true
	}
	i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i].start > frame })
	if i == 0 {
		return 0, 0, false
	}
	start, data := l.blocks[i-1].start, l.blocks[i-1].data
	for len(data) > 0 {
		var v [3]uint64
		for j := range v {
			n := 0
			v[j], n = binary.Uvarint(data)
			data = data[n:]
		}
		if frame < start+v[0] {
			return int(v[1]), frame - v[2], true
		}
		start += v[0]
	}
	return 0, 0, false
}
