package engine

import (
	"crypto/tls"
	"fmt"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// Loops of connections over TLS: each has a poller of its own, with TLS as a carrier over it (netio.Secure), and shares the native loops' table. So the
// path of a plain connection has nothing of it. They start when the first listener of ServeTLS, the first wss dial, or the first connection from
// WrapListener comes.

// secureLoops are the loops over TLS; none where there are no native loops. After start.
func (e *engine) secureLoops() ([]*loop, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.stopped:
		return nil, ErrServerClosed
	case len(e.secure) > 0 || len(e.native) == 0:
		return e.secure, nil
	}
	var fresh []*loop
	for range e.conf.Loops {
		sys, err := e.newNative()
		if err != nil {
			for _, l := range fresh {
				_ = l.sys.Release()
			}
			return nil, fmt.Errorf("gannet: starting a loop: %w", err)
		}
		fresh = append(fresh, e.newLoop(netio.NewSecure(sys, e.shakes), nil, e.native[0].table))
	}
	e.secure = fresh
	e.publishLoops(fresh)
	for _, l := range fresh {
		go l.run()
	}
	return fresh, nil
}

// siblings are the loops that a connection accepted on l may live on as well.
func (l *loop) siblings() []*loop {
	if l.secure != nil {
		return l.engine.secure
	}
	return l.engine.native
}

// beginTLS has the carrier speak TLS on an arrival. Before the poller has it.
func (l *loop) beginTLS(a *arrival) error {
	switch {
	case l.secure == nil:
	case a.moved != nil:
		return l.secure.Adopt(a.fd, a.moved)
	case !l.engine.conf.ProxyProtocol: // else it begins behind the PROXY header: see beginTLSBehind
		l.secure.Server(a.fd, l.engine.conf.TLSConfig)
	}
	return nil
}

// tlsState is the state of a connection over TLS that is not CLOSED; nil for others. Any goroutine.
func (c *Conn) tlsState() *tls.ConnectionState {
	l := c.home() // Upgrade.TLS may be asked while another goroutine accepts
	c.lock()
	defer c.unlock()
	switch {
	case c.ReadyState() == Closed: // the descriptor may be another's
	case l.secure != nil:
		if s, ok := l.secure.State(int(c.fd)); ok {
			return &s
		}
	case l.bridge != nil:
		if t, ok := l.bridge.Conn(int(c.fd)).(tlsConn); ok {
			s := t.ConnectionState()
			return &s
		}
	}
	return nil
}

// failsTLS takes the end of a server's TLS handshake that failed, and reports whether err is that. The carrier lets the client read what it was told: an
// alert, or 400.
func (c *Conn) failsTLS(err error) bool {
	h, ok := err.(*netio.HandshakeError)
	if !ok || c.phase != phaseOpening || c.flags&dialled != 0 {
		return false
	}
	c.logTLS(h)
	c.finish(closing{code: StatusAbnormalClosure, err: h})
	return true
}

// expiresTLS ends a TLS handshake that took too long, and reports whether one was under way. The carrier counts it, with those that fail.
func (c *Conn) expiresTLS() bool {
	l := c.loop
	if l.secure == nil || l.engine.conf.ProxyProtocol && (c.opening == nil || !c.opening.past) { // it has not begun
		return false
	}
	if _, done := l.secure.State(int(c.fd)); done {
		return false
	}
	l.secure.Expire(int(c.fd))
	c.logTLS(&netio.HandshakeError{Reason: netio.HandshakeTimeout, Err: ErrHandshakeTimeout})
	return true
}

// beginTLSBehind has the carrier speak TLS from where the PROXY header ends: what was read behind that is the client's ClientHello.
func (c *Conn) beginTLSBehind(o *opening) {
	l := c.loop
	l.sys.Remove(int(c.fd))
	l.secure.ServerFrom(int(c.fd), l.engine.conf.TLSConfig, o.buf.B)
	o.buf.B = o.buf.B[:0]
	if err := l.sys.Add(int(c.fd)); err != nil {
		c.finish(closing{code: StatusAbnormalClosure, err: err, abort: true})
	}
}
