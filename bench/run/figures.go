//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// runs are the usages of one program, a round each.
type runs []usage

func (r runs) perPacket(packets int) (cpu, user spread) {
	for _, u := range r {
		cpu = append(cpu, float64(u.cpu.Nanoseconds())/float64(packets))
		user = append(user, float64(u.user.Nanoseconds())/float64(packets))
	}
	return cpu, user
}

// over divides the CPU time by that of another program in the same round.
func (r runs) over(other runs) (s spread) {
	for i := range r {
		s = append(s, float64(r[i].cpu)/float64(other[i].cpu))
	}
	return s
}

func (r runs) peak() (peak int64) {
	for _, u := range r {
		peak = max(peak, u.peak)
	}
	return peak
}

// less takes off what a number of findings may cost.
func (r runs) less(findings int) (out runs) {
	for _, u := range r {
		u.cpu -= time.Duration(findings) * freeFinding
		out = append(out, u)
	}
	return out
}

// turns runs programs in turn: a round that fills the caches, then those that count.
func (b *bench) turns(programs [][]string) ([]runs, error) {
	all := make([]runs, len(programs))
	for round := range b.rounds + 1 {
		for i, p := range programs {
			u, err := b.measure(p...)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				all[i] = append(all[i], u)
			}
		}
	}
	return all, nil
}

// speed measures the programs on a capture in turn, and returns the figures of tcpwhy explain.
func (b *bench) speed(title string, m made, limit float64, decode bool) (runs, error) {
	all, err := b.turns([][]string{
		{"golimit", m.path}, {"gopkt", m.path}, {"tcpwhy", "connections", m.path}, {"tcpwhy", "explain", "--format", "json", m.path},
	})
	if err != nil {
		return nil, err
	}
	findings, err := b.findings() // the last program's output
	if err != nil {
		return nil, err
	}
	golimit, gopkt, lines, explain := all[0], all[1], all[2], all[3]
	net := explain.less(findings)
	fmt.Fprintf(b.out, "%s\n%d connections, %d packets, %d findings, %d rounds; median (lowest-highest)\n\n", title, m.conns, m.packets, findings, b.rounds)
	fmt.Fprintf(b.out, "  %-26s %-20s %-20s %s\n", "", "CPU ns/packet", "of these user", "peak MiB")
	for _, x := range []struct {
		name string
		r    runs
	}{{"golimit", golimit}, {"gopkt (decode only)", gopkt}, {"tcpwhy connections", lines}, {"tcpwhy explain, JSON", explain}} {
		cpu, user := x.r.perPacket(m.packets)
		fmt.Fprintf(b.out, "  %-26s %-20s %-20s %d\n", x.name, cpu.format("%.0f"), user.format("%.0f"), x.r.peak()>>20)
	}
	cpu, _ := net.perPacket(m.packets)
	fmt.Fprintf(b.out, "  %-26s %s\n", fmt.Sprintf("... less %v a finding", freeFinding), cpu.format("%.0f"))
	ratio := net.over(golimit)
	fmt.Fprintf(b.out, "\n  that / golimit                 x%s  target: at most x%.1f, %s\n", ratio, limit, verdict(ratio.median() <= limit))
	ratio = net.over(gopkt)
	fmt.Fprintf(b.out, "  that / gopkt                   x%s", ratio)
	if decode {
		fmt.Fprintf(b.out, "  target: below x1, %s", verdict(ratio.median() < 1))
	}
	fmt.Fprintf(b.out, "\n  tcpwhy connections / golimit   x%s\n\n", lines.over(golimit))
	return explain, b.out.Flush()
}

// resident prints the memory of a connection.
func (b *bench) resident(m made, what string, peak int64) error {
	empty, err := b.generate("empty.pcap", openFlows, 0, 0)
	if err != nil {
		return err
	}
	u, err := b.measure("tcpwhy", "explain", "--format", "json", empty.path)
	if err != nil {
		return err
	}
	each := (peak - u.peak) / int64(m.conns)
	fmt.Fprintf(b.out, "  Memory: (%d KiB - %d KiB of an empty capture) / %d connections = %d bytes for %s  target: at most %d, %s\n\n",
		peak>>10, u.peak>>10, m.conns, each, what, maxResident, verdict(each <= maxResident))
	return b.out.Flush()
}

