package diagnose

import (
	"unsafe"

	"github.com/tcpwhy/tcpwhy/internal/flow"
)

// room bounds the copies of connections that an engine keeps. The zero value has no bound.
type room struct {
	limit, used int64 // bytes
	refused     uint64
	since       uint64 // the first frame of the first that was refused
}

// Limit bounds the memory that connections take which wait for their answers, in bytes; 0: nothing
// does. What comes when it is used up is not answered, but counted: see Refused.
func (e *Engine) Limit(bytes int64) { e.room.limit = bytes }

// Refused returns how many connections were not taken for lack of room, and the first frame
// of the first of them.
func (e *Engine) Refused() (connections, since uint64) { return e.room.refused, e.room.since }

// take tells whether there is room for a connection with its past, and then takes it.
func (r *room) take(c *flow.Connection) bool {
	n := sizeOf(c)
	if r.limit > 0 && r.used+n > r.limit {
		if r.refused++; r.refused == 1 {
			r.since = c.First.Frame
		}
		return false
	}
	r.used += n
	return true
}

// leave gives the room of a connection back.
func (r *room) leave(c *flow.Connection) { r.used -= sizeOf(c) }

// sizeOf returns about how many bytes a connection takes with its past.
func sizeOf(c *flow.Connection) (bytes int64) {
	for ; c != nil; c = c.Previous {
		bytes += int64(unsafe.Sizeof(*c)) + int64(cap(c.Frames)+cap(c.Troubles))*int64(unsafe.Sizeof(flow.Frame{}))
	}
	return bytes
}
