package lab

import (
	"testing"
	"time"

	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
	"github.com/tcpwhy/tcpwhy/internal/kernel/timewait"
)

func TestMayHaveRunOut(t *testing.T) {
	request := view{at: atLive, live: live.Socket{State: live.SynRecv}}
	for _, c := range []struct {
		name  string
		full  bool
		view  view
		after time.Duration
		want  bool
	}{
		{"at once", true, request, 0, false},
		{"just before", true, request, fullQueueRequest, false},
		{"just after", true, request, fullQueueRequest + 1, true},
		{"the queue has room", false, request, closed, false},
		{"the queue has room, and long after", false, request, closed + 1, true},
		{"a connection", true, view{at: atLive, live: live.Socket{State: live.Established}}, time.Minute, false},
		{"a TIME_WAIT", true, view{at: atTimeWait}, closed, false},
		{"a TIME_WAIT that is nearly over", true, view{at: atTimeWait}, closed + 1, true},
		{"a TIME_WAIT armed anew", true, view{at: atTimeWait, tw: timewait.Socket{Armed: 1000 + 20e9}}, closed + 20e9, false},
		{"a TIME_WAIT armed anew, and long after", true, view{at: atTimeWait, tw: timewait.Socket{Armed: 1000 + 20e9}}, closed + 20e9 + 1, true},
		{"nothing", true, view{}, time.Minute, false},
	} {
		x := conn{story: &Story{Settings: Settings{QueueFull: c.full}}, view: c.view, n: Numbers{Reached: 1000}}
		if got := x.mayHaveRunOut(1000 + int64(c.after)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// The tick is never ahead of the clock, and awaitTick leaves it close behind.
func TestTickLag(t *testing.T) {
	for range 50 {
		awaitTick()
		if lag := tickLag(); lag < 0 || lag > 5*time.Second {
			t.Fatalf("the tick is %s behind", lag)
		}
	}
}
