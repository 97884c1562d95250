package pasted_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/pasted"
)

// oneLine are the ways of printing that give a packet one line, or two.
func printed(t *testing.T, skip ...string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"testdata/tools/*.txt", "../../testdata/text/*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) < 20 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
	files:
		for _, f := range files {
			for _, s := range skip {
				if strings.Contains(f, s) {
					continue files
				}
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(f)] = string(b)
		}
	}
	return all
}

// wrap breaks lines at spaces as mail clients do.
func wrap(s string, width int) string {
	var out strings.Builder
	for _, l := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		for len(l) > width {
			i := strings.LastIndexByte(l[:width+1], ' ')
			if i <= len(l)-len(strings.TrimLeft(l, " ")) {
				if i = strings.IndexByte(l[width:], ' '); i < 0 {
					break
				}
				i += width
			}
			out.WriteString(l[:i] + "\n")
			l = l[i+1:]
		}
		out.WriteString(l + "\n")
	}
	return out.String()
}

// perLine changes every line that is not empty.
func perLine(s string, f func(i int, l string) string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i := range lines {
		lines[i] = f(i, lines[i])
	}
	return strings.Join(lines, "\n") + "\n"
}

// same compares two readings of one text, but for where the packets stand.
func same(t *testing.T, name string, got, want *pasted.Text) {
	t.Helper()
	if len(got.NotUnderstood) > 0 {
		t.Errorf("%s: lines %v were not understood", name, got.NotUnderstood)
	}
	if len(got.Packets) != len(want.Packets) || len(got.Opaque) != len(want.Opaque) || got.Others != want.Others {
		t.Errorf("%s: %d packets, %d without numbers, %d others; want %d, %d, %d", name, len(got.Packets), len(got.Opaque),
			got.Others, len(want.Packets), len(want.Opaque), want.Others)
		return
	}
	for i := range want.Packets {
		g, w := got.Packets[i].Segment, want.Packets[i].Segment
		g.Ref, w.Ref = atTime(g.Time), atTime(w.Time)
		g.Interface, w.Interface = 0, 0
		if fmt.Sprintf("%+v", g) != fmt.Sprintf("%+v", w) {
			t.Errorf("%s: packet %d is\n%+v, want\n%+v", name, i+1, g, w)
			return
		}
	}
}

// TestWrapped: a text that went through a mail client reads as before.
func TestWrapped(t *testing.T) {
	// Trees and columns of fields lose their meaning by wrapping, dumps of bytes
	// become words.
	for name, s := range printed(t, "-V", "-PV", "-Px", "fields", ".nX.", ".nA.") {
		want := pasted.Parse([]byte(s))
		for _, width := range []int{72, 64, 100} {
			w := wrap(s, width)
			same(t, fmt.Sprintf("%s, %d columns", name, width), pasted.Parse([]byte(w)), want)
			if width == 72 {
				q := perLine(w, func(_ int, l string) string { return strings.TrimRight("> "+l, " ") })
				same(t, name+", quoted", pasted.Parse([]byte(q)), want)
				q = perLine(q, func(_ int, l string) string { return ">" + l })
				same(t, name+", quoted twice", pasted.Parse([]byte(q)), want)
			}
		}
	}
}

// TestDecorated: what people and their tools put around lines changes nothing.
func TestDecorated(t *testing.T) {
	for name, s := range printed(t, "-V", "-PV", "-Px", "fields", ".nX.", ".nA.") {
		want := pasted.Parse([]byte(s))
		for how, change := range map[string]func(string) string{
			"CRLF":   func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
			"BOM":    func(s string) string { return "\ufeff" + s },
			"fence":  func(s string) string { return "Look at this:\n```\n" + s + "```\nThank you\n" },
			"indent": func(s string) string { return perLine(s, func(_ int, l string) string { return "    " + l }) },
			"entity": func(s string) string { return strings.ReplaceAll(s, ">", "&gt;") },
			"arrow":  func(s string) string { return strings.ReplaceAll(s, "→", "->") },
			"mojiba": func(s string) string { return strings.ReplaceAll(s, "→", "â†’") },
			"spaces": func(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") },
			"prompt": func(s string) string { return "$ sudo tcpdump -ni eth0 port 80\n" + s },
			"chatter": func(s string) string {
				return chatter + s + "14 packets captured\n14 packets received by filter\n0 packets dropped by kernel\n"
			},
			"colours": func(s string) string { return "\x1b[31m" + strings.ReplaceAll(s, "\n", "\x1b[0m\n\x1b[1;32m") },
		} {
			same(t, name+", "+how, pasted.Parse([]byte(change(s))), want)
		}
	}
}

const chatter = `tcpdump: verbose output suppressed, use -v[v]... for full protocol decode
listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes
`

// TestNumbered: numbers in front of lines become frame numbers.
func TestNumbered(t *testing.T) {
	for name, s := range printed(t, "shark", "fields", ".nX.", ".nA.", ".nv", ".nev", ".number.", "testdata/text/") {
		want := pasted.Parse([]byte(s))
		for _, format := range []string{"%6d\t%s", "%d %s", "%d: %s", "%d) %s", "%d. %s", "[%d] %s", "#%d %s", "No. %d: %s"} {
			if strings.Contains(name, ".nt.") && !strings.ContainsAny(format, ":).]") {
				continue // a number without a mark, and no time behind it
			}
			n := perLine(s, func(i int, l string) string { return fmt.Sprintf(format, 10*i+7, l) })
			got := pasted.Parse([]byte(n))
			same(t, name+", "+format, got, want)
			for i := range got.Packets {
				if p := &got.Packets[i]; p.Frame != uint64(10*(p.Line-1)+7) {
					t.Errorf("%s, %q: line %d is frame %d", name, format, p.Line, p.Frame)
					break
				}
			}
		}
	}
}

// TestBetween: lines between packets are put aside, each listed as what it is.
func TestBetween(t *testing.T) {
	const words = "  here the client gives up, as far as I see"
	const arp = "12:00:00.000001 ARP, Request who-has 192.168.31.5 tell 192.168.31.6, length 28"
	for name, s := range printed(t, "-V", "-PV", "-Px", "fields", ".nX.", ".nA.", ".nv", ".nev", "testdata/text/", "ttt.") {
		want := pasted.Parse([]byte(s))
		lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
		got := pasted.Parse([]byte(strings.Join(lines, "\n"+words+"\n\n"+arp+"\n") + "\n"))
		got.Others -= len(lines) - 1
		for i := range got.Packets {
			got.Packets[i].Time, want.Packets[i].Time = 0, 0 // ARP's clock is another
		}
		same(t, name, got, want)
		for i, u := range got.Uses {
			w := [...]pasted.Use{pasted.OfPacket, pasted.Comment, pasted.Blank, pasted.OfPacket}[i%4]
			if u != w && (i%4 != 1 || u != pasted.OfPacket) { // words behind a payload may be its own
				t.Errorf("%s: line %d is used as %v, want %v", name, i+1, u, w)
				break
			}
		}
	}
}
