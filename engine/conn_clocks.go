package engine

import (
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// The clocks of a connection. A clock starts by the act that it measures, never by the intention: a
// ping that waits in the queue, or for the lock, has started none. Progress either way is life: what the peer
// takes counts as much as what it says. Before a clock ends a connection it looks once more, and what the peer
// has said is heard first.
//
//	clock               starts, and starts anew       stands while                 what it does
//
//	ConnectTimeout      Start                         -                            ends it
//	connectStagger      an address is tried           -                            tries the next one
//	HandshakeTimeout    accepted, or connected        we were away while a         refuses it (408, 503)
//	                                                  decision is awaited
//	decisionProbe       Upgrade.Later                 -                            looks whether the client has gone
//	MaxLifetime         OPEN                          -                            closes (1001)
//	IdleTimeout         bytes received; all is taken  the peer is not read; it     closes (1001)
//	                                                  has something to take; it
//	                                                  was not pinged yet
//	PingInterval        bytes received                the same; a ping waits for   pings
//	                                                  its pong, or to leave
//	PongTimeout         our ping has left; progress   the peer is not read; it     ends it (1006)
//	                                                  has something to take
//	WriteStallTimeout   the peer has something to     nothing waits for the peer   ends it (1013)
//	                    take; progress
//	CloseTimeout        our Close was taken;          the peer takes what is       ends it (1006)
//	                    4 KiB received                queued, or sends a message:
//	                                                  WriteStallTimeout; CloseWrite
//	                                                  was called, and the handler
//	                                                  lags behind, or pauses
//	MaxClosing          CLOSING                       -                            ends it (1006)
//	lingerTime          our half has ended; a byte    something is not taken yet   closes the descriptor
//	                    either way (after 408 and
//	                    503: from us)
//	lingerBound         our half has ended            -                            closes the descriptor
//	probeInterval       the peer is not read          -                            looks whether it has gone
//	restAfter           the compressor was used       -                            conn_resting.go
//
// Progress is progressBytes, or all that is left, taken by the peer's machine (conn_progress.go). Who has taken
// all starts its clocks at that moment, or rather when we see it: the kernel is asked when a clock is
// about to end something, and every quarter of the shortest one while the peer is slow, never for each message.
//
// One wheel timer serves them all: reading only notes the time, and when the timer fires it finds what is due.

const (
	// wheelTick and wheelSlots: the wheel looks at an idle connection every 51 s at the most.
	wheelTick  = 100 * time.Millisecond
	wheelSlots = 512
	// lingerTime is how long a closed connection's peer has to take our last bytes, from its last
	// sign of life on, and lingerBound in all, as nginx's lingering_close.
	lingerTime  = 2 * time.Second
	lingerBound = 30 * time.Second
	// closingLeast is how long a peer may take nothing at all of what is queued before our Close: a slow reader's
	// machine makes room in lumps.
	closingLeast = 2 * time.Second
	// probeInterval is how often a connection that is not read is asked whether it still lives,
	// decisionProbe a client whose upgrade waits for a decision.
	probeInterval = time.Second
	decisionProbe = 250 * time.Millisecond
	// absence is how much later than decisionProbe a look has to come that it means that nobody here could do anything.
	absence = 4 * decisionProbe
	// controlTick is the resolution in which the rate of control frames is taken.
	controlTick = 10 * time.Millisecond
	// controlCredit is for how much time a peer that was not read may catch up with its control frames.
	controlCredit = time.Minute
)

// times are the clocks of every connection. With 64 bits none of them comes round: a connection may talk for
// years and then fall silent.
type times struct {
	read   time.Duration // bytes arrived, or reading went on
	opened time.Duration // accepted; then OPEN
	pinged time.Duration // our ping left then, and nothing was heard since; 0: none waits for its pong
}

// controls counts the control frames of a second. The second's beginning comes round after 497 days, of which
// only differences are taken: who is silent for just so long finds his last second unfinished.
type controls struct {
	since uint32 // controlTicks
	count int32  // below 0: what came while the peer was not read is not all counted yet
}

func (t *times) begin(now time.Duration) { *t = times{read: now, opened: now} }

// received notes that n bytes arrived.
func (c *Conn) received(n int) {
	c.readOn()
	if p := c.progress; p != nil {
		p.heard += uint64(n)
	}
}

// readOn notes that the peer is read.
func (c *Conn) readOn() { c.times.read, c.times.pinged = c.loop.now, 0 }

// readAgain notes that the peer is read again: its silence was our own doing, and what it says now it
// said meanwhile, control frames among it.
func (c *Conn) readAgain() {
	if unread := min(c.loop.now-c.times.read, controlCredit); unread >= time.Second {
		credit := int64(unread/time.Second) * int64(c.limits.Load().MaxControlRate)
		c.controls = controls{controlTicks(c.loop.now), -int32(min(credit, 1<<30))}
	}
	c.readOn()
}

func controlTicks(now time.Duration) uint32 { return uint32(now / controlTick) }

// countControl counts a control frame and reports whether the rate is within bounds.
func (c *Conn) countControl() bool {
	k := &c.controls
	if now := controlTicks(c.loop.now); now-k.since >= uint32(time.Second/controlTick) {
		k.since, k.count = now, 0
	}
	if k.count < 1<<30 {
		k.count++
	}
	return int(k.count) <= c.limits.Load().MaxControlRate
}

// onTimer does what is due, and sets the timer to what is due next.
func (c *Conn) onTimer() {
	switch s := c.ReadyState(); {
	case c.phase == phaseBuried:
		return
	case c.phase == phaseDialing:
		c.onDialTimer()
	case c.phase == phaseLingering:
		c.onLingerTimer()
	case c.phase == phaseHearing:
		c.onHearingTimer()
	case s == Connecting:
		c.onConnectingTimer()
	case s == Open:
		c.onOpenTimer()
	case s == Closing:
		c.onClosingTimer()
	}
	c.settle()
}

// wake has the timer fire in a while at the latest.
func (c *Conn) wake(in time.Duration) { c.loop.schedule(c, c.loop.now+in) }

// clock is one thing that may come due on an open connection.
type clock struct {
	from  time.Duration
	after time.Duration // 0 or less: it stands
	then  func(*Conn)
}

// clocks are those of an open connection.
func (c *Conn) clocks() [9]clock {
	l, t, moved := c.limits.Load(), &c.times, c.movedAt()
	return [...]clock{
		{t.opened, l.MaxLifetime, (*Conn).onMaxLifetime},
		{c.lookedAt(), c.ifSlow(l.lookEvery()), (*Conn).onLookDue},
		{moved, c.ifWaiting(l.WriteStallTimeout), (*Conn).onWriteStall},
		{max(t.read, moved), c.ifSilent(l.IdleTimeout), (*Conn).onIdle},
		{max(t.pinged, moved), c.ifPinged(c.pongPatience(&l.Limits)), (*Conn).onPongLate},
		{max(t.read, t.pinged), c.ifPingable(&l.Limits), (*Conn).onPingDue},
		{c.looked(), c.ifUsed(), (*Conn).onRestDue},
		{c.loop.now, c.ifPinged(l.PingInterval), nil}, // the pong starts the next interval, however long PongTimeout is
		{c.loop.now, c.ifBlind(), nil},
	}
}

// onOpenTimer looks at an open connection's clocks.
func (c *Conn) onOpenTimer() {
	all := c.clocks()
	for i := range all {
		if k := all[i]; k.after > 0 && k.from+k.after <= c.loop.now {
			k.then(c)
			if c.ReadyState() != Open || c.phase > phaseOpen {
				return
			}
			all = c.clocks() // it may have read, or pinged
		}
	}
	if c.ifBlind() > 0 {
		c.probe()
		if c.ReadyState() != Open || c.phase > phaseOpen {
			return
		}
	}
	next := time.Duration(-1)
	for _, k := range c.clocks() {
		if left := max(k.from+k.after-c.loop.now, 0); k.after > 0 && (next < 0 || left < next) {
			next = left
		}
	}
	if next >= 0 {
		c.wake(next)
	}
}

// reschedule sets the timer anew after a clock was started.
func (c *Conn) reschedule() {
	if c.ReadyState() == Open && c.phase != phaseHearing {
		c.onOpenTimer()
	}
}

// stallTime is how long a peer may take nothing where something has to end it, though WriteStallTimeout be off.
func (l *Limits) stallTime() time.Duration {
	if l.WriteStallTimeout > 0 {
		return l.WriteStallTimeout
	}
	return defaultLimits.WriteStallTimeout
}

// lookEvery is how often a slow peer is looked at: four times in the shortest of the clocks that wait for it.
func (l *Limits) lookEvery() time.Duration {
	shortest := l.stallTime()
	for _, d := range [...]time.Duration{l.PongTimeout, l.IdleTimeout} {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	return max(shortest/4, time.Millisecond)
}

// pongPatience is how long a ping may wait for its pong. Who was slow may have more to read in
// its kernel than we see, and says so in lumps: it has the stall time.
func (c *Conn) pongPatience(l *Limits) time.Duration {
	if c.progress == nil || l.PongTimeout <= 0 {
		return l.PongTimeout
	}
	return max(l.PongTimeout, l.stallTime())
}

func (c *Conn) lookedAt() time.Duration {
	if c.progress == nil {
		return 0
	}
	return c.progress.looked
}

// ifSlow: a peer that has something to take, or had and was not heard since, is looked at.
func (c *Conn) ifSlow(d time.Duration) time.Duration {
	if c.progress == nil && c.flags&pingOnWay == 0 {
		return 0
	}
	return d
}

func (c *Conn) ifWaiting(d time.Duration) time.Duration {
	if !c.waitsForPeer() {
		return 0
	}
	return d
}

// ifSilent: while the peer has something to take, the stall clock judges it; without one, the others do,
// in their own time or the stall clock's, whichever is longer.
func (c *Conn) ifSilent(d time.Duration) time.Duration {
	if d <= 0 || !c.waitsForPeer() {
		return c.ifReading(d)
	}
	l := c.limits.Load()
	if l.WriteStallTimeout > 0 {
		return 0
	}
	return c.ifReading(max(d, l.stallTime()))
}

// ifReading: while we do not read, the peer's silence is our own doing.
func (c *Conn) ifReading(d time.Duration) time.Duration {
	if c.flags&unread != 0 {
		return 0
	}
	return d
}

func (c *Conn) ifPinged(d time.Duration) time.Duration {
	if c.times.pinged == 0 {
		return 0
	}
	return c.ifSilent(d)
}

// ifPingable: one ping at a time waits for its pong, where somebody waits for that.
func (c *Conn) ifPingable(l *Limits) time.Duration {
	if c.flags&pingOnWay != 0 || c.times.pinged != 0 && l.PongTimeout > 0 {
		return 0
	}
	return c.ifReading(l.PingInterval)
}

// ifBlind: not watched for reading, so a reset would go unnoticed.
func (c *Conn) ifBlind() time.Duration {
	if c.watched&netio.Readable != 0 {
		return 0
	}
	return probeInterval
}
