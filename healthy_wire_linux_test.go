package tcpwhy_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The two hosts of a wire.
var (
	clientHost4, serverHost4 = netip.MustParseAddr("10.78.0.2"), netip.MustParseAddr("10.78.0.1")
	clientHost6, serverHost6 = netip.MustParseAddr("fd78::2"), netip.MustParseAddr("fd78::1")
)

// path is how the wire treats packets.
type path struct {
	delay   time.Duration // each way
	loss    float64       // share of the packets with payload that are lost
	reorder float64       // share of the packets with payload that come 3 ms late
	client  bool          // the capture is taken at the client, not at the server
	// drop takes a packet and tells whether it is lost; nil: none is.
	drop    func(ip []byte) bool
	sysctls map[string]string
}

// wire joins two network namespaces, each with a kernel's TCP of its own, and records
// what a capture at one of them shows.
type wire struct {
	client, server *netns
	path           path
	mu             sync.Mutex // of what follows
	rnd            *rand.Rand
	pcap           []byte
	lost, late     int
}

// netns is a network namespace with a TUN device. It ends with the descriptor.
type netns struct {
	ns  int
	tun *os.File
}

// newWire makes the namespaces and starts to carry packets between them. All is gone with the test.
func newWire(t *testing.T, p path) *wire {
	t.Helper()
	w := &wire{path: p, rnd: rand.New(rand.NewPCG(7, 7)), pcap: pcapHead()}
	for _, h := range []struct {
		to     **netns
		v4, v6 netip.Addr
	}{{&w.client, clientHost4, clientHost6}, {&w.server, serverHost4, serverHost6}} {
		n, err := newNetns(h.v4, h.v6, p.sysctls)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.close)
		*h.to = n
	}
	go w.carry(w.client, w.server, p.client)
	go w.carry(w.server, w.client, !p.client)
	return w
}

// pcapHead is a file of raw IP packets with nanoseconds.
func pcapHead() []byte {
	const rawIP = 101
	h := binary.LittleEndian.AppendUint32(nil, nanoMagic)
	h = append(h, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	h = binary.LittleEndian.AppendUint32(h, 262144)
	return binary.LittleEndian.AppendUint32(h, rawIP)
}

// carry takes packets from one host to the other until the first is closed. atSender: the
// capture sees this direction before the path does what it does.
func (w *wire) carry(from, to *netns, atSender bool) {
	type sent struct {
		b   []byte
		due time.Time
	}
	queue := make(chan sent, 65536)
	go func() {
		for p := range queue {
			if d := time.Until(p.due); d > 0 {
				time.Sleep(d)
			}
			w.deliver(p.b, to, atSender)
		}
	}()
	defer close(queue)
	buf := make([]byte, 65536)
	for {
		n, err := from.tun.Read(buf)
		if err != nil {
			return
		}
		p := sent{append([]byte(nil), buf[:n]...), time.Now().Add(w.path.delay)}
		lost, late := w.meet(p.b, atSender)
		switch {
		case lost:
		case late:
			time.AfterFunc(w.path.delay+3*time.Millisecond, func() { w.deliver(p.b, to, atSender) })
		default:
			queue <- p
		}
	}
}

// meet decides about a packet that was sent.
func (w *wire) meet(b []byte, record bool) (lost, late bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if record {
		w.record(b)
	}
	if w.path.drop != nil && w.path.drop(b) {
		w.lost++
		return true, false
	}
	if len(b) < 500 { // no payload worth the name
		return false, false
	}
	x := w.rnd.Float64()
	lost, late = x < w.path.loss, x >= w.path.loss && x < w.path.loss+w.path.reorder
	if lost {
		w.lost++
	}
	if late {
		w.late++
	}
	return lost, late
}

func (w *wire) deliver(b []byte, to *netns, recorded bool) {
	if !recorded {
		w.mu.Lock()
		w.record(b)
		w.mu.Unlock()
	}
	_, _ = to.tun.Write(b) // a namespace that is gone takes no packets
}

// record appends a record to the capture.
func (w *wire) record(b []byte) {
	now := time.Now().UnixNano()
	w.pcap = binary.LittleEndian.AppendUint32(w.pcap, uint32(now/1e9))
	w.pcap = binary.LittleEndian.AppendUint32(w.pcap, uint32(now%1e9))
	w.pcap = binary.LittleEndian.AppendUint32(w.pcap, uint32(len(b)))
	w.pcap = binary.LittleEndian.AppendUint32(w.pcap, uint32(len(b)))
	w.pcap = append(w.pcap, b...)
}

// captured returns the capture once the wire has been silent for a moment.
func (w *wire) captured() []byte {
	for before := -1; ; {
		w.mu.Lock()
		n := len(w.pcap)
		w.mu.Unlock()
		if n == before {
			break
		}
		before = n
		time.Sleep(250*time.Millisecond + 2*w.path.delay)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]byte(nil), w.pcap...)
}

