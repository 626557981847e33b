package engine

import (
	"sync"
	"time"
)

// progress is how far a connection's peer has come with what we have for it. A connection has one while a
// clock waits for its peer to take something, while it closes and while it lingers. On the loop.
type progress struct {
	since   time.Duration // when the peer last made progress, or its turn began
	bound   time.Duration // when it is over in any case: of a closing, a lingering
	looked  time.Duration // when we last looked; 0: not yet
	last    reach         // what we saw then
	moved   uint64        // how much the peer has taken from since to looked
	need    uint64        // how much it has to take to make progress
	heard   uint64        // bytes received from since on
	waits   bool          // it is the peer's turn: more than a control frame waits for it
	reads   bool          // it has made progress
	parted  bool          // our Close has left
	unheard bool          // what it says makes its lingering no longer
}

const (
	// progressBytes is what a peer has to take in a WriteStallTimeout, if there is so much: whoever takes
	// a byte now and then holds nothing.
	progressBytes = 4 << 10
	// loneBytes is what a ping or a Close frame is at most, with all that carries it (TLS, a unix
	// socket's buffer). Who has not taken that yet is not slow: it does not answer.
	loneBytes = 2 << 10
)

var progressPool = sync.Pool{New: func() any { return new(progress) }}

// reach is how far the bytes of a connection have come.
type reach struct {
	left    uint64 // those of the outbound that were handed to the network
	queued  uint64 // those that were not
	unacked uint64 // handed to the network and not taken by the peer's machine
	taken   uint64 // by the peer's machine, as netio counts
	ours    bool   // the next step is ours: we compress
}

// reachLocked looks how far the connection's bytes have come.
func (c *Conn) reachLocked() (r reach) {
	unacked, taken := c.loop.sys.Unacked(int(c.fd))
	r.unacked, r.taken = uint64(unacked), taken
	a := c.out.Account()
	r.left, r.queued, r.ours = a.Left, a.Queued, a.Turns && !a.Blocked
	return r
}

func (r reach) outstanding() uint64 { return r.queued + r.unacked }

func (r reach) waits() bool { return r.queued > 0 || r.unacked > loneBytes }

// beyond is how much the peer has taken since it had come as far as was: what netio counts, or what has
// left for the network since and does not wait there.
func (r reach) beyond(was reach) uint64 {
	left := int64(r.left - was.left)
	if left < 0 {
		left = int64(r.left) // all that waited then has left, and the outbound with it
	}
	passed := left + int64(was.unacked) - int64(r.unacked)
	return uint64(max(passed, int64(r.taken-was.taken), 0))
}

// look looks how far the peer has come, and where that is a matter of clocks keeps it. least is what
// counts as progress, if there is so much. It reports false when somebody holds the lock: then the clocks are
// looked at again when he lets go.
func (c *Conn) look(least uint64) bool {
	if !c.tryLockOr(todoTimers) {
		return false
	}
	r := c.reachLocked()
	c.seePingLocked()
	c.unlock()
	if c.progress == nil {
		if r.waits() {
			c.startProgress(r)
		}
		return true
	}
	c.progress.advance(c.loop.now, r, least)
	return true
}

// startProgress begins to watch how the peer gets on, from r.
func (c *Conn) startProgress(r reach) {
	c.freshProgress(0)
	c.progress.advance(c.loop.now, r, progressBytes)
}

// freshProgress begins a new phase, in which nothing was looked at yet.
func (c *Conn) freshProgress(bound time.Duration) *progress {
	if c.progress == nil {
		c.progress = progressPool.Get().(*progress)
	}
	*c.progress = progress{since: c.loop.now, bound: bound}
	return c.progress
}

func (c *Conn) dropProgress() {
	if p := c.progress; p != nil {
		c.progress = nil
		progressPool.Put(p)
	}
}

// advance takes what was seen now. The peer's turn begins when something waits for it, and anew
// with each progress.
func (p *progress) advance(now time.Duration, r reach, least uint64) {
	first := p.looked == 0
	if !first {
		p.moved += r.beyond(p.last)
	}
	waits := r.waits()
	if first || waits && !p.waits || p.moved >= p.need {
		p.reads = p.reads || !first && p.moved >= p.need
		p.restart(now)
		if p.need = least; waits {
			p.need = min(least, r.outstanding())
		}
	}
	p.last, p.looked, p.waits = r, now, waits
}

// restart notes that the peer made progress now.
func (p *progress) restart(now time.Duration) { p.since, p.moved, p.heard = now, 0, 0 }

// lookSoon has the clocks look at a peer for which nothing is queued any more: it may soon have taken all, and
// then keeps no progress.
func (c *Conn) lookSoon() {
	if p := c.progress; p != nil && p.looked != 0 && c.ReadyState() == Open && c.phase != phaseHearing {
		p.looked = 1 // long ago
		c.wake(wheelTick)
	}
}

// movedAt is when a peer that was slow last made progress; else long ago.
func (c *Conn) movedAt() time.Duration {
	if c.progress == nil {
		return 0
	}
	return c.progress.since
}

// waitsForPeer tells whether the clocks have something to wait for: room in the socket, or that the
// peer takes what has left.
func (c *Conn) waitsForPeer() bool {
	return c.flags&writeWanted != 0 || c.progress != nil && c.progress.waits
}
