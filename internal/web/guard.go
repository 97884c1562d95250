package web

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// policy is the page's Content-Security-Policy: its own files, no script or style
// within a page, and no other page around it.
const policy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"font-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard lets only those requests through that the page of this server made, or a
// program that was given the token.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !s.knownHost(r.Host):
			fail(w, http.StatusForbidden, "this server does not answer to the name %q: use its address", r.Host)
		case s.enters(r):
			http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: s.token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			next.ServeHTTP(w, r)
		case !sameOrigin(r):
			fail(w, http.StatusForbidden, "requests of other pages are refused")
		case !s.authorized(r):
			fail(w, http.StatusUnauthorized, "open the URL that tcpwhy serve printed: it has the token that is missing here")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knownHost tells whether the Host header names this server. A page of another site can
// make its own name point here (DNS rebinding), and its requests then carry that name; it cannot
// do so with an address. The port is not looked at: a tunnel (ssh -L) has another.
func (s *Server) knownHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		return s.config.Remote || addr.IsLoopback()
	}
	return s.config.Remote && name != "" && slices.ContainsFunc(s.config.Hosts, func(h string) bool { return strings.EqualFold(h, name) })
}

// enters tells whether the request opens the page with the token. It may come from
// anywhere: people follow the link out of a terminal or a chat. It does nothing but show the page.
func (s *Server) enters(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/" && s.isToken(r.URL.Query().Get("token"))
}

func (s *Server) isToken(t string) bool {
	return subtle.ConstantTimeCompare([]byte(t), []byte(s.token)) == 1
}

// authorized tells whether the request brings the token, in the cookie or as a bearer.
func (s *Server) authorized(r *http.Request) bool {
	if c, err := r.Cookie(s.cookie); err == nil && s.isToken(c.Value) {
		return true
	}
	t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && s.isToken(t)
}

// sameOrigin tells whether the request is the page's own. Browsers say where a request
// comes from by Sec-Fetch-Site, and by Origin where it could change something; programs
// send neither. Another port of this machine is "same-site", and another origin.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return false
	}
	origin := r.Header.Get("Origin")
	return origin == "" || origin == "http://"+r.Host
}
