package segment

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// canonical are lines that must come back byte for byte.
var canonical = []string{
	"S 3145977016:3145977016(0) win 64240 <mss 1460,sackOK,TS val 7 ecr 0,nop,wscale 7>",
	"S. 2175872083:2175872083(0) ack 3145977017 win 65160 <mss 1460,nop,nop,sackOK,nop,wscale 7>",
	". 1:1(0) ack 1 win 257",
	"F. 5:5(0) ack 9 win 0",
	"R 5:5(0) win 0",
	"R. 0:0(0) ack 101 win 0",
	"R 5:5(0) ack 77 win 0", // an acknowledgement number that the flags do not announce
	"P. 1:24(23) ack 1 win 502 <nop,nop,TS val 1 ecr 2>",
	"- 1:1(0) win 0",
	"SFRPUEWA. 1:1(0) ack 0 win 65535",
	"PU. 1:2(1) ack 1 win 5 urg 1",
	"SEW 1:1(0) win 64240 <mss 1460>",
	". 1:1(0) ack 1 win 5 <nop,nop,sack 4294967290:3>",
	". 1:1(0) ack 1 win 5 <nop,nop,sack 1:2 3:4 5:6 7:8>",
	". 1:1(0) ack 1 win 5 <nop,nop,TS val 1 ecr 2,nop,nop,sack 1:2 3:4 5:6>",
	"S 1:1(0) win 5 <mss 1460,FO>",
	"S 1:1(0) win 5 <mss 1460,FO d9e1e6aabbccddee,nop,nop>",
	"S 1:1(0) win 5 <FOEXP>",
	"S 1:1(0) win 5 <FOEXP 0102>",
	"S 1:1(0) win 5 <nop,nop,md5 000102030405060708090a0b0c0d0e0f>",
	"S 1:1(0) win 5 <ao 0102030405060708090a0b0c0d0e>",
	"S 1:1(0) win 5 <mptcp 0081>",
	"S 1:1(0) win 5 <opt-kind 253 len 4 beef>",
	"S 1:1(0) win 5 <opt-kind 254 len 2>",
	"S 1:1(0) win 5 <opt-kind 2 len 3 05,nop>", // an mss of a wrong length is none
	"S 1:1(0) win 5 <opt-kind 8 len 2>",
	"S 1:1(0) win 5 <mss 1460,mss 536>",
	"S 1:1(0) win 5 <mss 1460,eol,eol,eol,eol>",
	"S 1:1(0) win 5 <eol>",
	"S 1:1(0) win 5 <eol,padding 0001>",
	"S 1:1(0) win 5 <mss 1460,cut 080a0000>",
	"S 1:1(0) win 5 <mss 1460,cut 0800>", // a length of 0 leads nowhere
	"S 1:1(0) win 5 <mss 1460,cut>",
	"S 1:1(0) win 5 <unknown,mss 1460,cut 04>",
	"S 1:1(0) win 5 <wscale 255>",
	"P. 4294967295:9(10) ack 4294967295 win 1",
	"P. 1:0(4294967295) ack 1 win 1",
}

