package tcpwhy_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/report"
)

var healthyKeep = flag.String("healthy-keep", "", "a directory for the captures of ordinary traffic")

const healthyPort = 8080

// healthy is a kind of ordinary traffic between programs that do nothing wrong.
type healthy struct {
	name string
	path path
	run  func(*testing.T, *wire)
	// least is the number of segments that the capture must have: that the traffic was there.
	least uint64
}

var healthies = []healthy{
	{"http keep-alive, the client closes", path{}, httpKind{requests: 5}.run, 15},
	{"http keep-alive, the server closes", path{}, httpKind{requests: 3, idle: 700 * time.Millisecond, serverCloses: true}.run, 10},
	{"http, reused after a pause", path{client: true}, httpKind{requests: 2, pause: 4 * time.Second}.run, 10},
	{"http, connection: close", path{}, httpKind{requests: 4, closes: true}.run, 30},
	{"http upload", path{}, httpKind{requests: 2, upload: 1 << 20}.run, 100},
	{"tls 1.2", path{}, httpKind{requests: 3, tls: tls.VersionTLS12}.run, 15},
	{"tls 1.3", path{client: true}, httpKind{requests: 3, tls: tls.VersionTLS13}.run, 15},
	{"http/2", path{}, httpKind{requests: 6, tls: tls.VersionTLS13, h2: true}.run, 15},
	{"long poll", path{delay: 5 * time.Millisecond}, httpKind{requests: 2, answer: 5 * time.Second}.run, 10},
	{"ipv6", path{}, httpKind{requests: 3, v6: true}.run, 10},
	{"no timestamps", path{sysctls: map[string]string{"tcp_timestamps": "0"}}, httpKind{requests: 3, closes: true}.run, 25},
	{"download with loss, at the server", path{delay: 2 * time.Millisecond, loss: 0.007}, httpKind{requests: 1, download: 5 << 20}.run, 1000},
	{"download with loss, at the client", path{delay: 2 * time.Millisecond, loss: 0.007, client: true}, httpKind{requests: 1, download: 5 << 20}.run, 1000},
	{"download with reordering", path{delay: time.Millisecond, reorder: 0.01, client: true}, httpKind{requests: 1, download: 5 << 20}.run, 1000},
	{"long path", path{delay: 40 * time.Millisecond}, httpKind{requests: 4, download: 100 << 10}.run, 50},
	{"many connections at once", path{delay: time.Millisecond}, manyConnections, 400},
	{"keystrokes", path{delay: 8 * time.Millisecond}, keystrokes, 60},
	{"health checks that close", path{}, healthChecksClose, 30},
	{"health checks that reset", path{}, healthChecksReset, 20},
	{"half-close", path{}, halfClose, 10},
	{"both close at once", path{delay: 20 * time.Millisecond}, bothClose, 7},
	{"a port used again", path{sysctls: map[string]string{"tcp_tw_reuse": "1", "ip_local_port_range": "40000 40000"}}, portReuse, 20},
	{"a restarted server", path{}, restart, 20},
}

// TestHealthy: ordinary traffic of real programs over real kernels raises no finding above
// a notice.
func TestHealthy(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, h := range healthies {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, h.path)
			h.run(t, w)
			pcap := w.captured()
			if *healthyKeep != "" {
				name := strings.NewReplacer(" ", "_", "/", "", ",", "", ":", "").Replace(h.name)
				if err := os.WriteFile(filepath.Join(*healthyKeep, name+".pcap"), pcap, 0o644); err != nil {
					t.Error(err)
				}
			}
			r, err := explain(pcap)
			if err != nil {
				t.Fatal(err)
			}
			if r.Capture.Segments < h.least {
				t.Errorf("only %d segments, want %d", r.Capture.Segments, h.least)
			}
			w.mu.Lock()
			t.Logf("%d connections, %d segments, %d lost, %d late", r.Capture.Connections, r.Capture.Segments, w.lost, w.late)
			w.mu.Unlock()
			for i := range r.Findings {
				f := &r.Findings[i]
				v := f.Verdict
				line := fmt.Sprintf("%s, frames %d: %s %s, %s: %s", f.Question, f.Frames, v.Certainty, v.Cause, v.Severity, v.Says)
				if v.Severity == report.Harmless || v.Severity == report.Notice {
					t.Log(line)
				} else {
					t.Error(line)
				}
			}
		})
	}
}

