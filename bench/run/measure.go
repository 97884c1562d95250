//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// build compiles the programs. The limits are modules of their own, so that the
// program's own module stays small.
func (b *bench) build() error {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return fmt.Errorf("go list -m: %w (is this the project's folder?)", err)
	}
	for _, p := range []struct{ name, dir, pkg string }{
		{"gen", "bench/gen", "."},
		{"golimit", "bench/limits/golimit", "."},
		{"gopkt", "bench/limits/gopkt", "."},
		{"tcpwhy", ".", "./cmd/tcpwhy"},
	} {
		cmd := exec.Command("go", "build", "-o", b.path(p.name), p.pkg)
		cmd.Dir = strings.TrimSpace(string(root)) + "/" + p.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build in %s: %w\n%s", p.dir, err, out)
		}
	}
	return nil
}

// made is a capture that gen wrote.
type made struct {
	path           string
	packets, conns int
}

// generate writes a capture. concurrent, if not 0, is how many connections are
// open at a time.
func (b *bench) generate(name, flags string, conns, concurrent int) (made, error) {
	m := made{path: b.path(name), conns: conns}
	args := append(strings.Fields(flags), "-conns", strconv.Itoa(conns), "-o", m.path)
	if concurrent > 0 {
		args = append(args, "-concurrent", strconv.Itoa(concurrent))
	}
	var said bytes.Buffer
	cmd := exec.Command(b.path("gen"), args...)
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return m, fmt.Errorf("gen %s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	if _, err := fmt.Sscanf(said.String(), "packets %d", &m.packets); err != nil {
		return m, fmt.Errorf("gen printed %q: %w", said.String(), err)
	}
	return m, nil
}

// usage is what a finished process took.
type usage struct {
	user, cpu time.Duration
	peak      int64 // bytes resident at most
}

// measure runs one of the programs; what it prints goes to a file, because
// writing is part of the work. A peak is never below the peak of the process
// that measures, which a child begins with.
func (b *bench) measure(args ...string) (usage, error) {
	out, err := os.Create(b.path("out"))
	if err != nil {
		return usage{}, err
	}
	if err := warm(); err != nil {
		return usage{}, err
	}
	defer out.Close() // nobody reads it
	var said bytes.Buffer
	program := b.path(args[0])
	if _, err := os.Stat(program); err != nil {
		program = args[0] // one that is installed
	}
	cmd := exec.Command(program, args[1:]...)
	cmd.Stdout, cmd.Stderr = out, &said
	if err := cmd.Run(); err != nil {
		return usage{}, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return usageOf(cmd.ProcessState)
}

// findings counts those of the report that was printed last.
func (b *bench) findings() (int, error) {
	f, err := os.Open(b.path("out"))
	if err != nil {
		return 0, err
	}
	defer f.Close() // read only
	// One at a time: a child begins with this process's memory as its own peak.
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		t, err := d.Token()
		if err != nil {
			return 0, fmt.Errorf("the report has no findings: %w", err)
		}
		if t == "findings" {
			break
		}
	}
	if _, err := d.Token(); err != nil {
		return 0, fmt.Errorf("the report: %w", err)
	}
	n := 0
	for ; d.More(); n++ {
		var x struct{}
		if err := d.Decode(&x); err != nil {
			return 0, fmt.Errorf("finding %d of the report: %w", n+1, err)
		}
	}
	return n, nil
}

func usageOf(p *os.ProcessState) (usage, error) {
	ru, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return usage{}, errors.New("the system does not tell what a process took")
	}
	return usage{p.UserTime(), p.UserTime() + p.SystemTime(), ru.Maxrss << 10}, nil
}

// measureStream runs tcpwhy on what gen makes at the same time, for captures
// that would fill a disk. It returns the number of packets.
func (b *bench) measureStream(flags string, conns int) (u usage, packets int, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return u, 0, err
	}
	var said, complained bytes.Buffer
	from := exec.Command(b.path("gen"), append(strings.Fields(flags), "-conns", strconv.Itoa(conns))...)
	from.Stdout, from.Stderr = w, &said
	to := exec.Command(b.path("tcpwhy"), "explain", "--format", "json", "-")
	to.Stdin, to.Stderr = r, &complained
	err = errors.Join(from.Start(), to.Start())
	// The two have their own copies, and see each other's end.
	err = errors.Join(err, w.Close(), r.Close())
	if err != nil {
		return u, 0, err
	}
	if err := errors.Join(from.Wait(), to.Wait()); err != nil {
		return u, 0, fmt.Errorf("gen | tcpwhy: %w\n%s%s", err, said.String(), complained.String())
	}
	if _, err := fmt.Sscanf(said.String(), "packets %d", &packets); err != nil {
		return u, 0, fmt.Errorf("gen printed %q: %w", said.String(), err)
	}
	u, err = usageOf(to.ProcessState)
	return u, packets, err
}

// spread is a row of figures.
type spread []float64

func (s spread) median() float64 {
	x := slices.Sorted(slices.Values(s))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}

// String prints the median and, in brackets, the lowest and the highest.
func (s spread) String() string { return s.format("%.2f") }

func (s spread) format(verb string) string {
	return fmt.Sprintf(verb+" ("+verb+"-"+verb+")", s.median(), slices.Min(s), slices.Max(s))
}
