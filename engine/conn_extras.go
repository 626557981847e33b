package engine

import "context"

// extras is what few connections have. It is made when the first of it is needed, so that the others pay a pointer.
type extras struct {
	value  any                     // the user's
	values context.Context         // whose values context has; nil: none
	ctx    context.Context         // nil until somebody asks
	cancel context.CancelCauseFunc // ctx's
	why    error                   // it is over: what context.Cause tells
}

// extrasLocked are the connection's. Under mu.
func (c *Conn) extrasLocked() *extras {
	if c.extras == nil {
		c.extras = new(extras)
	}
	return c.extras
}

// Value is what SetValue was given, or Upgrade.SetValue; nil if nothing was. It waits as BufferedAmount does.
func (c *Conn) Value() (v any) {
	c.lock()
	if c.extras != nil {
		v = c.extras.value
	}
	c.unlock()
	return v
}

// SetValue keeps a value of the user's with the connection, in the place of the one before. It waits as BufferedAmount does.
func (c *Conn) SetValue(v any) {
	c.lock()
	c.extrasLocked().value = v
	c.unlock()
}

// Context is for what is done on the connection's behalf and has to end with it, a query say: it is cancelled when the
// connection is CLOSED, just before OnError and OnClose, and is cancelled already when it is asked for later. context.Cause tells
// the end: CloseEvent.Err or, where that is nil, a CloseError with the event's code, which is ErrClosed. It is made when it
// is first asked for, and needs no goroutine. A connection that came by ServeHTTP has the values of its request's context, but
// not its deadline nor its end, for net/http ends that when ServeHTTP returns. Any goroutine; it waits as BufferedAmount does.
func (c *Conn) Context() context.Context {
	c.lock()
	defer c.unlock()
	x := c.extrasLocked()
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
	x := c.extrasLocked()
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
