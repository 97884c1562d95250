package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/html"
	"github.com/tcpwhy/tcpwhy/internal/whatif"
)

func newServer(t *testing.T, c Config) *Server {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// request is one with the token, as a program sends it.
func (s *Server) request(method, target string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+target, body)
	r.Header.Set("Authorization", "Bearer "+s.token)
	switch {
	case method == "POST" && strings.HasPrefix(target, "/api/whatif"):
		r.Header.Set("Content-Type", "application/json")
	case method == "POST":
		r.Header.Set("Content-Type", "application/octet-stream")
	}
	return r
}

func do(s *Server, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func (s *Server) get(t *testing.T, target string, want int) string {
	t.Helper()
	w := do(s, s.request("GET", target, nil))
	if w.Code != want {
		t.Fatalf("%s: %d, want %d: %s", target, w.Code, want, w.Body)
	}
	return w.Body.String()
}

// uploadFile reads a file into the server and returns its id.
func uploadFile(t *testing.T, s *Server, path, query string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := do(s, s.request("POST", "/api/captures?"+query, bytes.NewReader(b)))
	if w.Code != http.StatusCreated {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	var c Capture
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	if c.Bytes != int64(len(b)) {
		t.Errorf("%d bytes, sent %d", c.Bytes, len(b))
	}
	return c.ID
}

// Who may ask: the Host header, the origin, and the token, each by itself.
func TestGuard(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Server, *http.Request)
		remote bool
		want   int
	}{
		{"a program with the token", func(*Server, *http.Request) {}, false, 200},
		{"no token", func(_ *Server, r *http.Request) { r.Header.Del("Authorization") }, false, 401},
		{"another token", func(_ *Server, r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, false, 401},
		{"an empty token", func(_ *Server, r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, false, 401},
		{"the token in the query of another path", func(s *Server, r *http.Request) {
			r.Header.Del("Authorization")
			r.URL.RawQuery = "token=" + s.token
		}, false, 401},
		{"the cookie", func(s *Server, r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: s.cookie, Value: s.token})
		}, false, 200},
		{"another server's cookie", func(s *Server, r *http.Request) {
			r.Header.Del("Authorization")
			r.AddCookie(&http.Cookie{Name: "tcpwhy-00000000", Value: s.token})
		}, false, 401},
		{"localhost", func(_ *Server, r *http.Request) { r.Host = "localhost:8080" }, false, 200},
		{"another port, through a tunnel", func(_ *Server, r *http.Request) { r.Host = "127.0.0.1:9" }, false, 200},
		{"IPv6", func(_ *Server, r *http.Request) { r.Host = "[::1]:8080" }, false, 200},
		{"no port", func(_ *Server, r *http.Request) { r.Host = "[::1]" }, false, 200},
		{"a rebound name", func(_ *Server, r *http.Request) { r.Host = "evil.example:8080" }, false, 403},
		{"a name that begins like an address", func(_ *Server, r *http.Request) { r.Host = "127.0.0.1.evil.example" }, false, 403},
		{"an address of the network", func(_ *Server, r *http.Request) { r.Host = "192.0.2.7:8080" }, false, 403},
		{"an address of the network that is meant", func(_ *Server, r *http.Request) { r.Host = "192.0.2.7:8080" }, true, 200},
		{"a name that is meant", func(_ *Server, r *http.Request) { r.Host = "Box:8080" }, true, 200},
		{"a rebound name at a server for others", func(_ *Server, r *http.Request) { r.Host = "evil.example" }, true, 403},
		{"no host", func(_ *Server, r *http.Request) { r.Host = "" }, true, 403},
		{"the page itself", func(_ *Server, r *http.Request) {
			r.Header.Set("Origin", "http://127.0.0.1:8080")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}, false, 200},
		{"another site", func(_ *Server, r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, false, 403},
		{"another port of this machine", func(_ *Server, r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:9") }, false, 403},
		{"a file", func(_ *Server, r *http.Request) { r.Header.Set("Origin", "null") }, false, 403},
		{"fetched by another site", func(_ *Server, r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, false, 403},
		{"fetched by another port", func(_ *Server, r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, false, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, Config{Remote: c.remote, Hosts: []string{"box", ""}})
			r := s.request("GET", "/api/captures", nil)
			c.change(s, r)
			w := do(s, r)
			if w.Code != c.want {
				t.Errorf("%d, want %d: %s", w.Code, c.want, w.Body)
			}
			if strings.Contains(w.Body.String(), s.token) {
				t.Error("the answer has the token")
			}
			for name, has := range map[string]string{
				"Content-Security-Policy": "default-src 'self'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
			} {
				if got := w.Header().Get(name); !strings.Contains(got, has) {
					t.Errorf("%s: %q", name, got)
				}
			}
			if got := w.Header().Get("Content-Security-Policy"); strings.Contains(got, "unsafe") {
				t.Errorf("the policy allows what is unsafe: %s", got)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("other origins may read: %s", got)
			}
		})
	}
}

// The URL's token becomes a cookie that no script reads and no other site sends.
func TestEntry(t *testing.T) {
	s := newServer(t, Config{})
	r := httptest.NewRequest("GET", "http://127.0.0.1:8080/?token="+s.token, nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site") // a link in a chat
	w := do(s, r)
	cookies := w.Result().Cookies()
	if w.Code != 200 || len(cookies) != 1 {
		t.Fatalf("%d, cookies %v", w.Code, cookies)
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Value != s.token || c.MaxAge != 0 || !c.Expires.IsZero() {
		t.Errorf("%+v", c)
	}
	for _, target := range []string{"/", "/?token=", "/?token=" + strings.Repeat("0", len(s.token)), "/assets/app.js"} {
		if w := do(s, httptest.NewRequest("GET", "http://127.0.0.1:8080"+target, nil)); w.Code != 401 || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	if w := do(s, httptest.NewRequest("POST", "http://127.0.0.1:8080/?token="+s.token, nil)); w.Code != 401 {
		t.Errorf("POST: %d", w.Code)
	}
	other := newServer(t, Config{})
	if other.token == s.token || other.cookie == s.cookie || len(s.token) < 32 {
		t.Error("two servers share a token, or it is short")
	}
	if u := s.URL(&net.TCPAddr{IP: net.IPv4zero, Port: 80}, "box"); u != "http://box:80/?token="+s.token {
		t.Error(u)
	}
}

// No path leads to a file that is not the page's own.
func TestNoOtherFiles(t *testing.T) {
	s := newServer(t, Config{})
	for _, target := range []string{
		"/assets/../web.go", "/assets/%2e%2e/web.go", "/assets/..%2fopenapi.json", "/assets/%2fetc%2fpasswd", "/assets/", "/assets/..\\web.go",
		"/etc/passwd", "//etc/passwd", "/api/captures/..%2f..%2fetc%2fpasswd/report", "/api/captures/c1/findings/..%2f..%2fx", "/openapi.json",
	} {
		w := do(s, s.request("GET", target, nil))
		if w.Code == 200 || strings.Contains(w.Body.String(), "root:") {
			t.Errorf("%s: %d %.80s", target, w.Code, w.Body)
		}
	}
	// A fact is a value, and names no file; nor does the name of the upload.
	w := do(s, s.request("POST", "/api/captures?fact=server=/etc/passwd&name=/etc/passwd", strings.NewReader("x")))
	if w.Code != 400 || strings.Contains(w.Body.String(), "root:") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestUpload(t *testing.T) {
	s := newServer(t, Config{})
	id := uploadFile(t, s, founding, "name=..%2Fdir%2Fa%00%1b.pcap")
	var got report.Report
	if err := json.Unmarshal([]byte(s.get(t, "/api/captures/"+id+"/report", 200)), &got); err != nil {
		t.Fatal(err)
	}
	want, err := tcpwhy.Explain(t.Context(), []string{founding}, tcpwhy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Capture.Sources) != 1 || got.Capture.Sources[0] != "a.pcap" {
		t.Errorf("sources %q", got.Capture.Sources)
	}
	got.Capture.Sources = want.Capture.Sources
	if a, b := marshal(t, got), marshal(t, want); a != b {
		t.Errorf("the report differs from the command's:\n%s\n%s", a, b)
	}
	// The same bytes under facts: another verdict.
	again := uploadFile(t, s, founding, "fact=server:kernel%3D3.10.0-1127.el7&fact=server:tcp_tw_recycle%3D1")
	if f := s.get(t, "/api/captures/"+again+"/findings/f1", 200); !strings.Contains(f, `"certainty":"certain","cause":"tw-recycle"`) {
		t.Errorf("under facts: %s", f)
	}
	page := do(s, s.request("GET", "/api/captures/"+id+"/page", nil))
	if d := page.Header().Get("Content-Disposition"); page.Code != 200 || d != `attachment; filename=a-tcpwhy.html` {
		t.Errorf("%d %s", page.Code, d)
	}
	if _, err := html.Extract(page.Body.Bytes()); err != nil {
		t.Errorf("the page has no report in it: %v", err)
	}
	if w := do(s, s.request("DELETE", "/api/captures/"+id, nil)); w.Code != 204 {
		t.Errorf("%d", w.Code)
	}
	s.get(t, "/api/captures/"+id, 404)
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What is refused, with its reason; nothing of it is kept.
func TestUploadRefused(t *testing.T) {
	s := newServer(t, Config{MaxUpload: 1000})
	capture, err := os.ReadFile(founding)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body   io.Reader
		change func(*http.Request)
		want   int
		says   string
	}{
		"announced too large":      {bytes.NewReader(capture), nil, 413, "larger than the 1000 bytes"},
		"too large, not announced": {bytes.NewReader(capture), func(r *http.Request) { r.ContentLength = -1 }, 413, "larger than the 1000 bytes"},
		"no capture":               {strings.NewReader("GIF89a, and so on"), nil, 422, "x: "},
		"empty":                    {strings.NewReader(""), nil, 422, "x: is empty"},
		"of a form":                {bytes.NewReader(capture[:900]), func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "application/octet-stream"},
		"broken off":               {io.MultiReader(bytes.NewReader(capture[:900]), broken{}), func(r *http.Request) { r.ContentLength = -1 }, 400, "broke off after 900 bytes"},
	} {
		r := s.request("POST", "/api/captures?name=x", c.body)
		if c.change != nil {
			c.change(r)
		}
		if w := do(s, r); w.Code != c.want || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, c.want, w.Body)
		}
	}
	if got := s.get(t, "/api/captures", 200); got != "{\"captures\":[]}\n" {
		t.Errorf("kept: %s", got)
	}
	if p := s.store.progress(); len(p) != 0 {
		t.Errorf("still being read: %v", p)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// Memory is bounded: by how many captures are read, kept, and how many connections of each.
func TestBounds(t *testing.T) {
	release := make(chan struct{})
	s := newServer(t, Config{Explain: func(_ context.Context, _ []string, o tcpwhy.Options) (*tcpwhy.Report, error) {
		b, err := io.ReadAll(o.Stdin)
		if string(b) == "wait" {
			<-release
		}
		if string(b) == "many" {
			for range maxConnections + 5 {
				err = errors.Join(err, o.Connection(&report.Connection{}))
			}
		}
		return &report.Report{}, err
	}})
	done := make(chan int)
	for range maxReading {
		go func() { done <- do(s, s.request("POST", "/api/captures", strings.NewReader("wait"))).Code }()
	}
	for len(s.busy) < maxReading {
		time.Sleep(time.Millisecond)
	}
	if w := do(s, s.request("POST", "/api/captures", strings.NewReader("x"))); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d", w.Code)
	}
	close(release)
	for range maxReading {
		if code := <-done; code != 201 {
			t.Errorf("%d", code)
		}
	}
	for range maxKept + 3 {
		do(s, s.request("POST", "/api/captures", strings.NewReader("x")))
	}
	if n := len(s.store.list()); n != maxKept {
		t.Errorf("%d captures are kept", n)
	}
	do(s, s.request("POST", "/api/captures", strings.NewReader("many")))
	if list := s.store.list(); list[len(list)-1].ConnectionsKept != maxConnections {
		t.Errorf("%+v", list[len(list)-1])
	}
}

func TestLists(t *testing.T) {
	r := &report.Report{}
	for i := range 120 {
		f := report.Finding{ID: fmt.Sprintf("f%d", i+1), Question: "reset", Asks: "Why?", Flow: report.Flow{Client: fmt.Sprintf("10.0.0.%d:1", i)}}
		f.Verdict.Severity, f.Verdict.Certainty = report.Harmless, report.Open
		if i == 70 {
			f.Question, f.Verdict.Severity, f.Verdict.Says = "stalled", report.Problem, "<b>Window</b>"
		}
		r.Findings = append(r.Findings, f)
	}
	s := newServer(t, Config{Explain: func(_ context.Context, _ []string, o tcpwhy.Options) (*tcpwhy.Report, error) {
		for i := range uint64(300) {
			if err := o.Connection(&report.Connection{ID: fmt.Sprint("c", i), Packets: [2]uint64{i, 0}, Client: "10.0.0.1:5"}); err != nil {
				return nil, err
			}
		}
		return r, nil
	}})
	do(s, s.request("POST", "/api/captures", nil))
	base := "/api/captures/c1/"
	for target, want := range map[string]string{
		"findings":                                "total 120 from 0 rows 50 first f1",
		"findings?sort=severity":                  "total 120 from 0 rows 50 first f71",
		"findings?order=desc&sort=severity":       "total 120 from 0 rows 50 first f1",
		"findings?severity=problem":               "total 1 from 0 rows 1 first f71",
		"findings?severity=&question=stalled":     "total 1 from 0 rows 1 first f71",
		"findings?search=WINDOW":                  "total 1 from 0 rows 1 first f71",
		"findings?search=10.0.0.119":              "total 1 from 0 rows 1 first f120",
		"findings?from=100":                       "total 120 from 100 rows 20 first f101",
		"findings?from=900":                       "total 120 from 120 rows 0",
		"findings?limit=3&from=4":                 "total 120 from 4 rows 3 first f5",
		"connections":                             "total 300 from 0 rows 50 first c0",
		"connections?sort=packets&order=desc":     "total 300 from 0 rows 50 first c299",
		"connections?limit=99999":                 "total 300 from 0 rows 300 first c0",
		"connections?search=nothing":              "total 0 from 0 rows 0",
		"connections?sort=client&limit=0&from=10": "total 300 from 10 rows 0",
	} {
		var l struct {
			Total, From           int
			Findings, Connections []struct{ ID string }
		}
		if err := json.Unmarshal([]byte(s.get(t, base+target, 200)), &l); err != nil {
			t.Fatal(err)
		}
		rows := append(l.Findings, l.Connections...)
		got := fmt.Sprintf("total %d from %d rows %d", l.Total, l.From, len(rows))
		if len(rows) > 0 {
			got += " first " + rows[0].ID
		}
		if got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	for _, target := range []string{"findings?sort=x", "findings?order=up", "findings?from=-1", "connections?limit=x", "connections?sort=severity", "findings/f1/pictures/ladder?width=-1", "findings/f1/pictures/ladder?width=5000"} {
		s.get(t, base+target, 400)
	}
	for _, target := range []string{"findings/f0", "findings/f1/pictures/x", "x"} {
		if w := do(s, s.request("GET", base+target, nil)); w.Code != 404 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	s.get(t, base+"findings/f1/pictures/ring", 204)
}

// A question over the API is answered as the command answers it.
func TestWhatifAsTheCommand(t *testing.T) {
	s := newServer(t, Config{})
	seventeen := 17.0
	for _, c := range []struct {
		q  Question
		in whatif.Input
	}{
		{
			Question{State: "time-wait", Settings: map[string]string{"snd_nxt": "1082535342", "rcv_nxt": "4008801888", "ts_recent": "1500952968", "rto": ""}, Segment: "< S 3145977016:3145977016(0) win 29200 <TS val 1500969973 ecr 0>", Kernel: "3.10"},
			whatif.Input{Kernel: "3.10", At: 1, Args: []string{"time-wait", "rcv_nxt=4008801888", "snd_nxt=1082535342", "ts_recent=1500952968", "< S 3145977016:3145977016(0) win 29200 <TS val 1500969973 ecr 0>"}},
		},
		{
			Question{State: "time-wait", Settings: map[string]string{"rcv_nxt": "1", "snd_nxt": "5", "ts_recent": "none"}, Segment: "S 9:9(0) win 1", Kernel: "all", Set: []string{"tcp_tw_recycle=1"}, AtS: &seventeen, Listener: "no", IPv6: true},
			whatif.Input{Kernel: "all", Set: []string{"tcp_tw_recycle=1"}, At: 17, Listener: "no", IPv6: true, Args: []string{"time-wait", "rcv_nxt=1", "snd_nxt=5", "ts_recent=none", "S 9:9(0) win 1"}},
		},
		{
			Question{State: "own-time-wait", Settings: map[string]string{"snd_nxt": "1001", "ts_recent": "900", "bound": "no"}, Kernel: "6.1", Set: []string{"tcp_tw_reuse=1"}},
			whatif.Input{Kernel: "6.1", Set: []string{"tcp_tw_reuse=1"}, At: 1, Args: []string{"own-time-wait", "snd_nxt=1001", "ts_recent=900", "bound=no"}},
		},
	} {
		q, err := whatif.Parse(c.in)
		if err != nil {
			t.Fatal(err)
		}
		var want any = q.Ask()
		if q.All {
			want = q.AskAll()
		}
		w := do(s, s.request("POST", "/api/whatif", strings.NewReader(marshal(t, c.q))))
		var got, same any
		if err := errors.Join(json.Unmarshal(w.Body.Bytes(), &got), json.Unmarshal([]byte(marshal(t, want)), &same)); err != nil {
			t.Fatal(err)
		}
		if a, b := marshal(t, got), marshal(t, same); w.Code != 200 || a != b {
			t.Errorf("%s: %d\n%s\n%s", c.q.State, w.Code, a, b)
		}
	}
	for body, want := range map[string]int{
		`{`: 400, `{"state":"x"}`: 400, `{"state":"time-wait","segment":"S 1:1(0)","settings":{"x":"1"}}`: 400, `{"unknown":1}`: 400,
		`{"state":"` + strings.Repeat("x", maxQuestion) + `"}`: 400,
	} {
		if w := do(s, s.request("POST", "/api/whatif", strings.NewReader(body))); w.Code != want || !strings.Contains(w.Body.String(), `"error"`) {
			t.Errorf("%.40s: %d %.200s", body, w.Code, w.Body)
		}
	}
	r := s.request("POST", "/api/whatif", strings.NewReader(`{"state":"none","segment":"S 1:1(0)"}`))
	r.Header.Set("Content-Type", "text/plain")
	if w := do(s, r); w.Code != 415 {
		t.Errorf("%d", w.Code)
	}
}

// The server stops when it is told to, though a page listens to its events.
func TestServeStops(t *testing.T) {
	s := newServer(t, Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	r, err := http.NewRequest("GET", "http://"+l.Addr().String()+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 14)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "event: reading" {
		t.Errorf("%q %v", first, err)
	}
	cancel()
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * grace):
		t.Fatal("it does not stop")
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still answers")
	}
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{
		"": "capture", "/": "capture", "..": "..", "a/b.pcap": "b.pcap", `C:\x\b.pcap`: "b.pcap", "a\x1b[2J\n": "a[2J", "\xff": "?",
		strings.Repeat("é", 300): strings.Repeat("é", 119) + "…",
	} {
		if got := fileName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := reportName("a.pcap.gz"); got != "a-tcpwhy" {
		t.Error(got)
	}
	if got := reportName(".pcap"); got != "capture-tcpwhy" {
		t.Error(got)
	}
}
