package tcpwhy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tcpwhy/tcpwhy/internal/capture"
	"github.com/tcpwhy/tcpwhy/internal/report"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

var longHostile = flag.Bool("long", false, "hostile captures as long as they come: millions of connections")

// hostile are captures that somebody made to hurt their reader. Each is written while it is
// read; n is how much there is of what is bad about it.
var hostile = []struct {
	name  string
	n     int // in a usual run it is n and 4n
	long  int // with -long: this many, once
	room  int // megabytes, Options.MaxMemory in a usual run
	mega  int // megabytes that the process may take for 4n
	lines bool
	write func(w io.Writer, n int) error
}{
	{"a SYN flood over many four-tuples", 75_000, 10_000_000, 64, 150, false, flood},
	{"a SYN flood, all of it explained", 3_000, 100_000, 0, 130, false, flood},
	{"a SYN flood, only the lines of its connections", 75_000, 10_000_000, 64, 40, true, flood},
	{"a scan that is refused", 3_000, 1_000_000, 0, 160, false, scan},
	{"one four-tuple opened again and again", 1_000, 1_000_000, 0, 200, false, reopen},
	{"one four-tuple opened again and again, in little room", 10_000, 1_000_000, 16, 80, false, reopen},
	{"one four-tuple asked for again and again", 160, 100_000, 0, 60, false, longPast},
	{"everything overlaps", 75_000, 10_000_000, 0, 40, false, overlap},
	{"absurd times", 2_000, 10_000_000, 0, 200, false, absurdTimes},
	{"a clock that goes backwards", 2_000, 10_000_000, 0, 200, false, backwards},
	{"tiny sections", 75_000, 5_000_000, 0, 60, false, sections},
	{"many interfaces", 75_000, 1_000_000, 0, 80, false, interfaces},
	{"gigantic options", 40, 1_000, 0, 80, false, options},
	{"a compression bomb (gzip)", 20, 2_000, 0, 40, false, gzipBomb},
	{"a compression bomb (zstd)", 20, 2_000, 0, 300, false, zstdBomb},
	{"ICMP errors about connections", 3_000, 1_000_000, 0, 180, false, unreachable},
}

// longRoom is Options.MaxMemory with -long, in megabytes.
const longRoom = 256

// asHostile is set in the child that explains a hostile capture: its index, its n, and the room.
const asHostile = "TCPWHY_TEST_HOSTILE"

// TestHostileChild is no test but the child of TestHostile.
func TestHostileChild(t *testing.T) {
	what, ok := os.LookupEnv(asHostile)
	if !ok {
		t.Skip("no child")
	}
	var i, n, room int
	if _, err := fmt.Sscan(what, &i, &n, &room); err != nil {
		t.Fatal(err)
	}
	in, out := io.Pipe()
	go func() {
		w := bufio.NewWriterSize(out, 1<<18)
		err := hostile[i].write(w, n)
		if err == nil {
			err = w.Flush()
		}
		out.CloseWithError(err)
	}()
	o := Options{Stdin: in, MaxMemory: int64(room) << 20}
	if room > 0 {
		debug.SetMemoryLimit(o.MaxMemory / 8 * 3) // as the command
	}
	if hostile[i].lines {
		o.NoFindings, o.Connection = true, func(*report.Connection) error { return nil }
	}
	var size written
	if !o.NoFindings {
		o.JSON = func(write func(io.Writer) error) error { return write(&size) }
	}
	r, err := Explain(context.Background(), []string{"-"}, o)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%d MB: %d packets, %d connections, %d MB of JSON, %d warnings\n", peak(t)>>10, r.Capture.Packets, r.Capture.Connections, size>>20, len(r.Capture.Warnings))
}

// peak returns the most kilobytes that this process had resident. What getrusage tells begins with the
// memory of the process that started it.
func peak(t *testing.T) (kilobytes int) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatalf("no VmHWM: %v", err)
	}
	return kilobytes
}

