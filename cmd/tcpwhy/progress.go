package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tcpwhy/tcpwhy"
)

const (
	// progressAfter is how long a capture is read before it is said how far that is.
	progressAfter = time.Second
	progressEvery = 250 * time.Millisecond
	// settleFor is how long a rate must have been seen before it tells a time that is left.
	settleFor = 2 * time.Second
)

// meter is a line on the terminal that says how far the reading is.
type meter struct {
	w       io.Writer
	width   func() int // columns of the terminal
	p       tcpwhy.Progress
	stop    chan struct{}
	stopped sync.WaitGroup

	mu    sync.Mutex // guards what follows, and the order of writes to w
	shown bool       // the line stands there
	ended bool
}

// startProgress shows how far the reading is where stderr is a terminal. It returns what
// Explain keeps up to date, nil where nobody looks, and what ends it and wipes the line.
func (a *app) startProgress(off bool) (p *tcpwhy.Progress, end func()) {
	if off || a.terminalWidth(a.stderr) == 0 || a.getenv("TERM") == "dumb" {
		return nil, func() {}
	}
	m := &meter{w: a.stderr, width: func() int { return a.terminalWidth(a.stderr) }, stop: make(chan struct{})}
	m.stopped.Add(1)
	go m.run(time.Now())
	a.meter.Store(m)
	return &m.p, func() {
		a.meter.Store(nil)
		m.end()
	}
}

// addProgressFlag adds --no-progress.
func addProgressFlag(cmd *cobra.Command, off *bool) {
	cmd.Flags().BoolVar(off, "no-progress", false, "do not say on a terminal how far the reading is")
}

func (m *meter) run(start time.Time) {
	defer m.stopped.Done()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case now := <-tick.C:
			if took := now.Sub(start); took >= progressAfter {
				m.show(progressLine(m.p.Done(), took))
			}
		}
	}
}

// show replaces the line. It is cut to the terminal: a line that wraps cannot be wiped.
func (m *meter) show(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return
	}
	if w := m.width(); w > 0 && len(s) >= w {
		s = s[:w-1]
	}
	_, _ = io.WriteString(m.w, "\r"+s+eraseLine)
	m.shown = true
}

// eraseLine erases from the cursor to the end of the line.
const eraseLine = "\x1b[K"

// wipe makes room for a line of another kind.
func (m *meter) wipe() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown {
		_, _ = io.WriteString(m.w, "\r"+eraseLine)
		m.shown = false
	}
}

// end wipes the line for good.
func (m *meter) end() {
	close(m.stop)
	m.stopped.Wait()
	m.wipe()
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
}

// progressLine words how far it is after a time: "reading 45 % of 2.7 GB, 3.1 M packets/s,
// 12 s left", of a stream what came. It has ASCII letters only, and the part that may be cut last.
func progressLine(d tcpwhy.Done, took time.Duration) string {
	rate := fmt.Sprintf("%s packets/s", scaled(float64(d.Packets)/max(took.Seconds(), 1e-3)))
	packets := scaled(float64(d.Packets)) + " packets"
	switch {
	case d.All:
		return fmt.Sprintf("read %s, %s; drawing conclusions", packets, bytesOf(d.Bytes))
	case d.Total <= 0:
		return strings.Join([]string{"reading: " + packets, bytesOf(d.Bytes), rate}, ", ")
	}
	// A file that grows while it is read has more than it was said to have.
	part := min(float64(d.Bytes)/float64(d.Total), 1)
	parts := []string{fmt.Sprintf("reading: %d %% of %s", int(part*100), bytesOf(d.Total))}
	if left, ok := timeLeft(part, took); ok {
		parts = append(parts, left+" left")
	}
	return strings.Join(append(parts, rate, packets), ", ")
}

// timeLeft says how long the rest takes at the rate so far; not ok where that is no rate yet.
func timeLeft(part float64, took time.Duration) (string, bool) {
	if took < settleFor || part <= 0 {
		return "", false
	}
	left := took.Seconds() / part * (1 - part)
	switch {
	case left < 100:
		return fmt.Sprintf("%.0f s", left), true
	case left < 100*60:
		return fmt.Sprintf("%.0f min", left/60), true
	case left < 1000*3600:
		return fmt.Sprintf("%.0f h", left/3600), true
	}
	return "", false
}

// scaled prints a number in three digits or so: 950, 12.3 k, 3.10 M.
func scaled(v float64) string {
	unit := ""
	for _, u := range []string{" k", " M", " G", " T"} {
		if v < 999.5 {
			break
		}
		v, unit = v/1000, u
	}
	switch {
	case unit == "" || v >= 99.95:
		return fmt.Sprintf("%.0f%s", v, unit)
	case v >= 9.995:
		return fmt.Sprintf("%.1f%s", v, unit)
	}
	return fmt.Sprintf("%.2f%s", v, unit)
}

// bytesOf prints a size in bytes.
func bytesOf(n int64) string {
	s := scaled(float64(n))
	if last := s[len(s)-1]; last >= '0' && last <= '9' {
		return s + " B"
	}
	return s + "B"
}
