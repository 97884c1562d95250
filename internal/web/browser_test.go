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
	ctx, cancel = context.WithTimeout(ctx, 40*time.Second)
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
	s, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("String("+expression+")", chromedp.EvalAwaitPromise))
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
