package engine

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// overTLS makes the handshake of TLS within TLSTimeout. It takes over nc.
func (e *engine) overTLS(ctx context.Context, nc net.Conn, config *tls.Config, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.conf.dialing.tls, errTLSTimeout)
	defer cancel()
	t := tls.Client(nc, config)
	err := t.HandshakeContext(ctx)
	if err == nil {
		return t, nil
	}
	_ = nc.Close()
	if cause := context.Cause(ctx); cause == errTLSTimeout || cause == errConnectTimeout {
		err = cause
	}
	return nil, newDialError("tls", addr, plainDial(err))
}

// beginSecuring begins the handshake of TLS on a loop: the attempt has its connection, and stays one until that is over.
func (c *Conn) beginSecuring(a attempt) {
	l, d := c.loop, c.opening.dial
	l.look()
	d.securing, d.due = true, l.now+l.engine.conf.dialing.tls
	l.sys.Remove(a.fd)
	l.secure.Client(a.fd, d.tls)
	err := l.sys.Add(a.fd)
	if err == nil {
		err = l.sys.Interest(a.fd, netio.Readable, netio.Readable|netio.Writable)
	}
	if err != nil {
		c.failDial(newDialError("tls", d.authority, err))
		return
	}
	l.schedule(c, d.due)
}

// shakeHands looks how far the handshake of TLS has come.
func (c *Conn) shakeHands(a attempt) {
	l, d := c.loop, c.opening.dial
	if _, done := l.secure.State(a.fd); done {
		l.wheel.Cancel(c.fd)
		c.hasTransport(netio.Readable | netio.Writable)
		return
	}
	_, err := l.sys.Read(a.fd, l.slab[:1]) // which has no plaintext before it is done
	if err == nil || err == netio.ErrAgain {
		return
	}
	if h, ok := err.(*netio.HandshakeError); ok {
		err = h.Err
	}
	c.failDial(newDialError("tls", d.authority, plainDial(err)))
}

// errTLSTimeout: a server, or a proxy, did not finish the handshake of TLS.
var errTLSTimeout = &reasonError{reason: "timeout", text: "no answer within TLSTimeout"}

// proxyTLS is for the way to an https proxy: it trusts whom the user trusts, and shows none of their certificates.
func (p *plan) proxyTLS() *tls.Config {
	config := &tls.Config{ServerName: p.proxy.Hostname()}
	if u := p.TLSConfig; u != nil {
		config.RootCAs, config.Time, config.MinVersion, config.MaxVersion, config.CipherSuites = u.RootCAs, u.Time, u.MinVersion, u.MaxVersion, u.CipherSuites
	}
	return config
}
