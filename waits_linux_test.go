package tcpwhy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy"
	"github.com/tcpwhy/tcpwhy/internal/report"
)

// waiting is traffic between real programs over real kernels that stands still, or is not
// closed, for a known reason.
type waiting struct {
	name  string
	path  path
	facts []string
	run   func(*testing.T, *wire)
	// cause is what must be found (question: cause), never what must not be, in any
	// question.
	cause string
	never []string
}

var waitings = []waiting{
	{"small writes, Nagle", path{client: true}, nil, smallWrites(false), "stalled: delayed-ack-nagle", nil},
	{"small writes, Nagle, at the server", path{}, nil, smallWrites(false), "stalled: delayed-ack-nagle", nil},
	{"small writes, TCP_NODELAY", path{client: true}, nil, smallWrites(true), "connection: nothing-wrong", []string{"delayed-ack-nagle"}},
	{"small writes over a long path", path{client: true, delay: 30 * time.Millisecond}, nil, smallWrites(true), "connection: nothing-wrong", []string{"delayed-ack-nagle"}},
	{"a slow answer", path{}, nil, slowly(2500 * time.Millisecond), "stalled: application-idle", nil},
	{"an answer in time", path{}, nil, slowly(1200 * time.Millisecond), "connection: nothing-wrong", []string{"application-idle"}},
	{"a reader that pauses", path{client: true}, nil, readerPauses, "stalled: zero-window", []string{"persist-probing", "peer-gone"}},
	{"a reader that pauses, and the word that it reads again lost", path{client: true, drop: dropOpening()}, nil, readerPauses, "stalled: persist-probing", []string{"peer-gone"}},
	{"a listener that waits for data", path{}, nil, deferAccept, "connect-stuck: defer-accept", nil},
	{"an orphan's time is over", path{sysctls: map[string]string{"tcp_fin_timeout": "2"}}, []string{"server:net.ipv4.tcp_fin_timeout=2"}, closesLate(4 * time.Second), "close-unfinished: fin-wait2-timeout", nil},
	{"an orphan's time is over, which is not known", path{sysctls: map[string]string{"tcp_fin_timeout": "2"}}, nil, closesLate(4 * time.Second), "close-unfinished: fin-wait2-timeout", nil},
	{"an orphan's time is not over", path{sysctls: map[string]string{"tcp_fin_timeout": "4"}}, nil, closesLate(1500 * time.Millisecond), "connection: nothing-wrong", []string{"fin-wait2-timeout"}},
}

// TestWaits: what keeps real programs waiting is named.
func TestWaits(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, x := range waitings {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, x.path)
			x.run(t, w)
			pcap := w.captured()
			if *healthyKeep != "" {
				if err := os.WriteFile(*healthyKeep+"/waits_"+strings.NewReplacer(" ", "_", ",", "", "'", "").Replace(x.name)+".pcap", pcap, 0o644); err != nil {
					t.Error(err)
				}
			}
			r, err := tcpwhy.Explain(t.Context(), []string{"-"}, tcpwhy.Options{Stdin: bytes.NewReader(pcap), Facts: x.facts})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range r.Findings {
				f := &r.Findings[i]
				v := &f.Verdict
				got = append(got, fmt.Sprintf("%s: %s", f.Question, v.Cause))
				t.Logf("%s: %s %s, %s: %s", f.Question, v.Certainty, v.Cause, v.Severity, v.Says)
				if slices.Contains(x.never, v.Cause) {
					t.Errorf("%s is not what happened", v.Cause)
				}
				if v.Certainty == report.Certain {
					t.Errorf("nothing here can be certain: %s", v.Cause)
				}
			}
			if !slices.Contains(got, x.cause) {
				t.Errorf("got %q, want %q", got, x.cause)
			}
		})
	}
}

// smallWrites asks several times with two writes a request.
func smallWrites(noDelay bool) func(*testing.T, *wire) {
	return func(t *testing.T, w *wire) {
		session(t, w, answerLines(40), func(to string) error {
			c, err := w.client.dial(net.Dialer{}, to)
			if err != nil {
				return err
			}
			if err := c.SetNoDelay(noDelay); err != nil {
				return err
			}
			for range 12 {
				if _, err := io.WriteString(c, "head of 12 b"); err != nil {
					return err
				}
				if err := ask(c, strings.Repeat("b", 87)); err != nil {
					return err
				}
			}
			return c.Close()
		})
	}
}

// deferAccept: the listener waits for data (two seconds, which the kernel makes three of), and the
// client says nothing.
func deferAccept(t *testing.T, w *wire) {
	var l net.Listener
	err := w.server.in(func() (err error) {
		lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) (err error) {
			return errors.Join(rc.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 2)
			}), err)
		}}
		l, err = lc.Listen(t.Context(), "tcp", netip.AddrPortFrom(serverHost4, healthyPort).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wait := serve(t, l, untilEnd)
	c, err := w.client.dial(net.Dialer{}, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * time.Second)
	if err := errors.Join(c.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	wait()
}

// slowly answers after a time.
func slowly(after time.Duration) func(*testing.T, *wire) {
	return func(t *testing.T, w *wire) {
		session(t, w, func(c *net.TCPConn) error {
			b := make([]byte, 100)
			if _, err := c.Read(b); err != nil {
				return err
			}
			time.Sleep(after)
			if _, err := io.WriteString(c, "answer\n"); err != nil {
				return err
			}
			return untilEnd(c)
		}, func(to string) error {
			c, err := w.client.dial(net.Dialer{}, to)
			if err != nil {
				return err
			}
			return errors.Join(ask(c, "question"), c.Close())
		})
	}
}

// readerPauses: the server does not read for a while what the client sends.
func readerPauses(t *testing.T, w *wire) {
	session(t, w, func(c *net.TCPConn) error {
		if err := c.SetReadBuffer(8 << 10); err != nil {
			return err
		}
		time.Sleep(2200 * time.Millisecond)
		return untilEnd(c)
	}, func(to string) error {
		c, err := w.client.dial(net.Dialer{}, to)
		if err != nil {
			return err
		}
		_, err = c.Write(make([]byte, 512<<10))
		return errors.Join(err, c.Close())
	})
}

// dropOpening returns a path.drop that loses the first segment of the server which opens a window
// that it had closed.
func dropOpening() func([]byte) bool {
	shut, done := false, false
	return func(ip []byte) bool {
		head := int(ip[0]&15) * 4
		if ip[0]>>4 != 4 || len(ip) < head+20 || binary.BigEndian.Uint16(ip[head:]) != healthyPort || ip[head+13]&2 != 0 {
			return false
		}
		window := binary.BigEndian.Uint16(ip[head+14:])
		if window == 0 {
			shut = true
			return false
		}
		drop := shut && !done
		done = done || drop
		return drop
	}
}

// closesLate: the server closes after its answer, the client a while later.
func closesLate(after time.Duration) func(*testing.T, *wire) {
	return func(t *testing.T, w *wire) {
		session(t, w, func(c *net.TCPConn) error {
			b := make([]byte, 100)
			if _, err := c.Read(b); err != nil {
				return err
			}
			if _, err := io.WriteString(c, "answer\n"); err != nil {
				return err
			}
			return c.Close()
		}, func(to string) error {
			c, err := w.client.dial(net.Dialer{}, to)
			if err != nil {
				return err
			}
			if err := ask(c, "question"); err != nil {
				return err
			}
			time.Sleep(after)
			return c.Close()
		})
	}
}