// written counts bytes.
type written int

func (n *written) Write(b []byte) (int, error) {
	*n += written(len(b))
	return len(b), nil
}

// used is what a child took.
type used struct {
	cpu  time.Duration
	mega int // megabytes resident at most
	says string
}

// runHostile explains n of a hostile capture in a process of its own.
func runHostile(t *testing.T, i, n, room int) used {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHostileChild$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d", asHostile, i, n, room))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s, %d: %v\n%s", hostile[i].name, n, err, out)
	}
	u := used{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	u.says, _, _ = strings.Cut(string(out), "\n")
	if _, err := fmt.Sscan(u.says, &u.mega); err != nil {
		t.Fatalf("%q: %v", u.says, err)
	}
	return u
}

// TestHostile: no capture makes the program take more than its share of time or of memory.
func TestHostile(t *testing.T) {
	for i, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			if *longHostile {
				u := runHostile(t, i, h.long, longRoom)
				t.Logf("%d: %v, %s", h.long, u.cpu, u.says)
				if u.mega > longRoom {
					t.Errorf("it takes %d MB, more than the %d that it may", u.mega, longRoom)
				}
				return
			}
			one, four := runHostile(t, i, h.n, h.room), runHostile(t, i, 4*h.n, h.room)
			t.Logf("%d: %v, %s", h.n, one.cpu, one.says)
			t.Logf("%d: %v, %s", 4*h.n, four.cpu, four.says)
			// A process takes something by itself, and other work on the machine costs some, too.
			if four.cpu > 6*one.cpu+500*time.Millisecond {
				t.Errorf("four times as much takes %.1f times as long", float64(four.cpu)/float64(one.cpu))
			}
			if four.mega > h.mega {
				t.Errorf("it takes %d MB, more than %d", four.mega, h.mega)
			}
		})
	}
}

// frames writes TCP segments as a capture, with numbers at random.
type frames struct {
	w   *capture.Writer
	err error
	r   *rand.Rand
	now int64
}

func newFrames(w io.Writer) *frames {
	f := &frames{r: rand.New(rand.NewSource(1)), now: 1_700_000_000e9}
	f.w, f.err = capture.NewWriter(w)
	return f
}

func (f *frames) put(src, dst segment.Endpoint, flags segment.Flags, sq, ack, length uint32) {
	if f.err != nil {
		return
	}
	s := segment.Segment{Src: src, Dst: dst, Flags: flags, Seq: seq.Of(sq), Ack: seq.Of(ack), Len: length, Window: 64240, TTL: 64}
	s.Time = f.now
	f.err = f.w.WriteSegment(&s)
}

// at returns an endpoint by number.
func at(n int, port uint16) segment.Endpoint {
	return segment.Endpoint{Addr: segment.AddrFrom4([4]byte{byte(10 + n>>24), byte(n >> 16), byte(n >> 8), byte(n)}), Port: port}
}

var victim = segment.Endpoint{Addr: segment.AddrFrom4([4]byte{192, 0, 2, 1}), Port: 80}

func flood(w io.Writer, n int) error {
	f := newFrames(w)
	for i := range n {
		f.put(at(i, uint16(f.r.Intn(60000)+1024)), victim, segment.SYN, f.r.Uint32(), 0, 0)
		f.now += 1000
	}
	return f.err
}

func scan(w io.Writer, n int) error {
	f := newFrames(w)
	for i := range n {
		sq := f.r.Uint32()
		service := segment.Endpoint{Addr: victim.Addr, Port: uint16(i)}
		client := at(i>>16, 40000)
		f.put(client, service, segment.SYN, sq, 0, 0)
		f.now += 1000
		f.put(service, client, segment.RST|segment.ACK, 0, sq+1, 0)
		f.now += 1000
	}
	return f.err
}

