package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// What bounds the memory of the server: how many captures are read at a time, of how many the
// result is kept, and how many connections of each.
const (
	maxReading     = 2
	maxKept        = 8
	maxConnections = 200_000
)

// Capture describes one that was read.
type Capture struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`  // of the file, as the browser told it
	Bytes   int64    `json:"bytes"` // of the upload
	TookS   float64  `json:"took_s"`
	Facts   []string `json:"facts"` // that were given with it
	Packets uint64   `json:"packets"`
	// Connections counts all; ConnectionsKept those that can be listed.
	Connections     uint64 `json:"connections"`
	ConnectionsKept int    `json:"connections_kept"`
	Findings        int    `json:"findings"`
}

// read is a capture that was read: what it is, and what was found.
type read struct {
	Capture
	report      *report.Report
	connections []report.Connection // in the order in which they ended
}

// store keeps the latest captures, and those that are being read.
type store struct {
	mu      sync.Mutex
	last    int
	kept    []*read // the oldest first
	reading []*reading
}

// reading is a capture that is being read.
type reading struct {
	id, name string
	size     int64 // bytes to come, -1 where not known
	at       atomic.Int64
}

func (st *store) get(id string) *read {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, c := range st.kept {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (st *store) begin(name string, size int64) *reading {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.last++
	p := &reading{id: "c" + strconv.Itoa(st.last), name: name, size: size}
	st.reading = append(st.reading, p)
	return p
}

// end takes a reading off the list, and keeps what came of it; c may be nil.
func (st *store) end(p *reading, c *read) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, x := range st.reading {
		if x == p {
			st.reading = append(st.reading[:i:i], st.reading[i+1:]...)
			break
		}
	}
	if c != nil {
		st.kept = append(st.kept, c)
		st.kept = append([]*read{}, st.kept[max(0, len(st.kept)-maxKept):]...)
	}
}

func (st *store) forget(id string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, c := range st.kept {
		if c.ID == id {
			st.kept = append(st.kept[:i:i], st.kept[i+1:]...)
			return
		}
	}
}

func (st *store) list() []Capture {
	st.mu.Lock()
	defer st.mu.Unlock()
	out := []Capture{}
	for _, c := range st.kept {
		out = append(out, c.Capture)
	}
	return out
}

func (s *Server) captures(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, struct {
		Captures []Capture `json:"captures"`
	}{s.store.list()})
}

func (s *Server) capture(w http.ResponseWriter, _ *http.Request, c *read) {
	answer(w, http.StatusOK, c.Capture)
}

func (s *Server) forget(w http.ResponseWriter, _ *http.Request, c *read) {
	s.store.forget(c.ID)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) report(w http.ResponseWriter, _ *http.Request, c *read) {
	answer(w, http.StatusOK, c.report)
}

// upload reads a capture as it comes in.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	switch {
	case !isType(r, "application/octet-stream"):
		fail(w, http.StatusUnsupportedMediaType, "a capture is sent as application/octet-stream")
		return
	case r.ContentLength > s.config.MaxUpload:
		w.Header().Set("Connection", "close")
		s.tooLarge(w)
		return
	}
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	default:
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, "%d captures are being read: wait for one to end", maxReading)
		return
	}
	p := s.store.begin(fileName(r.URL.Query().Get("name")), r.ContentLength)
	body := &counted{r: http.MaxBytesReader(w, r.Body, s.config.MaxUpload), n: &p.at}
	c, err := s.read(r.Context(), p, body, r.URL.Query()["fact"])
	var tooLong *http.MaxBytesError
	if err != nil && r.Context().Err() == nil && !errors.As(body.err, &tooLong) {
		// The browser does not look at the answer before it has sent everything.
		_, _ = io.Copy(io.Discard, body)
	}
	if body.err != nil {
		c = nil // an end that the sender did not mean would pass for the capture's
	}
	s.store.end(p, c)
	var usage *tcpwhy.UsageError
	switch {
	case errors.As(body.err, &tooLong):
		s.tooLarge(w)
	case body.err != nil:
		fail(w, http.StatusBadRequest, "%s: the upload broke off after %d bytes", p.name, p.at.Load())
	case errors.As(err, &usage):
		fail(w, http.StatusBadRequest, "%v", err)
	case err != nil:
		fail(w, http.StatusUnprocessableEntity, "%s", inName(err.Error(), p.name))
	default:
		w.Header().Set("Location", "/api/captures/"+c.ID)
		answer(w, http.StatusCreated, c.Capture)
	}
}

func (s *Server) tooLarge(w http.ResponseWriter) {
	fail(w, http.StatusRequestEntityTooLarge, "the capture is larger than the %d bytes that this server reads (--max-upload): give it to tcpwhy on the command line", s.config.MaxUpload)
}

// read explains the capture that body brings.
func (s *Server) read(ctx context.Context, p *reading, body io.Reader, facts []string) (*read, error) {
	c := &read{Capture: Capture{ID: p.id, Name: p.name, Facts: append([]string{}, facts...)}}
	started := time.Now()
	var err error
	c.report, err = s.config.Explain(ctx, []string{"-"}, tcpwhy.Options{
		Stdin: body,
		Facts: facts,
		Connection: func(x *report.Connection) error {
			if len(c.connections) < maxConnections {
				c.connections = append(c.connections, *x)
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	// What stands behind the capture in the upload belongs to nothing, but has to come in.
	if _, err := io.Copy(io.Discard, body); err != nil {
		return nil, err
	}
	c.TookS = time.Since(started).Seconds()
	c.Bytes = p.at.Load()
	c.report.Capture.Sources = []string{p.name}
	for i := range c.report.Capture.Warnings {
		says := &c.report.Capture.Warnings[i].Says
		*says = inName(*says, p.name)
	}
	c.Packets, c.Connections = c.report.Capture.Packets, c.report.Capture.Connections
	c.ConnectionsKept, c.Findings = len(c.connections), len(c.report.Findings)
	return c, nil
}

// inName says the file's name where the reader only knows that it is a stream.
func inName(says, name string) string {
	if rest, ok := strings.CutPrefix(says, "standard input: "); ok {
		return fmt.Sprintf("%s: %s", name, rest)
	}
	return says
}

// fileName is the last part of what the browser says that the file is called: it is shown, and
// nothing else.
func fileName(s string) string {
	s = path.Base(strings.ReplaceAll(s, `\`, "/"))
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > 120 {
		s = string(runes[:119]) + "…"
	}
	if s == "" || s == "." || s == "/" {
		return "capture"
	}
	return s
}

// counted counts what is read, and keeps the error that was no end.
type counted struct {
	r   io.Reader
	n   *atomic.Int64
	err error
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
