package engine

import (
	"crypto/tls"
	"net"
	"net/http"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// tlsConn is what is served as wss:.
type tlsConn interface{ ConnectionState() tls.ConnectionState }

// httpArrival is a request that a net/http server has parsed already.
type httpArrival struct {
	req   *handshake.Request
	route *route
	path  *http.Request // which knows the path's values
}

// ServeHTTP adopts a connection from a net/http server: the request is checked as any
// other, and the bytes that net/http had read ahead are kept. A plain TCP or unix
// connection moves to a loop; any other kind (TLS) is carried by goroutines. Whatever
// net/http had set on the connection (deadlines) is undone.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serveHTTP(w, r) }

func (e *engine) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if err := e.made(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	req, err := handshake.FromHTTP(r, e.conf.headLimits())
	if err == nil {
		err = handshake.CheckUpgrade(req)
	}
	if err == nil {
		err = e.start()
	}
	if err != nil {
		e.refuseHTTP(w, err)
		return
	}
	route, refused := e.routeHTTP(r)
	if refused != nil {
		e.refuseHTTP(w, refused)
		return
	}
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		e.log().Error("gannet: ServeHTTP needs a connection that can be hijacked (HTTP/1.1)", "err", err)
		e.refuseHTTP(w, notHijackable)
		return
	}
	early := make([]byte, buffered.Reader.Buffered())
	_, _ = buffered.Reader.Read(early)
	e.adoptConn(nc, arrival{peer: addrPortOf(nc.RemoteAddr()), early: early, http: &httpArrival{req, route, r}})
}

// notHijackable: what stands between net/http and us (a middleware's ResponseWriter, say)
// hides the connection.
var notHijackable = refusal(500, "not-hijackable", "this server's HTTP layer does not let WebSocket connections through")

func (e *engine) refuseHTTP(w http.ResponseWriter, err error) {
	f, ok := err.(*handshake.Refusal)
	if !ok {
		f = shuttingDown
	}
	e.stats.refusals.add(f.Reason)
	for _, h := range f.Header {
		w.Header().Set(h.Name, h.Value)
	}
	http.Error(w, f.Detail+".", f.Status)
}

// adoptConn moves a net.Conn to a native loop if that can be, else to a bridge.
func (e *engine) adoptConn(nc net.Conn, a arrival) {
	if r, ok := nc.(replayer); ok {
		var rest []byte
		nc, rest = r.unwrap()
		a.early = append(a.early, rest...)
	}
	_ = nc.SetDeadline(noDeadline)
	if len(e.native) == 0 {
		e.adoptBridged(nc, a)
		return
	}
	e.conf.buffers().SetOn(nc)
	fd, ok, err := netio.DupConn(nc)
	if err != nil || !ok {
		e.adoptBridged(nc, a)
		return
	}
	a.fd = fd
	_ = nc.Close() // the duplicate lives on
	reason, admitted := e.admitConn(&a)
	l := leastLoaded(e.native)
	if l.post(task{call: func() {
		if !admitted {
			l.conns.Add(-1)
			e.turnAway(l, fd, reason)
			return
		}
		l.adoptReserved(a)
	}}) {
		return
	}
	_ = l.sys.Abort(fd)
	if admitted {
		e.uncount(e.countedBy(&a))
	}
}

// onHTTP takes over from net/http: the request is parsed, and its WebSocket bytes may be read.
func (c *Conn) onHTTP(a arrival) {
	c.limits.Store(a.http.route.limits)
	// net/http's bytes are the request's own memory: behind its head come the first frames.
	if c.takeForwarded(a.http.req) {
		if rest := c.decide(a.http.req, a.http.path, a.early, 0); len(rest) > 0 {
			c.loop.feed(c, rest)
			return
		}
	}
	c.settle()
	c.watch()
}
