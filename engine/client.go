package engine

import (
	"context"
	"fmt"
	"iter"

	"github.com/gannet-ws/gannet/codec"
)

// Client makes WebSocket connections, and gives them to a Handler: all on its own loops, with the semantics of a server's.
// Its methods may be called from any goroutine.
type Client struct{ engine }

// NewClient makes a client. It answers an error that is ErrSyntax and names the option when one is out of range, or does not go
// with another one; and one for a handler of which something would silently never be called: see NewServer, and besides OnUpgrade, which
// only a server calls, and a Mux, whose routes only a server has. Nothing runs until the first Start or Dial.
func NewClient(h Handler, o ClientOptions) (*Client, error) {
	hooks, err := clientHooks(h)
	if err != nil {
		return nil, fmt.Errorf("gannet: NewClient: %w", err)
	}
	conf, err := o.config()
	if err != nil {
		return nil, err
	}
	c := &Client{}
	c.role = codec.RoleClient
	c.engine.init(conf, hooks)
	return c, nil
}

// clientHooks are what the engine calls of a client's handler.
func clientHooks(h Handler) (hooks, error) {
	switch h.(type) {
	case nil:
		return hooks{}, handlerError("it needs a Handler, and this one is nil")
	case *Mux:
		return hooks{}, handlerError("a Mux has routes for requests that come in: give the client a Handler of its own")
	}
	k, err := findHooks(h)
	if err == nil && k.upgrade != nil {
		err = handlerError("OnUpgrade would never be called, for only a server decides about requests: give the client a Handler without it, or with Funcs.Upgrade nil")
	}
	return k, err
}

// Start begins a connection and returns it in CONNECTING, before anything has happened on the network. What comes of it the
// Handler hears: OnOpen, or OnError and OnClose (1006). They are called on the connection's loop, the first of them perhaps before the
// caller has done anything with what Start returned; give what they need in DialOptions.Value. An error of Start means
// that there is no connection: ErrSyntax for a URL or an option that can not be (WHATWG WebSockets, the constructor), ErrSecurity for a
// port that browsers refuse, ErrTooManyConns, ErrClientClosed.
//
// There is no goroutine for it, but for one while a name is resolved, or while a proxy or DialContext makes the connection. TLS shakes hands in
// goroutines that all connections share.
// Any goroutine, callbacks on loops among them.
func (c *Client) Start(url string, o DialOptions) (*Conn, error) {
	conn, err := c.prepare(context.Background(), url, o)
	if err != nil {
		return nil, err
	}
	if !conn.begin() {
		return nil, c.dropUnbegun(conn)
	}
	return conn, nil
}

// Dial is Start, and waits until the connection is OPEN, OnOpen has returned, and it can be used. When it fails Dial
// answers why: a DialError, or a HandshakeError (errors.As), and the Handler hears it as well. When ctx ends first Dial answers a DialError
// that leads to ctx's error and cause, and the attempt ends; a ctx that has ended before begins none. It answers ErrOnLoop on a loop, and on one of
// this client's workers: OnOpen might wait for just that one. ctx has no effect on a connection that is OPEN. Its values are in the context that DialContext and Resolver get.
func (c *Client) Dial(ctx context.Context, url string, o DialOptions) (*Conn, error) {
	if onAnyLoop() || c.onWorker() {
		return nil, ErrOnLoop
	}
	conn, err := c.prepare(ctx, url, o)
	if err != nil {
		return nil, err
	}
	opened := make(chan error, 1)
	conn.opening.dial.opened = opened
	if !conn.begin() {
		return nil, c.dropUnbegun(conn)
	}
	return conn.wait(ctx, opened)
}

// wait waits until the connection has opened, or has not.
func (c *Conn) wait(ctx context.Context, opened <-chan error) (*Conn, error) {
	var err error
	select {
	case err = <-opened:
	case <-ctx.Done():
		why := contextError(ctx)
		if why = endedDial(c.agreement().host, dialReason(why), why); c.giveUp(why) {
			return nil, why // whatever its loop is doing just now
		}
		err = <-opened // it opened just now, or failed
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Conns iterates over the connections that are OPEN or CLOSING; see Server.Conns.
func (c *Client) Conns() iter.Seq[*Conn] { return c.openConns() }

// Broadcast sends p to every connection that keep accepts; see Server.Broadcast.
func (c *Client) Broadcast(p *Prepared, keep func(*Conn) bool) { c.broadcast(p, keep) }

// Shutdown begins no more connections, gives up those that are CONNECTING, closes every other one with 1001 once what is queued
// for it has left, and waits until all are gone. When ctx ends first: see Server.Shutdown.
func (c *Client) Shutdown(ctx context.Context) error { return c.shutdown(ctx, new(listening)) }

// Close ends every connection at once, and the client; see Server.Close.
func (c *Client) Close() error { return c.close(new(listening)) }

// Stats is what the client has done and holds.
func (c *Client) Stats() Stats {
	if c.made() != nil {
		return Stats{}
	}
	return c.snapshot()
}
