// Package local is the load.Generator of this process: connections on the loops of engine.Client.
//
// Each loop is a lane with a client of its own. What a lane knows (its connections, its schedule, its histograms) is touched in its loop's
// callbacks alone, so a message costs no lock. Reading order: local.go, lane.go, peer.go, cursor.go, send.go, handler.go, opener.go, pacer.go.
package local

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

// generator is this process's share of a run.
type generator struct {
	share      load.Share
	log        *slog.Logger
	recipe     *load.Recipe
	expect     expectation
	closed     bool   // closed loop: answers decide when messages leave
	depth      uint32 // messages that one connection has under way at most
	alone      bool   // the whole run is here, so the deliveries of a fan-out can be counted on
	zero       time.Time
	zeroUnix   int64
	dial       engine.DialOptions
	lanes      []*lane
	opener     *opener
	pacer      pacer
	sendUnsent func(*engine.Conn)
	readers    atomic.Int64 // fan-out: that are open
	closing    atomic.Bool

	mu    sync.Mutex // of Report
	usage usage
}

// expectation is what comes back.
type expectation uint8

const (
	answers    expectation = iota // one for each message, to its sender
	deliveries                    // each message, to each reader
	nothing
)

// New makes the generator of a share in this process. log hears what the engine has to say; nil: nobody does. Errors: load.ErrPlan for
// a plan, or a part of one, that cannot be.
func New(share load.Share, log *slog.Logger) (load.Generator, error) {
	share.Plan.Complete()
	if err := share.Plan.Check(); err != nil {
		return nil, err
	}
	if share.Of == 0 {
		share.Of = 1
	}
	recipe, err := load.NewRecipe(&share.Plan)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	g := &generator{share: share, log: log, recipe: recipe, alone: share.Of == 1, zero: time.Now()}
	g.zeroUnix = g.zero.UnixNano()
	g.closed, g.depth = share.Plan.ClosedLoop(), mostUnderWay
	if d := share.Plan.Depth; d > 0 {
		g.depth = uint32(d)
	}
	switch {
	case share.Plan.Scenario == load.Fanout:
		g.expect = deliveries
	case share.Plan.Expect == load.ExpectNone:
		g.expect = nothing
	}
	g.sendUnsent = func(c *engine.Conn) { sendUnsent(c, g) }
	if g.dial, err = dialOptions(&share.Plan); err != nil {
		return nil, err
	}
	o, err := clientOptions(&share.Plan, log)
	if err != nil {
		return nil, err
	}
	for i := range loops(&share.Plan) {
		l, err := newLane(g, i, o)
		if err != nil {
			return nil, err
		}
		g.lanes = append(g.lanes, l)
	}
	for _, l := range g.lanes {
		l.grow(g.slotsOf(l, share.Connections))
	}
	g.opener = newOpener(g, share.ConnectRate)
	g.usage.take()
	return g, nil
}

// loops is how many lanes there are.
func loops(p *load.Plan) int {
	if p.Loops > 0 {
		return min(p.Loops, 256)
	}
	return min(runtime.GOMAXPROCS(0), 256)
}

// Name implements load.Generator.
func (g *generator) Name() string { return "this process" }

// now is the time since zero, in nanoseconds.
func (g *generator) now() int64 { return int64(time.Since(g.zero)) }

// unix is a time of now's as one that every process of this machine understands.
func (g *generator) unix(t int64) int64 { return g.zeroUnix + t }

// The connections of a share are dealt to its lanes by turns.

// slot is the peer of the share's n-th connection.
func (g *generator) slot(n int) *peer { return g.lanes[n%len(g.lanes)].peer(n / len(g.lanes)) }

// number is the connection's in the whole run.
func (g *generator) number(p *peer) uint32 {
	return uint32(g.share.First + g.indexOf(p))
}

// indexOf is the connection's number in its share.
func (g *generator) indexOf(p *peer) int { return int(p.slot)*len(g.lanes) + int(p.lane) }

// slotsOf is how many of the share's first n connections are l's.
func (g *generator) slotsOf(l *lane, n int) int {
	return (n - l.index + len(g.lanes) - 1) / len(g.lanes)
}

// wantedSlots is how many of l's slots should have a connection.
func (g *generator) wantedSlots(l *lane) int { return g.slotsOf(l, int(g.opener.wanted.Load())) }

// senders is how many of l's slots send, of those of the first n connections.
func (g *generator) senders(l *lane, n int) int {
	if g.expect == deliveries {
		n = min(n, g.share.Writers)
	}
	return g.slotsOf(l, n)
}

