package tcpwhy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

func TestParseFlow(t *testing.T) {
	for _, c := range []struct {
		pattern, client, server string
		want                    bool
	}{
		{"10.0.0.1:4000-10.0.0.2:80", "10.0.0.1:4000", "10.0.0.2:80", true},
		{"10.0.0.2:80-10.0.0.1:4000", "10.0.0.1:4000", "10.0.0.2:80", true}, // either direction
		{"10.0.0.1:4001-10.0.0.2:80", "10.0.0.1:4000", "10.0.0.2:80", false},
		{"10.0.0.1-10.0.0.2:80", "10.0.0.1:4000", "10.0.0.2:80", true},
		{"10.0.0.1:*-10.0.0.2:80", "10.0.0.1:4000", "10.0.0.2:80", true},
		{"10.0.0.1:-10.0.0.2", "10.0.0.1:4000", "10.0.0.2:80", true},
		{"*-10.0.0.2:80", "10.0.0.1:4000", "10.0.0.2:80", true},
		{"*:80-*", "10.0.0.1:4000", "10.0.0.2:80", true},
		{"-10.0.0.2:80", "10.0.0.1:4000", "10.0.0.2:80", true},
		{"10.0.0.2:80", "10.0.0.1:4000", "10.0.0.2:80", true},
		{"10.0.0.2:81", "10.0.0.1:4000", "10.0.0.2:80", false},
		{"10.0.0.1:80-10.0.0.2:4000", "10.0.0.1:4000", "10.0.0.2:80", false}, // ports stay with their hosts
		{"10.0.0.1-10.0.0.1", "10.0.0.1:4000", "10.0.0.2:80", false},
		{"10.0.0.1:8-10.0.0.2", "10.0.0.1:80", "10.0.0.2:81", false},
		{"[2001:db8::1]:4000-[2001:db8::2]:80", "[2001:db8::1]:4000", "[2001:db8::2]:80", true},
		{"[2001:DB8:0::1]-[2001:db8::2]", "[2001:db8::1]:4000", "[2001:db8::2]:80", true},
		{"2001:db8::1-2001:db8::2", "[2001:db8::1]:4000", "[2001:db8::2]:80", true},
		{"[::ffff:10.0.0.1]:4000-10.0.0.2", "10.0.0.1:4000", "10.0.0.2:80", true},
		{"[2001:db8::1]:1-[2001:db8::2]:80", "[2001:db8::1]:4000", "[2001:db8::2]:80", false},
		{"x.x.x.4:22-Node-1:80", "node-1:80", "x.x.x.4:22", true}, // names of a pasted text
		{"node-1-node-2:80", "node-1:9", "node-2:80", true},
		{"node-1-node-2:80", "node:9", "node-2:80", false},
		{"web-2", "web-2:9", "10.0.0.1:80", true},
		{"web-2:80", "web-2:9", "10.0.0.1:80", false},
	} {
		p, err := parseFlow(c.pattern)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if got := p.matches(c.client, c.server); got != c.want {
			t.Errorf("%s takes %s %s: %v", c.pattern, c.client, c.server, got)
		}
	}
	for _, bad := range []string{"", " ", "10.0.0.300", "10.0.0.1:99999-10.0.0.2", "10.0.0.300-10.0.0.2", "1:2:3-4", "10.0.0.1:http-10.0.0.2"} {
		if _, err := parseFlow(bad); err == nil || !strings.Contains(err.Error(), "expected ADDR:PORT-ADDR:PORT") {
			t.Errorf("flow %q: %v", bad, err)
		}
	}
}

