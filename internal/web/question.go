package web

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/tcpwhy/tcpwhy/internal/whatif"
)

// maxQuestion bounds the body of a question to the model.
const maxQuestion = 64 << 10

// Question is one to the model, as "tcpwhy whatif" takes it.
type Question struct {
	State string `json:"state"`
	// Settings are the state's keys with their values.
	Settings map[string]string `json:"settings"`
	// Segment is in packetdrill's notation; empty for a state into which none arrives.
	Segment string `json:"segment"`
	// Kernel is a release, "all", or empty for an unknown one.
	Kernel     string   `json:"kernel"`
	PeerKernel string   `json:"peer_kernel"`
	Set        []string `json:"set,omitempty"` // SYSCTL=VALUE
	Listener   string   `json:"listener"`
	QueueFull  string   `json:"queue_full"`
	IPv6       bool     `json:"ipv6"`
	// AtS is when the segment arrives, in seconds after the state began; absent: 1.
	AtS *float64 `json:"at_s,omitempty"`
}

// input is the question as the command would read it.
func (q *Question) input() whatif.Input {
	in := whatif.Input{
		Kernel: q.Kernel, PeerKernel: q.PeerKernel, Set: q.Set, Listener: q.Listener, QueueFull: q.QueueFull,
		IPv6: q.IPv6, At: 1, Args: []string{q.State},
	}
	if q.AtS != nil {
		in.At = *q.AtS
	}
	// In the state's order, so that equal questions get equal answers; a key that it does
	// not know comes last, for the parser to refuse.
	var keys []string
	for _, s := range whatif.States() {
		if s.Name == q.State {
			keys = s.Keys
		}
	}
	var names []string
	for name, value := range q.Settings {
		if value != "" {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		i, j := slices.Index(keys, a), slices.Index(keys, b)
		switch {
		case i < 0 || j < 0:
			return j - i
		}
		return i - j
	})
	for _, name := range names {
		in.Args = append(in.Args, name+"="+q.Settings[name])
	}
	if q.Segment != "" {
		in.Args = append(in.Args, q.Segment)
	}
	return in
}

// whatif asks the model: the answer is what "tcpwhy whatif --format json" prints.
func (s *Server) whatif(w http.ResponseWriter, r *http.Request) {
	if !isType(r, "application/json") {
		fail(w, http.StatusUnsupportedMediaType, "a question is sent as application/json")
		return
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion))
	d.DisallowUnknownFields()
	var q Question
	if err := d.Decode(&q); err != nil {
		fail(w, http.StatusBadRequest, "the question cannot be read: %v", err)
		return
	}
	parsed, err := whatif.Parse(q.input())
	switch {
	case err != nil:
		fail(w, http.StatusBadRequest, "%v", err)
	case parsed.All:
		answer(w, http.StatusOK, parsed.AskAll())
	default:
		answer(w, http.StatusOK, parsed.Ask())
	}
}
