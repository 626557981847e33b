package local

import (
	"context"
	"errors"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

// errStuck: a lane has connections and none of them can be reached.
var errStuck = errors.New("load: an event loop has not answered for a minute: is this machine overloaded?")

// newLane makes a lane without connections.
func newLane(g *generator, index int, o engine.ClientOptions) (*lane, error) {
	c, err := engine.NewClient(handler{g}, o)
	if err != nil {
		return nil, err
	}
	l := &lane{gen: g, index: index, client: c, tally: load.NewTally(), measure: never}
	l.pieces.Store(new([][]peer))
	l.messages, l.pings, l.leaving = stopped(), stopped(), stopped()
	l.tick = l.ticked
	l.due.Store(never)
	return l, nil
}

// Report implements load.Generator.
func (g *generator) Report() (*load.Tally, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	sum := load.NewTally()
	for _, l := range g.lanes {
		t := load.NewTally()
		l.do(reportable, func() { t, l.tally = l.tally, t })
		t.Attempted = l.attempts.Swap(0)
		t.Open = l.openNow.Load()
		t.BufferedAmount = l.client.Stats().QueuedBytes
		t.Loops = 1
		sum.Add(t)
	}
	sum.CPU, sum.RSS = g.usage.take()
	return sum, nil
}

// End implements load.Generator.
func (g *generator) End(ctx context.Context) (*load.Tally, error) {
	g.opener.end()
	for _, l := range g.lanes {
		if !l.do(patience, l.end) {
			return g.last(errStuck)
		}
	}
	wait, stop := context.WithTimeout(ctx, time.Duration(g.share.Plan.AnswerTimeout))
	defer stop()
	g.awaitAnswers(wait)
	g.missDeliveries()
	for _, l := range g.lanes {
		if !l.do(patience, l.close) {
			return g.last(errStuck)
		}
	}
	g.awaitClosed(ctx)
	return g.last(nil)
}

// last closes what is left, and is the last report.
func (g *generator) last(err error) (*load.Tally, error) {
	closed := g.Close()
	t, stuck := g.Report()
	return t, errors.Join(err, stuck, closed)
}

// end stops the schedule: what was due already is sent. On the loop.
func (l *lane) end() {
	now := l.gen.now()
	l.stage = ending
	l.messages.turn(now, 0, 0)
	l.pings.turn(now, 0, 0)
	l.leaving.turn(now, 0, 0)
	for _, r := range l.resuming { // whoever drips reads what has come
		l.resuming = nil
		if r.peer.open {
			r.peer.conn.Resume()
		}
	}
	l.schedule(now)
}

// awaitAnswers waits until all that was sent has its answer, or has left, where none is expected.
func (g *generator) awaitAnswers(ctx context.Context) {
	var before int64
	for quiet := time.Now(); ctx.Err() == nil; {
		var left, delivered, expected int64
		for _, l := range g.lanes {
			if l.do(patience, func() { left += l.outstanding; delivered += l.delivered }) {
				expected += l.expected.Load()
			}
			left += l.client.Stats().QueuedBytes
			if l.due.Load() <= g.now() && l.openNow.Load() > 0 {
				left++ // it has not sent all that was due
			}
		}
		if delivered != before {
			before, quiet = delivered, time.Now()
		}
		switch {
		case left > 0:
		case g.expect != deliveries, g.alone && delivered >= expected, !g.alone && time.Since(quiet) > 500*time.Millisecond:
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// missDeliveries counts what the readers of a fan-out should have got and have not.
func (g *generator) missDeliveries() {
	var expected, delivered int64
	for _, l := range g.lanes {
		l.do(patience, func() { delivered += l.delivered })
		expected += l.expected.Load()
	}
	if n := expected - delivered; n > 0 {
		first := g.lanes[0]
		first.do(patience, func() {
			first.tally.Unanswered += n
			first.tally.Fail(load.TimedOut, "delivery", n)
		})
	}
}

// close counts what has no answer, and has every connection closed. On the loop.
func (l *lane) close() {
	l.stage = over
	l.chores = nil
	l.add(0, 0, func(p *peer) {
		if !p.open {
			return
		}
		unanswered := int64(0)
		for l.giveUp(p); p.count > 0; {
			if e := l.pop(p); l.measured(e.due) {
				unanswered++
			}
		}
		if unanswered > 0 {
			l.tally.Unanswered += unanswered
			l.tally.Fail(load.TimedOut, "answer", unanswered)
		}
		l.bid(p)
	})
}

// awaitClosed waits until the connections have closed, each in order.
func (g *generator) awaitClosed(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, 2*time.Duration(g.share.Plan.AnswerTimeout))
	defer stop()
	for ctx.Err() == nil {
		left := int64(0)
		for _, l := range g.lanes {
			left += l.openNow.Load()
		}
		if left == 0 {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Close implements load.Generator.
func (g *generator) Close() error {
	if g.closing.Swap(true) {
		return nil
	}
	g.opener.end()
	g.pacer.end()
	var all []error
	for _, l := range g.lanes {
		all = append(all, l.client.Close())
	}
	return errors.Join(all...)
}