func reopen(w io.Writer, n int) error {
	f := newFrames(w)
	client := at(1, 40000)
	for range n {
		a, b := f.r.Uint32(), f.r.Uint32()
		f.put(client, victim, segment.SYN, a, 0, 0)
		f.put(victim, client, segment.SYN|segment.ACK, b, a+1, 0)
		f.put(client, victim, segment.ACK, a+1, b+1, 0)
		f.put(client, victim, segment.RST, a+1, 0, 0)
		f.now += 1e6
	}
	return f.err
}

func overlap(w io.Writer, n int) error {
	f := newFrames(w)
	client := at(1, 40000)
	f.put(client, victim, segment.SYN, 0, 0, 0)
	f.put(victim, client, segment.SYN|segment.ACK, 0, 1, 0)
	for i := range n {
		length := f.r.Uint32() % 1400
		if i%3 == 0 {
			f.put(victim, client, segment.ACK, f.r.Uint32()%65536, f.r.Uint32()%65536, length)
		} else {
			f.put(client, victim, segment.ACK, f.r.Uint32()%65536, f.r.Uint32()%65536, length)
		}
		f.now += int64(f.r.Intn(100)) * 1e6
	}
	return f.err
}

// talk sends a segment of one of a thousand connections, of any kind.
func (f *frames) talk() {
	k := f.r.Intn(1000)
	flags := []segment.Flags{segment.SYN, segment.SYN | segment.ACK, segment.ACK, segment.ACK, segment.ACK | segment.FIN, segment.RST}[f.r.Intn(6)]
	src, dst := at(k, 40000), victim
	if f.r.Intn(2) == 0 {
		src, dst = dst, src
	}
	f.put(src, dst, flags, f.r.Uint32()%1000, f.r.Uint32()%1000, 0)
}

func absurdTimes(w io.Writer, n int) error {
	f := newFrames(w)
	for range n {
		f.now = int64(f.r.Uint32())*1e9 + int64(f.r.Intn(1e9)) // all that pcap can say
		f.talk()
	}
	return f.err
}

func backwards(w io.Writer, n int) error {
	f := newFrames(w)
	for range n {
		f.talk()
		f.now -= 1e6
	}
	return f.err
}

// block appends a block of pcapng.
func block(b []byte, kind uint32, body []byte) []byte {
	size := uint32(12 + (len(body)+3)/4*4)
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = append(b, body...)
	b = append(b, make([]byte, int(size)-12-len(body))...)
	return binary.LittleEndian.AppendUint32(b, size)
}

