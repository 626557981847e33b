package engine

import (
	"context"
	"net/http"
	"sync/atomic"
)

// extras is what few connections have. It is made when the first of it is needed, so that the others pay a pointer. Under mu,
// but for value: a callback that asks for it waits for nobody.
type extras struct {
	value  atomic.Pointer[any]     // the user's
	header http.Header             // of a client's answer
	values context.Context         // whose values context has; nil: none
	ctx    context.Context         // nil until somebody asks
	cancel context.CancelCauseFunc // ctx's
	why    error                   // it is over: what context.Cause tells
}

// extrasOf are the connection's. Any goroutine.
func (c *Conn) extrasOf() *extras {
	if c.extras.Load() == nil {
		c.extras.CompareAndSwap(nil, new(extras))
	}
	return c.extras.Load()
}

// Value is what DialOptions.Value, SetValue or Upgrade.SetValue was; nil if nothing was. Any goroutine; it waits for nothing.
func (c *Conn) Value() any {
	x := c.extras.Load()
	if x == nil {
		return nil
	}
	v := x.value.Load()
	if v == nil {
		return nil
	}
	return *v
}

// SetValue keeps a value of the user's with the connection, in the place of the one before. Any goroutine; it waits for nothing.
func (c *Conn) SetValue(v any) { c.extrasOf().value.Store(&v) }

// Header is what the server answered, of a client's connection that was begun with DialOptions.KeepHeader; nil of all others.
// It must not be changed. It waits as BufferedAmount does.
func (c *Conn) Header() (h http.Header) {
	c.lock()
	if x := c.extras.Load(); x != nil {
		h = x.header
	}
	c.unlock()
	return h
}

// Context is for what is done on the connection's behalf and has to end with it, a query say: it is cancelled when the
// connection is CLOSED, just before OnError and OnClose, and is cancelled already when it is asked for later. context.Cause tells
// the end: CloseEvent.Err or, where that is nil, a CloseError with the event's code, which is ErrClosed. It is made when it
// is first asked for, and needs no goroutine. A connection that came by ServeHTTP has the values of its request's context, but
// not its deadline nor its end, for net/http ends that when ServeHTTP returns. Any goroutine; it waits as BufferedAmount does.
func (c *Conn) Context() context.Context {
	c.lock()
	defer c.unlock()
	x := c.extrasOf()
	if x.ctx == nil {
		from := context.Background()
		if x.values != nil {
			from = context.WithoutCancel(x.values)
		}
		x.ctx, x.cancel = context.WithCancelCause(from)
		if c.ReadyState() == Closed {
			x.cancel(x.why)
		}
	}
	return x.ctx
}

// endContextLocked notes why the connection is over. It returns what cancels its context, to be called without the lock.
func (c *Conn) endContextLocked(why error) (cancel func()) {
	x := c.extrasOf()
	if x.why = why; x.cancel == nil {
		return func() {}
	}
	return func() { x.cancel(why) }
}

// cause is what context.Cause tells of a connection that ended so.
func (k *closing) cause() error {
	if k.err == nil {
		return &CloseError{k.code, ErrClosed}
	}
	return k.err
}