// reader tells whether p is one of those whose deliveries count.
func (l *lane) reader(p *peer) bool {
	return l.gen.expect == deliveries && int(p.slot) >= l.gen.slotsOf(l, l.gen.share.Writers)
}

// comesBack tells whether connections that ended are begun again.
func (g *generator) comesBack() bool {
	s := g.share.Plan.Scenario
	return s == load.Storm || s == load.Churn
}

// start begins p's connection.
func (g *generator) start(p *peer) error {
	l := g.lanes[p.lane]
	l.enter()
	l.attempts.Add(1)
	p.since = g.now()
	o := g.dial
	o.Value = p
	c, err := l.client.Start(g.share.Plan.URL, o)
	if err != nil {
		l.leave()
		return err
	}
	l.started.Store(c)
	return nil
}

// Connect implements load.Generator.
func (g *generator) Connect(ctx context.Context) error {
	g.opener.begin()
	if g.share.Plan.Scenario == load.Storm {
		return nil // they open when it begins
	}
	g.opener.want(g.share.Connections)
	for !g.opener.idle() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return g.opener.failure()
}

// Begin implements load.Generator.
func (g *generator) Begin(at, measure time.Time) error {
	from, figures := int64(at.Sub(g.zero)), int64(measure.Sub(g.zero))
	for _, l := range g.lanes { // all know it before the first message of one comes to another
		if !l.do(patience, func() { l.measure, l.stage = figures, running }) {
			return errStuck
		}
	}
	for _, l := range g.lanes {
		if !l.do(patience, func() { l.begin(from) }) {
			return errStuck
		}
	}
	g.pacer.begin(g)
	if g.share.Plan.Scenario == load.Storm {
		g.opener.want(g.share.Connections)
	}
	return nil
}

// begin starts the lane's schedule. On the loop.
func (l *lane) begin(at int64) {
	g := l.gen
	p := &g.share.Plan
	n := g.share.Connections
	phase := float64(g.share.Index*len(g.lanes)+l.index) / float64(g.share.Of*len(g.lanes))
	if p.Scenario != load.Idle && p.Scenario != load.Storm && !g.closed {
		l.messages.begin(at, g.rateOf(l, g.share.Rate, n), g.senders(l, n), phase, p.Seed)
	} else {
		l.messages.begin(at, 0, 0, phase, p.Seed)
	}
	slots := g.slotsOf(l, n)
	l.pings.begin(at, perSlot(slots, p.Ping), slots, phase, p.Seed)
	churn := p.Churn
	if p.Scenario != load.Churn {
		churn = 0
	}
	l.leaving.begin(at, perSlot(slots, churn), slots, phase, p.Seed)
	if g.closed {
		l.add(at, 0, func(q *peer) {
			if q.open {
				_ = q.conn.Post(func(*engine.Conn) { l.fill(q, g.now()) })
			}
		})
	}
	l.schedule(g.now())
}

// perSlot is how many things a second are due, of which each slot has one in each time.
func perSlot(slots int, each load.Duration) float64 {
	if each <= 0 {
		return 0
	}
	return float64(slots) / time.Duration(each).Seconds()
}

// rateOf is the lane's part of a rate, when the share has n connections.
func (g *generator) rateOf(l *lane, rate float64, n int) float64 {
	all := n
	if g.expect == deliveries {
		all = min(n, g.share.Writers)
	}
	if all == 0 {
		return 0
	}
	return rate * float64(g.senders(l, n)) / float64(all)
}

// Turn implements load.Generator.
func (g *generator) Turn(rate float64, connections int) error {
	changes := connections != int(g.opener.wanted.Load())
	for _, l := range g.lanes {
		l.grow(g.slotsOf(l, connections))
	}
	g.opener.want(connections)
	for _, l := range g.lanes {
		if !l.do(patience, func() { l.turn(rate, connections, changes) }) {
			return errStuck
		}
	}
	return nil
}

// turn changes the lane's part. On the loop.
func (l *lane) turn(rate float64, n int, changes bool) {
	g, now := l.gen, l.gen.now()
	p := &g.share.Plan
	slots := g.slotsOf(l, n)
	if p.Scenario != load.Idle && p.Scenario != load.Storm && !g.closed {
		l.messages.turn(now, g.rateOf(l, rate, n), g.senders(l, n))
	}
	if changes {
		l.pings.turn(now, perSlot(slots, p.Ping), slots)
		if p.Scenario == load.Churn {
			l.leaving.turn(now, perSlot(slots, p.Churn), slots)
		}
		l.add(now, slots, func(q *peer) {
			if int(q.slot) >= g.wantedSlots(l) { // it may be wanted again by now
				l.bid(q)
			}
		})
	}
	l.schedule(now)
}
