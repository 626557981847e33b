package reconnect

import (
	"reflect"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// Handler hears of a Conn. Its calls never overlap, and come on a loop, a worker or a goroutine of their own; on a loop they must
// not block (see engine.Handler). The order is OnOpen, OnMessage*, OnLost, as often as the connection comes back, and exactly
// one OnClose, which is the last. OnLost also tells of attempts that failed.
//
// A Handler may have any of OnHighWater, OnDrain, OnPing, OnPong and OnChunk as well, like those of an engine.Handler, with this
// package's Conn. They are looked for once, by Start, which refuses a Handler of which one would never be called.
type Handler interface {
	// OnOpen: the connection is open, for the first time (times is 1) or again. What has to come first, a login or
	// subscriptions, is sent here, to now: c's own Sends answer ErrNotConnected until OnOpen has returned.
	OnOpen(c *Conn, now *engine.Conn, times int)
	// OnMessage: one whole message. m.Data is lent until return; m.Retain keeps it.
	OnMessage(c *Conn, m engine.Message)
	// OnLost: the connection was lost, or an attempt has failed; l says when the next one comes.
	OnLost(c *Conn, l Loss)
	// OnClose: there is no further attempt. why is nil after Close and CloseWith, else the context's cause, or ErrGaveUp, ErrUnwelcome,
	// engine.ErrClientClosed, or an error of Options.Prepare. l is what ended; it is the zero value where OnLost has told
	// of that already.
	OnClose(c *Conn, l Loss, why error)
}

// Loss tells how a connection, or an attempt, ended.
type Loss struct {
	// Event is how it ended. An attempt that failed has the code 1006; errors.As finds an *engine.HandshakeError in Err
	// where the server refused, an *engine.DialError where there was none.
	Event engine.CloseEvent
	// WasOpen tells a connection that was lost from an attempt that failed.
	WasOpen bool
	// Unsent is the connection's bufferedAmount: the bytes that Send had accepted and that did not leave. A message that
	// was sent just while the connection was lost may count, though it was answered ErrNotConnected.
	Unsent uint64
	// Attempt is the number of the next attempt: 1 after a connection that was stable. 0: there is none.
	Attempt int
	// Delay is how long after OnLost has returned the next attempt comes.
	Delay time.Duration
}

// Funcs is a Handler made of functions; nil ones are not called.
type Funcs struct {
	Open    func(c *Conn, now *engine.Conn, times int)
	Message func(c *Conn, m engine.Message)
	Lost    func(c *Conn, l Loss)
	Close   func(c *Conn, l Loss, why error)
}

// OnOpen calls f.Open.
func (f Funcs) OnOpen(c *Conn, now *engine.Conn, times int) {
	if f.Open != nil {
		f.Open(c, now, times)
	}
}

// OnMessage calls f.Message.
func (f Funcs) OnMessage(c *Conn, m engine.Message) {
	if f.Message != nil {
		f.Message(c, m)
	}
}

// OnLost calls f.Lost.
func (f Funcs) OnLost(c *Conn, l Loss) {
	if f.Lost != nil {
		f.Lost(c, l)
	}
}

// OnClose calls f.Close.
func (f Funcs) OnClose(c *Conn, l Loss, why error) {
	if f.Close != nil {
		f.Close(c, l, why)
	}
}

// neverCalled finds a method of h that looks like one of an engine.Handler's, and is not among f. The names are constants for the linker:
// see engine/handler_hooks.go.
func neverCalled(h Handler, f *engine.Funcs) error {
	t, name := reflect.TypeOf(h), ""
	has := func(_ reflect.Method, ok bool) bool { return ok }
	switch {
	case f.HighWater == nil && has(t.MethodByName("OnHighWater")):
		name = "OnHighWater"
	case f.Drain == nil && has(t.MethodByName("OnDrain")):
		name = "OnDrain"
	case f.Ping == nil && has(t.MethodByName("OnPing")):
		name = "OnPing"
	case f.Pong == nil && has(t.MethodByName("OnPong")):
		name = "OnPong"
	case f.Chunk == nil && has(t.MethodByName("OnChunk")):
		name = "OnChunk"
	case has(t.MethodByName("OnError")):
		return misused("%v.OnError would never be called: Loss.Event.Err says what it would", t)
	default:
		return nil
	}
	return misused("%v.%s would never be called: its arguments are not those of engine.Handler's, with a *reconnect.Conn", t, name)
}

// heard is the engine's handler of each connection of c.
func (c *Conn) heard() *engine.Funcs {
	f := &engine.Funcs{
		Open:    c.opened,
		Message: func(_ *engine.Conn, m engine.Message) { c.handler.OnMessage(c, m) },
		Close:   c.closed,
	}
	if h, ok := c.handler.(interface{ OnHighWater(c *Conn) }); ok {
		f.HighWater = func(*engine.Conn) { h.OnHighWater(c) }
	}
	if h, ok := c.handler.(interface{ OnDrain(c *Conn) }); ok {
		f.Drain = func(*engine.Conn) { h.OnDrain(c) }
	}
	if h, ok := c.handler.(interface {
		OnPing(c *Conn, payload []byte)
	}); ok {
		f.Ping = func(_ *engine.Conn, payload []byte) { h.OnPing(c, payload) }
	}
	if h, ok := c.handler.(interface {
		OnPong(c *Conn, payload []byte)
	}); ok {
		f.Pong = func(_ *engine.Conn, payload []byte) { h.OnPong(c, payload) }
	}
	if h, ok := c.handler.(interface {
		OnChunk(c *Conn, k engine.Chunk)
	}); ok {
		f.Chunk = func(_ *engine.Conn, k engine.Chunk) { h.OnChunk(c, k) }
	}
	return f
}
