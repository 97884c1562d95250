package web

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/tcpwhy/tcpwhy/internal/whatif"
)

// route is one operation. What is under /api/ stands in openapi.json too, which a test holds.
type route struct {
	method, path string
	handle       http.HandlerFunc
}

func (s *Server) routes() []route {
	return []route{
		{"GET", "/{$}", func(w http.ResponseWriter, r *http.Request) { s.asset(w, "index.html") }},
		{"GET", "/assets/{name}", func(w http.ResponseWriter, r *http.Request) { s.asset(w, r.PathValue("name")) }},
		{"GET", "/api/openapi.json", s.openapi},
		{"GET", "/api/info", s.info},
		{"GET", "/api/events", s.events},
		{"GET", "/api/captures", s.captures},
		{"POST", "/api/captures", s.upload},
		{"GET", "/api/captures/{capture}", s.of(s.capture)},
		{"DELETE", "/api/captures/{capture}", s.of(s.forget)},
		{"GET", "/api/captures/{capture}/report", s.of(s.report)},
		{"GET", "/api/captures/{capture}/page", s.of(s.page)},
		{"GET", "/api/captures/{capture}/findings", s.of(s.findings)},
		{"GET", "/api/captures/{capture}/findings/{finding}", s.of(s.finding)},
		{"GET", "/api/captures/{capture}/findings/{finding}/pictures/{picture}", s.of(s.picture)},
		{"GET", "/api/captures/{capture}/overview", s.of(s.overview)},
		{"GET", "/api/captures/{capture}/connections", s.of(s.connections)},
		{"POST", "/api/whatif", s.whatif},
	}
}

// Handler is the whole server, guarded.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.method+" "+r.path, r.handle)
	}
	return s.guard(mux)
}

// of hands on the capture that the path names.
func (s *Server) of(handle func(http.ResponseWriter, *http.Request, *read)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := s.store.get(r.PathValue("capture"))
		if c == nil {
			fail(w, http.StatusNotFound, "there is no capture %q: it was forgotten, or never read", r.PathValue("capture"))
			return
		}
		handle(w, r, c)
	}
}

// contentTypes are those of the assets: what the system's tables say is not asked.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

func (s *Server) asset(w http.ResponseWriter, name string) {
	b, ok := s.assets[name]
	if !ok {
		fail(w, http.StatusNotFound, "there is no file %q", name)
		return
	}
	w.Header().Set("Content-Type", contentTypes[path.Ext(name)])
	_, _ = w.Write(b) // whoever asked has gone
}

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) {
	b, err := embedded.ReadFile("openapi.json")
	if err != nil {
		fail(w, http.StatusInternalServerError, "openapi.json: %v", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // whoever asked has gone
}

// Info is what the page has to know before a capture is read.
type Info struct {
	Version   string  `json:"version"`
	MaxUpload int64   `json:"max_upload"` // bytes
	States    []State `json:"states"`
}

// State is one that the model can be asked about.
type State struct {
	Name string   `json:"name"`
	Says string   `json:"says"`
	Keys []string `json:"keys"`
}

func (s *Server) info(w http.ResponseWriter, _ *http.Request) {
	out := Info{Version: s.config.Version, MaxUpload: s.config.MaxUpload, States: []State{}}
	for _, st := range whatif.States() {
		out.States = append(out.States, State{st.Name, st.Says, append([]string{}, st.Keys...)})
	}
	answer(w, http.StatusOK, out)
}

// answer writes a value as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // segments are full of "<mss 1460>"
	_ = e.Encode(v)        // whoever asked has gone
}

// Failure is the body of every answer that is no success.
type Failure struct {
	Error string `json:"error"`
}

func fail(w http.ResponseWriter, status int, format string, args ...any) {
	answer(w, status, Failure{fmt.Sprintf(format, args...)})
}

// isType tells whether the body is said to be of a type. The types asked for are none that a
// form of another page can send.
func isType(r *http.Request, want string) bool {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && strings.EqualFold(got, want)
}
