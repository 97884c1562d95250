package html

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

var update = flag.Bool("update", false, "rewrite the expected pages")

const saved = "../text/testdata/"

func load(t testing.TB, path string) *report.Report {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r
}

func write(t testing.TB, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r, Options{RenderedBy: "tcpwhy v1.2.3"}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// all are the saved reports, by their names.
func all(t testing.TB) map[string]*report.Report {
	t.Helper()
	paths, err := filepath.Glob(saved + "*.json")
	if err != nil || len(paths) < 5 {
		t.Fatalf("found %d reports (%v)", len(paths), err)
	}
	out := map[string]*report.Report{}
	for _, p := range paths {
		out[filepath.Base(p)] = load(t, p)
	}
	return out
}

// TestGolden holds a page without its style, script and pictures against a file.
func TestGolden(t *testing.T) {
	page := write(t, load(t, saved+"open.json"))
	_, body, ok := strings.Cut(page, "</head>\n")
	body, _, ok2 := strings.Cut(body, `<script type="`)
	if !ok || !ok2 {
		t.Fatal("the page has no head or no report")
	}
	for {
		before, rest, found := strings.Cut(body, "<svg")
		if !found {
			break
		}
		_, after, _ := strings.Cut(rest, "</svg>")
		body = before + "[picture]" + after
	}
	const path = "testdata/open.html"
	if *update {
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), body); d != "" {
		t.Errorf("%s (-want +got, -update rewrites):\n%s", path, d)
	}
}

// element is what the tests look at of an element.
type element struct {
	name  string
	attrs map[string]string
}

// parse reads a page as a browser does. text has everything that is shown.
func parse(t testing.TB, page string) (elements []element, text string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			e := element{n.Data, map[string]string{}}
			for _, a := range n.Attr {
				e.attrs[a.Key] = a.Val
			}
			elements = append(elements, e)
		case html.TextNode:
			if p := n.Parent.Data; p != "script" && p != "style" {
				b.WriteString(n.Data)
			}
		}
	}
	return elements, b.String()
}

// TestLinks: each link leads to an element of the page, each id is there once, and
// nothing is loaded from anywhere.
func TestLinks(t *testing.T) {
	for name, r := range all(t) {
		elements, _ := parse(t, write(t, r))
		ids := map[string]bool{}
		for _, e := range elements {
			if id, ok := e.attrs["id"]; ok {
				if ids[id] {
					t.Errorf("%s: the id %q is there twice", name, id)
				}
				ids[id] = true
			}
		}
		links := 0
		for _, e := range elements {
			for k, v := range e.attrs {
				switch k {
				case "href":
					links++
					if !strings.HasPrefix(v, "#") || !ids[v[1:]] {
						t.Errorf("%s: the link to %q leads nowhere", name, v)
					}
				case "src", "srcset", "action", "style", "xlink:href", "data", "poster":
					t.Errorf("%s: <%s> has %s=%q", name, e.name, k, v)
				case "aria-labelledby":
					for id := range strings.FieldsSeq(v) {
						if !ids[id] {
							t.Errorf("%s: the label %q is missing", name, id)
						}
					}
				}
				if strings.HasPrefix(k, "on") {
					t.Errorf("%s: <%s> has %s", name, e.name, k)
				}
			}
		}
		if len(r.Findings) > 0 && links < 5 {
			t.Errorf("%s: only %d links", name, links)
		}
	}
}

var hostile = []string{
	`</script><script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `"><svg onload=alert(1)>`, `'+alert(1)+'`,
	"<!--", "]]>", "{{.}}", `javascript:alert(1)`, `\u003c/script>`, "a\x00b\x1b[31m\xff\u202e\u2028", "</style><style>*{display:none}", "</title>",
}

