package engine

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"unique"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// limbo is where a connection lives while net/http has its transport: a loop without a poller, whose letters are noticed by
// the request's goroutine. Those that that does not understand wait for the real loop.
type limbo struct {
	netio.System               // nil: nothing else is asked of it
	woken        chan struct{} // something was posted
	request      *http.Request
}

// Wake has the request's goroutine look at the connection.
func (m *limbo) Wake() {
	select {
	case m.woken <- struct{}{}:
	default:
	}
}

// limboOf is the limbo of l; nil for a real loop.
func limboOf(l *loop) *limbo {
	m, _ := l.sys.(*limbo)
	return m
}

// newInLimbo makes the connection to be of a request. It was admitted.
func (e *engine) newInLimbo(id uint64, r *http.Request, req *handshake.Request, from httpPeer, its *route) *Conn {
	m := &limbo{woken: make(chan struct{}, 1), request: r}
	c := &Conn{loop: &loop{engine: e, sys: m}, id: id, fd: -1, peer: newPeerAddr(from.peer)}
	c.limits.Store(its.limits)
	if from.tls {
		c.flags |= overTLS
	}
	if from.counts.IsValid() {
		c.flags |= counted
	}
	c.extras.Store(&extras{values: r.Context()})
	c.agreed = unique.Make(agreement{host: view(req.Host), target: view(req.Target), tls: from.tls})
	e.stats.connecting.Add(1)
	return c
}

// requestEnded tells whether the request of a connection by ServeHTTP was cancelled: whoever decides may have heard of it before
// the request's goroutine.
func (c *Conn) requestEnded() bool {
	m := limboOf(c.home())
	return m != nil && m.request.Context().Err() != nil
}

// leaveLimbo ends a connection that will not open.
func (c *Conn) leaveLimbo(why error) {
	c.neverOpens(why)
	m := &c.loop.mailbox
	m.mu.Lock()
	m.tasks, m.closed = nil, true
	m.mu.Unlock()
	c.loop.engine.connGone(c)
}

// neverOpens ends a connection by ServeHTTP that is CONNECTING.
func (c *Conn) neverOpens(why error) {
	c.lock()
	c.state.Store(uint32(Closed))
	cancel := c.endContextLocked(why)
	c.unlock()
	cancel()
	c.loop.engine.stats.connecting.Add(-1)
}

// addr is an address as the request tells it.
func (m *limbo) addr(local bool) net.Addr {
	ours := localAddrOf(m.request)
	if local {
		return ours
	}
	if isUnix(ours) {
		return &net.UnixAddr{Name: m.request.RemoteAddr, Net: ours.Network()}
	}
	return saidAddr(m.request.RemoteAddr)
}

// localAddrOf is the address that the request came to, as far as net/http tells it.
func localAddrOf(r *http.Request) net.Addr {
	a, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return a
}

func isUnix(a net.Addr) bool { return a != nil && strings.HasPrefix(a.Network(), "unix") }

// saidAddr is an address that a middleware has given the peer, and that is none of IP.
type saidAddr string

func (saidAddr) Network() string  { return "tcp" }
func (a saidAddr) String() string { return string(a) }

// httpPeer is who a request by ServeHTTP is from.
type httpPeer struct {
	peer   netip.AddrPort // for RemoteAddr; invalid: it has no IP address
	counts netip.AddrPort // as what it counts for MaxConnsPerAddress; invalid: as nobody
	tls    bool
}

// peerBehind goes by RemoteAddr, whoever wrote it, and by what a trusted proxy of that address says.
func (e *engine) peerBehind(r *http.Request, req *handshake.Request) httpPeer {
	k := httpPeer{peer: peerOf(r), tls: r.TLS != nil}
	k.counts = k.peer
	t := e.conf.trusted
	if !t.hasPeer(k.peer) || !k.peer.IsValid() && !isUnix(localAddrOf(r)) {
		return k
	}
	f := t.readForwarded(k.peer, req)
	if f.said {
		k.tls = f.tls
	}
	k.counts = netip.AddrPort{} // the proxy's own is everybody's
	if f.client.IsValid() {
		if k.peer = f.client; !t.has(f.client.Addr()) {
			k.counts = f.client
		}
	}
	return k
}

// peerOf is a request's RemoteAddr, from which a middleware may have left the port out, and no more than that: brackets stay
// where it took the address from a Forwarded field. It is invalid when it is no IP address.
func peerOf(r *http.Request) netip.AddrPort {
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return a
	}
	host := r.RemoteAddr
	if inside, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inside, "]")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(a, 0)
	}
	return netip.AddrPort{}
}

// admitHTTP counts the connection to be of a request, and the decision about it, which the end of the engine waits for.
func (e *engine) admitHTTP(r *http.Request, counts netip.AddrPort) (id uint64, refused *handshake.Refusal) {
	e.mu.Lock()
	if e.stopped {
		e.mu.Unlock()
		return 0, shuttingDown
	}
	e.deciding.Add(1)
	e.mu.Unlock()
	id, reason, ok := e.admitSeated(r, counts)
	if !ok {
		e.deciding.Done()
		return 0, tooMany(reason)
	}
	return id, nil
}

// admitSeated is admit for a connection that may have been handed to the fallback, whose place it has then.
func (e *engine) admitSeated(r *http.Request, counts netip.AddrPort) (id uint64, reason string, ok bool) {
	s, _ := r.Context().Value(seatKey{}).(*seat)
	if s == nil || s.engine != e || !s.take() {
		return e.admit(counts)
	}
	if !e.recount(s.peer, counts) {
		e.uncount(s.peer)
		return 0, "max-conns-per-address", false
	}
	return s.conn, "", true
}
