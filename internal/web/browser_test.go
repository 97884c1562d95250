package web

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

const founding = "../../testdata/founding/founding.pcap"

// page is a browser with the page of a server open.
type page struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	// broken are exceptions, and what the browser refused to do (its policy), as it told them.
	broken []string
}

type step = chromedp.Action[chromedp.Void]

// openPage starts a browser of its own and opens the page. Without Chromium the test is
// skipped: everything else of this package is tested without one.
func openPage(t *testing.T, c Config) *page {
	t.Helper()
	var browser string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("no Chromium is installed: apt-get install chromium")
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // an event stream never ends by itself
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.WindowSize(1280, 900), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to sandbox for root
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	p := &page{t: t, ctx: ctx}
	p.run(chromedp.Navigate("about:blank")) // it starts the browser
	go p.listen(chromedp.Console(ctx))
	p.run(chromedp.Navigate(server.URL+"/?token="+s.token), chromedp.WaitVisible(chromedp.CSS("#drop")))
	return p
}

func (p *page) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range messages {
		if err != nil {
			return // the browser is closed
		}
		if m.Type == chromedp.ConsoleException || m.Type == "error" && !strings.HasSuffix(m.URL, "/api/whatif") { // what is half typed is refused
			p.mu.Lock()
			p.broken = append(p.broken, fmt.Sprintf("%s:%d %s", m.URL, m.Line, m.Text))
			p.mu.Unlock()
		}
	}
}

func (p *page) run(steps ...step) {
	p.t.Helper()
	err := chromedp.Do(p.ctx, steps...)
	p.complain()
	if err != nil {
		p.t.Fatalf("%v\nthe page: %s", err, p.text("body"))
	}
}

// complain reports what the browser found wrong since it was last asked.
func (p *page) complain() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.broken {
		p.t.Errorf("the browser says: %s", b)
	}
	p.broken = nil
}

func (p *page) click(selector string) {
	p.t.Helper()
	p.run(chromedp.Click(chromedp.CSS(selector)))
}

// fill replaces what a field holds, by keys.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.eval(fmt.Sprintf("document.querySelector(%q).select()", selector))
	p.run(chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent(kb.Backspace), chromedp.KeyEvent(text))
}

func (p *page) text(selector string) string {
	return p.eval(fmt.Sprintf("document.querySelector(%q)?.innerText ?? \"(nothing)\"", selector))
}

// eval returns the value of an expression of the page as text.
func (p *page) eval(expression string) string {
	p.t.Helper()
	s, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("(async () => String(await ("+expression+")))()", chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return s
}

// until waits for an expression to become true.
func (p *page) until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(20 * time.Second); p.eval(expression) != "true"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("it did not come true: %s\nthe page: %s", expression, p.text("body"))
		}
	}
	p.complain()
}

// drop lets a file fall onto the page.
func (p *page) drop(path, name string) {
	p.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	data, err := json.Marshal(b) // in base64
	if err != nil {
		p.t.Fatal(err)
	}
	p.eval(fmt.Sprintf(`(() => {
		const bytes = Uint8Array.from(atob(%s), (c) => c.charCodeAt(0));
		const files = new DataTransfer();
		files.items.add(new File([bytes], %q));
		document.getElementById("view").dispatchEvent(new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: files }));
	})()`, data, name))
}

