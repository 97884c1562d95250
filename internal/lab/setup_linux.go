package lab

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/segment"
	"github.com/tcpwhy/tcpwhy/internal/seq"
)

// conn is the peer's end of one connection, and the story it plays.
type conn struct {
	story      *Story
	peer, host segment.Endpoint
	n          Numbers
	tsval      seq.Num // of the last segment sent
	fd         int     // the kernel's side; -1: none
	got        []segment.Segment
	view       view
	step       int
	now        int64 // when the step was sent
	settings   kernel.Host
	sent       segment.Segment
	pred       prediction
	result     Outcome
	over       bool
}

// send sends a segment of the peer that belongs to the way into a state.
func (r *runner) send(c *conn, f segment.Flags) error {
	s := segment.Segment{Src: c.peer, Dst: c.host, Flags: f, Seq: c.n.RcvNxt, Window: peerWindow}
	if f.Has(segment.ACK) {
		s.Ack = c.n.SndNxt
	}
	if f.Has(segment.SYN) {
		s.Options, s.MSS, s.WScale = segment.OptMSS|segment.OptWScale, 1400, peerWScale
		c.n.ISNAsked = time.Now().UnixNano()
	}
	if c.story.TS {
		s.Options |= segment.OptTimestamps
		if f.Has(segment.SYN) {
			s.Options |= segment.OptSACKPermitted
		}
		s.TSVal, s.TSEcr = c.tsval, c.n.TSEcr
		c.n.TSRecent = c.tsval
		c.tsval = c.tsval.Add(1)
	}
	c.n.RcvNxt = s.End()
	c.n.Reached = time.Now().UnixNano()
	return r.wire.send(&s)
}

// await returns the kernel's next segment on the connection.
func (r *runner) await(c *conn, want segment.Flags) (segment.Segment, error) {
	until := time.Now().Add(5 * time.Second)
	for {
		if len(c.got) > 0 {
			s := c.got[0]
			c.got = c.got[1:]
			if s.Flags.Has(segment.SYN) && want != synAck || s.Flags.Has(segment.FIN) && want == segment.ACK {
				continue // sent again, because the machine was slow
			}
			if s.Flags&^segment.PSH != want {
				return s, setupError(c.story, fmt.Sprintf("wanted %s, got %s", want, text(&s)))
			}
			c.n.take(&s)
			return s, nil
		}
		left := time.Until(until)
		if left <= 0 {
			return segment.Segment{}, setupError(c.story, fmt.Sprintf("wanted %s, nothing came", want))
		}
		s, ok, err := r.wire.receive(left)
		if err != nil {
			return s, err
		}
		if ok {
			r.dispatch(s)
		}
	}
}

// take notes what a segment of the kernel shows of its numbers.
func (n *Numbers) take(s *segment.Segment) {
	n.SndNxt = s.End()
	n.RcvWnd = uint32(s.Window) << n.WScale
	if s.Flags.Has(segment.SYN) {
		n.ISN, n.ISNTime, n.RcvWnd = s.Seq, s.Time, uint32(s.Window)
		if s.Options.Has(segment.OptWScale) {
			n.WScale = s.WScale
		}
	}
	if s.HasTS() {
		n.TSEcr, n.TSAsked, n.TSTime = s.TSVal, n.Reached, s.Time
	}
}

const (
	fin    = segment.FIN | segment.ACK
	synAck = segment.SYN | segment.ACK
)

// reach brings the connection to the state of its story.
func (r *runner) reach(c *conn) error {
	s := c.story
	c.n.RcvNxt, c.tsval, c.n.TSRecent = s.ISS, s.TSVal, s.TSVal
	if s.State == NoSocket {
		c.n.SndNxt = s.TSVal
		c.n.RcvNxt = s.ISS.Add(1)
		return nil
	}
	if err := r.send(c, segment.SYN); err != nil {
		return err
	}
	if _, err := r.await(c, synAck); err != nil {
		return err
	}
	if s.State == SynRecv {
		return nil
	}
	if err := r.send(c, segment.ACK); err != nil {
		return err
	}
	if err := r.accept(c); err != nil {
		return err
	}
	return r.close(c)
}

// close plays the part of the story that comes after the handshake.
func (r *runner) close(c *conn) error {
	script, ok := closings[c.story.State]
	if c.story.State == TimeWait {
		script, ok = timeWaits[c.story.Path], true
	}
	if !ok {
		return nil // ESTABLISHED
	}
	for _, act := range script {
		if err := act(r, c); err != nil {
			return err
		}
	}
	return nil
}

// act is one move of an end.
type act func(*runner, *conn) error

var (
	closings = map[State][]act{
		FinWait1:       {hostShuts},
		FinWait2:       {hostShuts, peerAcks},
		FinWait2Orphan: {hostCloses, peerAcks},
		CloseWait:      {peerFinishes},
		Closing:        {hostShuts, peerFinishesAlone},
		LastAck:        {peerFinishes, hostShuts},
		FinWait1Orphan: {hostCloses},
		ClosingOrphan:  {hostCloses, peerFinishesAlone},
		LastAckOrphan:  {peerFinishes, hostCloses},
	}
	timeWaits = [...][]act{
		ByOrphan:  {hostCloses, peerAcks, peerFinishes},
		ByFull:    {hostShuts, peerAcks, peerFinishes},
		ByClosing: {hostShuts, peerFinishesAlone, peerAcks},
	}
)

func hostShuts(r *runner, c *conn) error {
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		return setupError(c.story, err.Error())
	}
	_, err := r.await(c, fin)
	return err
}

func hostCloses(r *runner, c *conn) error {
	err := unix.Close(c.fd)
	c.fd = -1
	if err != nil {
		return setupError(c.story, err.Error())
	}
	_, err = r.await(c, fin)
	return err
}

func peerAcks(r *runner, c *conn) error { return r.send(c, segment.ACK) }

func peerFinishes(r *runner, c *conn) error {
	if err := r.send(c, fin); err != nil {
		return err
	}
	_, err := r.await(c, segment.ACK)
	return err
}

// peerFinishesAlone sends a FIN that does not acknowledge the host's: the two cross.
func peerFinishesAlone(r *runner, c *conn) error {
	own := c.n.SndNxt
	c.n.SndNxt = own.Add(^uint32(0))
	err := r.send(c, fin)
	c.n.SndNxt = own
	if err != nil {
		return err
	}
	_, err = r.await(c, segment.ACK)
	return err
}

// accept takes the connection from the listener's queue.
func (r *runner) accept(c *conn) error {
	for range 200 {
		fd, _, err := unix.Accept4(r.listener(c), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			c.fd = fd
			return nil
		case unix.EAGAIN:
			time.Sleep(time.Millisecond)
		case unix.EINTR:
		default:
			return setupError(c.story, err.Error())
		}
	}
	return setupError(c.story, "the handshake did not end")
}
