//go:build linux

package main

import "fmt"

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

// speed measures the programs on a capture in turn.
func (b *bench) speed(title string, m made) error {
	_, err := b.speedPeak(title, m)
	return err
}

// speedPeak is speed, and returns how much memory tcpwhy had at most.
func (b *bench) speedPeak(title string, m made) (int64, error) {
	programs := [][]string{{"golimit", m.path}, {"gopkt", m.path}, {"tcpwhy", "connections", m.path}}
	all := make([]runs, len(programs))
	for round := range b.rounds + 1 {
		for i, p := range programs {
			u, err := b.measure(p...)
			if err != nil {
				return 0, err
			}
			if round > 0 { // the first one fills the caches
				all[i] = append(all[i], u)
			}
		}
	}
	golimit, gopkt, tcpwhy := all[0], all[1], all[2]
	fmt.Fprintf(b.out, "%s\n%d connections, %d packets, %d rounds; median (lowest-highest)\n\n", title, m.conns, m.packets, b.rounds)
	fmt.Fprintf(b.out, "  %-20s %-24s %-24s %s\n", "", "CPU ns/packet", "of these user", "peak MiB")
	for i, name := range []string{"golimit", "gopkt (decode only)", "tcpwhy connections"} {
		cpu, user := all[i].perPacket(m.packets)
		fmt.Fprintf(b.out, "  %-20s %-24s %-24s %d\n", name, cpu.format("%.0f"), user.format("%.0f"), all[i].peak()>>20)
	}
	ratio := tcpwhy.over(golimit)
	fmt.Fprintf(b.out, "\n  tcpwhy / golimit  x%s  target: at most x%.2f, %s\n", ratio, maxRatio, verdict(ratio.median() <= maxRatio))
	fmt.Fprintf(b.out, "  tcpwhy / gopkt    x%s\n\n", tcpwhy.over(gopkt))
	return tcpwhy.peak(), b.out.Flush()
}

// resident prints the memory of an open connection.
func (b *bench) resident(m made, peak int64) error {
	empty, err := b.generate("empty.pcap", openFlows, 0, 0)
	if err != nil {
		return err
	}
	u, err := b.measure("tcpwhy", "connections", empty.path)
	if err != nil {
		return err
	}
	each := (peak - u.peak) / int64(m.conns)
	fmt.Fprintf(b.out, "Memory on S3\n\n  (%d KiB - %d KiB of an empty capture) / %d connections = %d bytes a connection  target: at most %d, %s\n\n",
		peak>>10, u.peak>>10, m.conns, each, maxResident, verdict(each <= maxResident))
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