func TestParseMoment(t *testing.T) {
	at := func(s string) int64 {
		x, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return x.UnixNano()
	}
	first := at("2019-05-14T23:59:58.5Z")
	for s, want := range map[string]string{
		"2019-05-14T09:30:00Z":           "2019-05-14T09:30:00Z",
		"2019-05-14T09:30:00.25+02:00":   "2019-05-14T07:30:00.25Z",
		"2019-05-14 09:30:00.000001":     "2019-05-14T09:30:00.000001Z",
		"2019-05-14 09:30:00.000000 UTC": "2019-05-14T09:30:00Z", // as a report prints it
		"2019-05-14T09:30:00":            "2019-05-14T09:30:00Z",
		"2019-05-14":                     "2019-05-14T00:00:00Z",
		"23:59:59.5":                     "2019-05-14T23:59:59.5Z",
		"00:00:01":                       "2019-05-14T00:00:01Z", // the first day, though the capture passes midnight
		"09:30":                          "2019-05-14T09:30:00Z",
		"+12.5s":                         "2019-05-15T00:00:11Z",
		"1m2s":                           "2019-05-15T00:01:00.5Z",
		"0s":                             "2019-05-14T23:59:58.5Z",
	} {
		m, err := parseMoment(s)
		if got := m.from(first); err != nil || got != at(want) {
			t.Errorf("%s: %s, want %s (%v)", s, time.Unix(0, got).UTC().Format(time.RFC3339Nano), want, err)
		}
	}
	for _, bad := range []string{"yesterday", "-3s", "25:00:00", "12", "1969-01-01", "3000-01-01T00:00:00Z", " "} {
		if m, err := parseMoment(bad); err == nil {
			t.Errorf("%q is taken for %+v", bad, m)
		}
	}
}

func FuzzSelection(f *testing.F) {
	f.Add("10.0.0.1:*-[2001:db8::1]:80", "+3s", "reset")
	f.Add("-", "09:30", "rest")
	f.Fuzz(func(t *testing.T, pair, moment, word string) {
		if p, err := parseFlow(pair); err == nil {
			if p.matches("10.0.0.1:1", "[::1]:2") != p.matches("[::1]:2", "10.0.0.1:1") {
				t.Errorf("%q depends on the direction", pair)
			}
		}
		_, _ = parseMoment(moment)
		if err := checkOnly(word); err != nil && !strings.Contains(err.(*unknownWord).Hint(), "the questions are reopened-accepted, ") {
			t.Errorf("%q: %v", word, err)
		}
	})
}