func TestPacketdrillTextComesBack(t *testing.T) {
	for _, text := range canonical {
		s, err := ParsePacketdrill(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := string(AppendPacketdrill(nil, &s)); got != text {
			t.Errorf("got  %s\nwant %s", got, text)
		}
	}
}

func TestParsePacketdrillFields(t *testing.T) {
	tests := []struct {
		text string
		want Segment
	}{
		{
			"S 3145977016:3145977016(0) win 64240 <mss 1460,sackOK,TS val 7 ecr 9,nop,wscale 7>",
			Segment{
				Seq: seq.Of(3145977016), Flags: SYN, Window: 64240,
				Options: OptMSS | OptSACKPermitted | OptTimestamps | OptWScale,
				MSS:     1460, TSVal: seq.Of(7), TSEcr: seq.Of(9), WScale: 7,
				RawOptions: []byte{2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 3, 3, 7},
			},
		},
		{
			"\t.P   4294967295 : 0 ( 1 )\tack 2 win 3 urg 4 < sack 1:2  3:4 , nop >  ",
			Segment{
				Seq: seq.Of(4294967295), Ack: seq.Of(2), Flags: ACK | PSH, Window: 3, Urgent: 4, Len: 1,
				Options: OptSACK, NSACK: 2, SACK: [4]SACKBlock{{seq.Of(1), seq.Of(2)}, {seq.Of(3), seq.Of(4)}},
				RawOptions: []byte{5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 1},
			},
		},
		{"R 5:5(0)", Segment{Seq: seq.Of(5), Flags: RST}},
		{
			"S 1:1(0) win 1 <mss 1460,eol,padding 030307>",
			Segment{
				Seq: seq.Of(1), Flags: SYN, Window: 1, Options: OptMSS, MSS: 1460,
				RawOptions: []byte{2, 4, 5, 180, 0, 3, 3, 7},
			},
		},
		{
			"S 1:1(0) win 1 <FOEXP ab,md5,ao,mptcp,opt-kind 99 len 2,cut 02>",
			Segment{
				Seq: seq.Of(1), Flags: SYN, Window: 1,
				Options:    OptFastOpen | OptMD5 | OptAO | OptMPTCP | OptUnknown | OptCut,
				RawOptions: []byte{254, 5, 0xf9, 0x89, 0xab, 19, 2, 29, 2, 30, 2, 99, 2, 2},
			},
		},
		{
			// Of an option given twice the last counts.
			"S 1:1(0) win 1 <mss 1460,sack 1:2 3:4,mss 536,sack 5:6>",
			Segment{
				Seq: seq.Of(1), Flags: SYN, Window: 1,
				Options: OptMSS | OptSACK, MSS: 536, NSACK: 1, SACK: [4]SACKBlock{{seq.Of(5), seq.Of(6)}},
				RawOptions: []byte{
					2, 4, 5, 180, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4,
					2, 4, 2, 24, 5, 10, 0, 0, 0, 5, 0, 0, 0, 6,
				},
			},
		},
	}
	for _, tt := range tests {
		got, err := ParsePacketdrill(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
		} else if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.text, got, tt.want)
		}
	}
}

func TestParsePacketdrillErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "column 1: want the flags"},
		{"   ", "column 4: want the flags"},
		{"X 1:1(0)", `column 1: 'X' in flags "X" is none of`},
		{"S1 1:1(0)", `column 2: '1' in flags "S1"`},
		{"SS 1:1(0)", `column 2: flag S stands twice in "SS"`},
		{"-S 1:1(0)", `column 1: '-' in flags "-S"`},
		{"S", "column 2: want a number, got the end of the line"},
		{"S 40088018880:40088018880(0) win 1", "column 3: 40088018880 is no 32-bit number: the largest is 4294967295"},
		{"S 99999999999999999999:1(0)", `column 3: "99999999999999999999" is no 32-bit number: the largest is 4294967295`},
		{"S " + strings.Repeat("9", 1000) + ":1(0)", strings.Repeat("9", 40) + `"… is no 32-bit number`},
		{"S 4294967296:1(0)", "column 3: 4294967296 is no 32-bit number"},
		{"S -1:1(0)", `column 3: "-1" is not a number`},
		{"S 1", "column 4: want ':', got the end of the line"},
		{"S 1:2(0) win 1", "column 5: end 2 does not fit: 1 plus 0 bytes is 1"},
		{"P. 4294967295:5(5) ack 1 win 1", "column 15: end 5 does not fit: 4294967295 plus 5 bytes is 4"},
		{"S 1:1(0", "column 8: want ')', got the end of the line"},
		{"S. 1:1(0) win 5", "column 11: flag . needs an acknowledgement"},
		{". 1:1(0) ack win 5", `column 14: "win" is not a number`},
		{"S 1:1(0) win 65536", "column 14: window 65536 is too large: at most 65535"},
		{"S 1:1(0) win 1 urg 65536", "column 20: urgent pointer 65536 is too large"},
		{"S 1:1(0) win 1 ack 1", `column 16: "ack" is not expected here`},
		{"S 1:1(0) win 1 > 5", `column 16: ">" is not expected here`},
		{"S 1:1(0) win 1 <>", `column 17: want an option, got ">"`},
		{"S 1:1(0) win 1 <mss 1460", "column 25: want '>', got the end of the line"},
		{"S 1:1(0) win 1 <mss 1460,>", "column 26: want an option"},
		{"S 1:1(0) win 1 <mss 65536>", "column 21: mss 65536 is too large"},
		{"S 1:1(0) win 1 <wscale 256>", "column 24: wscale 256 is too large"},
		{"S 1:1(0) win 1 <mss>", `column 20: want a number, got ">"`},
		{"S 1:1(0) win 1 <mss1460>", `column 17: "mss1460" is not an option`},
		{"S 1:1(0) win 1 <TS 1 ecr 2>", `column 20: want TS val NUMBER ecr NUMBER, got "1"`},
		{"S 1:1(0) win 1 <TS val 1>", "column 25: want TS val"},
		{"S 1:1(0) win 1 <sack>", "column 17: sack with 0 blocks"},
		{"S 1:1(0) win 1 <sack 1:2 1:2 1:2 1:2 1:2>", "column 17: sack with 5 blocks: 1 to 4 fit"},
		{"S 1:1(0) win 1 <sack 1>", "column 23: want ':'"},
		{"S 1:1(0) win 1 <FO xyz>", `column 20: "xyz" is not a row of bytes`},
		{"S 1:1(0) win 1 <FO abc>", `column 20: "abc" is not a row of bytes`},
		{"S 1:1(0) win 1 <md5 " + strings.Repeat("00", 300) + ">", "column 21: 300 bytes of one option"},
		{"S 1:1(0) win 1 <mss 1,md5 " + strings.Repeat("00", 35) + ">", "column 16: the options take 41 bytes"},
		{"S 1:1(0) win 1 <opt-kind 1 len 2>", "column 26: kind 1 has no length"},
		{"S 1:1(0) win 1 <opt-kind 256 len 2>", "column 26: kind 256 is too large"},
		{"S 1:1(0) win 1 <opt-kind 9 2>", "column 28: want opt-kind KIND len LEN HEX"},
		{"S 1:1(0) win 1 <opt-kind 9 len 3 beef>", "column 32: len 3 does not fit"},
		{"S 1:1(0) win 1 <opt-kind 9 len 0>", "column 32: len 0 does not fit"},
		{"S 1:1(0) win 1 <eol,mss 5>", `column 21: "mss" after eol`},
		{"S 1:1(0) win 1 <padding 00>", "column 17: padding without an eol"},
		{"S 1:1(0) win 1 <cut 02,nop>", `column 24: "nop" after cut`},
	}
	for _, tt := range tests {
		s, err := ParsePacketdrill(tt.text)
		switch {
		case err == nil:
			t.Errorf("%q is read as %+v, want error %s", tt.text, s, tt.want)
		case !strings.Contains(err.Error(), tt.want):
			t.Errorf("%q:\ngot  %v\nwant %s", tt.text, err, tt.want)
		case !reflect.DeepEqual(s, Segment{}):
			t.Errorf("%q: a segment came back with the error", tt.text)
		}
	}
}

// TestAppendPacketdrillKeepsWhatItIsGiven: the text is added behind what b holds.
func TestAppendPacketdrillKeepsWhatItIsGiven(t *testing.T) {
	s := Segment{Flags: RST}
	if got := string(AppendPacketdrill([]byte("> "), &s)); got != "> R 0:0(0) win 0" {
		t.Errorf("got %q", got)
	}
}

