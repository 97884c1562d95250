package lab

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// recording is a capture that is being made: a pcap file with nanoseconds, of packets
// that begin with their IP header, as they pass the TUN device.
type recording struct {
	file       []byte
	frames     int
	firstClose uint64 // the first frame with a FIN or a RST; 0: none yet
	closed     int64  // when, ns
	byHost     bool   // the kernel sent it
}

const (
	recordSnapLen = 128
	linkTypeRaw   = 101 // LINKTYPE_RAW of pcap-linktype(7)
)

func newRecording() *recording {
	b := binary.LittleEndian.AppendUint32(nil, 0xa1b23c4d)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint32(b, recordSnapLen)
	return &recording{file: binary.LittleEndian.AppendUint32(b, linkTypeRaw)}
}

// add records a packet; watched is whether it is one of the connection that the case
// is about.
func (r *recording) add(p []byte, t time.Time) uint64 {
	n := min(len(p), recordSnapLen)
	b := binary.LittleEndian.AppendUint32(r.file, uint32(t.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Nanosecond()))
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
	r.file = append(b, p[:n]...)
	r.frames++
	return uint64(r.frames)
}

// counters of the kernel that say something of what the labels are about.
var counterNames = []string{
	"ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "OutRsts", "RetransSegs", "EmbryonicRsts",
	"SyncookiesSent", "SyncookiesRecv", "SyncookiesFailed", "TW", "TWRecycled", "TWKilled", "PAWSActive", "PAWSEstab", "PAWSTimewait",
	"PAWSOldAck", "ListenOverflows", "ListenDrops", "TCPTimeouts", "TCPAbortOnData", "TCPAbortOnClose", "TCPAbortOnMemory",
	"TCPAbortOnTimeout", "TCPAbortOnLinger", "TCPTimeWaitOverflow", "TCPReqQFullDoCookies", "TCPReqQFullDrop", "TCPChallengeACK",
	"TCPSYNChallenge", "TCPSynRetrans", "TCPACKSkippedSynRecv", "TCPACKSkippedPAWS", "TCPACKSkippedSeq", "TCPACKSkippedFinWait2",
	"TCPACKSkippedTimeWait", "TCPACKSkippedChallenge", "TCPKeepAlive", "TCPToZeroWindowAdv", "TCPFromZeroWindowAdv", "TCPWantZeroWindowAdv",
}

// readCounters reads those of the thread's namespace.
func readCounters() (map[string]uint64, error) {
	out := map[string]uint64{}
	for _, name := range []string{"netstat", "snmp"} {
		b, err := os.ReadFile("/proc/thread-self/net/" + name)
		if err != nil {
			return nil, fmt.Errorf("counters: %w", err)
		}
		addCounters(out, string(b))
	}
	return out, nil
}

// addCounters reads pairs of lines: "TcpExt: NAME NAME ...", "TcpExt: 1 2 ...".
func addCounters(out map[string]uint64, text string) {
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "TcpExt:" && f[0] != "Tcp:" {
			continue
		}
		if len(names) == 0 {
			names = f
			continue
		}
		for i := 1; i < min(len(f), len(names)); i++ {
			if n, err := strconv.ParseUint(f[i], 10, 64); err == nil {
				out[names[i]] = n
			}
		}
		names = nil
	}
}

// moved are the counters of interest that differ.
func moved(before, after map[string]uint64) map[string][2]uint64 {
	out := map[string][2]uint64{}
	for _, n := range counterNames {
		if before[n] != after[n] {
			out[n] = [2]uint64{before[n], after[n]}
		}
	}
	return out
}

// The sysctls that a label lists, where the kernel has them.
var sysctlNames = []string{
	"tcp_abort_on_overflow", "tcp_challenge_ack_limit", "tcp_ecn", "tcp_fin_timeout", "tcp_invalid_ratelimit", "tcp_max_syn_backlog",
	"tcp_max_tw_buckets", "tcp_rfc1337", "tcp_syn_retries", "tcp_synack_retries", "tcp_syncookies", "tcp_timestamps", "tcp_tw_recycle",
	"tcp_tw_reuse", "tcp_tw_reuse_delay", "tcp_retries2", "tcp_orphan_retries", "tcp_syn_linear_timeouts",
}

// readSysctls reads those of the thread's namespace.
func readSysctls() map[string]string {
	out := map[string]string{}
	for _, n := range sysctlNames {
		if b, err := os.ReadFile("/proc/sys/net/ipv4/" + n); err == nil {
			out["net.ipv4."+n] = strings.TrimSpace(string(b))
		}
	}
	return out
}