func TestAlike(t *testing.T) {
	words := []string{"reset", "stalled", "connect-silent", "connect-slow", "close-odd", "close-odd"}
	for word, want := range map[string]string{
		"rest": "reset", "Stall": "stalled", "connect_slow": "connect-slow", "close-od": "close-odd",
		"conn": "connect-silent connect-slow", "zzzzz": "", "": "", strings.Repeat("reset", 40): "",
	} {
		if got := strings.Join(alike(word, words), " "); got != want {
			t.Errorf("%q is like %q, want %q", word, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"kitten", "sitting", 3}, {"abc", "abc", 0}, {"ab", "ba", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance of %q and %q is %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

const manyFindings = "testdata/corpus/captures/linux-5.10.223-debian/syncookies_0_flood.pcap"

// Whatever is selected, findings stay what they are, with their ids; what is not
// shown is counted, and the count of quiet connections is of the whole capture.
func TestSelect(t *testing.T) {
	whole, err := Explain(context.Background(), []string{manyFindings}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(whole.Findings) < 10 || whole.HiddenFindings != 0 || len(whole.Summary) == 0 {
		t.Fatalf("%d findings, %d hidden, %d groups", len(whole.Findings), whole.HiddenFindings, len(whole.Summary))
	}
	last := whole.Findings[len(whole.Findings)-1]
	lastTime := last.Ladder[0].Time
	for _, c := range []struct {
		name string
		o    Options
		want func(f *report.Finding) bool
	}{
		{"question", Options{Only: []string{"connect-stuck"}}, func(f *report.Finding) bool { return f.Question == "connect-stuck" }},
		{"questions", Options{Only: []string{"connect-stuck", "connect-silent"}}, func(*report.Finding) bool { return true }},
		{"other question", Options{Only: []string{"reset"}}, func(*report.Finding) bool { return false }},
		{"open cause", Options{Only: []string{"syn-queue-full"}}, func(f *report.Finding) bool { return f.Question == "connect-silent" }},
		{"ruled out cause", Options{Only: []string{"paws-per-host"}}, func(*report.Finding) bool { return false }},
		{"flow", Options{Flows: []string{last.Flow.Server + "-" + last.Flow.Client}}, func(f *report.Finding) bool { return f.Flow == last.Flow }},
		{"flows", Options{Flows: []string{"192.0.2.1", last.Flow.Client}}, func(f *report.Finding) bool { return f.Flow == last.Flow }},
		{"since", Options{Since: lastTime}, func(f *report.Finding) bool { return f.ID == last.ID }},
		{"until", Options{Until: "+0s"}, func(*report.Finding) bool { return false }},
		{"both", Options{Since: "+0s", Until: "+10s"}, func(*report.Finding) bool { return true }},
		{"all of them", Options{Since: lastTime, Only: []string{"connect-stuck"}}, func(*report.Finding) bool { return false }},
	} {
		t.Run(c.name, func(t *testing.T) { checkSelected(t, whole, c.o, c.want) })
	}
}

func checkSelected(t *testing.T, whole *Report, o Options, want func(*report.Finding) bool) {
	r, err := Explain(context.Background(), []string{manyFindings}, o)
	if err != nil {
		t.Fatal(err)
	}
	var ids, got []string
	for i := range whole.Findings {
		if want(&whole.Findings[i]) {
			ids = append(ids, whole.Findings[i].ID)
		}
	}
	sum := 0
	for i := range r.Findings {
		got = append(got, r.Findings[i].ID)
	}
	for _, g := range r.Summary {
		sum += g.Findings
	}
	if strings.Join(ids, " ") != strings.Join(got, " ") {
		t.Errorf("findings %v, want %v", got, ids)
	}
	if sum != len(got) || r.HiddenFindings != len(whole.Findings)-len(got) || r.QuietConnections != whole.QuietConnections {
		t.Errorf("%d findings, %d in the summary, %d hidden, %d connections quiet of %d", len(got), sum, r.HiddenFindings, r.QuietConnections, whole.QuietConnections)
	}
	if len(got) == 0 && len(r.Connections) > 0 {
		t.Errorf("%d connections without a finding", len(r.Connections))
	}
}

func TestSelectRefuses(t *testing.T) {
	for _, o := range []Options{
		{Only: []string{"rest"}},
		{Only: []string{""}},
		{Flows: []string{"nowhere:x"}},
		{Since: "soon"},
		{Until: "late"},
		{Since: "+2s", Until: "+1s"},
		{Since: "+1s", Until: "00:00:00"}, // known only when the capture is
	} {
		_, err := Explain(context.Background(), []string{manyFindings}, o)
		if usage := new(UsageError); !errors.As(err, &usage) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A host of a pasted text is selected by its name as well as by the address that
// stands for it.
func TestSelectByName(t *testing.T) {
	text := "12:00:00.000000 IP web-1.40000 > x.x.x.4.80: Flags [S], seq 1, win 64240, options [mss 1460], length 0\n" +
		"12:00:00.100000 IP x.x.x.4.80 > web-1.40000: Flags [R.], seq 0, ack 2, win 0, length 0\n"
	for pattern, want := range map[string]int{"web-1-x.x.x.4:80": 1, "x.x.x.4:80": 1, "web-2": 0} {
		r, err := Explain(context.Background(), []string{"-"}, Options{Stdin: strings.NewReader(text), Flows: []string{pattern}})
		if err != nil || len(r.Findings) != want {
			t.Errorf("%s: %+v (%v)", pattern, r, err)
		}
	}
}