// other is a program that is measured where it is installed.
type other struct {
	args   []string
	target float64 // how many times explain's CPU at least; 0: none was set
}

// installed returns the programs that there are to read a capture, with what makes them read
// it without talking to anybody.
func (b *bench) installed(path string) (found []other) {
	for _, x := range []other{
		{[]string{"tshark", "-n", "-q", "-z", "conv,tcp", "-r", path}, 60},
		{[]string{"argus", "-F", "/dev/null", "-r", path, "-w", "-"}, 8},
		// It removes its pid file in the end. With a control socket it waits for somebody to connect.
		{[]string{"softflowd", "-d", "-6", "-m", "1000000", "-c", "none", "-p", b.path("softflowd.pid"), "-r", path}, 0},
		{[]string{"tcptrace", "-n", path}, 0},
		{[]string{"tcpdump", "-n", "-r", path}, 0},
	} {
		if _, err := exec.LookPath(x.args[0]); err == nil {
			found = append(found, x)
		}
	}
	return found
}

// others measures what else is installed, on a small capture of short connections, because some of it
// takes ten thousand nanoseconds a packet.
func (b *bench) others(conns int) error {
	m, err := b.generate("small.pcap", strings.Replace(shortFlows, "10000", "100", 1), max(conns, 1), 0)
	if err != nil {
		return err
	}
	found := b.installed(m.path)
	var programs [][]string
	for _, x := range found {
		programs = append(programs, x.args)
	}
	all, err := b.turns(append(programs, []string{"tcpwhy", "explain", "--format", "json", m.path}))
	if err != nil {
		return err
	}
	findings, err := b.findings() // the last program's output
	if err != nil {
		return err
	}
	explain := all[len(found)]
	net := explain.less(findings)
	fmt.Fprintf(b.out, "Other programs: %d connections, %d packets, %d findings, %d rounds; median (lowest-highest)\n\n", m.conns, m.packets, findings, b.rounds)
	fmt.Fprintf(b.out, "  %-26s %-22s %-20s over that less %v a finding\n", "", "CPU ns/packet", "over explain", freeFinding)
	cpu, _ := explain.perPacket(m.packets)
	fmt.Fprintf(b.out, "  %-26s %s\n", "tcpwhy explain, JSON", cpu.format("%.0f"))
	for i, x := range found {
		cpu, _ := all[i].perPacket(m.packets)
		ratio := all[i].over(net)
		fmt.Fprintf(b.out, "  %-26s %-22s x%-19s x%s", x.args[0], cpu.format("%.0f"), all[i].over(explain), ratio)
		if x.target > 0 {
			fmt.Fprintf(b.out, "  target: at least x%.0f, %s", x.target, verdict(ratio.median() >= x.target))
		}
		fmt.Fprintln(b.out)
	}
	fmt.Fprintln(b.out)
	return b.out.Flush()
}

// flat prints the memory for a capture, and for one that is ten times as long
// with the same number of four-tuples at a time.
func (b *bench) flat() error {
	var peaks [2]int64
	fmt.Fprintf(b.out, "Memory as a capture grows, with the same number of four-tuples at a time\n\n")
	for i, conns := range []int{flatConns, 10 * flatConns} {
		u, packets, err := b.measureStream(flatFlows, conns)
		if err != nil {
			return err
		}
		peaks[i] = u.peak
		fmt.Fprintf(b.out, "  %8d packets, %7d connections: peak %d KiB\n", packets, conns, u.peak>>10)
	}
	growth := float64(peaks[1]) / float64(peaks[0])
	fmt.Fprintf(b.out, "  x%.2f  target: flat (at most x%.2f), %s\n", growth, maxGrowth, verdict(growth <= maxGrowth))
	return b.out.Flush()
}
