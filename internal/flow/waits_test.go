package flow

import (
	"testing"
	"time"
)

// troubleKeeper is a Sink that keeps the connections that it is given.
type troubleKeeper struct{ troubled []*Connection }

func (k *troubleKeeper) Ended(*Connection)      {}
func (k *troubleKeeper) Asked(*Connection)      {}
func (k *troubleKeeper) Troubled(c *Connection) { k.troubled = append(k.troubled, c) }

// waitStory runs a story through a table and returns its connection; nil where it calls
// for no reason.
func waitStory(t *testing.T, tellFirst uint64, text string) *Connection {
	t.Helper()
	k := &troubleKeeper{}
	table := NewTable(Config{TellFirst: tellFirst}, k)
	table.Add(mustStory(t, handshake+text))
	table.Close()
	if table.blocks.used != 0 || table.rares.used != 0 {
		t.Errorf("%d blocks and %d rares were not given back", table.blocks.used, table.rares.used)
	}
	if len(k.troubled) == 0 {
		return nil
	}
	return k.troubled[0]
}

const handshake = `0 < S 100:100(0) win 1000 <mss 1460>
0.001 > S. 900:900(0) ack 101 win 1000 <mss 1460>
0.002 < . 101:101(0) ack 901 win 1000
`

func TestHeld(t *testing.T) {
	for _, x := range []struct {
		name, story string
		times       uint32
	}{
		{"held back", "1 < P. 101:111(10) ack 901 win 1000\n1.040 > . 901:901(0) ack 111 win 1000\n1.0401 < P. 111:131(20) ack 901 win 1000\n1.041 > P. 901:911(10) ack 131 win 1000", 1},
		{"held back by the server", "1 > P. 901:911(10) ack 101 win 1000\n1.200 < . 101:101(0) ack 911 win 1000\n1.2001 > P. 911:931(20) ack 101 win 1000\n1.201 < P. 101:111(10) ack 931 win 1000", 1},
		{"the answer comes behind an ACK", "1 < P. 101:111(10) ack 901 win 1000\n1.040 > . 901:901(0) ack 111 win 1000\n1.0401 < P. 111:131(20) ack 901 win 1000\n1.081 > . 901:901(0) ack 131 win 1000\n1.2 > P. 901:911(10) ack 131 win 1000", 1},
		{"the last goes with a FIN", "1 < P. 101:111(10) ack 901 win 1000\n1.040 > . 901:901(0) ack 111 win 1000\n1.0401 < FP. 111:131(20) ack 901 win 1000\n1.041 > P. 901:911(10) ack 132 win 1000", 1},
		{"too soon for a delay", "1 < P. 101:111(10) ack 901 win 1000\n1.034 > . 901:901(0) ack 111 win 1000\n1.0341 < P. 111:131(20) ack 901 win 1000\n1.041 > P. 901:911(10) ack 131 win 1000", 0},
		{"too late for one", "1 < P. 101:111(10) ack 901 win 1000\n1.551 > . 901:901(0) ack 111 win 1000\n1.5511 < P. 111:131(20) ack 901 win 1000\n1.6 > P. 901:911(10) ack 131 win 1000", 0},
		{"the next comes too late", "1 < P. 101:111(10) ack 901 win 1000\n1.040 > . 901:901(0) ack 111 win 1000\n1.061 < P. 111:131(20) ack 901 win 1000\n1.07 > P. 901:911(10) ack 131 win 1000", 0},
		{"an answer comes between", "1 < P. 101:111(10) ack 901 win 1000\n1.040 > . 901:901(0) ack 111 win 1000\n1.041 > P. 901:911(10) ack 111 win 1000\n1.0411 < P. 111:131(20) ack 911 win 1000\n1.05 > P. 911:921(10) ack 131 win 1000", 0},
		{"no answer", "1 < P. 101:111(10) ack 901 win 1000\n1.040 > . 901:901(0) ack 111 win 1000\n1.0401 < P. 111:131(20) ack 901 win 1000\n1.08 > . 901:901(0) ack 131 win 1000\n*9 2 > . 901:901(0) ack 131 win 1000\n12 > P. 901:911(10) ack 131 win 1000", 0},
		{"the ACK is of a part only", "1 < P. 101:111(10) ack 901 win 1000\n1.0001 < P. 111:121(10) ack 901 win 1000\n1.040 > . 901:901(0) ack 111 win 1000\n1.0401 < P. 121:131(10) ack 901 win 1000\n1.041 > P. 901:911(10) ack 131 win 1000", 0},
		{"a full segment", "1 < P. 101:1561(1460) ack 901 win 9000\n1.040 > . 901:901(0) ack 1561 win 9000\n1.0401 < P. 1561:1581(20) ack 901 win 9000\n1.041 > P. 901:911(10) ack 1581 win 9000", 0},
		{"the ACK has data", "1 < P. 101:111(10) ack 901 win 1000\n1.040 > P. 901:911(10) ack 111 win 1000\n1.0401 < P. 111:131(20) ack 911 win 1000\n1.041 > P. 911:921(10) ack 131 win 1000", 0},
		{"the ACK has data, and no push", "1 < P. 101:111(10) ack 901 win 1000\n1.040 > . 901:911(10) ack 111 win 1000\n1.0401 < P. 111:131(20) ack 911 win 1000\n1.041 > P. 911:921(10) ack 131 win 1000", 0},
		{"the next repeats", "1 < P. 101:111(10) ack 901 win 1000\n1.040 > . 901:901(0) ack 111 win 1000\n1.0401 < P. 101:131(30) ack 901 win 1000\n1.041 > P. 901:911(10) ack 131 win 1000", 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := waitStory(t, 1, x.story)
			if c == nil || c.Held.Times != x.times {
				t.Errorf("held back %+v, want %d times", c, x.times)
			}
		})
	}
}

