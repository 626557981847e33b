package engine

// A connection's handler is found by its limits, with its route (route.go). A connection with a handler of its own has a
// route of its own: the one before, with other hooks.

// SetHandler gives the connection to another Handler: what happens on it from now on h hears, and the server's or client's
// Handler, or the route's, does not. It is for OnUpgrade (u.Conn; then h.OnOpen is called) and for OnOpen or a later callback, after which the
// next one is h's; from another goroutine it is for the loop to say which callback is the first. Exactly one of the two hears OnClose.
//
// An h with OnChunk may still get a message that is read already as a whole, by OnMessage. h's OnUpgrade is not called. SetHandler
// waits as BufferedAmount does. Errors: what NewServer says of handlers; ErrClosed when the connection is CLOSED;
// ErrInvalidState for a Conn that is not the engine's, and when it is OPEN, its handler so far has OnChunk and h has not: h would
// get the end of a message alone.
func (c *Conn) SetHandler(h Handler) error {
	hooks, err := routeHooks(h)
	if err != nil {
		return err
	}
	c.lock()
	defer c.unlock() // finish takes the lock as well: whoever is the handler when the state becomes CLOSED hears OnClose
	for {
		old := c.limits.Load()
		switch {
		case old == nil:
			return ErrInvalidState
		case c.ReadyState() == Closed:
			return ErrClosed
		case c.ReadyState() != Connecting && old.route.hooks.chunk != nil && hooks.chunk == nil:
			return ErrInvalidState
		}
		if c.limits.CompareAndSwap(old, old.route.handedTo(h, hooks, old).limits) {
			return nil
		}
	}
}

// Handler is what SetHandler or DialOptions.Handler gave the connection to; nil when that is its server's, client's or route's.
func (c *Conn) Handler() Handler {
	if k := c.limits.Load(); k != nil {
		return k.route.handler
	}
	return nil // of the zero Conn
}

// handedTo is r with another handler, for one connection, whose limits are k.
func (r *route) handedTo(h Handler, its hooks, k *limits) *route {
	n := newRoute(its, k, r.entrance)
	n.handler, n.pattern, n.names = h, r.pattern, r.names
	return n
}