// segments draws values whose options are in the fields alone.
func segments() *rapid.Generator[Segment] {
	num := rapid.Custom(func(t *rapid.T) seq.Num {
		return seq.Of(rapid.OneOf(rapid.Uint32(), rapid.SampledFrom([]uint32{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1})).Draw(t, "num"))
	})
	return rapid.Custom(func(t *rapid.T) Segment {
		s := Segment{
			Seq: num.Draw(t, "seq"), Ack: num.Draw(t, "ack"),
			Flags:  Flags(rapid.Uint16Range(0, 1<<9-1).Draw(t, "flags")),
			Window: rapid.Uint16().Draw(t, "window"), Urgent: rapid.Uint16().Draw(t, "urgent"),
			Len:     rapid.Uint32().Draw(t, "len"),
			Options: Options(rapid.Uint16Range(0, uint16(2*OptCut-1)).Draw(t, "options")),
		}
		if s.Options.Has(OptMSS) {
			s.MSS = rapid.Uint16().Draw(t, "mss")
		}
		if s.Options.Has(OptWScale) {
			s.WScale = rapid.Uint8().Draw(t, "wscale")
		}
		if s.Options.Has(OptTimestamps) {
			s.TSVal, s.TSEcr = num.Draw(t, "tsval"), num.Draw(t, "tsecr")
		}
		if s.Options.Has(OptSACK) {
			// With all the other options only one block has room.
			s.NSACK = 1
			if s.Options&^OptCut == OptSACK {
				s.NSACK = rapid.Uint8Range(1, 4).Draw(t, "blocks")
			}
			for i := range s.NSACK {
				s.SACK[i] = SACKBlock{num.Draw(t, "left"), num.Draw(t, "right")}
			}
		}
		return s
	})
}

func TestPacketdrillValueComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := segments().Draw(t, "segment")
		if len(appendOptionBytes(nil, &s)) > maxOptions {
			t.Skip("more options than a header holds")
		}
		text := string(AppendPacketdrill(nil, &s))
		back, err := ParsePacketdrill(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if again := string(AppendPacketdrill(nil, &back)); again != text {
			t.Fatalf("got  %s\nwant %s", again, text)
		}
		back.RawOptions = nil // the text has an order, the fields have not
		if !reflect.DeepEqual(back, s) {
			t.Fatalf("%s:\ngot  %+v\nwant %+v", text, back, s)
		}
	})
}

// TestPacketdrillOptionBytesComeBack: whatever bytes stand where options should, their
// text holds all of them.
func TestPacketdrillOptionBytesComeBack(t *testing.T) {
	// Kinds and lengths that mean something are drawn more often than chance
	// would have it.
	octet := rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte{0, 1, 2, 3, 4, 5, 8, 10, 19, 29, 30, 34, 254, 0xf9, 0x89}))
	rapid.Check(t, func(t *rapid.T) {
		s := Segment{Flags: SYN, RawOptions: rapid.SliceOfN(octet, 1, maxOptions).Draw(t, "options")}
		readOptions(&s, s.RawOptions)
		text := string(AppendPacketdrill(nil, &s))
		back, err := ParsePacketdrill(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !reflect.DeepEqual(back, s) {
			t.Fatalf("%s:\ngot  %+v\nwant %+v", text, back, s)
		}
	})
}

// TestPacketdrillDamagedLines takes every line apart by a byte and by its tail.
func TestPacketdrillDamagedLines(t *testing.T) {
	for _, text := range canonical {
		for i := range len(text) {
			checkPacketdrill(t, text[:i])
			checkPacketdrill(t, text[:i]+text[i+1:])
		}
	}
}

func FuzzPacketdrill(f *testing.F) {
	for _, text := range canonical {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { checkPacketdrill(t, text) })
}

// checkPacketdrill: what can be read can be written, and is then read and
// written as the same.
func checkPacketdrill(t *testing.T, text string) {
	t.Helper()
	s, err := ParsePacketdrill(text)
	if err != nil {
		if !strings.HasPrefix(err.Error(), "column ") {
			t.Errorf("%q: error without a column: %v", text, err)
		}
		return
	}
	printed := string(AppendPacketdrill(nil, &s))
	back, err := ParsePacketdrill(printed)
	if err != nil {
		t.Errorf("%q is printed as %q, which cannot be read: %v", text, printed, err)
		return
	}
	if !reflect.DeepEqual(back, s) {
		t.Errorf("%q, printed as %q:\ngot  %+v\nwant %+v", text, printed, back, s)
	}
	if again := string(AppendPacketdrill(nil, &back)); again != printed {
		t.Errorf("%q is printed as %q, then as %q", text, printed, again)
	}
}