// TestHostile: whatever stands in a report's strings, the elements stay the same, and
// the strings show.
func TestHostile(t *testing.T) {
	r := load(t, saved+"open.json")
	shape := func(page string) []string {
		var out []string
		elements, _ := parse(t, page)
		for _, e := range elements {
			if e.name == "text" { // a picture breaks long words into lines
				continue
			}
			var keys []string
			for k := range e.attrs {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			out = append(out, e.name+" "+strings.Join(keys, " "))
		}
		return out
	}
	with := func(s string) *report.Report {
		x := report.MapStrings(r, func(string) string { return s })
		x.Schema = report.Schema
		return x
	}
	want := shape(write(t, with("harmless words")))
	for _, s := range hostile {
		page := write(t, with(s))
		if got := shape(page); !slices.Equal(got, want) {
			t.Errorf("%q changes the elements of the page:\n%s", s, cmp.Diff(want, got))
		}
		_, text := parse(t, page)
		if !strings.ContainsAny(s, "\x00\\") && strings.Count(text, s) < 20 {
			t.Errorf("%q is shown %d times only", s, strings.Count(text, s))
		}
		if strings.ContainsAny(text, "\x00\x1b\u202e\u2028") {
			t.Errorf("%q: a character that acts is shown as it is", s)
		}
	}
}

// TestRoundTrip: page → report → page gives equal bytes, and the report in it is whole.
func TestRoundTrip(t *testing.T) {
	reports := all(t)
	reports["large"] = many(t, 300)
	for i, s := range hostile {
		reports[fmt.Sprint("hostile ", i)] = report.MapStrings(reports["open.json"], func(x string) string {
			if x == report.Schema {
				return x
			}
			return s
		})
	}
	for name, r := range reports {
		page := write(t, r)
		data, err := Extract([]byte(page))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want, _ := json.Marshal(r); !bytes.Equal(data, bytes.ReplaceAll(want, []byte(`\ufffd`), []byte("\ufffd"))) {
			t.Errorf("%s: the report in the page is another one", name)
		}
		again, err := report.Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if write(t, again) != page {
			t.Errorf("%s: the page made again differs", name)
		}
	}
}

// many makes a report with so many findings, of which no two have the same numbers.
func many(t testing.TB, n int) *report.Report {
	t.Helper()
	kinds := []*report.Report{load(t, saved+"open.json"), load(t, saved+"certain.json"), load(t, saved+"likely.json")}
	out := *kinds[0]
	out.Findings = nil
	for i := range n {
		f := report.MapStrings(kinds[i%3], func(s string) string {
			return strings.NewReplacer("51820", fmt.Sprint(20000+i), "1500", fmt.Sprint(2000+i)).Replace(s)
		}).Findings[0]
		f.ID = fmt.Sprintf("f%d", i+1)
		for j := range f.Ladder {
			f.Ladder[j].Frame += uint64(100 * i)
		}
		out.Findings = append(out.Findings, f)
		for j := range 2 {
			c := out.Connections[0]
			c.ID = fmt.Sprintf("c%d", 2*i+j+1)
			out.Connections = append(out.Connections, c)
		}
	}
	out.Summary = report.Summarize(out.Findings)
	return &out
}

// TestSize: a page with 500 findings is below 5 MB, and so is one with ten times as many.
func TestSize(t *testing.T) {
	for _, n := range []int{500, 2000} {
		page := write(t, many(t, n))
		t.Logf("%d findings: %d bytes", n, len(page))
		if len(page) > 5_000_000 {
			t.Errorf("a page of %d findings has %d bytes", n, len(page))
		}
		if got := strings.Count(page, "<article"); got < 100 {
			t.Errorf("only %d of %d findings are told in full", got, n)
		}
	}
}

// TestExtract: what is no page of ours is an error that says so.
func TestExtract(t *testing.T) {
	packed := write(t, many(t, 300))
	start := strings.Index(packed, packedType) + len(packedType) + len(`" id="report">`)
	for name, c := range map[string]struct{ page, want string }{
		"another page": {"<html><p>no</p>", "carries no report"},
		"cut":          {packed[:start+100], "cut short"},
		"broken":       {packed[:start] + "@@@@" + packed[start+4:], "cannot be unpacked"},
		"half":         {packed[:start+1000] + "</script>", "cannot be unpacked"},
	} {
		if _, err := Extract([]byte(c.page)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for page, want := range map[string]bool{"": false, " \n<!DOCTYPE html>": true, "\xef\xbb\xbf<html>": true, "{}": false, "  [": false} {
		if IsPage([]byte(page)) != want {
			t.Errorf("IsPage(%q) is not %v", page, want)
		}
	}
}

// TestPolicy: the policy names the style and the script that are in the page.
func TestPolicy(t *testing.T) {
	page := write(t, load(t, saved+"open.json"))
	for n := range mustParse(t, page).Descendants() {
		if n.Type != html.ElementNode || n.FirstChild == nil || n.Data != "style" && n.Data != "script" {
			continue
		}
		if slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "type" }) {
			continue // data
		}
		if h := hash(n.FirstChild.Data); !strings.Contains(page[:3000], inAttribute(h)) {
			t.Errorf("the policy does not name %s of a <%s>", h, n.Data)
		}
	}
	if strings.Contains(page[:3000], "unsafe") {
		t.Error("the policy allows something unsafe")
	}
}

// inAttribute is how html/template writes a hash in an attribute.
func inAttribute(h string) string { return strings.ReplaceAll(h, "+", "&#43;") }

func mustParse(t testing.TB, page string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// FuzzRead: no page and no report makes it panic, and what can be read can be shown.
func FuzzRead(f *testing.F) {
	f.Add([]byte(write(f, load(f, saved+"open.json"))))
	f.Add([]byte(`<script type="application/gzip;base64" id="report">H4sI</script>`))
	f.Add([]byte(`{"schema":"tcpwhy.report/1","findings":[{"ladder":[{"frame":1},{"frame":1}],"frames":[1],"refs":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if IsPage(data) {
			var err error
			if data, err = Extract(data); err != nil {
				return
			}
		}
		r, err := report.Decode(data)
		if err != nil {
			return
		}
		write(t, r)
	})
}