func u32(n ...uint32) (b []byte) {
	for _, x := range n {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

// section is the head of a section, iface an interface of raw IP.
func section() []byte {
	return block(nil, 0x0a0d0d0a, append(u32(0x1a2b3c4d, 1), 255, 255, 255, 255, 255, 255, 255, 255))
}

func iface(options ...byte) []byte { return block(nil, 1, append(u32(101, 0), options...)) }

// synFrame is a bare SYN over raw IP from an address by number.
func synFrame(n int) []byte {
	b := []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, byte(n >> 16), byte(n >> 8), byte(n), 192, 0, 2, 1}
	return append(b, 0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 1, 0, 0, 0, 0, 0)
}

func packet(n int, options ...byte) []byte {
	frame := synFrame(n)
	at := uint64(n) * 1000
	body := append(u32(0, uint32(at>>32), uint32(at), uint32(len(frame)), uint32(len(frame))), frame...)
	return block(nil, 6, append(body, options...))
}

func sections(w io.Writer, n int) error {
	head := append(section(), iface()...)
	for i := range n {
		if _, err := w.Write(append(head[:len(head):len(head)], packet(i%100)...)); err != nil {
			return err
		}
	}
	return nil
}

func interfaces(w io.Writer, n int) error {
	_, err := w.Write(section())
	one := iface()
	for range n {
		if err == nil {
			_, err = w.Write(one)
		}
	}
	for i := range 100 {
		if err == nil {
			_, err = w.Write(packet(i))
		}
	}
	return err
}

// options are blocks with a million bytes of comments, and one with as many empty ones.
func options(w io.Writer, n int) error {
	_, err := w.Write(append(section(), iface()...))
	var long []byte
	for range 16 {
		long = append(long, 1, 0, 0xff, 0xff)
		long = append(long, make([]byte, 65536)...)
	}
	short := make([]byte, 0, 1<<20)
	for len(short) < 1<<20 {
		short = append(short, 1, 0, 0, 0)
	}
	for i := range n {
		for _, o := range [][]byte{long, short} {
			if err == nil {
				_, err = w.Write(packet(i, o...))
			}
			if err == nil {
				_, err = w.Write(iface(o...))
			}
		}
	}
	return err
}

// bomb is n megabytes of records without a byte, as pcap.
func bomb(w io.Writer, n int) error {
	if _, err := w.Write(u32(0xa1b2c3d4, 2|4<<16, 0, 0, 65535, 1)); err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for range n {
		if _, err := w.Write(zeros); err != nil {
			return err
		}
	}
	return nil
}

func gzipBomb(w io.Writer, n int) error {
	z := gzip.NewWriter(w)
	if err := bomb(z, n); err != nil {
		return err
	}
	return z.Close()
}

func zstdBomb(w io.Writer, n int) error {
	z, err := zstd.NewWriter(w, zstd.WithWindowSize(64<<20))
	if err != nil {
		return err
	}
	if err := bomb(z, n); err != nil {
		return err
	}
	return z.Close()
}

// unreachable has for each SYN the ICMP error that it met.
func unreachable(w io.Writer, n int) error {
	_, err := w.Write(u32(0xa1b23c4d, 2|4<<16, 0, 0, 65535, 101))
	record := func(i int, frame []byte) {
		if err == nil {
			_, err = w.Write(append(u32(uint32(i/1000), uint32(i%1000)*1_000_000, uint32(len(frame)), uint32(len(frame))), frame...))
		}
	}
	for i := range n {
		syn := synFrame(i)
		record(i, syn)
		icmp := []byte{0x45, 0, 0, 20 + 8 + 40, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 254, 10, byte(i >> 16), byte(i >> 8), byte(i), 3, 1, 0, 0, 0, 0, 0, 0}
		record(i, append(icmp, syn...))
	}
	return err
}

// longPast is a connection that nothing closes, and then SYNs on its four-tuple, three seconds
// apart, that stay without an answer: 40 for each attempt.
func longPast(w io.Writer, n int) error {
	f := newFrames(w)
	client := at(1, 40000)
	f.put(client, victim, segment.SYN, 1000, 0, 0)
	f.put(victim, client, segment.SYN|segment.ACK, 5000, 1001, 0)
	f.put(client, victim, segment.ACK, 1001, 5001, 0)
	var sq uint32
	for i := range n {
		if i%40 == 0 {
			sq = f.r.Uint32()
		}
		f.now += 3e9
		f.put(client, victim, segment.SYN, sq, 0, 0)
	}
	return f.err
}

// TestLongPast: what a SYN costs does not grow with the SYNs before it.
func TestLongPast(t *testing.T) {
	var file bytes.Buffer
	if err := longPast(&file, 320); err != nil {
		t.Fatal(err)
	}
	start := cpuTime()
	r, err := Explain(t.Context(), []string{"-"}, Options{Stdin: &file})
	if err != nil {
		t.Fatal(err)
	}
	took := cpuTime() - start
	t.Logf("%d findings in %v", len(r.Findings), took)
	if took > 2*time.Second { // 0.4 s, 6.4 s where every SYN replays all that came before it
		t.Errorf("320 SYNs on one four-tuple take %v", took)
	}
	if len(r.Findings) != 8 {
		t.Errorf("%d findings, want one for each of 8 attempts", len(r.Findings))
	}
}
