package engine

import "time"

// Resting: a connection that has neither sent nor received a compressed message for a while
// needs less memory. Its history is dropped, which costs the next message a little; the
// peer's window may be referred to at any time (RFC 7692 7.1.1), so that is packed.

// restAfter is how long a connection has to be still at least; at most twice as long.
const restAfter = 30 * time.Second

// deflation.use: what the clock finds when it looks.
const (
	useNone   = iota // nothing to rest: the clock stands
	useLooked        // nothing was used since the clock looked
	useSince
)

// used notes that the sender or the receiver was used. Under mu, or on the loop.
func (c *Conn) used(s *deflation) {
	if s.use.Load() != useSince && s.use.Swap(useSince) == useNone {
		c.notify(todoTimers)
	}
}

// looked is when the clock looked last; for a connection that is used for the first time, or for the
// first time since long, now.
func (c *Conn) looked() time.Duration {
	s := c.deflation.Load()
	if s == nil {
		return 0
	}
	if c.loop.now-s.looked > 4*restAfter {
		s.looked = c.loop.now
	}
	return s.looked
}

// ifUsed: only what was used can rest.
func (c *Conn) ifUsed() time.Duration {
	if s := c.deflation.Load(); s != nil && s.use.Load() != useNone {
		return restAfter
	}
	return 0
}

// onRestDue lets sender and receiver rest, if they were not used since the clock looked last,
// when the loop has time for it: to pack a window takes a tenth of a millisecond (loop_work.go).
func (c *Conn) onRestDue() {
	s := c.deflation.Load()
	s.looked = c.loop.now
	if !s.use.CompareAndSwap(useSince, useLooked) {
		c.loop.restLater(c)
	}
}

// resting are the connections whose sender and receiver may rest.
type resting struct {
	fifo[*Conn]
	round int // of them, how many were there when the step began
}

func (l *loop) restLater(c *Conn) {
	if c.flags&restDue == 0 {
		c.flags |= restDue
		l.resting.push(c)
		l.sys.Wake()
	}
}

func (r *resting) begin(*loop) bool {
	r.round = r.len()
	return r.round > 0
}

func (r *resting) left() bool { return r.len() > 0 }

func (r *resting) unit(*loop) bool {
	r.round--
	if c := r.pop(); c.phase != phaseBuried {
		c.rest()
	}
	return r.round > 0
}

// rest is what onRestDue asked for. Whoever holds the lock sends: then the clock looks again.
func (c *Conn) rest() {
	c.flags &^= restDue
	s := c.deflation.Load()
	if !c.tryLockOr(0) {
		return
	}
	// Under the lock, and on the loop: neither of them is in use.
	if s.use.CompareAndSwap(useLooked, useNone) {
		c.out.Rest()
		if s.receiver != nil {
			s.receiver.Rest()
		}
	}
	c.unlock()
}
