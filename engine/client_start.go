package engine

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"unique"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// How a connection of a client begins: what was asked for is checked, it is counted, it gets its loop, and there is a Conn. The transport
// comes later: conn_dial.go (native), client_carry.go (bridge).

// prepare makes a connection that is CONNECTING, and has not begun.
func (c *Client) prepare(ctx context.Context, address string, o DialOptions) (*Conn, error) {
	if err := c.made(); err != nil {
		return nil, err
	}
	p, err := newPlan(address, o)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		why := contextError(ctx)
		return nil, &DialError{"dial", p.authority, dialReason(why), why}
	}
	if p.limits, err = p.limitsWithin(c.own.limits); err != nil {
		return nil, err
	}
	if err := c.start(); err == ErrServerClosed {
		return nil, ErrClientClosed
	} else if err != nil {
		return nil, err
	}
	var a arrival
	if _, ok := c.admitConn(&a); !ok {
		return nil, ErrTooManyConns
	}
	l, err := c.loopFor(p)
	if err != nil {
		c.uncount(netip.AddrPort{})
		if err == ErrServerClosed { // meanwhile
			err = ErrClientClosed
		}
		return nil, err
	}
	return c.newDialled(ctx, l, a.id, p), nil
}

// limitsWithin are what the connection starts with, its handler among them; k is the client's.
func (p *plan) limitsWithin(k *limits) (*limits, error) {
	if p.Limits != (Limits{}) {
		var err error
		if k, err = k.with(p.Limits); err != nil {
			return nil, ofDial(err)
		}
	}
	if p.Handler == nil {
		return k, nil
	}
	h, err := clientHooks(p.Handler)
	if err != nil {
		return nil, fmt.Errorf("gannet: DialOptions: %w", err)
	}
	return k.route.handedTo(p.Handler, h, k).limits, nil
}

// ofDial is an error about a field of Limits that names DialOptions.
func ofDial(err error) error {
	if bad := new(badOption); errors.As(err, &bad) {
		bad.place = "DialOptions: Limits"
	}
	return err
}

// loopFor is the loop that a connection will live on.
func (c *Client) loopFor(p *plan) (*loop, error) {
	if len(c.native) == 0 || p.proxy != nil || c.conf.dialing.dial != nil {
		return c.bridgeLoop()
	}
	if !p.secure() {
		return leastLoaded(c.native), nil
	}
	loops, err := c.secureLoops()
	if err != nil {
		return nil, err
	}
	return leastLoaded(loops), nil
}

// newDialled is a connection to be. It counts for its loop already.
func (e *engine) newDialled(ctx context.Context, l *loop, id uint64, p *plan) *Conn {
	c := &Conn{loop: l, id: id, fd: -1, phase: phaseDialing, flags: dialled}
	if p.secure() {
		c.flags |= overTLS
	}
	c.limits.Store(p.limits)
	if p.Value != nil {
		c.SetValue(p.Value)
	}
	c.agreed = unique.Make(agreement{host: p.authority, target: p.url.Target(), tls: p.secure()})
	d := &dialState{plan: *p, conn: c, asked: ctx}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails
	handshake.AppendKey(d.key[:0], &nonce)
	c.opening = openingPool.Get().(*opening)
	c.opening.dial = d
	e.stats.connecting.Add(1)
	return c
}

// begin has the connection made. It reports false when its loop has ended.
func (c *Conn) begin() bool {
	d := c.opening.dial
	if c.loop.bridge != nil {
		return d.inBackground(c.carry)
	}
	if targets := d.literal(); targets != nil {
		return c.loop.post(task{call: func() {
			c.loop.list(d)
			c.beginDial(targets)
		}})
	}
	return d.inBackground(c.resolve)
}

// inBackground runs f in a goroutine, which ends when the connection does.
func (d *dialState) inBackground(f func(context.Context, *dialState)) bool {
	c := d.conn
	ctx, stop := context.WithCancelCause(context.WithoutCancel(d.asked)) // what ends it ends the connection, on its loop
	d.stop = stop
	if !c.loop.post(task{call: func() { c.loop.list(d) }}) {
		stop(ErrClientClosed)
		return false
	}
	c.loop.engine.background(func() {
		returned := false
		defer func() {
			if !returned { // a function of the user's ended the goroutine
				c.failFrom(phaseDialing, newDialError("dial", d.authority, errDialExit))
			}
		}()
		f(ctx, d)
		returned = true
	})
	return true
}

// dropUnbegun gives up a connection whose loop has ended before it began.
func (c *Client) dropUnbegun(conn *Conn) error {
	conn.state.Store(uint32(Closed))
	conn.loop.conns.Add(-1)
	c.stats.connecting.Add(-1)
	c.uncount(netip.AddrPort{})
	return ErrClientClosed
}

// appendRequest appends the opening handshake.
func (d *dialState) appendRequest(dst []byte) []byte {
	ask := handshake.Ask{Target: d.url.Target(), Host: d.host, Key: d.key[:], Origin: d.Origin, Protocols: d.Protocols, Extra: d.fields}
	ask.Extensions = d.conn.loop.engine.conf.dialing.offer
	return handshake.AppendAsk(dst, &ask)
}

// basic is an Authorization field's value (RFC 7617).
func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
