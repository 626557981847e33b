package local

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

// handler hears what comes of the connections of all lanes.
type handler struct{ gen *generator }

func (h handler) laneOf(c *engine.Conn) *lane { return h.gen.lanes[c.Value().(*peer).lane] }

// OnOpen counts the connection, and has it do its part.
func (h handler) OnOpen(c *engine.Conn) {
	p := c.Value().(*peer)
	g := h.gen
	l := g.lanes[p.lane]
	now := g.now()
	p.conn, p.open = c, true
	l.openNow.Add(1)
	l.tally.Opened++
	if l.stage != running || g.share.Plan.Scenario != load.Storm || l.measured(p.since) {
		record(l.tally.Connect, now-p.since)
	}
	g.opener.settled()
	if l.reader(p) {
		g.readers.Add(1)
	}
	if l.anchor.Load() == nil {
		l.anchor.Store(c)
		if l.stage == running {
			l.run(now)
		}
	}
	switch {
	case l.stage == over || l.stage == running && g.share.Plan.Scenario == load.Storm || int(p.slot) >= g.wantedSlots(l):
		l.bid(p)
	case g.closed && l.stage == running && float64(now) >= l.messages.from: // else its turn comes when the others'
		l.fill(p, now)
	}
}

// OnMessage is an answer, a delivery, or something that nobody asked for.
func (h handler) OnMessage(c *engine.Conn, m engine.Message) {
	p := c.Value().(*peer)
	g := h.gen
	l := g.lanes[p.lane]
	now := g.now()
	switch g.expect {
	case answers:
		l.answer(p, m, now)
	case deliveries:
		l.delivery(p, m, now)
	case nothing:
		if l.stage == running && now >= l.measure {
			l.tally.Received++
			l.tally.ReceivedBytes += int64(len(m.Data))
		}
	}
	if g.share.Plan.Scenario == load.Drip {
		l.drip(p, len(m.Data), now)
	}
	if now >= l.due.Load() && l.wokenAt.Load() == 0 {
		l.run(now)
	}
}

// answer is what a server sends back: it belongs to the oldest message that has none.
func (l *lane) answer(p *peer, m engine.Message, now int64) {
	if p.count == p.unsent {
		l.tally.Fail(load.Unasked, "message", 1)
		return
	}
	e := l.pop(p)
	measured := l.measured(e.due)
	if measured {
		l.tally.Received++
		l.tally.ReceivedBytes += int64(len(m.Data))
	}
	if l.gen.share.Plan.Verify && !l.verify(p, m, &load.Mark{Conn: l.gen.number(p), Seq: p.answered, Due: l.gen.unix(e.due), Left: l.gen.unix(e.left)}) {
		measured = false // it is no answer
	}
	p.answered++
	if measured {
		l.tally.Answered++
		record(l.tally.Latency, now-e.due)
		record(l.tally.Raw, now-e.left)
	}
	if l.gen.closed {
		l.fill(p, now)
	} else {
		l.sendDue(p, now) // what waited for an answer
	}
}

// verify tells whether m is the message that has the mark, and counts it as an error if it is not.
func (l *lane) verify(p *peer, m engine.Message, k *load.Mark) bool {
	var differs string
	if m.Op != l.gen.recipe.Op {
		differs = "text for binary, or binary for text"
	} else {
		differs, l.compare = l.gen.recipe.Same(m.Data, l.compare, k)
	}
	if differs != "" {
		l.tally.Fail(load.Verify, differs, 1)
	}
	return differs == ""
}

// delivery is a message of a fan-out that has come to one of its readers.
func (l *lane) delivery(p *peer, m engine.Message, now int64) {
	k, ok := load.FindMark(m.Data)
	switch {
	case !ok:
		l.tally.Fail(load.Unasked, "message without a stamp", 1)
		return
	case !l.reader(p):
		return // a server may send writers their own, or not
	}
	l.delivered++
	at, measure := l.gen.unix(now), l.gen.unix(l.measure)
	if l.stage == connecting || k.Due < measure {
		return
	}
	l.tally.Received++
	l.tally.ReceivedBytes += int64(len(m.Data))
	if l.gen.share.Plan.Verify && !l.verify(p, m, &k) {
		return
	}
	l.tally.Answered++
	record(l.tally.Latency, at-k.Due)
	record(l.tally.Raw, at-k.Left)
}

// OnClose counts how the connection ended, once: nothing is counted where we ended it.
func (h handler) OnClose(c *engine.Conn, e engine.CloseEvent) {
	p := c.Value().(*peer)
	g := h.gen
	l := g.lanes[p.lane]
	opened, ours := p.open, p.ours
	p.open, p.posted, p.ours = false, false, false
	if opened {
		l.tally.Ended++
		l.openNow.Add(-1)
		if l.reader(p) {
			g.readers.Add(-1)
		}
		l.forget(p)
	} else {
		g.opener.settled()
	}
	switch {
	case ours || l.stage == over || g.closing.Load():
	case opened:
		l.tally.Fail(load.Closed, closeOf(e), 1)
	default:
		l.tally.Fail(classOf(e.Err))
	}
	if p.conn = nil; l.anchor.Load() == c {
		l.anchorGone(p)
	}
	if p.life.Swap(free) == recalled && ours || l.stage == running && g.comesBack() {
		g.opener.again(p)
	}
	l.leave()
}

// forget counts what p's connection has not answered, and has not sent.
func (l *lane) forget(p *peer) {
	l.giveUp(p)
	for p.count > 0 {
		if e := l.pop(p); l.measured(e.due) {
			l.tally.Unanswered++
		}
	}
}

// record notes a time, in a histogram that may not reach so far.
func record(h *hdrhistogram.Histogram, ns int64) {
	_ = h.RecordValue(min(max(ns, 1), h.HighestTrackableValue())) // in range: it cannot fail
}
