package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
)

// Most of the time is spent in waiting, so that several namespaces work at once
// and many connections wait together. A namespace is given up before too many
// TIME_WAITs pile up in it.
const (
	mostWorkers      = 6
	batchSize        = 1000
	jobsPerNamespace = 4
	firstPeerPort    = 1024
	firstHostPort    = 10000
	quiet            = 15 * time.Millisecond  // silence after which nothing more is expected
	late             = 300 * time.Millisecond // how long an answer that was predicted is waited for
	settle           = 300 * time.Millisecond // so that a timer that was set anew can be told from one that was not
	forget           = 620 * time.Millisecond // after which the limiter of ACKs has forgotten
)

// runner plays stories in one namespace.
type runner struct {
	*bench
	wire     *wire
	profile  kernel.Profile
	conns    map[key]*conn
	port     uint16 // the host's port of this batch
	fd4, fd6 int
	keep     bool // outcomes have their trail
}

// key names a connection of a batch.
type key struct {
	ipv6       bool
	host, peer uint16
}

// Run plays the stories on the kernel that runs here, and returns an outcome for
// each, in order. An error is the laboratory's, not the model's.
func Run(ctx context.Context, stories []Story, p kernel.Profile) ([]Outcome, error) {
	return run(ctx, stories, p, false)
}

// run plays the stories; with keep each outcome has its trail.
func run(ctx context.Context, stories []Story, p kernel.Profile, keep bool) ([]Outcome, error) {
	// Every connection holds a file; root may have more of them than the default.
	files := unix.Rlimit{Cur: 1 << 16, Max: 1 << 16}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &files)
	out := make([]Outcome, len(stories))
	jobs := split(stories)
	var next atomic.Int64
	workers := min(mostWorkers, 3*runtime.NumCPU(), len(jobs))
	errs := make(chan error, workers)
	work := func() error {
		for {
			at := int(next.Add(jobsPerNamespace)) - jobsPerNamespace
			if at >= len(jobs) {
				return nil
			}
			mine := jobs[at:min(at+jobsPerNamespace, len(jobs))]
			err := inNamespace(func(b *bench) error {
				w, err := newWire(b.tun)
				if err != nil {
					return err
				}
				r := &runner{bench: b, wire: w, profile: p, port: firstHostPort, keep: keep}
				return r.run(ctx, stories, mine, out)
			})
			if err != nil {
				next.Store(int64(len(jobs))) // the others need not go on
				return err
			}
		}
	}
	for range workers {
		go func() { errs <- work() }()
	}
	var err error
	for range workers {
		err = cmp.Or(err, <-errs)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// job is the indexes of stories that share their settings, and so a batch.
type job struct {
	settings Settings
	which    []int
}

// split makes batches of the stories, in order of their settings' first appearance.
func split(stories []Story) []job {
	var jobs []job
	open := map[Settings]int{} // the batch that has room
	for i := range stories {
		s := stories[i].Settings
		at, ok := open[s]
		if !ok || len(jobs[at].which) == batchSize {
			at = len(jobs)
			jobs, open[s] = append(jobs, job{settings: s}), at
		}
		jobs[at].which = append(jobs[at].which, i)
	}
	return jobs
}

// run plays batches one after the other.
func (r *runner) run(ctx context.Context, stories []Story, jobs []job, out []Outcome) error {
	for _, j := range jobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.batch(j.settings, stories, j.which, out); err != nil {
			return err
		}
	}
	return nil
}

// batch plays the stories of the given indexes side by side.
func (r *runner) batch(set Settings, stories []Story, which []int, out []Outcome) error {
	r.port++
	r.conns = make(map[key]*conn, len(which))
	if err := r.apply(Settings{NoTimeWait: set.NoTimeWait}); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	defer r.shut()
	conns := make([]*conn, 0, len(which))
	defer func() {
		for _, c := range conns {
			c.abort()
		}
	}()
	failed := 0
	for i, at := range which {
		c := &conn{story: &stories[at], fd: -1}
		c.n.Buffers = r.buffers
		r.address(c, uint16(firstPeerPort+i))
		conns = append(conns, c)
		if err := r.reach(c); err != nil {
			if failed++; !errors.As(err, new(*reachError)) || failed > 1+len(which)/20 {
				return fmt.Errorf("story %d: %w", at, err)
			}
			c.over, c.result.Unsure = true, notReached
		}
		now := time.Now().UnixNano()
		if c.n.Reached == 0 { // nothing was sent
			c.n.Reached = now
		}
		if now-c.n.Reached > int64(stall) || tickLag() > stall {
			c.over, c.result.Unsure = true, machineStood
		}
		c.view, c.result.Numbers = viewOf(c.story, &c.n, r.profile), c.n
		if r.keep {
			c.result.trail = &trail{start: c.view, n: c.n}
		}
	}
	if err := r.arrange(set, len(which)); err != nil {
		return err
	}
	if err := r.play(set, conns); err != nil {
		return err
	}
	for i, at := range which {
		out[at] = conns[i].result
	}
	return nil
}

