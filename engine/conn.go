package engine

import (
	"net"
	"sync"
	"sync/atomic"
	"unique"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/engine/internal/wheel"
)

// ReadyState is the state of a connection (WHATWG WebSocket.readyState).
type ReadyState uint32

const (
	// Connecting: the opening handshake is under way. Next: Open, or Closed.
	Connecting ReadyState = iota
	// Open: messages flow. Next: Closing, or Closed.
	Open
	// Closing: a Close was sent or received, or the connection failed. Next: Closed.
	Closing
	// Closed: it is over, or never began.
	Closed
)

// String is the name that browsers use.
func (s ReadyState) String() string {
	return [...]string{"CONNECTING", "OPEN", "CLOSING", "CLOSED"}[s&3]
}

// agreement is what a handshake settled. Connections with equal ones share it.
type agreement struct {
	host, target, protocol string
	deflate                deflate.Agreement // the zero value: none
	tls                    bool
}

// Conn is one connection. Its size is a promise (an idle connection costs at most
// 256 bytes with its table slot; see TestConnSize), so whatever only a busy
// connection needs hangs off in, out, opening or inbox, and goes when it is idle.
//
// Who may touch what: fields under "mu" need the lock. Fields under "loop" belong to
// the loop's goroutine. The atomics are how the two sides talk.
type Conn struct {
	loop   *loop
	limits atomic.Pointer[limits]

	// mu orders what is sent. The loop never waits for it: see conn_lock.go.
	mu        sync.Mutex
	out       outgoing.Out              // mu
	extras    atomic.Pointer[extras]    // nil while it has none
	handed    atomic.Pointer[handed]    // calls that loops left to the lock's holder
	deflation atomic.Pointer[deflation] // nil for a plain connection

	state  atomic.Uint32 // ReadyState; leaves Open only under mu
	corked atomic.Bool   // a callback of this connection is running: what is sent waits for its end
	holds  atomic.Uint32 // why no message is delivered for the moment (held bits)
	owed   atomic.Uint32 // work the loop left to whoever holds mu (todo bits)
	todo   atomic.Uint32 // work for the loop (todo bits)

	// loop
	agreed   unique.Handle[agreement] // until OPEN written under mu as well: Upgrade.Conn hands c out before
	opening  *opening                 // until OPEN
	in       *inbound                 // nil between messages
	inbox    atomic.Pointer[inbox]    // Options.Workers: callbacks that wait or run; the worker takes it away
	ending   *ending                  // from the first reason to close
	times    times
	progress *progress // while a clock waits for the peer to take something
	timer    wheel.Node
	controls controls
	fd       int32
	flags    flags
	watched  netio.Interest
	phase    phase

	id       uint64
	asked    uint32  // loop: the number of the last broadcast that it was asked for
	failed   failure // mu: why somebody else than the loop closed it
	deflates bool    // permessage-deflate was agreed on; nobody writes it once OPEN
	peer     peerAddr
}

// ID is the connection's number, unique in its server: 1 is the first that was accepted, and each one more, by whatever way it
// came and whatever became of its handshake, has the next number. What was turned away at MaxConns has none. It is in
// each line that the engine logs of a connection, as conn. It is 0 for a Conn that is not the engine's.
func (c *Conn) ID() uint64 { return c.id }

// role is our side of the connection.
func (c *Conn) role() codec.Role {
	l := c.home()
	if l == nil {
		return codec.RoleServer // the zero Conn
	}
	return l.engine.role
}

// ReadyState is the connection's state.
func (c *Conn) ReadyState() ReadyState { return ReadyState(c.state.Load()) }

// BufferedAmount is the number of payload bytes (before compression, without framing
// and control frames) that Send accepted and that have not yet left for the network;
// a message counts until its last byte has left. It is exactly 0 when all has, and
// what could not be delivered stays counted after closing (WHATWG bufferedAmount). It waits for a
// Send that another goroutine is in: for one write at most.
func (c *Conn) BufferedAmount() uint64 {
	c.lock()
	n := c.out.Buffered()
	c.unlock()
	return n
}

// agreement is what was agreed; while CONNECTING, what the request says of it. From
// OPEN on nobody writes it any more; who closes while CONNECTING is in CLOSING, and the loop may not know it yet.
func (c *Conn) agreement() agreement {
	if c.home() == nil {
		return agreement{} // of the zero Conn
	}
	if s := c.ReadyState(); s == Open || s == Closed {
		return c.agreed.Value()
	}
	c.lock()
	h := c.agreed
	c.unlock()
	return h.Value()
}

// URL is the absolute ws: or wss: URL of the connection, rebuilt from the request.
func (c *Conn) URL() string {
	a := c.agreement()
	if a == (agreement{}) {
		return ""
	}
	return string(handshake.AppendURL(nil, a.tls, []byte(a.host), []byte(a.target)))
}

// Protocol is the agreed sub-protocol, or "".
func (c *Conn) Protocol() string { return c.agreement().protocol }

// Extensions is what was agreed of extensions, as the response says it (RFC 7692 7.1): "permessage-deflate" and its
// parameters, or "".
func (c *Conn) Extensions() string { return c.agreement().deflate.String() }

// RemoteAddr is the peer's address; with Options.ProxyProtocol or Options.TrustedProxies the one that the proxy names.
func (c *Conn) RemoteAddr() net.Addr {
	if c.home() == nil {
		return nil
	}
	var peer peerAddr
	if c.role() == codec.RoleClient && c.ReadyState() != Open { // while CONNECTING it comes to have one
		c.lock()
		peer = c.peer
		c.unlock()
	} else {
		peer = c.peer
	}
	if peer != (peerAddr{}) {
		return net.TCPAddrFromAddrPort(peer.addrPort())
	}
	return c.home().addr(c, false)
}

// LocalAddr is our end's address; nil once the connection is closed.
func (c *Conn) LocalAddr() net.Addr {
	if c.home() == nil {
		return nil
	}
	return c.home().addr(c, true)
}

// Pause stops the delivery of what the peer sends, until Resume: in a callback, from the next
// message, chunk, ping or pong on. What was read already waits, and counts for Options.InboundBudget; nothing
// more is read, so the kernel's buffers fill and the peer has to wait. Closing resumes, but for CloseWrite.
func (c *Conn) Pause() { c.setPaused(true) }

// Resume delivers what waits, and goes on reading. One Resume ends any number of Pauses.
func (c *Conn) Resume() { c.setPaused(false) }

func (c *Conn) setPaused(on bool) {
	if on {
		c.holds.Or(heldByUser)
	} else {
		c.holds.And(^heldByUser)
	}
	c.notify(todoPause)
}

// Post runs f in the connection's sequence: never at the same time as one of its
// callbacks. What f sends leaves in one write, or in one for each 32 KiB: Post is the way to send many small messages from another goroutine,
// whose Sends are a write each. It answers ErrClosed, and does not run f, once the connection is CLOSED; ErrSyntax
// for a nil f; ErrInvalidState for a Conn that is not the engine's. What was accepted may still be dropped, if the
// connection becomes CLOSED before its turn.
func (c *Conn) Post(f func(*Conn)) error {
	switch {
	case c.home() == nil:
		return ErrInvalidState
	case f == nil:
		return misused("Post needs a function, and this one is nil")
	}
	if c.ReadyState() == Closed {
		return ErrClosed
	}
	c.post(task{conn: c, run: f})
	return nil
}
