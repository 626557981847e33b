package engine

import "github.com/gannet-ws/gannet/codec"

// Our Close frame: who may send one, and where it is placed. What follows from it is the life of the connection (conn_life.go).

// Close closes the connection with code 1000 once what is queued has left. When it
// returns the state is CLOSING and no further message is delivered. In CLOSING and
// CLOSED it does nothing. In CONNECTING it fails the attempt, and the connection never opens: of a client OnError and OnClose
// (1006) follow, of a server (Upgrade.Conn), which has heard of nothing yet, neither.
func (c *Conn) Close() error { return c.CloseWith(StatusNormalClosure, "") }

// CloseWith closes with a code and a reason of at most 123 bytes of UTF-8. A server
// may send 1000-1003, 1007-1009, 1011-1014 and 3000-4999 (RFC 6455 7.4), of which 4000-4999 are an application's own, a client 1000 and
// 3000-4999 (WHATWG WebSockets, close); another code is ErrInvalidAccess, a bad reason ErrSyntax, and an error leaves the state as it was.
func (c *Conn) CloseWith(code int, reason string) error {
	if err := c.checkClose(code, reason); err != nil {
		return err
	}
	var body [codec.MaxControlPayload]byte
	c.beginClose(codec.AppendCloseBody(body[:0], code, reason))
	return nil
}

// CloseNoStatus closes with a Close frame that has no body: the peer sees 1005.
func (c *Conn) CloseNoStatus() error {
	c.beginClose(nil)
	return nil
}

// CloseWrite is Close for whoever has nothing more to say and wants to hear the rest: the state is CLOSING, and what the peer
// sends until its own Close is still delivered, at the handler's pace (Pause). A WebSocket has no half-close: most peers answer
// our Close with theirs at once, and then the rest is what was on its way. It ends by CloseTimeout, which stands
// while Pause, or a handler that workers wait for, holds the reading; and by MaxClosing, whatever holds it. In CLOSING and CLOSED it does nothing; in CONNECTING see Close.
func (c *Conn) CloseWrite() error {
	if c.ReadyState() == Open {
		c.setHearsOn(true)
	}
	return c.Close()
}

func (c *Conn) setHearsOn(on bool) {
	for {
		old := c.limits.Load()
		k := *old
		k.hearsOn = on
		if c.limits.CompareAndSwap(old, &k) {
			return
		}
	}
}

// hears tells whether what the peer sends is delivered, as far as the state goes.
func (c *Conn) hears() bool {
	s := c.ReadyState()
	return s == Open || s == Closing && c.limits.Load().hearsOn
}

func (c *Conn) beginClose(body []byte) {
	if c.state.CompareAndSwap(uint32(Connecting), uint32(Closing)) { // nobody is there yet to take a Close frame
		c.notify(todoAbort)
		return
	}
	if c.lockOffLoop() {
		c.beginCloseLocked(body)
		c.unlock()
	} else if c.leaveOpen() {
		c.handCall(c.handedControl(OpClose, body))
	}
}

// leaveOpen is the one place where OPEN becomes CLOSING. Any goroutine; false when the state is another.
func (c *Conn) leaveOpen() bool {
	if !c.state.CompareAndSwap(uint32(Open), uint32(Closing)) {
		return false
	}
	c.loop.engine.stats.open.Add(-1)
	c.loop.engine.stats.closing.Add(1)
	return true
}

// beginCloseLocked begins the closing handshake, in OPEN.
func (c *Conn) beginCloseLocked(body []byte) {
	if c.leaveOpen() {
		c.placeCloseLocked(body, c.announced())
	}
}

// placeCloseLocked places the Close frame behind all that was sent, and behind the broadcasts up to this number.
func (c *Conn) placeCloseLocked(body []byte, last uint32) {
	if c.ReadyState() == Closed {
		return
	}
	c.out.Close(c.outCallAfter(last), body)
}

// failure is why a connection was closed by somebody else than its loop, in a byte.
type failure uint8

const (
	notFailed failure = iota
	slowConsumer
	handlerPanicked
	handlerExited
)

func (f failure) err() *CloseError {
	switch f {
	case slowConsumer:
		return &CloseError{StatusTryAgainLater, ErrSlowConsumer}
	case handlerPanicked:
		return &CloseError{StatusInternalServerError, ErrHandlerPanic}
	}
	return &CloseError{StatusInternalServerError, ErrHandlerExit}
}

// failLocked closes because of f. Any goroutine.
func (c *Conn) failLocked(f failure) {
	if !c.leaveOpen() {
		if f != slowConsumer && c.hears() { // CloseWrite was called; a handler that failed hears no more
			c.failed = f
			c.setHearsOn(false)
			c.notify(todoClose)
		}
		return
	}
	c.failed = f
	var body [codec.MaxControlPayload]byte
	c.placeCloseLocked(codec.AppendCloseBody(body[:0], f.err().Code, ""), c.announced())
}

// Terminate ends the connection at once: what is queued is dropped, the transport is
// reset, OnClose reports 1006. In CONNECTING see Close; in CLOSED it does nothing.
func (c *Conn) Terminate() {
	c.notify(todoAbort) // first: who sees CLOSING sees why
	if !c.leaveOpen() {
		c.state.CompareAndSwap(uint32(Connecting), uint32(Closing))
	}
}
