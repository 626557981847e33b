package local

import (
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

const (
	// batch is how many messages a lane takes from its schedule before it reads again what has come.
	batch = 256
	// late is how long after its time a message counts as late.
	late = int64(time.Millisecond)
	// mostUnderWay bounds what one connection waits for: 16 MiB of notes.
	mostUnderWay = 1 << 20
)

// ticked is what the pacer calls, on the loop.
func (l *lane) ticked(*engine.Conn) {
	l.wokenAt.Store(0)
	l.run(l.gen.now())
}

// run does what is due, up to a batch of it, and has itself called again for the rest. On the loop.
func (l *lane) run(now int64) {
	for range batch {
		due, slot, ok := l.messages.pop(now)
		if !ok {
			break
		}
		l.dueAt(due, l.peer(slot))
	}
	l.sideline(now)
	l.schedule(now)
}

// schedule notes when run is to be called next, and wakes the loop for what is due already.
func (l *lane) schedule(now int64) {
	next := min(l.messages.when(), l.pings.when(), l.leaving.when(), l.resuming.when(), l.chores.when())
	l.due.Store(next)
	if next <= now {
		l.wake(now)
	}
}

// wake has the loop call run, once. Any goroutine.
func (l *lane) wake(now int64) {
	if at := l.wokenAt.Load(); at != 0 && now-at < int64(50*time.Millisecond) {
		return // after that the connection, and the letter with it, may be gone
	}
	l.wokenAt.Store(max(now, 1))
	if l.post(l.tick) {
		return
	}
	l.wokenAt.Store(0)
	if l.live.CompareAndSwap(0, seized) { // nobody is there: what is due is counted as not sent
		l.run(now)
		l.live.Store(0)
	}
}

// dueAt has p send a message that is due, when the loop comes to p: so what p sends at a time is one write.
func (l *lane) dueAt(due int64, p *peer) {
	if l.measured(due) {
		l.tally.Due++
	}
	if !p.open || p.ours || p.count >= mostUnderWay {
		l.skip(due)
		return
	}
	l.push(p, due)
	if !p.posted {
		p.posted = p.conn.Post(l.gen.sendUnsent) == nil // else OnClose is on its way, and counts
	}
}

// skip counts a message that is not sent.
func (l *lane) skip(due int64) {
	if l.measured(due) {
		l.tally.Unsent++
	}
}

// measured tells whether what is due then is in the figures.
func (l *lane) measured(due int64) bool { return due >= l.measure }

// sendUnsent is what dueAt posts. On the loop.
func sendUnsent(c *engine.Conn, g *generator) {
	p := c.Value().(*peer)
	p.posted = false
	g.lanes[p.lane].sendDue(p, g.now())
}

// sendDue sends what is due, as far as the depth allows. In a callback of p's connection, so that it is one write.
func (l *lane) sendDue(p *peer, now int64) {
	for g := l.gen; p.unsent > 0 && p.count-p.unsent < g.depth; p.unsent-- {
		e := p.at(p.count - p.unsent)
		if !l.transmit(p, e, now) {
			l.giveUp(p)
			return
		}
		if g.expect != answers {
			l.pop(p)
		}
	}
}

// giveUp counts what p has not sent as unsent: its connection is closing, or too much waits for it.
func (l *lane) giveUp(p *peer) {
	for i := range p.unsent {
		l.skip(p.at(p.count - 1 - i).due)
	}
	n := p.unsent
	p.unsent = 0
	l.cut(p, n)
}

// transmit sends one message.
func (l *lane) transmit(p *peer, e *entry, now int64) bool {
	g := l.gen
	e.left = now
	k := load.Mark{Conn: g.number(p), Seq: p.sent, Due: g.unix(e.due), Left: g.unix(now)}
	l.room = g.recipe.Append(l.room[:0], &k)
	if p.conn.Send(g.recipe.Op, l.room) != nil {
		return false
	}
	p.sent++
	if g.expect == deliveries && g.alone {
		l.expected.Add(g.readers.Load())
	}
	if !l.measured(e.due) {
		l.tally.Warmup++
		return true
	}
	l.tally.Sent++
	l.tally.SentBytes += int64(len(l.room))
	if now-e.due > late {
		l.tally.Late++
	}
	record(l.tally.Lateness, now-e.due)
	return true
}

// fill sends what the depth of a closed loop lacks. In a callback of p's connection.
func (l *lane) fill(p *peer, now int64) {
	for p.count < l.gen.depth && l.stage == running && p.open && !p.ours {
		l.push(p, now)
		if !l.transmit(p, p.at(p.count-1), now) {
			l.giveUp(p)
			return
		}
		p.unsent = 0
	}
}
