package engine

import (
	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/incoming"
)

// A turn is what one connection may do before the others: deliver what was read, for turnBudget. Its words:
//
//	held    no message is delivered for the moment: the handler said so, or has to wait (the held bits)
//	paused  the peer is not read for such a reason, and the handler has been told (the pausedBy flags)
//	over    this turn is: it is held, or has had its time
//	rest    what was read and is not decoded when a turn is over; it waits for the next turn, and nothing more is read
//	settle  what every callback's end asks for, in a turn or not: the cork leaves, what was noted meanwhile is done
//	deaf    nothing the peer still sends counts; discards: its data does not, its control frames do

// costlyBytes: what takes this much work is followed by a look at the clock. Work is bytes, as incoming counts them.
const costlyBytes = 4 << 10

// turn decodes b and delivers what it holds, for at most turnBudget. What it returns is for the next turn. A turn is plain
// if it was whole messages and nothing else: then in is as it was, and nothing is to be settled but what the callbacks
// have sent and asked for. A panic of the handler's ends the connection, not the loop.
func (l *loop) turn(c *Conn, in *inbound, b []byte) (rest []byte, plain bool) {
	defer l.recoverCallback(c)
	l.turning = in
	l.pace.begin(l.began())
	if c.held() { // since OnOpen, or since the poller looked
		return b, false
	}
	if c.discards() {
		in.Discard()
	}
	over := false
	for only := true; ; only = false { // plain is false until the end: a panic may come before it
		if b, over = l.wholeMessages(c, in, b); over {
			return b, false
		}
		if len(b) == 0 && !in.More() {
			return nil, only
		}
		if b, over = l.oneEvent(c, in, b); over {
			return b, false
		}
	}
}

// wholeMessages is the straight path: it delivers the whole messages that b starts with, one after the other, as long as
// nothing is in the way. It returns the rest, and whether the turn is over. (With workers each message is an event like
// any other: what the loop does for one is most of the work anyway.)
func (l *loop) wholeMessages(c *Conn, in *inbound, b []byte) (rest []byte, over bool) {
	if l.engine.workers != nil {
		return b, false
	}
	for c.ReadyState() == Open {
		k := c.limits.Load()
		op, data, n := in.Whole(b, &k.incoming)
		if n == 0 {
			break
		}
		b = b[n:]
		l.messages++
		l.bytes += uint64(len(data))
		c.enter()
		l.inCallback = true
		k.route.hooks.message(c, Message{Op: op, Data: data, pool: l.lane.Pool})
		l.inCallback = false
		spoil(data)
		l.stepped()
		if len(b) == 0 {
			break
		}
		if (l.pace.due() || c.holds.Load()&heldBack != 0 || c.deflates) && l.turnOver(c, in, b, 0) {
			return b, true
		}
	}
	return b, false
}

// oneEvent takes what comes next in b, whatever it is. It returns the rest, and whether the turn is over.
func (l *loop) oneEvent(c *Conn, in *inbound, b []byte) (rest []byte, over bool) {
	var e incoming.Event
	n, err := in.Next(b, &c.limits.Load().incoming, &e)
	b = b[n:]
	l.take(c, in, &e, err)
	if c.deaf() {
		return nil, true
	}
	if c.discards() {
		in.Discard()
	}
	asks := l.pace.due() || c.flags&pausedByInbox != 0 || c.holds.Load()&heldBack != 0 || c.deflates
	return b, asks && l.turnOver(c, in, b, e.Work)
}

// turnOver tells, after an event, whether the turn is over: asked when delivery is held, or when it is time to look at the
// clock. With permessage-deflate that is after each message: a few bytes may have asked for much,
// inflated here or compressed in the callback.
func (l *loop) turnOver(c *Conn, in *inbound, left []byte, work int) bool {
	if len(left) > 0 || in.More() {
		if c.flags&pausedByInbox != 0 || c.held() {
			return true
		}
	} else if work < costlyBytes {
		return false
	}
	return (l.pace.ripe() || in.More() || work >= costlyBytes || c.deflates && l.entered) && l.timeUp()
}

