package engine

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// Requests that do not ask for a WebSocket go to Options.Fallback: the connection leaves
// its loop and net/http serves it, from the first byte on. A WebSocket request that
// follows on the same connection comes back through ServeHTTP.

// fallback is the net/http server behind Options.Fallback.
type fallback struct {
	once   sync.Once
	server *http.Server
	conns  chan net.Conn
	done   chan struct{}
}

// handOver gives the connection, and the bytes read from it, to net/http. On the loop.
func (c *Conn) handOver(read []byte) {
	l := c.loop
	first := append([]byte(nil), read...)
	fd := int(c.fd)
	var take func() (net.Conn, error)
	if l.bridge != nil {
		take = func() (net.Conn, error) {
			nc, more, err := l.bridge.Detach(fd)
			first = append(first, more...)
			return nc, err
		}
	} else {
		nc, err := netio.FileConn(fd) // a duplicate: the descriptor itself is buried
		take = func() (net.Conn, error) { return nc, err }
	}
	c.state.Store(uint32(Closed))
	l.engine.stats.connecting.Add(-1)
	c.dropOpening()
	c.leave()
	go l.engine.serveFallback(take, &first)
}

// leave takes a connection out of the loop whose transport lives on elsewhere.
func (c *Conn) leave() {
	l := c.loop
	c.flags |= buried
	l.wheel.Cancel(c.fd)
	l.sys.Remove(int(c.fd))
	l.table.set(int(c.fd), nil)
	l.conns.Add(-1)
	if l.bridge == nil {
		l.bury(int(c.fd), false)
	}
	l.engine.connGone(c)
}

func (e *engine) serveFallback(take func() (net.Conn, error), first *[]byte) {
	nc, err := take()
	if err != nil {
		e.log().Error("gannet: handing a connection to the fallback", "err", err)
		return
	}
	e.fallback.once.Do(e.startFallback)
	select {
	case e.fallback.conns <- &replayConn{Conn: nc, first: *first}:
	case <-e.fallback.done:
		_ = nc.Close()
	}
}

func (e *engine) startFallback() {
	f := &e.fallback
	f.server = &http.Server{
		Handler:           http.HandlerFunc(e.route),
		ReadHeaderTimeout: e.conf.HandshakeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    e.conf.MaxHandshakeBytes,
	}
	go func() {
		err := f.server.Serve(handedOver{f})
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			e.log().Error("gannet: the fallback's server ended", "err", err)
		}
	}()
}

// route serves what arrives on a connection that was handed over.
func (e *engine) route(w http.ResponseWriter, r *http.Request) {
	if isUpgrade(r) {
		e.serveHTTP(w, r)
		return
	}
	e.conf.Fallback.ServeHTTP(w, r)
}

// stopFallback ends the fallback's server and its connections.
func (e *engine) stopFallback() {
	f := &e.fallback
	close(f.done)
	f.once.Do(func() {})
	if f.server != nil {
		_ = f.server.Close()
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

// replayConn is a connection of which some bytes were read already.
type replayConn struct {
	net.Conn
	first []byte
}

func (r *replayConn) Read(p []byte) (int, error) {
	if len(r.first) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.first)
	r.first = r.first[n:]
	return n, nil
}

// noDeadline takes a deadline off.
var noDeadline time.Time

// removeSocket removes a unix listener's file.
func removeSocket(path string) {
	if path != "" && path[0] != '@' {
		_ = os.Remove(path)
	}
}