// look saves what the page looks like where TCPWHY_SCREENSHOTS names a directory.
func (p *page) look(name string) {
	p.t.Helper()
	dir := os.Getenv("TCPWHY_SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// scheme makes the browser prefer dark or light.
func (p *page) scheme(name string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestBrowser(t *testing.T) {
	p := openPage(t, Config{})
	p.scheme("light")
	if q := p.eval("location.search"); q != "" {
		t.Errorf("the token stays in the address: %s", q)
	}
	p.look("drop")
	p.drop(founding, "founding.pcap")
	p.run(chromedp.WaitVisible(chromedp.CSS(".finding a")))
	p.look("findings")
	if s := p.text(".findings"); !strings.Contains(s, "Why was the SYN in frame 12 accepted") {
		t.Errorf("findings: %q", s)
	}
	p.click(".finding a")
	p.run(chromedp.WaitVisible(chromedp.CSS("#verdict")), chromedp.WaitVisible(chromedp.CSS("#answer .rules")))
	p.look("finding")

	// A sentence lights its frames up while it is looked at, and leads to them.
	p.eval(`[...document.querySelectorAll("button.sentence")].find((b) => b.textContent.includes("after(3145977016, 4008801888)")).focus()`)
	if lit := p.eval(`[...document.querySelectorAll(".frame.lit")].map((x) => x.id).join(" ")`); lit != "frame-10 frame-12" {
		t.Errorf("lit: %q", lit)
	}
	p.run(chromedp.KeyEvent(kb.Enter))
	if at := p.eval("document.activeElement.id"); at != "frame-12" {
		t.Errorf("the sentence leads to %q", at)
	}

	// Another number is another answer, on the ring too.
	outcome := func(has string) {
		t.Helper()
		p.until(fmt.Sprintf(`document.getElementById("outcome").textContent.includes(%q)`, has))
	}
	outcome("SYN-ACK")
	if s := p.text("#after"); s != "after(3145977016, 4008801888) = false" {
		t.Errorf("ring: %q", s)
	}
	p.fill("#q-tsval", "7")
	outcome("ACK seq 1082535342 ack 4008801888")
	p.fill("#q-ts_recent", "none")
	p.fill("#q-seq", "4008801889")
	outcome("SYN-ACK")
	if s := p.text("#after"); s != "after(4008801889, 4008801888) = true" {
		t.Errorf("ring: %q", s)
	}
	p.fill("#q-kernel", "3.10")
	outcome("SYN-ACK seq 1082600879")
	p.look("whatif")
	p.scheme("dark")
	p.look("finding-dark")
}

// The way from a dropped file to a frame and to another answer, by keys alone.
func TestKeyboardOnly(t *testing.T) {
	p := openPage(t, Config{})
	p.scheme("light")
	// tab moves on until an element fits; whatever takes the focus must show it.
	tab := func(fits string) {
		t.Helper()
		for range 200 {
			p.run(chromedp.KeyEvent(kb.Tab))
			if p.eval(`getComputedStyle(document.activeElement).outlineStyle`) == "none" && p.eval(`document.activeElement.matches("body, main")`) != "true" {
				t.Errorf("the focus does not show on %s", p.eval("document.activeElement.outerHTML"))
			}
			if p.eval("((e) => "+fits+")(document.activeElement)") == "true" {
				return
			}
		}
		t.Fatalf("no tab leads to what fits %s", fits)
	}
	tab(`e.id === "file"`) // what it opens is the system's
	p.drop(founding, "founding.pcap")
	p.run(chromedp.WaitVisible(chromedp.CSS(".finding a")))
	tab(`e.matches(".finding a")`)
	p.run(chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS("#verdict")))
	tab(`e.matches("button.sentence") && e.textContent.includes("17.004 s passed")`)
	if lit := p.eval(`[...document.querySelectorAll("li.frame.lit")].map((x) => x.id).join(" ")`); lit != "frame-11 frame-12" {
		t.Errorf("lit: %q", lit)
	}
	p.until(`document.querySelector("#ladder-frame-12") !== null`)
	p.run(chromedp.KeyEvent(kb.Enter))
	if at := p.eval("document.activeElement.id"); at != "frame-12" {
		t.Errorf("the sentence leads to %q", at)
	}
	if held := p.eval(`[...document.querySelectorAll(".row.held")].map((x) => x.id).join(" ")`); held != "ladder-frame-11 ladder-frame-12" {
		t.Errorf("in the picture: %q", held)
	}
	tab(`e.id === "q-kernel"`)
	p.run(chromedp.KeyEvent("3.10"))
	p.until(`document.getElementById("outcome").textContent.includes("SYN-ACK seq 1082600879")`)
	tab(`e.id === "q-slider"`)
	before := p.text("#after")
	p.run(chromedp.KeyEvent(kb.End))
	p.until(`document.getElementById("after").textContent.startsWith("after(4294967295, ")`)
	if before == p.text("#after") {
		t.Error("the ring does not move along")
	}
}

// Read again under facts, the finding says something else.
func TestFactsChangeTheVerdict(t *testing.T) {
	p := openPage(t, Config{})
	p.drop(founding, "founding.pcap")
	p.run(chromedp.WaitVisible(chromedp.CSS(".finding a")))
	p.click(".finding a")
	p.until(`document.getElementById("verdict")?.textContent.startsWith("It stays open")`)
	p.eval(`document.querySelector("details.again").open = true`)
	p.fill("#facts", "server:kernel=3.10.0-1127.el7\nserver:tcp_tw_recycle=1")
	p.click("#again")
	p.until(`document.getElementById("verdict")?.textContent.includes("had left TIME_WAIT early")`)
	if s := p.text("main"); !strings.Contains(s, "server:tcp_tw_recycle=1") {
		t.Error("what was given is not shown")
	}
}

// What a stranger wrote is shown, and does nothing.
func TestHostileText(t *testing.T) {
	const evil = `<img src=x onerror="window.evil=1"><script>window.evil=1</script>`
	f := report.Finding{
		ID: "f1", Question: evil, Asks: evil, Flow: report.Flow{Client: evil, Server: evil}, Frames: []uint64{1}, Advice: []string{evil},
		Verdict: report.Verdict{Certainty: evil, Cause: evil, Says: evil, Fault: evil, Severity: evil}, Settle: []report.Settle{{On: evil, Command: evil, If: evil, Then: evil}},
		Causes:   []report.Cause{{Cause: evil, Stands: evil, Says: evil, Assumes: []string{evil}, Evidence: []report.Evidence{{Says: evil, Answer: evil, Frames: []uint64{1}, Source: evil}}}},
		Ladder:   []report.Step{{Frame: 1, Time: evil, From: evil, Segment: evil, Note: evil, Asked: true}, {Note: evil}},
		Warnings: []report.Warning{{Code: evil, Says: evil}}, ConnectionIDs: []string{evil},
	}
	p := openPage(t, Config{Version: evil, Explain: func(_ context.Context, _ []string, o tcpwhy.Options) (*tcpwhy.Report, error) {
		c := report.Connection{ID: evil, Client: evil, Server: evil, Opened: evil, Ended: evil, History: evil}
		r := &report.Report{Findings: []report.Finding{f}, Connections: []report.Connection{c}}
		r.Capture.Connections = 1
		r.Capture.Warnings = f.Warnings
		return r, o.Connection(&c)
	}})
	p.drop(founding, evil+".pcap")
	p.run(chromedp.WaitVisible(chromedp.CSS(".finding a")))
	p.click(".finding a")
	p.run(chromedp.WaitVisible(chromedp.CSS("#verdict")))
	if s := p.text("#verdict"); s != evil {
		t.Errorf("the verdict: %q", s)
	}
	p.eval(`location.hash = "#/c1/connections"`)
	p.run(chromedp.WaitVisible(chromedp.CSS("#connections td")))
	if s := p.eval(`document.querySelectorAll("main img, main script, header img").length + " " + window.evil`); s != "0 undefined" {
		t.Errorf("what was written became markup: %s", s)
	}
}

// Every view, in both schemes and at two widths, through the rules of axe-core.
func TestAccessible(t *testing.T) {
	axe := axeCore(t)
	p := openPage(t, Config{})
	run := func(view string) {
		t.Helper()
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{360, 1280} {
				p.scheme(scheme)
				p.run(chromedp.EmulateViewport(width, 900))
				got := p.eval(`axe.run(document, { resultTypes: ["violations"] }).then((r) => r.violations
					.filter((v) => v.impact === "serious" || v.impact === "critical" || v.impact === "moderate")
					.map((v) => v.id + ": " + v.nodes.map((n) => n.html + " " + n.failureSummary).join(" | ")).join("\n"))`)
				if got != "" {
					t.Errorf("%s, %s, %d pixels: %s", view, scheme, width, got)
				}
				if s := p.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth"); s != "0" {
					t.Errorf("%s, %d pixels: the page is %s pixels too wide", view, width, s)
				}
				p.look(fmt.Sprintf("%s-%s-%d", view, scheme, width))
			}
		}
	}
	if _, err := chromedp.Run(p.ctx, chromedp.Evaluate[any](axe+"; 0")); err != nil {
		t.Fatal(err)
	}
	run("drop")
	p.drop(founding, "founding.pcap")
	p.run(chromedp.WaitVisible(chromedp.CSS(".finding a")))
	run("findings")
	p.click(".finding a")
	p.run(chromedp.WaitVisible(chromedp.CSS("#answer .rules")))
	p.eval(`document.querySelectorAll("details").forEach((d) => (d.open = true))`)
	p.until(`document.querySelector("#ladder-frame-12") !== null`)
	run("finding")
	p.eval(`location.hash = "#/c1/connections"`)
	p.run(chromedp.WaitVisible(chromedp.CSS("#connections td")))
	run("connections")
}

// axeCore returns the text of axe-core (MPL-2.0, which is not carried here), as the npm client
// fetches it; the test is skipped where it cannot.
func axeCore(t *testing.T) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("axe-core is fetched by npm, which is not installed")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "axe-core@4.14.1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("axe-core cannot be fetched: %v: %.300s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