// timeUp looks at the clock, and tells whether the turn has had its time. When others before it in the
// same wait for the poller have had their whole turn, that is soon.
func (l *loop) timeUp() bool {
	took := l.pace.look(l.sys.Now())
	if took <= l.share && l.spent <= spentBudget {
		return false
	}
	l.spent += took
	l.untimed = 0 // the next event looks at the clock
	return true
}

// take does what an event, or an error after it, asks for.
func (l *loop) take(c *Conn, in *inbound, e *incoming.Event, err error) {
	switch e.Kind {
	case incoming.Nothing:
		if err == nil {
			in.budget.grow(c, in.held())
		}
	case incoming.Message:
		l.takeMessage(c, in, e)
	case incoming.Chunk:
		l.deliverChunk(c, Chunk{Op: e.Op, Data: e.Data, First: e.First, Last: e.Last})
	default:
		l.takeControl(c, in, e)
	}
	if err != nil {
		c.fail(ruleOf(err))
	}
}

func (l *loop) takeMessage(c *Conn, in *inbound, e *incoming.Event) {
	if e.Held != nil {
		defer e.Held.Release()
	}
	l.deliver(c, Message{Op: e.Op, Data: e.Data, pool: l.engine.pool, held: e.Held})
}

// ruleOf is the error that the user sees for one of incoming's.
func ruleOf(err error) error {
	switch k := err.(type) {
	case incoming.Error:
		rule := [...]error{incoming.ErrTooLarge: ErrTooLarge, incoming.ErrFragments: ErrFlood, incoming.ErrText: ErrInvalidUTF8}
		return &CloseError{k.Code(), rule[k]}
	case deflate.Error:
		return &CloseError{k.Code(), err}
	case codec.Error:
		return &CloseError{int(k.Code()), err}
	}
	return err
}

// awaitTurn has the rest wait for the next turn, and stops reading until then. A paused connection gets none yet.
func (c *Conn) awaitTurn() {
	c.flags |= pausedByWork
	if !c.paused() {
		c.loop.enqueue(c)
	}
}

// paused tells whether the rest has to wait: for the workers, until the peer has read our
// answers, until broadcasts are made, or for Resume.
func (c *Conn) paused() bool {
	return c.flags&(pausedByInbox|pausedByHigh|pausedByUser|pausedByBroadcasts) != 0
}

// held tells whether delivery is held: it knows, before paused does, what the callback that has just run has asked for.
func (c *Conn) held() bool {
	held := c.holds.Load() & heldBack
	return held != 0 && c.hears() && (held&heldByUser != 0 || c.ReadyState() == Open)
}

// pauseOver goes on where a pause has ended.
func (c *Conn) pauseOver() {
	if c.flags&pausedByWork != 0 && c.in != nil && c.in.rest != nil {
		c.awaitTurn()
	}
	if c.phase == phaseHearing {
		c.loop.enqueue(c)
	}
}

// nextTurn is a turn for the rest.
func (l *loop) nextTurn(c *Conn) {
	in := c.in
	if in == nil || in.rest == nil || c.paused() {
		return
	}
	l.look()
	left, _ := l.turn(c, in, in.rest.B[in.restOff:])
	if in.restOff = len(in.rest.B) - len(left); len(left) > 0 || in.More() {
		c.awaitTurn()
	} else {
		in.rest.Release()
		in.rest = nil
		c.flags &^= pausedByWork
		c.readAgain()
	}
	l.endTurn(c, in)
}

// deaf tells whether what the peer still sends is dropped unread: RFC 6455 5.5.1,
// nothing after a Close is processed; and nothing after a violation.
func (c *Conn) deaf() bool { return c.flags&sawClose != 0 || c.phase >= phaseLingering }

// endTurn settles what a turn left: corked frames, the budget, interest.
func (l *loop) endTurn(c *Conn, in *inbound) {
	l.turning = nil
	if l.countInflated() {
		c.keepReceiver(in)
	}
	if c.deaf() {
		l.discard(c, in)
	} else {
		l.keep(c, in)
	}
	c.settle()
	c.watch()
}
