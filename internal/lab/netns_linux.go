package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
)

// The host's addresses on the TUN device; the peers have others of the same nets.
var (
	host4 = netip.MustParseAddr("10.77.0.1")
	host6 = netip.MustParseAddr("fd77::1")
)

// bench is a namespace with a TUN device. It belongs to one thread: everything
// on it runs where it was made.
type bench struct {
	tun     int
	ipv6    bool // the kernel has IPv6
	buffers buffers
}

// inNamespace runs f on a thread of its own, in a network namespace of its own.
// The thread ends with f, and with it the namespace and all in it.
func inNamespace(f func(*bench) error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- func() error {
			b, err := newBench()
			if err != nil {
				return err
			}
			defer b.close()
			return f(b)
		}()
	}()
	return <-done
}

func newBench() (*bench, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if errors.Is(err, unix.EPERM) {
			return nil, ErrPrivilege
		}
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	tun, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w (is the kernel's module tun loaded?)", err)
	}
	b := &bench{tun: tun}
	if err := b.configure(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { _ = unix.Close(b.tun) }

const device = "lab0"

func (b *bench) configure() error {
	ifr, err := unix.NewIfreq(device)
	if err != nil {
		return fmt.Errorf("tun: %w", err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(b.tun, unix.TUNSETIFF, ifr); err != nil {
		return fmt.Errorf("tun: %w", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("tun: %w", err)
	}
	defer unix.Close(s)
	if err := setAddress4(s); err != nil {
		return err
	}
	for _, name := range []string{"lo", device} {
		if err := bringUp(s, name); err != nil {
			return err
		}
	}
	if setAddress6() == nil {
		if err := awaitAddress6(); err != nil {
			return err
		}
		b.ipv6 = true
	}
	if err := b.readBuffers(); err != nil {
		return err
	}
	for name, value := range map[string]string{
		"net/ipv4/tcp_max_syn_backlog": "65536", "net/core/somaxconn": "65535",
		// Quiet ones: no retransmission may be taken for an answer sooner than needs be.
		"net/ipv4/tcp_early_retrans": "0", "net/ipv4/tcp_fin_timeout": "60",
	} {
		if err := sysctl(name, value); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// readBuffers reads how large receive buffers may become.
func (b *bench) readBuffers() error {
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_rmem")
	if err != nil {
		return fmt.Errorf("sysctl: %w", err)
	}
	var least uint32
	if _, err := fmt.Sscan(string(text), &least, &b.buffers.usual, &b.buffers.most); err != nil {
		return fmt.Errorf("net.ipv4.tcp_rmem: %q: %w", text, err)
	}
	// Where the namespace does not show it, it is not more than that unless somebody set it.
	if text, err := os.ReadFile("/proc/sys/net/core/rmem_max"); err == nil {
		var most uint32
		if _, err := fmt.Sscan(string(text), &most); err == nil {
			b.buffers.most = max(b.buffers.most, most)
		}
	}
	return nil
}

// setAddress4 gives the device its IPv4 address, and a queue that holds the
// answers of a whole batch.
func setAddress4(s int) error {
	ifr, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	ifr.SetUint32(8192)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFTXQLEN, ifr); err != nil {
		return fmt.Errorf("%s: queue: %w", device, err)
	}
	a := host4.As4()
	if err := ifr.SetInet4Addr(a[:]); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCSIFADDR, ifr); err != nil {
		return fmt.Errorf("%s: address: %w", device, err)
	}
	if err := ifr.SetInet4Addr([]byte{255, 255, 0, 0}); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCSIFNETMASK, ifr); err != nil {
		return fmt.Errorf("%s: netmask: %w", device, err)
	}
	return nil
}

// in6Ifreq is struct in6_ifreq of linux/ipv6.h.
type in6Ifreq struct {
	addr      [16]byte
	prefixLen uint32
	index     int32
}

// setAddress6 gives the device its IPv6 address. A TUN device has no neighbours,
// so that the kernel looks for no duplicate of it.
func setAddress6() error {
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq(device)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFINDEX, ifr); err != nil {
		return err
	}
	req := in6Ifreq{addr: host6.As16(), prefixLen: 64, index: int32(ifr.Uint32())}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&req))); e != 0 {
		return e
	}
	return nil
}

// awaitAddress6 waits until the kernel lets the IPv6 address be used: it says so
// from a work queue.
func awaitAddress6() error {
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: ipv6: %w", device, err)
	}
	defer unix.Close(s)
	for range 1000 {
		if err = unix.Bind(s, sockaddr(true, 9)); !errors.Is(err, unix.EADDRNOTAVAIL) {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("%s: ipv6 address: %w", device, err)
	}
	return nil
}

func bringUp(s int, name string) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, ifr); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// sysctl sets one of the namespace: /proc/sys/net shows that of the thread.
func sysctl(name, value string) error {
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil {
		return fmt.Errorf("sysctl: %w", err)
	}
	return nil
}

// listen opens a listener on the host's side.
func (b *bench) listen(ipv6 bool, port uint16) (int, error) {
	family := unix.AF_INET
	if ipv6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("listener: %w", err)
	}
	err = unix.Bind(fd, sockaddr(ipv6, port))
	if err == nil {
		err = unix.Listen(fd, 65535)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("listener on port %d: %w", port, err)
	}
	return fd, nil
}

func sockaddr(ipv6 bool, port uint16) unix.Sockaddr {
	if ipv6 {
		return &unix.SockaddrInet6{Port: int(port), Addr: host6.As16()}
	}
	return &unix.SockaddrInet4{Port: int(port), Addr: host4.As4()}
}

// Kernel returns the kernel that runs here.
func Kernel() (kernel.Profile, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return kernel.Profile{}, fmt.Errorf("uname: %w", err)
	}
	return profileOf(unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:]))
}
