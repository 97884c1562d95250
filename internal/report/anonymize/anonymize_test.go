package anonymize

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

func TestText(t *testing.T) {
	m := &Mapping{}
	m.learn(&report.Report{
		Capture:  report.Capture{Sources: []string{"/home/acme/10.9.9.9.pcap", "web.pcap", "-", "server"}},
		Findings: []report.Finding{{Flow: report.Flow{Client: "10.0.0.1:51820", Server: "10.0.0.2:80"}}, {Flow: report.Flow{Client: "[2a02:1::5]:40000", Server: "db1.acme.example:5432"}}},
	})
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"10.0.0.1:51820", "192.0.2.1:51820"},
		{"10.0.0.2", "192.0.2.2"},
		{"[2a02:1::5]:40000", "[2001:db8::1]:40000"},
		{"2a02:1:0:0:0:0:0:5 said so", "2001:db8::1 said so"},
		{"db1.acme.example:5432", "host-1.example:5432"},
		{"xdb1.acme.example", "xdb1.acme.example"},
		{"tcpdump -ni any 'host 10.0.0.1 and port 80'", "tcpdump -ni any 'host 192.0.2.1 and port 80'"},
		{"from 10.0.0.2.", "from 192.0.2.2."},
		{"from 10.0.0.2: no", "from 192.0.2.2: no"},
		{"tcpdump's 10.0.0.2.80 > 10.0.0.1.51820:", "tcpdump's 192.0.2.2.80 > 192.0.2.1.51820:"},
		{"a router, 172.16.5.5, said so", "a router, 192.0.2.3, said so"},
		{"host10.0.0.1", "host192.0.2.1"},
		{"::ffff:10.0.0.1", "::ffff:192.0.2.1"},
		{"fe80::1%eth0", "2001:db8::2%eth0"},
		{"from 2a02:1::5: no", "from 2001:db8::1: no"},
		{"its frame comes from 00:16:3e:11:22:33 on the link", "its frame comes from 02:00:00:00:00:01 on the link"},
		{"00:16:3e:11:22:34 and 00:16:3e:11:22:33", "02:00:00:00:00:02 and 02:00:00:00:00:01"},
		{"/home/acme/10.9.9.9.pcap: cut", "capture 1: cut"},
		{"10.9.9.9.pcap frame 7", "capture 1 frame 7"},
		{"web.pcap", "capture 2"},
		{"the server's web.pcap", "the server's capture 2"},
		{"-", "capture 3"},
		{"server", "capture 4"},
		{"the server and a - b", "the server and a - b"},
		// What is no host's address stays.
		{"0.0.0.0 127.0.0.1 :: ::1 224.0.0.1 ff02::1 255.255.255.255", "0.0.0.0 127.0.0.1 :: ::1 224.0.0.1 ff02::1 255.255.255.255"},
		{"ff:ff:ff:ff:ff:ff 00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff 00:00:00:00:00:00"},
		{"2026-01-01T00:00:00.000000000Z", "2026-01-01T00:00:00.000000000Z"},
		{"3.10.0-1127.el7, late 4.14.y, 52.5 to 65.2 s", "3.10.0-1127.el7, late 4.14.y, 52.5 to 65.2 s"},
		{"S 4008801863:4008801863(0) win 29200", "S 4008801863:4008801863(0) win 29200"},
		{"300.1.2.3 1.2.3", "300.1.2.3 1.2.3"},
	} {
		if got := m.Text(c.in); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

func TestAddrs(t *testing.T) {
	m := &Mapping{}
	seen := map[netip.Addr]bool{}
	a := netip.MustParseAddr("10.0.0.1")
	for range 140000 {
		to := m.Addr(a)
		if !to.Is4() || seen[to] {
			t.Fatalf("%v becomes %v, which is taken or of another family", a, to)
		}
		seen[to] = true
		a = a.Next()
	}
	for _, want := range []string{"192.0.2.1", "192.0.2.254", "198.51.100.1", "203.0.113.254", "198.18.0.1", "198.19.255.254", "240.0.0.1"} {
		if !seen[netip.MustParseAddr(want)] {
			t.Errorf("%s was not given", want)
		}
	}
	for _, no := range []string{"192.0.2.0", "192.0.2.255", "198.18.0.0"} {
		if seen[netip.MustParseAddr(no)] {
			t.Errorf("%s was given: it names no host", no)
		}
	}
	if got := m.Addr(netip.Addr{}); got.IsValid() {
		t.Errorf("no address became %v", got)
	}
}

// No address of a saved report is in what is made of it, and two runs are equal.
func TestReport(t *testing.T) {
	files, _ := filepath.Glob("../text/testdata/*.json")
	if len(files) < 3 {
		t.Fatalf("only %d reports", len(files))
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := report.Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		one, two := (&Mapping{}).Report(r), (&Mapping{}).Report(r)
		text := marshal(t, one)
		if text != marshal(t, two) {
			t.Errorf("%s: two runs differ", name)
		}
		for _, a := range addrs.FindAllString(string(data), -1) {
			if !strings.HasPrefix(a, "192.0.2.") && strings.Contains(text, a) {
				t.Errorf("%s: %s is still there", name, a)
			}
		}
		for _, s := range r.Capture.Sources {
			if s != "-" && strings.Contains(text, s) {
				t.Errorf("%s: the file %s is still named", name, s)
			}
		}
		if len(one.Findings) > 0 && one.Findings[0].Flow == r.Findings[0].Flow {
			t.Errorf("%s: the flow is as it was", name)
		}
	}
}

var addrs = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+`)

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Whatever stands around an address that is known, it does not survive.
func FuzzText(f *testing.F) {
	f.Add("before ", " after")
	f.Add(":", ":")
	f.Add("::", ".")
	f.Add("2a02:1::5", "1.")
	f.Fuzz(func(t *testing.T, before, after string) {
		m := &Mapping{}
		m.Addr(netip.MustParseAddr("10.77.0.1"))
		s := before + "|10.77.0.1|" + after
		got := m.Text(s)
		if !strings.Contains(got, "|192.0.2.1|") {
			t.Errorf("%q became %q", s, got)
		}
	})
}
