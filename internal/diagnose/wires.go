package diagnose

import (
	"slices"
	"sort"

	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// maxWires bounds for how many frames of a capture it is remembered who sent them.
const maxWires = 4096

// wire is what a frame showed of its sender.
type wire struct {
	segment.Wire
	frame uint64
	from  segment.Addr
}

// wireList holds what the first frames that decide showed, in the order of their frames.
// It grows without being copied: as a map it took 15 % of the page faults of a small capture.
type wireList struct {
	blocks [][]wire // all but the last are full
	count  int
}

const wireBlock = 256

// add appends what a frame showed; frames come upwards.
func (l *wireList) add(w wire) {
	k := len(l.blocks) - 1
	if k < 0 || len(l.blocks[k]) == wireBlock {
		l.blocks = append(l.blocks, make([]wire, 0, wireBlock))
		k++
	}
	l.blocks[k] = append(l.blocks[k], w)
	l.count++
}

// of returns what a frame showed, false where that is not remembered.
func (l *wireList) of(frame uint64) (wire, bool) {
	i := sort.Search(len(l.blocks), func(i int) bool { return l.blocks[i][0].frame > frame }) - 1
	if i < 0 {
		return wire{}, false
	}
	b := l.blocks[i]
	j := sort.Search(len(b), func(j int) bool { return b[j].frame >= frame })
	if j == len(b) || b[j].frame != frame {
		return wire{}, false
	}
	return b[j], true
}

// each calls do for all in order, until it returns false.
func (l *wireList) each(do func(*wire) bool) {
	for _, b := range l.blocks {
		for i := range b {
			if !do(&b[i]) {
				return
			}
		}
	}
}

// full tells whether there is no room for another.
func (l *wireList) full() bool { return l.count >= maxWires }

// forget makes room where the list is full: the earlier half goes.
func (l *wireList) forget() {
	if !l.full() {
		return
	}
	l.blocks = slices.Delete(l.blocks, 0, len(l.blocks)/2)
	l.count -= maxWires / 2
}
