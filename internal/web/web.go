// Package web is the local web page of tcpwhy: a capture is dropped on it, explored
// and questioned. It serves its page, and under it a small JSON API that openapi.json
// describes, with the standard library alone.
//
// A capture often holds what must not leave the machine, and a page of a local server
// is within reach of every site that the same browser has open. So each request must
// name the server by an address (a name can be rebound), come from the page itself,
// and bring the token of the URL that the command printed; see guard.go. No request
// names a file: a capture is the body of a request, read once as it comes in, and not kept.
package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report/svg"
)

// DefaultMaxUpload is how many bytes a capture may have where Config says nothing: 2 GiB.
const DefaultMaxUpload = 2 << 30

// grace is how long requests may still take once the server is told to stop.
const grace = 2 * time.Second

// Config is what a server is made from. The zero value serves with the defaults.
type Config struct {
	// Explain reads a capture; nil: tcpwhy.Explain.
	Explain func(ctx context.Context, paths []string, o tcpwhy.Options) (*tcpwhy.Report, error)
	// Version is what the page says that it is; empty: nothing.
	Version string
	// MaxUpload is how many bytes a capture may have; 0: DefaultMaxUpload.
	MaxUpload int64
	// Remote: other machines may ask. Any address is a valid name of the server then, and
	// Hosts are names that are, too.
	Remote bool
	Hosts  []string
}

//go:embed assets openapi.json
var embedded embed.FS

// Server holds the captures that were read, and answers requests about them.
type Server struct {
	config Config
	token  string
	cookie string // its name: servers on one address share their cookies
	assets map[string][]byte
	store  store
	// busy has an element for each capture that is being read.
	busy chan struct{}
}

// New makes a server with a token of its own. It fails where there is no randomness.
func New(c Config) (*Server, error) {
	if c.Explain == nil {
		c.Explain = tcpwhy.Explain
	}
	if c.MaxUpload == 0 {
		c.MaxUpload = DefaultMaxUpload
	}
	s := &Server{config: c, assets: map[string][]byte{}, busy: make(chan struct{}, maxReading)}
	var secret [24]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, err
	}
	s.token = hex.EncodeToString(secret[:])
	name := sha256.Sum256(secret[:])
	s.cookie = "tcpwhy-" + hex.EncodeToString(name[:4])
	return s, s.loadAssets()
}

// loadAssets reads the list of files that there are: a path of a request is looked up
// in it, and never reaches a file system.
func (s *Server) loadAssets() error {
	entries, err := embedded.ReadDir("assets")
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := fs.ReadFile(embedded, "assets/"+e.Name())
		if err != nil {
			return err
		}
		s.assets[e.Name()] = b
	}
	s.assets["pictures.css"] = []byte(svg.Style)
	return nil
}

// URL is the address of the page, with the token, for a server that listens on addr. An
// unspecified address (0.0.0.0) is replaced by host.
func (s *Server) URL(addr net.Addr, host string) string {
	at := addr.String()
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() && host != "" {
		_, port, _ := net.SplitHostPort(at) // of an address that net printed
		at = net.JoinHostPort(host, port)
	}
	u := url.URL{Scheme: "http", Host: at, Path: "/", RawQuery: url.Values{"token": {s.token}}.Encode()}
	return u.String()
}

// Serve answers on l until ctx is done; that is no error. What is then being read is broken off.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(deadline); err != nil {
		// A browser that keeps sending is cut off.
		return errors.Join(ignoreDeadline(err), srv.Close())
	}
	return nil
}

func ignoreDeadline(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
