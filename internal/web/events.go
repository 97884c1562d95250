package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// How often the page hears of a capture that is being read, and that the connection
// still stands.
const (
	tick      = 200 * time.Millisecond
	heartbeat = 15 * time.Second
)

// Reading is how far a capture was read.
type Reading struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Read int64  `json:"read"` // bytes
	Size int64  `json:"size"` // bytes, -1 where not known
}

func (st *store) progress() []Reading {
	st.mu.Lock()
	defer st.mu.Unlock()
	out := []Reading{}
	for _, p := range st.reading {
		out = append(out, Reading{p.id, p.name, p.at.Load(), p.size})
	}
	return out
}

// events sends what is being read as server-sent events, whenever it changes.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	var last []Reading
	sent := time.Now()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for first := true; ; first = false {
		now := s.store.progress()
		switch {
		case first || !slices.Equal(now, last):
			b, err := json.Marshal(struct {
				Reading []Reading `json:"reading"`
			}{now})
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "event: reading\ndata: %s\n\n", b); err != nil {
				return
			}
			last, sent = now, time.Now()
		case time.Since(sent) > heartbeat:
			if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil {
				return
			}
			sent = time.Now()
		}
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}