// in runs f on a thread of its own that is in the namespace: sockets that f makes there
// are there.
func (n *netns) in(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(n.ns, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

func (n *netns) close() {
	_ = n.tun.Close()
	_ = unix.Close(n.ns)
}

// listen opens a listening socket in the namespace.
func (n *netns) listen(t *testing.T, at netip.Addr, port uint16) net.Listener {
	t.Helper()
	var l net.Listener
	err := n.in(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(at, port).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // a test may have closed it
	return l
}

// dial connects from the namespace.
func (n *netns) dial(d net.Dialer, to string) (c *net.TCPConn, err error) {
	err = n.in(func() error {
		x, err := d.Dial("tcp", to)
		if err == nil {
			c = x.(*net.TCPConn)
		}
		return err
	})
	return c, err
}

// newNetns makes a namespace whose device has the addresses.
func newNetns(v4, v6 netip.Addr, sysctls map[string]string) (*netns, error) {
	n := &netns{ns: -1}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- n.make(v4, v6, sysctls)
	}()
	if err := <-done; err != nil {
		return nil, errors.Join(err, n.abandon())
	}
	return n, nil
}

func (n *netns) abandon() error {
	var all []error
	if n.tun != nil {
		all = append(all, n.tun.Close())
	}
	if n.ns >= 0 {
		all = append(all, unix.Close(n.ns))
	}
	return errors.Join(all...)
}

// make runs on the thread that becomes the first of the namespace.
func (n *netns) make(v4, v6 netip.Addr, sysctls map[string]string) (err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	if n.ns, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	tun, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq("wire0")
	if err != nil {
		return errors.Join(err, unix.Close(tun))
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(tun, unix.TUNSETIFF, ifr); err != nil {
		return errors.Join(fmt.Errorf("tun: %w", err), unix.Close(tun))
	}
	n.tun = os.NewFile(uintptr(tun), "tun") // it does not block: its reader can be woken
	if err := configureWire(ifr, v4, v6); err != nil {
		return err
	}
	for name, value := range sysctls {
		err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o644)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// configureWire gives the device addresses and a queue, and sets it up.
func configureWire(ifr *unix.Ifreq, v4, v6 netip.Addr) error {
	s4, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s4)
	s6, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s6)
	a := v4.As4()
	for _, step := range []struct {
		call uint
		set  func() error
	}{
		{unix.SIOCSIFTXQLEN, func() error { ifr.SetUint32(8192); return nil }},
		{unix.SIOCSIFADDR, func() error { return ifr.SetInet4Addr(a[:]) }},
		{unix.SIOCSIFNETMASK, func() error { return ifr.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{unix.SIOCSIFFLAGS, func() error { ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		if err := step.set(); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(s4, step.call, ifr); err != nil {
			return fmt.Errorf("device, ioctl %#x: %w", step.call, err)
		}
	}
	if err := unix.IoctlIfreq(s6, unix.SIOCGIFINDEX, ifr); err != nil {
		return err
	}
	req := struct { // in6_ifreq of linux/ipv6.h
		addr      [16]byte
		prefixLen uint32
		index     int32
	}{v6.As16(), 64, int32(ifr.Uint32())}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s6), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&req))); e != 0 {
		return fmt.Errorf("ipv6 address: %w", e)
	}
	for range 500 { // the kernel lets it be used from a work queue
		err = unix.Bind(s6, &unix.SockaddrInet6{Port: 9, Addr: v6.As16()})
		if !errors.Is(err, unix.EADDRNOTAVAIL) {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	return err
}

// readAll reads to the end, and closes.
func readAll(c io.ReadCloser) (int64, error) {
	n, err := io.Copy(io.Discard, c)
	return n, errors.Join(err, c.Close())
}