// Each wait of a connection is counted, its first frames and its bounds are kept, and from the
// third on it calls for a reason by itself.
func TestHeldOften(t *testing.T) {
	story := "1 < P. 101:111(10) ack 901 win 1000\n1.0401 > . 901:901(0) ack 111 win 700\n1.0402 < P. 111:131(20) ack 901 win 1000\n1.041 > P. 901:911(10) ack 131 win 1000\n" +
		"1.042 < P. 131:141(10) ack 911 win 1000\n1.246 > . 911:911(0) ack 141 win 1000\n1.2461 < P. 141:161(20) ack 911 win 1000\n1.247 > P. 911:921(10) ack 161 win 1000\n"
	if c := waitStory(t, 0, story); c != nil {
		t.Errorf("two waits call for a reason: %+v", c.Held)
	}
	c := waitStory(t, 0, story+"1.25 < P. 161:171(10) ack 921 win 1000\n1.290 > . 921:921(0) ack 171 win 1000\n1.2901 < P. 171:191(20) ack 921 win 1000\n1.3 > P. 921:931(10) ack 191 win 1000\n4 < . 191:191(0) ack 931 win 1000\n")
	if c == nil {
		t.Fatal("three waits call for no reason")
	}
	if c.Pause.End.Frame != 0 {
		t.Errorf("a pause is kept of a connection that is not among the first: %+v", c.Pause)
	}
	h := &c.Held
	if h.From != Opener || h.Times != 3 || h.Shortest != 40*time.Millisecond || h.Longest != 204*time.Millisecond {
		t.Errorf("%v, %d times, %v to %v", h.From, h.Times, h.Shortest, h.Longest)
	}
	if h.Sent.Frame != 4 || h.Sent.Num.Uint32() != 111 || h.ACK.Frame != 5 || h.ACK.Window != 700 || h.ACK.Ack.Uint32() != 111 || h.ACK.From != Listener ||
		h.Next.Frame != 6 || h.Next.Len != 20 || h.Answer.Frame != 7 || h.Answer.Len != 10 {
		t.Errorf("frames of the first wait: %+v", h)
	}
}

// The longest pause tells what stood still in it, of the connections that are told of first.
func TestPause(t *testing.T) {
	story := "1 < P. 101:111(10) ack 901 win 1000\n1.001 > . 901:901(0) ack 111 win 1000\n5 > P. 901:911(10) ack 111 win 1000\n5.1 < . 111:111(0) ack 911 win 1000\n7 < P. 111:121(10) ack 911 win 1000\n"
	c := waitStory(t, 1, story)
	if c == nil {
		t.Fatal("the first connection is not told of")
	}
	p := &c.Pause
	if p.From != Opener || p.Sent.Frame != 4 || p.Sent.Num.Uint32() != 111 || p.Acked.Frame != 5 || p.Acked.Num.Uint32() != 111 || p.End.Frame != 6 || p.End.From != Listener || p.End.Len != 10 {
		t.Errorf("%+v", p)
	}
	if c.SilenceFrom.Frame != 5 || c.SilenceTo.Frame != 6 {
		t.Errorf("silence from %v to %v", c.SilenceFrom, c.SilenceTo)
	}
	if c := waitStory(t, 0, story); c != nil {
		t.Errorf("a pause calls for a reason: %+v", c)
	}
}
