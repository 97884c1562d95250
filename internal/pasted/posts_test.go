package pasted_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/pasted"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

var update = flag.Bool("update", false, "write the expected output anew")

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		g, w := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
		for i := range min(len(g), len(w)) {
			if !bytes.Equal(g[i], w[i]) {
				t.Fatalf("%s:%d:\n%s\nwant\n%s", name, i+1, g[i], w[i])
			}
		}
		t.Fatalf("%s: %d lines, want %d", name, len(g), len(w))
	}
}

// doubts prints the doubts of a packet.
func doubts(d segment.Doubt) string {
	out := ""
	for _, x := range []struct {
		d    segment.Doubt
		name string
	}{
		{segment.SeqRelative, "seq-relative"},
		{segment.AckRelative, "ack-relative"},
		{segment.SeqUnsaid, "seq"},
		{segment.AckUnsaid, "ack"},
		{segment.LenUnsaid, "len"},
		{segment.WindowUnsaid, "win"},
		{segment.TimeUnsaid, "time"},
		{segment.IPUnsaid, "ip"},
		{segment.FlagsUnsaid, "flags"},
	} {
		if d.Has(x.d) {
			out += " ?" + x.name
		}
	}
	return out
}

// show prints what was read, a line a packet.
func show(b *bytes.Buffer, x *pasted.Text) {
	var lines [5]int
	for _, u := range x.Uses {
		lines[u]++
	}
	fmt.Fprintf(b, "%d packets, %d without numbers, %d others; lines: %d of packets, %d blank, %d ignored, %d comments, %d not understood\n",
		len(x.Packets), len(x.Opaque), x.Others, lines[pasted.OfPacket], lines[pasted.Blank], lines[pasted.Ignored], lines[pasted.Comment], lines[pasted.Unread])
	o := 0
	opaque := func(before uint64) {
		for ; o < len(x.Opaque) && (before == 0 || x.Opaque[o].Frame < before); o++ {
			p := &x.Opaque[o]
			kind := p.Protocol
			if p.ICMP {
				kind = "ICMP"
			}
			fmt.Fprintf(b, "%d %.6f %v > %v %s %d bytes: %.60s", p.Frame, float64(p.Time)/1e9, p.Src, p.Dst, kind, p.FrameLen, p.Info)
			if p.Error.Known {
				fmt.Fprintf(b, " [type %d code %d mtu %d, about %v > %v]", p.Error.Type, p.Error.Code, p.Error.MTU, p.Error.Src, p.Error.Dst)
			}
			b.WriteByte('\n')
		}
	}
	for i := range x.Packets {
		p := &x.Packets[i]
		opaque(p.Frame)
		fmt.Fprintf(b, "%d %.6f %v > %v %s", p.Frame, float64(p.Time)/1e9, p.Src, p.Dst, segment.AppendPacketdrill(nil, &p.Segment))
		if !p.Doubt.Has(segment.IPUnsaid) {
			fmt.Fprintf(b, " ttl %d tos %#x id %d", p.TTL, p.TOS, p.IPID)
		}
		if p.Interface != 0 {
			fmt.Fprintf(b, " interface %d", p.Interface)
		}
		if p.Way != segment.WayUnknown {
			fmt.Fprintf(b, " way %d", p.Way)
		}
		if p.VLAN != 0 {
			fmt.Fprintf(b, " vlan %d", p.VLAN)
		}
		if p.Tunnel.Kind != segment.TunnelNone {
			fmt.Fprintf(b, " in %v", p.Tunnel)
		}
		fmt.Fprintf(b, "%s", doubts(p.Doubt))
		for _, l := range p.Labels {
			fmt.Fprintf(b, " [%s]", l)
		}
		b.WriteByte('\n')
	}
	opaque(0)
	for _, w := range x.Warnings {
		fmt.Fprintf(b, "%s: %s (line %d)\n", w.Code, w.Says, w.Line)
	}
}

// TestPosts reads what people posted. No line that holds a packet may get lost:
// each is used, or listed.
func TestPosts(t *testing.T) {
	files, err := filepath.Glob("../../testdata/text/*.txt")
	if err != nil || len(files) < 29 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var out bytes.Buffer
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		x := pasted.Parse(b)
		fmt.Fprintf(&out, "== %s\n", filepath.Base(f))
		show(&out, x)
		if len(x.NotUnderstood) > 0 {
			t.Errorf("%s: lines %v were not understood", f, x.NotUnderstood)
		}
		for i, l := range bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")) {
			if u := x.Uses[i]; u != pasted.OfPacket && u != pasted.Blank && bytes.ContainsAny(l, "0123456789") {
				t.Errorf("%s:%d: is used as %v: %s", f, i+1, u, l)
			}
		}
	}
	golden(t, "posts.golden", out.Bytes())
}

// TestDialects reads texts that were written for it, each with a way of
// printing or of pasting that the tools' output here does not have.
func TestDialects(t *testing.T) {
	files, err := filepath.Glob("testdata/dialects/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	var out bytes.Buffer
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "== %s\n", filepath.Base(f))
		show(&out, pasted.Parse(b))
	}
	golden(t, "dialects.golden", out.Bytes())
}
