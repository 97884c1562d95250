package web

import (
	"bytes"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/report/html"
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
