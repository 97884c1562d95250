package replay

import (
	"github.com/tcpwhy/tcpwhy/internal/kernel"
	"github.com/tcpwhy/tcpwhy/internal/kernel/listen"
	"github.com/tcpwhy/tcpwhy/internal/kernel/live"
)

// hostFor returns the host as a SYN for k, or the last ACK of its handshake, meets
// it. Whether somebody listens, no
// frame tells for sure, since an application may stop or start at any time; queues
// can be full only where something is in them.
func (r *Replayer) hostFor(k key) kernel.Host {
	h := r.host.Host
	h.Listener, h.IPv6 = kernel.Unknown, !k.own.Addr.Is4()
	h.AcceptQueueFull, h.SynCookies = kernel.No, kernel.No
	pending, waiting := r.queues(k)
	if waiting {
		h.AcceptQueueFull = kernel.Unknown
	}
	switch {
	case !r.host.SynCookies.Known:
		h.SynCookies = kernel.Unknown
	case r.host.SynCookies.Uint32() == 2:
		h.SynCookies = kernel.Yes
	case r.host.SynCookies.Uint32() == 1 && (pending || waiting):
		h.SynCookies = kernel.Unknown
	}
	return h
}

// synQueueDrops tells whether the listener's queue of requests may be so full that
// a SYN is dropped without a cookie.
func (r *Replayer) synQueueDrops(k key) bool {
	pending, _ := r.queues(k)
	return pending && (!r.host.SynCookies.Known || r.host.SynCookies.Uint32() == 0)
}

// queues tells whether other four-tuples of the same listener may have a request
// pending, or a connection that waits to be accepted.
func (r *Replayer) queues(k key) (pending, waiting bool) {
	for _, o := range r.on[k.own] {
		if o == k {
			continue
		}
		for i := range r.tuples[o].worlds {
			w := &r.tuples[o].worlds[i]
			switch {
			case w.at != atLive || w.so.opened:
			case w.so.State == live.SynRecv:
				pending = true
			case !w.so.served:
				waiting = true
			}
		}
	}
	return pending, waiting
}

// gateFor is what tcp_tw_recycle remembers of the peer's address: the newest
// timestamp of the TIME_WAITs that this end holds or held for it.
func (r *Replayer) gateFor(k key) listen.Gate {
	if r.host.Recycle == kernel.No {
		return listen.Gate{}
	}
	return r.gates[k.peer.Addr]
}
