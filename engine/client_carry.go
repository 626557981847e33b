package engine

import (
	"context"
	"net"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// Transports that a goroutine makes, and a bridge carries: through a proxy (client_proxy.go), by DialContext, and all of them where there are no
// native loops (client_race.go). What of them goes over TLS shakes hands in that goroutine as well (client_tls.go).

// carry makes the transport, and leaves it to the loop.
func (c *Conn) carry(ctx context.Context, d *dialState) {
	nc, err := c.makeTransport(ctx, &d.plan)
	if err != nil {
		c.failFrom(phaseDialing, err)
		return
	}
	if !c.loop.post(task{call: func() { c.carried(nc) }}) {
		_ = nc.Close()
	}
}

// carried takes over the transport. On the loop.
func (c *Conn) carried(nc net.Conn) {
	l := c.loop
	if c.phase != phaseDialing || c.ReadyState() != Connecting {
		go nc.Close() // which may wait: TLS says goodbye
		return
	}
	l.engine.conf.buffers().SetOn(nc)
	c.opening.dial.unlist()
	fd := l.bridge.Attach(nc)
	c.fd = int32(fd)
	c.setPeer(newPeerAddr(addrPortOf(nc.RemoteAddr())))
	c.flags |= bridged
	l.engine.stats.bridged.Add(1)
	l.table.set(fd, c)
	_ = l.sys.Add(fd) // a bridge refuses none
	c.watched = netio.Readable
	c.sendRequest()
	c.settle()
}

// makeTransport is the connection that the opening handshake goes through.
func (c *Conn) makeTransport(ctx context.Context, p *plan) (net.Conn, error) {
	nc, err := c.connectThrough(ctx, p)
	if err != nil || !p.secure() {
		return nc, err
	}
	defer c.bounded(ctx, c.loop.engine.conf.dialing.tls, "tls", p.authority)()
	return c.loop.engine.overTLS(ctx, nc, p.tls, p.authority)
}

// connectThrough reaches the target, by the proxy if there is one, within ConnectTimeout.
func (c *Conn) connectThrough(ctx context.Context, p *plan) (net.Conn, error) {
	e := c.loop.engine
	op, addr := "connect", p.target()
	switch {
	case p.Unix != "":
		addr = p.Unix
	case p.proxy != nil:
		op, addr = "proxy", proxyName(p.proxy)
	}
	defer c.bounded(ctx, e.conf.dialing.connect, op, addr)()
	ctx, cancel := context.WithTimeout(ctx, e.conf.dialing.connect)
	defer cancel()
	switch {
	case p.Unix != "":
		return e.dialNet(ctx, "unix", addr)
	case p.proxy != nil:
		return e.dialProxy(ctx, p)
	}
	return e.dialNet(ctx, "tcp", addr)
}

// dialNet connects to an address.
func (e *engine) dialNet(ctx context.Context, network, addr string) (nc net.Conn, err error) {
	switch {
	case e.conf.dialing.dial != nil:
		nc, err = guarded(func() (net.Conn, error) { return e.conf.dialing.dial(ctx, network, addr) })
		if err == nil && nc == nil {
			err = errNoConn
		}
	case network == "unix":
		nc, err = new(net.Dialer).DialContext(ctx, network, addr)
	default:
		return e.race(ctx, addr)
	}
	if err != nil {
		return nil, newDialError("connect", addr, plainDial(err))
	}
	return nc, nil
}

// errNoConn is a mistake of the user's.
var errNoConn = &reasonError{reason: "other", text: "DialContext answered neither a connection nor an error"}
