package listen

import (
	"math"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// A SYN cookie is a SYN-ACK for which the listener keeps nothing. Its number is
//
//	hash(four-tuple) + the SYN's seq + minute<<24 + (hash(four-tuple, minute) + i) & 0xffffff
//
// where minute counts since the boot and i is the place of the SYN's MSS in a table
// (secure_tcp_syn_cookie, net/ipv4/syncookies.c; the hashes were SHA-1 first and are
// SipHash today). Its TSval is the clock with its low six bits replaced by what the
// SYN asked for. Nothing repeats it by a timer. The secrets are the kernel's, so
// that from outside only the relations between numbers can be checked.

// cookieMinute is TCP_SYNCOOKIE_PERIOD, the time in which the counter goes up by one.
const cookieMinute = time.Minute

// The bits of a cookie's TSval: the peer's window scale or cookieNoScale, SACK, ECN.
const (
	cookieNoScale = 0xf
	cookieSACK    = 1 << 4
	cookieECN     = 1 << 5
	cookieTSBits  = 6
)

// What differs between kernels, and no rule asks for.
var (
	cookieKeepsOptions = kernel.Behaviour{
		ID: "cookie-keeps-options", Says: "keeps what a SYN asked for in the six low bits of a cookie's TSval",
		From:    "cookie_init_timestamp; read in 3.10 and 6.1; run on 6.18.44",
		Changes: []kernel.Change{{Before: kernel.V(2, 6, 32), After: kernel.V(3, 10, 0), To: kernel.Yes}},
	}
	cookieFourSizes = kernel.Behaviour{
		ID: "cookie-four-sizes", Says: "knows four MSS in a cookie (others: eight)",
		From:    "msstab in net/ipv4/syncookies.c; read in 3.10 (eight) and 5.15; run on 6.18.44",
		Changes: []kernel.Change{{Before: kernel.V(2, 6, 32), After: kernel.V(3, 10, 0), To: kernel.No}, {Before: kernel.V(3, 10, 108), After: kernel.V(5, 15, 0), To: kernel.Yes}},
	}
)

// The tables of segment sizes, and the one for IPv6.
var (
	cookieSizes8  = []uint16{64, 512, 536, 1024, 1440, 1460, 4312, 8960}
	cookieSizes4  = []uint16{536, 1300, 1440, 1460}
	cookieSizesV6 = []uint16{1280 - 60, 1480 - 60, 1500 - 60, 9000 - 60}
)

// CookieMSS returns the MSS that a cookie keeps of the one in a SYN: the connection
// sends no larger segments (timestamps still go off it). The least of the table
// stands for smaller ones too. ok is false where the table was not read.
func CookieMSS(p kernel.Profile, ipv6 bool, mss uint16) (kept uint16, ok bool) {
	i, table := cookieIndex(p, ipv6, mss)
	if table == nil {
		return 0, false
	}
	return table[i], true
}

// cookieIndex returns the table and the place in it; no table where it was not read.
func cookieIndex(p kernel.Profile, ipv6 bool, mss uint16) (int, []uint16) {
	table := cookieSizesV6
	if !ipv6 {
		switch p.Has(&cookieFourSizes).Answer {
		case kernel.Yes:
			table = cookieSizes4
		case kernel.No:
			table = cookieSizes8
		case kernel.Unknown:
			return 0, nil
		}
	}
	i := len(table) - 1
	for i > 0 && mss < table[i] {
		i--
	}
	return i, table
}

// CookieBits are the six low bits of the clock in a cookie's TSval, before the
// offset of the four-tuple is added (cookie_init_timestamp): what the SYN asked for
// and the SYN-ACK granted.
func CookieBits(syn, synACK *segment.Segment) uint32 {
	bits := uint32(cookieNoScale)
	if syn.Options.Has(segment.OptWScale) && synACK.Options.Has(segment.OptWScale) {
		bits = uint32(min(syn.WScale, 14))
	}
	if synACK.Options.Has(segment.OptSACKPermitted) {
		bits |= cookieSACK
	}
	if synACK.Flags.Has(segment.ECE) {
		bits |= cookieECN
	}
	return bits
}

// MayBeCookie tells whether a SYN-ACK may be a cookie that answers the SYN: no where
// it carries what a cookie cannot, else unknown, because a request's SYN-ACK may
// look the same.
func MayBeCookie(p kernel.Profile, syn, synACK *segment.Segment) kernel.Reading {
	if r, told := cookieForm(syn, synACK); told {
		return r
	}
	if !showsLowBits(p) {
		return kernel.Missing(kernel.FactSynCookies, "an offset hides the bits of its TSval")
	}
	want, got := CookieBits(syn, synACK), synACK.TSVal.Uint32()&(1<<cookieTSBits-1)
	if want != got {
		return kernel.Compare(false, "the low bits of its TSval are %s, a cookie's would be %s", seq.Of(got), seq.Of(want))
	}
	return kernel.Undecided(kernel.FactSynCookies, "the low bits of its TSval are %s, as a cookie's (one in 64 of others has them)", seq.Of(got))
}

// LowBitsTell tells whether it is the low bits of the SYN-ACK's TSval from which MayBeCookie answers.
func LowBitsTell(p kernel.Profile, syn, synACK *segment.Segment) bool {
	_, told := cookieForm(syn, synACK)
	return !told && showsLowBits(p)
}

// showsLowBits: the low bits of a cookie's TSval are what the SYN asked for, with nothing added to them.
func showsLowBits(p kernel.Profile) bool {
	return p.Has(&kernel.OffsetsTimestamps).Answer == kernel.No && p.Has(&cookieKeepsOptions).Answer == kernel.Yes
}

// cookieForm is what the flags, numbers and options tell under any kernel; told is false where they
// leave it to the low bits of the TSval.
func cookieForm(syn, synACK *segment.Segment) (r kernel.Reading, told bool) {
	const options = segment.OptWScale | segment.OptSACKPermitted | segment.OptTimestamps
	switch {
	case !synACK.Flags.Has(segment.SYN|segment.ACK) || synACK.Ack != syn.Seq.Add(1):
		return kernel.YesIf(false, "it does not acknowledge the SYN"), true
	case (syn.Options | synACK.Options).Has(segment.OptCut):
		return kernel.Missing("the segment's options", "the capture cut the options"), true
	case synACK.Options&^syn.Options&options != 0:
		return kernel.YesIf(false, "it carries options that the SYN did not offer"), true
	case !synACK.HasTS() && synACK.Options&options != 0:
		return kernel.YesIf(false, "it carries options, which a cookie can keep only in a timestamp, and has none"), true
	case !synACK.HasTS():
		return kernel.Missing(kernel.FactSynCookies, "it carries no option but its MSS, as a cookie without timestamps"), true
	}
	return r, false
}

// Answered is a SYN and the SYN-ACK that answered it, with their times.
type Answered struct{ SYN, SYNACK *segment.Segment }

// BothCookies tells whether two SYN-ACKs of one four-tuple (the same end, the same
// boot) are both cookies. Yes: their numbers go with the SYNs' as those of two
// cookies within one minute do. Of two numbers off the clock line that is chance once in 2^32; of
// numbers on it, it says little where the SYNs' are of a clock too, as both clocks run at one rate. No: they cannot be. SYNs with the same number tell nothing
// by that, because a request repeats its SYN-ACK.
func BothCookies(p kernel.Profile, a, b Answered) kernel.Reading {
	for _, x := range [...]Answered{a, b} {
		if r := MayBeCookie(p, x.SYN, x.SYNACK); r.Answer == kernel.No {
			return r
		}
	}
	if a.SYNACK.HasTS() && b.SYNACK.HasTS() && p.Has(&cookieKeepsOptions).Answer == kernel.Yes {
		clockA, clockB := a.SYNACK.TSVal.Uint32()-CookieBits(a.SYN, a.SYNACK), b.SYNACK.TSVal.Uint32()-CookieBits(b.SYN, b.SYNACK)
		if d := (clockB - clockA) & (1<<cookieTSBits - 1); d != 0 {
			return kernel.YesIf(false, "without the bits of their options their TSvals differ by %d modulo 64, those of cookies by 0", d)
		}
	}
	partA, partB := seq.Of(a.SYNACK.Seq.Ahead(a.SYN.Seq)), seq.Of(b.SYNACK.Seq.Ahead(b.SYN.Seq))
	d := partB.Ahead(partA)
	apart := time.Duration(b.SYNACK.Time - a.SYNACK.Time)
	if apart < 0 {
		apart, d = -apart, -d
	}
	ipv6 := a.SYN.Src.Addr != segment.Addr{} && !a.SYN.Src.Addr.Is4()
	ia, table := cookieIndex(p, ipv6, a.SYN.MSS)
	ib, _ := cookieIndex(p, ipv6, b.SYN.MSS)
	same := a.SYN.MSS == b.SYN.MSS && d == 0 || table != nil && (d == uint32(ib-ia) || d == uint32(ia-ib))
	switch {
	case same && a.SYN.Seq == b.SYN.Seq:
		return kernel.Undecided(kernel.FactSynCookies, "both SYNs have seq %s, so that a request would repeat its SYN-ACK", a.SYN.Seq)
	case same:
		return kernel.Compare(true, "ISN - seq is %s and %s: it goes with the SYN, within one minute", partA, partB)
	case apart < cookieMinute && d >= 2<<24 && d < -(1<<24+8)&math.MaxUint32:
		// The counter goes up by one at most, and what is below it cannot reach
		// further; the place in the table may only make it wrap.
		return kernel.Compare(false, "ISN - seq is %s and %s within a minute, and so it does not go with the SYN", partA, partB)
	}
	return kernel.Undecided(kernel.FactSynCookies, "ISN - seq is %s and %s, which two minutes of cookies may be", partA, partB)
}