// address gives the connection its ends.
func (r *runner) address(c *conn, port uint16) {
	host, peer := host4, host4.Next()
	if c.story.IPv6 {
		host, peer = host6, host6.Next()
	}
	c.host = segment.Endpoint{Addr: segment.AddrFromNetip(host), Port: r.port}
	c.peer = segment.Endpoint{Addr: segment.AddrFromNetip(peer), Port: port}
	r.conns[key{c.story.IPv6, r.port, port}] = c
}

func (r *runner) open() (err error) {
	r.fd6 = -1
	if r.fd4, err = r.listen(false, r.port); err != nil {
		return err
	}
	if r.ipv6 {
		if r.fd6, err = r.listen(true, r.port); err != nil {
			_ = unix.Close(r.fd4)
		}
	}
	return err
}

// shut closes what open opened.
func (r *runner) shut() {
	for _, fd := range []*int{&r.fd4, &r.fd6} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
		}
		*fd = -1
	}
}

func (r *runner) listener(c *conn) int {
	if c.story.IPv6 {
		return r.fd6
	}
	return r.fd4
}

// abort closes the kernel's side without a farewell.
func (c *conn) abort() {
	if c.fd < 0 {
		return
	}
	_ = unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(c.fd)
	c.fd = -1
}

// dispatch gives a segment of the kernel to its connection.
func (r *runner) dispatch(s segment.Segment) {
	if c := r.conns[key{!s.Dst.Addr.Is4(), s.Src.Port, s.Dst.Port}]; c != nil {
		c.got = append(c.got, s)
	}
}

// drain reads until the kernel has been silent for a while.
func (r *runner) drain(silence time.Duration) error {
	for {
		s, ok, err := r.wire.receive(silence)
		if err != nil || !ok {
			return err
		}
		r.dispatch(s)
	}
}

// apply sets the sysctls.
func (r *runner) apply(s Settings) error {
	pick := func(b bool, yes, no string) string {
		if b {
			return yes
		}
		return no
	}
	for _, x := range []struct{ name, value string }{
		{"tcp_timestamps", pick(s.NoTimestamps, "0", "1")},
		{"tcp_rfc1337", pick(s.RFC1337, "1", "0")},
		{"tcp_invalid_ratelimit", pick(s.NoLimit, "0", "500")},
		{"tcp_syncookies", pick(s.Cookies, "2", "1")},
		{"tcp_abort_on_overflow", pick(s.Abort, "1", "0")},
		{"tcp_max_tw_buckets", pick(s.NoTimeWait, "0", "1000000")},
	} {
		if err := sysctl("net/ipv4/"+x.name, x.value); err != nil {
			return err
		}
	}
	return nil
}

// arrange makes the host what the settings say, after the connections were made
// under the defaults. port is one that no story uses.
func (r *runner) arrange(s Settings, port int) error {
	if s.NoListener {
		r.shut()
	}
	if s.QueueFull && !s.NoListener {
		for _, ipv6 := range []bool{false, true} {
			if ipv6 && !r.ipv6 {
				continue
			}
			if err := r.fill(ipv6, uint16(firstPeerPort+port)); err != nil {
				return err
			}
		}
	}
	if err := r.apply(s); err != nil {
		return err
	}
	time.Sleep(settle)
	if err := r.drain(quiet); err != nil {
		return err
	}
	for _, c := range r.conns {
		c.got = nil
	}
	return nil
}

// fill cuts the backlog to nothing and has one connection wait to be accepted.
func (r *runner) fill(ipv6 bool, port uint16) error {
	c := &conn{story: &Story{State: Established, IPv6: ipv6}, fd: -1}
	r.address(c, port)
	if err := unix.Listen(r.listener(c), 0); err != nil {
		return fmt.Errorf("listener: %w", err)
	}
	if err := r.send(c, segment.SYN); err != nil {
		return err
	}
	if _, err := r.await(c, synAck); err != nil {
		return err
	}
	return r.send(c, segment.ACK)
}
