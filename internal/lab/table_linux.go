package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

// The states of /proc/net/tcp (include/net/tcp_states.h).
const (
	procNone        uint8 = 0
	procEstablished       = 1
	procSynRecv           = 3
	procFinWait1          = 4
	procFinWait2          = 5
	procTimeWait          = 6
	procCloseWait         = 8
	procLastAck           = 9
	procListen            = 10
	procClosing           = 11
)

var procNames = [16]string{
	procNone: "no socket", procEstablished: "ESTABLISHED", 2: "SYN_SENT", procSynRecv: "SYN_RECV", procFinWait1: "FIN_WAIT1",
	procFinWait2: "FIN_WAIT2", procTimeWait: "TIME_WAIT", 7: "CLOSE", procCloseWait: "CLOSE_WAIT", procLastAck: "LAST_ACK",
	procListen: "LISTEN", procClosing: "CLOSING", 12: "SYN_RECV", 13: "13", 14: "14", 15: "15",
}

// entry is a line of the table.
type entry struct {
	state uint8
	left  time.Duration // until its timer runs out
}

type table map[key]entry

// readTable reads the sockets of the thread's namespace.
func readTable(ipv6 bool) (table, error) {
	t := table{}
	for _, name := range []string{"tcp", "tcp6"} {
		if name == "tcp6" && !ipv6 {
			continue
		}
		b, err := os.ReadFile("/proc/thread-self/net/" + name)
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return nil, fmt.Errorf("is /proc mounted? %w", err)
			}
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			t.add(line, name == "tcp6")
		}
	}
	return t, nil
}

// add reads one line: number, local and remote end, state, queues, timer.
func (t table) add(line string, ipv6 bool) {
	f := strings.Fields(line)
	if len(f) < 6 || f[0] == "sl" {
		return
	}
	host, ok1 := portOf(f[1])
	peer, ok2 := portOf(f[2])
	state, err := strconv.ParseUint(f[3], 16, 8)
	if !ok1 || !ok2 || err != nil || state > 15 || peer == 0 {
		return
	}
	e := entry{state: uint8(state)}
	if _, when, ok := strings.Cut(f[5], ":"); ok {
		if n, err := strconv.ParseUint(when, 16, 32); err == nil {
			e.left = time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100
		}
	}
	t[key{ipv6, host, peer}] = e
}

// portOf reads the port of "0100007F:1F90".
func portOf(s string) (uint16, bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[i+1:], 16, 16)
	return uint16(n), err == nil
}

// procState is how the table shows what the model believes.
func (v *view) procState() uint8 {
	switch v.at {
	case atTimeWait:
		if v.tw.Substate == timewait.FinWait2 {
			return procFinWait2
		}
		return procTimeWait
	case atLive:
		return [...]uint8{
			live.SynRecv: procSynRecv, live.Established: procEstablished, live.FinWait1: procFinWait1, live.FinWait2: procFinWait2,
			live.CloseWait: procCloseWait, live.Closing: procClosing, live.LastAck: procLastAck,
		}[v.live.State]
	case atNothing:
	}
	return procNone
}
