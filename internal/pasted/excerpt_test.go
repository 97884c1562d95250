package pasted_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/pasted"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// TestExcerpts takes lines out of what the tools printed, as people do who paste
// the part that they think matters. What is then told as a fact must still be
// true: a number that is not marked equals that of the capture.
func TestExcerpts(t *testing.T) {
	told, marked := 0, 0
	for name, path := range captures {
		want := segments(t, path)
		for _, w := range ways {
			if !slices.Contains([]string{"n", "nS", "nv", "nvvS", "nttt", "shark", "shark-abs"}, w.name) {
				continue // they print numbers as one of these does
			}
			b, err := os.ReadFile(filepath.Join("testdata", "tools", name+"."+w.name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")
			per := packetLines(lines, len(want))
			if per == nil {
				t.Fatalf("%s.%s: the lines of its packets were not found", name, w.name)
			}
			for _, keep := range excerpts(len(want)) {
				var text strings.Builder
				var kept []segment.Segment
				for i, k := range keep {
					if k {
						text.WriteString(strings.Join(per[i], ""))
						kept = append(kept, want[i])
					}
				}
				a, m := truths(t, fmt.Sprintf("%s.%s without %v", name, w.name, missing(keep)), pasted.Parse([]byte(text.String())), kept)
				told, marked = told+a, marked+m
			}
		}
	}
	if told < 5000 || marked < 5000 {
		t.Errorf("%d numbers were told and %d marked: the test has lost its matter", told, marked)
	}
}

// packetLines gives each packet its lines: the second line of tcpdump -v is indented.
func packetLines(lines []string, n int) [][]string {
	var per [][]string
	for _, l := range lines {
		indented := strings.HasPrefix(l, "    ") && strings.Contains(l, "Flags [") || strings.HasPrefix(l, "\t")
		if indented && len(per) > 0 && !strings.Contains(per[len(per)-1][0], "Flags [") || strings.HasPrefix(l, "\t") {
			per[len(per)-1] = append(per[len(per)-1], l)
			continue
		}
		per = append(per, []string{l})
	}
	if len(per) != n {
		return nil
	}
	return per
}

// excerpts lists what may be kept of n packets: all but the first k, all but one,
// all but two in a row, the last k, and one direction or the other by parity.
func excerpts(n int) [][]bool {
	var all [][]bool
	add := func(keep func(i int) bool) {
		k := make([]bool, n)
		for i := range k {
			k[i] = keep(i)
		}
		all = append(all, k)
	}
	for k := range n {
		add(func(i int) bool { return i >= k })
		add(func(i int) bool { return i != k })
		add(func(i int) bool { return i != k && i != k+1 })
		add(func(i int) bool { return i < k || i > k+4 })
	}
	add(func(i int) bool { return i%2 == 0 })
	add(func(i int) bool { return i%2 == 1 })
	return all
}

func missing(keep []bool) []int {
	var out []int
	for i, k := range keep {
		if !k {
			out = append(out, i+1)
		}
	}
	return out
}

// truths checks every number that is told as a fact, and counts those and the marked ones.
func truths(t *testing.T, name string, got *pasted.Text, want []segment.Segment) (told, marked int) {
	t.Helper()
	if len(got.Packets)+len(got.Opaque) != len(want) {
		t.Errorf("%s: %d packets and %d without numbers, want %d", name, len(got.Packets), len(got.Opaque), len(want))
		return 0, 0
	}
	lines := map[int]bool{}
	for i := range got.Opaque {
		lines[got.Opaque[i].Line] = true
	}
	// What is left of want are the packets with numbers, in order.
	at := 0
	var order []int
	for i := range got.Packets {
		order = append(order, got.Packets[i].Line)
	}
	for l := range lines {
		order = append(order, l)
	}
	slices.Sort(order)
	for i, l := range order {
		if lines[l] {
			continue
		}
		g, w := &got.Packets[at].Segment, &want[i]
		at++
		if g.Doubt&(segment.SeqRelative|segment.SeqUnsaid) == 0 {
			if told++; g.Seq != w.Seq {
				t.Errorf("%s: frame %d: seq is told as %v, and is %v", name, w.Frame, g.Seq, w.Seq)
			}
		} else {
			marked++
		}
		if w.Flags.Has(segment.ACK) && g.Doubt&(segment.AckRelative|segment.AckUnsaid) == 0 {
			if told++; g.Ack != w.Ack {
				t.Errorf("%s: frame %d: ack is told as %v, and is %v", name, w.Frame, g.Ack, w.Ack)
			}
		} else {
			marked++
		}
		if g.Doubt.Has(segment.FlagsUnsaid) && !g.Doubt.Has(segment.SeqRelative) && (g.Seq != w.Seq || g.Len != w.Len) {
			t.Errorf("%s: frame %d: worked out as %v(%d), and is %v(%d)", name, w.Frame, g.Seq, g.Len, w.Seq, w.Len)
		}
		if g.Src != w.Src || g.Dst != w.Dst || g.Len != w.Len && !g.Doubt.Has(segment.LenUnsaid) {
			t.Errorf("%s: frame %d: %+v, want %+v", name, w.Frame, g, w)
		}
		if g.Doubt&segment.WindowUnsaid == 0 && g.Window != w.Window {
			t.Errorf("%s: frame %d: window is told as %d, and is %d", name, w.Frame, g.Window, w.Window)
		}
	}
	return told, marked
}
