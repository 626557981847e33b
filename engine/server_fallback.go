package engine

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// Requests that do not ask for a WebSocket go to Options.Fallback: the connection leaves
// its loop and net/http serves it, from the first byte on. A WebSocket request that
// follows on the same connection comes back through ServeHTTP.

// fallback is the net/http server behind Options.Fallback.
type fallback struct {
	once   sync.Once
	server *http.Server // nil until the first connection comes
	conns  chan net.Conn
	ending sync.Once
	done   chan struct{} // no more connections are taken
	ended  chan struct{} // and the server has those that were
}

// handOver gives the connection, and the bytes read from it, to net/http. On the loop.
func (c *Conn) handOver(read []byte) {
	l := c.loop
	r := &replayConn{first: append([]byte(nil), read...), seat: &seat{engine: l.engine, peer: c.countedAs(), conn: c.id}}
	if c.peer != (peerAddr{}) {
		r.peer = net.TCPAddrFromAddrPort(c.peer.addrPort())
	}
	c.state.Store(uint32(Closed))
	l.engine.stats.connecting.Add(-1)
	c.dropOpening()
	c.leaveLoop()
	go l.engine.serveFallback(r, l.letGo(int(c.fd), r))
}

// letGo gives r the transport of a descriptor that has left the poller. take is called in a goroutine, before r is used.
func (l *loop) letGo(fd int, r *replayConn) (take func() error) {
	var err error
	switch {
	case l.bridge != nil:
		return func() error {
			nc, more, err := l.bridge.Detach(fd)
			r.Conn, r.first = nc, append(r.first, more...)
			return err
		}
	case l.secure != nil:
		r.Conn, err = l.secure.Detach(fd)
	default:
		r.Conn, err = netio.FileConn(fd) // a duplicate: the descriptor itself is buried
	}
	return func() error { return err }
}

// leaveLoop takes a connection out of the loop whose transport lives on elsewhere. It goes
// on counting against the limits: see seat.
func (c *Conn) leaveLoop() {
	l := c.loop
	c.phase = phaseBuried
	l.wheel.Cancel(c.fd)
	l.sys.Remove(int(c.fd))
	l.table.set(int(c.fd), nil)
	l.conns.Add(-1)
	if l.bridge == nil {
		l.bury(int(c.fd), false)
	} else {
		l.engine.stats.bridged.Add(-1)
	}
}

func (e *engine) serveFallback(r *replayConn, take func() error) {
	if err := take(); err != nil {
		r.seat.release()
		e.log().Error("gannet: handing a connection to the fallback", "err", err, "conn", r.seat.conn)
		return
	}
	e.fallback.once.Do(e.startFallback)
	select {
	case e.fallback.conns <- r.outermost():
	case <-e.fallback.done:
		r.seat.release()
		_ = r.Conn.Close()
	}
}

func (e *engine) startFallback() {
	f := &e.fallback
	f.server = &http.Server{
		Handler:           http.HandlerFunc(e.route),
		ReadHeaderTimeout: e.conf.HandshakeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    e.conf.MaxHandshakeBytes,
		ErrorLog:          slog.NewLogLogger(e.log().Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, seatKey{}, nc.(replayer).place())
		},
		ConnState: func(nc net.Conn, s http.ConnState) {
			if s == http.StateHijacked || s == http.StateClosed {
				nc.(replayer).released()
			}
		},
	}
	go func() {
		defer close(f.ended)
		err := f.server.Serve(handedOver{f})
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			e.log().Error("gannet: the fallback's server ended", "err", err)
		}
	}()
}

// route serves what arrives on a connection that was handed over: its first request, and what follows on it. The limits
// and the rules of the first hold for all of them.
func (e *engine) route(w http.ResponseWriter, r *http.Request) {
	if req, err := handshake.FromHTTP(r, e.conf.headLimits()); err != nil || req.IsHandshake() {
		e.serveHTTP(w, r)
		return
	}
	e.conf.Fallback.ServeHTTP(w, r)
}

// end takes no more connections, and returns when the server, if there is one, has all
// that were taken before: only then its Close and Shutdown reach every one of them.
func (f *fallback) end() *http.Server {
	f.ending.Do(func() { close(f.done) })
	f.once.Do(func() {}) // it has started, or never will
	if f.server != nil {
		<-f.ended
	}
	return f.server
}

// shutDown lets the fallback finish the requests under way.
func (f *fallback) shutDown(ctx context.Context) {
	if s := f.end(); s != nil {
		_ = s.Shutdown(ctx) // ctx's error is Server.Shutdown's to tell
	}
}

// stop ends the fallback's server and its connections.
func (f *fallback) stop() {
	if s := f.end(); s != nil {
		_ = s.Close()
	}
}

// handedOver is the listener of the fallback's server.
type handedOver struct{ f *fallback }

func (h handedOver) Accept() (net.Conn, error) {
	select {
	case nc := <-h.f.conns:
		return nc, nil
	case <-h.f.done:
		return nil, net.ErrClosed
	}
}

func (handedOver) Close() error   { return nil }
func (handedOver) Addr() net.Addr { return &net.UnixAddr{Name: "gannet-fallback", Net: "unix"} }

// seat is a connection's place under the limits, while net/http has the connection.
type seat struct {
	engine *engine
	peer   netip.AddrPort // what it was counted by
	conn   uint64         // Conn.ID, for the log
	once   sync.Once
}

func (s *seat) release() {
	if s.take() {
		s.engine.uncount(s.peer)
	}
}

// take has somebody else answer for the place, unless it was released, or taken, before.
func (s *seat) take() (taken bool) {
	s.once.Do(func() { taken = true })
	return taken
}

// seatKey is under what a request has the seat of its connection in its context.
type seatKey struct{}

// replayConn is a connection of which some bytes were read already.
type replayConn struct {
	net.Conn
	first []byte
	peer  net.Addr // the one that was accepted, or that a proxy named; nil: Conn's own
	seat  *seat
}

// replayer is a replayConn, or what wraps one.
type replayer interface {
	// unwrap gives the connection back, and what of the bytes was not read again.
	unwrap() (net.Conn, []byte)
	// released says that net/http has it no longer.
	released()
	// place is what it holds under the limits.
	place() *seat
}

func (r *replayConn) unwrap() (net.Conn, []byte) { return r.Conn, r.first }
func (r *replayConn) released()                  { r.seat.release() }
func (r *replayConn) place() *seat               { return r.seat }

// outermost is what net/http gets to see: over TLS it asks for the state of that.
func (r *replayConn) outermost() net.Conn {
	if t, ok := r.Conn.(tlsConn); ok {
		return secureReplay{r, t}
	}
	return r
}

// secureReplay is a replayConn over TLS.
type secureReplay struct {
	*replayConn
	tlsConn
}

func (r *replayConn) Read(p []byte) (int, error) {
	if len(r.first) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.first)
	r.first = r.first[n:]
	return n, nil
}

// CloseWrite is for net/http, which lets a peer read its answer to a request that it
// did not read to the end.
func (r *replayConn) CloseWrite() error {
	if w, ok := r.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// RemoteAddr is the peer's.
func (r *replayConn) RemoteAddr() net.Addr {
	if r.peer != nil {
		return r.peer
	}
	return r.Conn.RemoteAddr()
}

// noDeadline takes a deadline off.
var noDeadline time.Time
