package web

import (
	"bytes"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/report/html"
	"github.com/tcpwhy/tcpwhy/internal/report/svg"
)

// page is the report as a file to send to somebody: a page that needs no server.
func (s *Server) page(w http.ResponseWriter, _ *http.Request, c *read) {
	var b bytes.Buffer // so that what fails is told, not sent as half a file
	if err := html.Write(&b, c.report, html.Options{RenderedBy: s.config.Version}); err != nil {
		fail(w, http.StatusInternalServerError, "the page cannot be made: %v", err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'") // a browser that shows it all the same runs nothing
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": reportName(c.Name) + ".html"}))
	_, _ = b.WriteTo(w) // whoever asked has gone
}

// reportName is the name of the file, made from the capture's.
func reportName(capture string) string {
	for {
		ext := path.Ext(capture)
		switch strings.ToLower(ext) {
		case ".pcap", ".pcapng", ".cap", ".gz", ".zst", ".txt":
			capture = strings.TrimSuffix(capture, ext)
			continue
		}
		break
	}
	if capture == "" {
		capture = "capture"
	}
	return capture + "-tcpwhy"
}

// pictures are those of a finding; each is nil where it has none of the kind.
var pictures = map[string]func(*report.Finding, svg.Options) []byte{
	"ladder": svg.Ladder, "ring": svg.Ring, "clock": svg.Clock, "sequence": svg.TimeSequence,
}

// picture draws one, to be put into the page: without a style sheet, which pictures.css is.
func (s *Server) picture(w http.ResponseWriter, r *http.Request, c *read) {
	f := findingOf(c.report, r.PathValue("finding"))
	name := r.PathValue("picture")
	draw := pictures[name]
	if f == nil || draw == nil {
		fail(w, http.StatusNotFound, "there is no picture %q of a finding %q in %s", name, r.PathValue("finding"), c.ID)
		return
	}
	s.draw(w, r, name, func(o svg.Options) []byte { return draw(f, o) })
}

// overview draws the connections of a capture that findings name.
func (s *Server) overview(w http.ResponseWriter, r *http.Request, c *read) {
	s.draw(w, r, "overview", func(o svg.Options) []byte { return svg.Overview(c.report, o) })
}

// maxWidth is as wide as a picture is drawn, in pixels.
const maxWidth = 4000

func (s *Server) draw(w http.ResponseWriter, r *http.Request, name string, draw func(svg.Options) []byte) {
	width := 0
	if q := r.URL.Query().Get("width"); q != "" {
		n, err := strconv.Atoi(q)
		if err != nil || n < 0 || n > maxWidth {
			fail(w, http.StatusBadRequest, "width=%s: expected pixels up to %d", q, maxWidth)
			return
		}
		width = n
	}
	b := draw(svg.Options{Width: width, ID: name + "-", Embedded: true})
	if b == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = w.Write(b) // whoever asked has gone
}