// httpKind is a client and a server of HTTP.
type httpKind struct {
	requests     int
	pause        time.Duration // between requests
	idle         time.Duration // the server closes what is idle for so long
	answer       time.Duration // the server takes so long
	download     int
	upload       int
	closes       bool // each request has a connection of its own
	serverCloses bool
	v6, h2       bool
	tls          uint16 // version, 0: none
}

func (k httpKind) run(t *testing.T, w *wire) {
	at := serverHost4
	if k.v6 {
		at = serverHost6
	}
	srv := k.server(t)
	l := w.server.listen(t, at, healthyPort)
	url := "http://"
	if k.tls != 0 {
		url = "https://"
		l = tls.NewListener(l, srv.TLSConfig)
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	tr := k.transport(w)
	c := &http.Client{Transport: tr, Timeout: 20 * time.Second}
	for i := range k.requests {
		if i > 0 {
			time.Sleep(k.pause)
		}
		if err := k.request(c, url+l.Addr().String()+"/"); err != nil {
			t.Error(err)
		}
	}
	if k.serverCloses {
		time.Sleep(k.idle + 300*time.Millisecond)
	}
	tr.CloseIdleConnections()
	time.Sleep(100*time.Millisecond + 3*w.path.delay)
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func (k httpKind) server(t *testing.T) *http.Server {
	t.Helper()
	srv := &http.Server{IdleTimeout: k.idle, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		time.Sleep(k.answer)
		if _, err := w.Write(make([]byte, max(300, k.download))); err != nil {
			t.Error(err)
		}
	})}
	if k.tls != 0 {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: k.tls, MaxVersion: k.tls}
		if k.h2 {
			srv.TLSConfig.NextProtos = []string{"h2"}
		}
	}
	return srv
}

func (k httpKind) transport(w *wire) *http.Transport {
	tr := &http.Transport{
		DisableKeepAlives: k.closes,
		ForceAttemptHTTP2: k.h2,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		DialContext: func(_ context.Context, _, to string) (net.Conn, error) {
			return w.client.dial(net.Dialer{}, to)
		},
	}
	return tr
}

func (k httpKind) request(c *http.Client, url string) error {
	method, body := http.MethodGet, io.Reader(nil)
	if k.upload > 0 {
		method, body = http.MethodPost, strings.NewReader(strings.Repeat("x", k.upload))
	}
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	n, err := readAll(res.Body)
	switch {
	case err != nil:
		return err
	case n != int64(max(300, k.download)):
		return fmt.Errorf("%d bytes came", n)
	case k.h2 != (res.ProtoMajor == 2):
		return fmt.Errorf("the protocol is %s", res.Proto)
	}
	return nil
}

// certificate makes one that nobody has signed.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, own, own, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve answers each connection to the listener with f, until the listener is closed.
func serve(t *testing.T, l net.Listener, f func(*net.TCPConn) error) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			wg.Go(func() {
				if err := f(c.(*net.TCPConn)); err != nil {
					t.Error(err)
				}
			})
		}
	})
	return wg.Wait
}

// answerLines answers every line, until the other end closes.
func answerLines(size int) func(*net.TCPConn) error {
	return func(c *net.TCPConn) error {
		in := bufio.NewReader(c)
		for {
			if _, err := in.ReadString('\n'); err != nil {
				return c.Close()
			}
			if _, err := c.Write([]byte(strings.Repeat("y", size-1) + "\n")); err != nil {
				return errors.Join(err, c.Close())
			}
		}
	}
}

// ask sends a line and reads one.
func ask(c net.Conn, line string) error {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return err
	}
	for b := []byte{0}; b[0] != '\n'; {
		if _, err := c.Read(b); err != nil {
			return err
		}
	}
	return nil
}

// session serves with f while the client does its part.
func session(t *testing.T, w *wire, f func(*net.TCPConn) error, client func(to string) error) {
	t.Helper()
	l := w.server.listen(t, serverHost4, healthyPort)
	wait := serve(t, l, f)
	if err := client(l.Addr().String()); err != nil {
		t.Error(err)
	}
	time.Sleep(100*time.Millisecond + 3*w.path.delay)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	wait()
}

