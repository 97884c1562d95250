package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

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