func manyConnections(t *testing.T, w *wire) {
	session(t, w, answerLines(200), func(to string) error {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				c, err := w.client.dial(net.Dialer{}, to)
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					if err := ask(c, "a question"); err != nil {
						t.Error(err)
					}
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return nil
	})
}

func keystrokes(t *testing.T, w *wire) {
	session(t, w, answerLines(36), func(to string) error {
		c, err := w.client.dial(net.Dialer{}, to)
		if err != nil {
			return err
		}
		for i := range 40 {
			if err := ask(c, strings.Repeat("k", 20+i%20)); err != nil {
				return err
			}
			time.Sleep(time.Duration(10+37*i%90) * time.Millisecond)
		}
		return c.Close()
	})
}

// untilEnd reads until the other end is done, one way or another.
func untilEnd(c *net.TCPConn) error {
	_, _ = io.Copy(io.Discard, c) // a reset is one of the ways
	return c.Close()
}

func healthChecksClose(t *testing.T, w *wire) {
	session(t, w, untilEnd, func(to string) error {
		for range 5 {
			c, err := w.client.dial(net.Dialer{}, to)
			if err != nil {
				return err
			}
			if err := c.Close(); err != nil {
				return err
			}
			time.Sleep(300 * time.Millisecond)
		}
		return nil
	})
}

// healthChecksReset checks as HAProxy does: without the ACK of the SYN-ACK in three of
// six, a RST in place of a FIN in all.
func healthChecksReset(t *testing.T, w *wire) {
	noACK := func(_, _ string, rc syscall.RawConn) (err error) {
		return errors.Join(rc.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
		}), err)
	}
	session(t, w, untilEnd, func(to string) error {
		for i := range 6 {
			d := net.Dialer{KeepAlive: -1}
			if i%2 == 0 {
				d.Control = noACK
			}
			c, err := w.client.dial(d, to)
			if err != nil {
				return err
			}
			if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
				return err
			}
			time.Sleep(200 * time.Millisecond)
		}
		return nil
	})
}

// halfClose: the client says that it is done, and then gets its answer.
func halfClose(t *testing.T, w *wire) {
	session(t, w, func(c *net.TCPConn) error {
		b, err := io.ReadAll(c)
		if err != nil {
			return err
		}
		time.Sleep(400 * time.Millisecond)
		for range 5 {
			if _, err := c.Write(b); err != nil {
				return err
			}
		}
		return c.Close()
	}, func(to string) error {
		c, err := w.client.dial(net.Dialer{}, to)
		if err != nil {
			return err
		}
		if _, err := c.Write(make([]byte, 3000)); err != nil {
			return err
		}
		if err := c.CloseWrite(); err != nil {
			return err
		}
		_, err = readAll(c)
		return err
	})
}

func bothClose(t *testing.T, w *wire) {
	at := time.Now().Add(time.Second)
	session(t, w, func(c *net.TCPConn) error {
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
			return err
		}
		if _, err := io.WriteString(c, "answer\n"); err != nil {
			return err
		}
		time.Sleep(time.Until(at))
		return c.Close()
	}, func(to string) error {
		c, err := w.client.dial(net.Dialer{}, to)
		if err != nil {
			return err
		}
		if err := ask(c, "question"); err != nil {
			return err
		}
		time.Sleep(time.Until(at))
		return c.Close()
	})
}

// portReuse: the client has one port, and takes it from its own TIME_WAIT.
func portReuse(t *testing.T, w *wire) {
	session(t, w, answerLines(100), func(to string) error {
		for i := range 4 {
			if i > 0 {
				time.Sleep(1500 * time.Millisecond) // more than tcp_tw_reuse_delay
			}
			c, err := w.client.dial(net.Dialer{}, to)
			if err != nil {
				return err
			}
			if err := errors.Join(ask(c, "question"), c.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}

// restart: the server ends, and starts again on its port.
func restart(t *testing.T, w *wire) {
	for i := range 3 {
		session(t, w, answerLines(100), func(to string) error {
			c, err := w.client.dial(net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(clientHost4, 0))}, to)
			if err != nil {
				return err
			}
			if err := ask(c, "question "+strconv.Itoa(i)); err != nil {
				return err
			}
			return c.Close()
		})
		time.Sleep(300 * time.Millisecond)
	}
}
