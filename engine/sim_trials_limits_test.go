package engine

import (
	"bytes"
	"errors"
	"math/rand/v2"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// Limits at their edges: exactly the limit is allowed, one more is not (Limits' doc comments).

var limitTrials = []trial{
	{"a message of exactly MaxMessageSize", trialMessageSize},
	{"a message of exactly MaxFragments", trialFragments},
	{"exactly MaxControlRate", trialControlRate},
	{"exactly MaxBufferedAmount", trialBufferedAmount},
	{"a writer and MaxBufferedAmount", trialWriterBuffered},
	{"OnDrain after ErrBufferFull", trialFullAndDrain},
	{"exactly HighWater and LowWater", trialWaters},
	{"the marks move", trialMarksMove},
	{"pongs nobody reads", trialPongs},
	{"the inbound budget", trialBudget},
	{"BufferedAmount counts down", trialCountsDown},
}

// failsWith: the peer is told this code, OnError and then OnClose report 1006 and the rule.
func (a *actor) failsWith(code int, why error) {
	a.s.settle()
	e := a.event
	var ce *CloseError
	switch {
	case a.closeCode() != code:
		a.s.broke("the peer is told %d, not %d; %v", a.closeCode(), code, a.events)
	case !a.was("OnClose") || a.count("OnError") != 1 || e.Code != StatusAbnormalClosure || e.WasClean:
		a.s.broke("%+v, %v", e, a.events)
	case !errors.As(e.Err, &ce) || ce.Code != code || !errors.Is(e.Err, why):
		a.s.broke("OnClose says %v, not %v", e.Err, why)
	case a.ended == "reset":
		a.s.broke("a reset behind our Close frame")
	}
}

func trialMessageSize(r *rand.Rand) error {
	limit := 1 + r.IntN([]int{200, 70_000, 300_000}[r.IntN(3)])
	o := Options{Limits: quietly()}
	o.Limits.MaxMessageSize = int64(limit)
	lines := ""
	if r.IntN(2) == 0 {
		o.Deflate, lines = &deflate.Policy{}, "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	}
	s := newServerRig(r, o, nil)
	if r.IntN(2) == 0 {
		s.rough()
	}
	a := s.call(64<<10, 64<<10)
	a.knock(lines)
	s.settle()
	op, p := OpBinary, materials.phrases[:limit+1]
	for range 1 + r.IntN(3) {
		a.message(op, p[:limit], 1+r.IntN(4))
	}
	s.settle()
	n := len(a.messages)
	s.wants(n > 0 && a.messages[n-1] == string(p[:limit]) && a.conn.ReadyState() == Open, "%d of MaxMessageSize %d: %v", n, limit, a.events)
	a.message(op, p[:limit+1], 1+r.IntN(4))
	a.failsWith(1009, ErrTooLarge)
	s.wants(len(a.messages) == n, "a message over MaxMessageSize is delivered")
	return s.finish()
}

func trialFragments(r *rand.Rand) error {
	limit := 1 + r.IntN(40)
	o := Options{Limits: quietly()}
	o.Limits.MaxFragments = limit
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	frames := func(n int) {
		for k := range n {
			op := codec.OpContinuation
			if k == 0 {
				op = OpBinary
			}
			a.say(op, k == n-1, materials.binary[:r.IntN(10)])
			if r.IntN(4) == 0 {
				s.settle()
			}
		}
		s.settle()
	}
	frames(limit)
	frames(limit) // each message counts for itself
	s.wants(len(a.messages) == 2 && a.conn.ReadyState() == Open, "%d messages of MaxFragments %d: %v", len(a.messages), limit, a.events)
	frames(limit + 1)
	a.failsWith(StatusPolicyViolation, ErrFlood)
	s.wants(len(a.messages) == 2, "a message over MaxFragments is delivered")
	return s.finish()
}

func trialControlRate(r *rand.Rand) error {
	limit := 1 + r.IntN(60)
	o := Options{Limits: quietly()}
	o.Limits.MaxControlRate = limit
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	controls := func(n int) {
		for range n {
			a.say([]Opcode{OpPing, OpPong}[r.IntN(2)], true, materials.binary[:r.IntN(126)])
			if r.IntN(8) == 0 {
				s.settle()
			}
		}
		s.settle()
	}
	for range 3 { // as many each second
		controls(limit)
		s.pass(1100 * 1e6)
	}
	s.wants(a.conn.ReadyState() == Open && a.count("OnPing")+a.count("OnPong") == 3*limit,
		"%d a second of MaxControlRate %d: %v", a.count("OnPing")+a.count("OnPong"), limit, a.event)
	controls(limit + 1)
	a.failsWith(StatusPolicyViolation, ErrFlood)
	return s.finish()
}

// fullRig is a connection with something queued, HighWater passed, and no room.
func fullRig(r *rand.Rand, policy Overflow) (s *rig, a *actor, queued int) {
	o := Options{Limits: quietly()}
	o.Limits.HighWater, o.Limits.LowWater, o.Limits.Overflow = 1, 1, policy
	s = newRig(r, o)
	a = s.comes(64<<10, 200+r.IntN(20_000))
	before := a.left
	a.fill(200 + r.IntN(20_000))
	first := a.conn.BufferedAmount()
	return s, a, s.frameBytes(int(first)) - (a.left - before)
}

func trialBufferedAmount(r *rand.Rand) error {
	policy := []Overflow{DropMessage, CloseSlow}[r.IntN(2)]
	s, a, queued := fullRig(r, policy)
	way := sendWays[r.IntN(len(sendWays))]
	n := r.IntN(9000)
	c := a.conn
	a.relimit(func(l *Limits) { l.MaxBufferedAmount = int64(queued + n) })
	buffered := c.BufferedAmount()
	p := materials.binary[:n+1]
	if policy == DropMessage {
		for range 2 {
			if err := way.send(c, p); err != ErrBufferFull || c.BufferedAmount() != buffered || c.ReadyState() != Open {
				s.broke("%s of one byte over MaxBufferedAmount: %v, %d, %v", way.name, err, c.BufferedAmount()-buffered, c.ReadyState())
			}
		}
		s.wants(s.engine.snapshot().MessagesDropped == 2, "dropped: %d", s.engine.snapshot().MessagesDropped)
	}
	if err := way.send(c, p[:n]); err != nil || c.BufferedAmount() != buffered+uint64(n) || c.ReadyState() != Open {
		s.broke("%s of %d, %d are queued, up to MaxBufferedAmount %d: %v", way.name, n, queued, queued+n, err)
	}
	want := [][]byte{make([]byte, buffered), p[:n]}
	if policy == CloseSlow {
		if err := way.send(c, p[:1]); err != ErrSlowConsumer || c.ReadyState() != Closing {
			s.broke("%s over MaxBufferedAmount: %v, %v", way.name, err, c.ReadyState())
		}
		if err := way.send(c, p[:1]); err != ErrClosed {
			s.broke("%s after that: %v", way.name, err)
		}
	}
	a.reads = true
	s.settle()
	s.wants(a.has(want...), "the peer got %d messages", len(a.got(OpBinary)))
	if policy == CloseSlow {
		a.failsWith(StatusTryAgainLater, ErrSlowConsumer)
		return s.finish()
	}
	s.wants(a.count("OnDrain") == 1 && a.count("OnHighWater") == 1 && c.BufferedAmount() == 0, "%v, %d", a.events, c.BufferedAmount())
	a.reads = false
	s.wants(way.send(c, make([]byte, queued+n+1)) == nil, "a message into an empty queue")
	return s.finish()
}

// Whoever got ErrBufferFull waits for OnDrain, as the error says: it comes, once, also where HighWater was not passed.
func trialFullAndDrain(r *rand.Rand) error {
	o := Options{Limits: quietly(), Workers: r.IntN(2)}
	o.Limits.Overflow, o.Limits.MaxBufferedAmount = DropMessage, int64(1+r.IntN(20_000))
	s := newRig(r, o)
	a := s.comes(64<<10, 2000)
	for range 2 {
		a.fill(100 + r.IntN(int(o.Limits.MaxBufferedAmount)))
		way := sendWays[r.IntN(len(sendWays))]
		s.settle()
		before := a.count("OnDrain")
		err := way.send(a.conn, make([]byte, o.Limits.MaxBufferedAmount))
		s.settle()
		s.wants(err == ErrBufferFull && a.count("OnDrain") == before && a.count("OnHighWater") == before+1, "%s: %v, %v", way.name, err, a.events)
		a.reads = true
		s.settle()
		s.wants(a.count("OnDrain") == before+1 && a.count("OnHighWater") == before+1 && a.conn.BufferedAmount() == 0, "drained: %v", a.events)
		s.wants(way.send(a.conn, make([]byte, o.Limits.MaxBufferedAmount)) == nil, "the message that waited for OnDrain")
		s.settle()
	}
	return s.finish()
}

// A Write that would pass the limit adds nothing; the same one passes when there is room.
func trialWriterBuffered(r *rand.Rand) error {
	s, a, queued := fullRig(r, DropMessage)
	c := a.conn
	first := make([]byte, c.BufferedAmount())
	w := c.NewWriter(OpBinary)
	n := 1 + r.IntN(9000)
	p := materials.binary[:n+1]
	a.relimit(func(l *Limits) { l.MaxBufferedAmount = int64(queued + n) })
	if k, err := w.Write(p); k != 0 || err != ErrBufferFull {
		s.broke("a Write of one byte too many: %d, %v", k, err)
	}
	if k, err := w.Write(p[:n]); k != n || err != nil {
		s.broke("a Write up to MaxBufferedAmount: %d, %v", k, err)
	}
	a.reads = true
	s.settle()
	if k, err := w.Write(p); k != n+1 || err != nil {
		s.broke("a Write into an empty queue: %d, %v", k, err)
	}
	if r.IntN(2) == 0 { // closing aborts it: nothing else may follow an unfinished message
		_ = c.CloseWith(4000, "")
		s.settle()
		_, err := w.Write(p)
		s.wants(err == ErrClosed && w.Close() == ErrClosed && a.has(first) && a.closeCode() == 4000, "a writer in CLOSING: %v", err)
		return s.finish()
	}
	s.wants(w.Close() == nil && w.Close() == ErrInvalidState, "the writer's Close")
	s.settle()
	s.wants(a.has(first, append(bytes.Clone(p[:n]), p...)), "the peer got %d messages", len(a.got(OpBinary)))
	s.wants(c.BufferedAmount() == 0, "BufferedAmount is %d", c.BufferedAmount())
	return s.finish()
}

// At HighWater nothing happens, above it OnHighWater comes and nothing is delivered any more; above LowWater still
// nothing, at it OnDrain comes, and what waited.
func trialWaters(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	s := newRig(r, o)
	if r.IntN(2) == 0 {
		s.rough()
	}
	a := s.comes(64<<10, 200+r.IntN(5000))
	left := a.left
	a.fill(300 + r.IntN(40_000))
	total := s.frameBytes(int(a.conn.BufferedAmount()))
	queued := func() int { return total - (a.left - left) }
	low := 64 + r.IntN(queued()-66) // a message costs 32 at least, whatever its length
	a.relimit(func(l *Limits) { l.HighWater, l.LowWater = int64(queued()+s.frameBytes(0)), int64(low) })
	send := func() {
		s.wants(a.conn.Ping(nil) == nil, "Ping")
		total += s.frameBytes(0)
		s.settle()
	}
	send()
	s.wants(!a.was("OnHighWater"), "OnHighWater with %d queued, HighWater is as much", queued())
	send()
	s.wants(a.count("OnHighWater") == 1, "no OnHighWater with two bytes more")
	for i := range 3 {
		a.say(OpText, true, []byte{byte('0' + i)})
	}
	s.settle()
	s.wants(len(a.messages) == s.readAbove(3), "%d messages are delivered above HighWater", len(a.messages))
	for s.law == nil && queued() > low+1 {
		a.take(queued() - low - 1)
		s.settle()
	}
	s.wants(!a.was("OnDrain"), "OnDrain with %d queued, LowWater is %d", queued(), low)
	for s.law == nil && queued() > low {
		a.take(1)
		s.settle()
	}
	s.wants(a.count("OnDrain") == 1 && len(a.messages) == 3, "at LowWater: OnDrain %d times, %d of 3 messages", a.count("OnDrain"), len(a.messages))
	a.reads = true
	s.settle()
	s.wants(a.count("OnDrain") == 1 && a.count("OnHighWater") == 1 && s.engine.snapshot().Pauses == uint64(1-s.readAbove(1)), "%v", a.events)
	return s.finish()
}

// readAbove is how many of n messages are delivered while more than HighWater is queued: a client reads on.
func (s *rig) readAbove(n int) int {
	if s.client != nil {
		return n
	}
	return 0
}

// RFC 6455 5.5.3: with a pong in the queue that the peer has not taken, only the newest ping is answered; and that one is.
func trialPongs(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly()})
	a := s.comes(64<<10, 100+r.IntN(300))
	a.fill(1 + r.IntN(3000))
	n := 2 + r.IntN(40)
	for i := range n {
		a.say(OpPing, true, []byte{byte(i)})
		if r.IntN(3) == 0 {
			s.settle()
		}
	}
	s.settle()
	a.reads = true
	s.settle()
	pongs := a.got(OpPong)
	s.wants(a.count("OnPing") == n, "%d of %d pings are told of", a.count("OnPing"), n)
	s.wants(len(pongs) >= 1 && len(pongs) <= 2 && pongs[len(pongs)-1].body == string(byte(n-1)), "%d pings, pongs %q", n, pongs)
	return s.finish()
}

// Past InboundBudget the one that holds most is closed, and nobody else; what was held is given back.
func trialBudget(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), InboundBudget: 1 << 20})
	small, big := s.comes(64<<10, 64<<10), s.comes(64<<10, 64<<10)
	begin := func(a *actor, n, of int) {
		a.header(OpBinary, uint64(of))
		a.pend = append(a.pend, make([]byte, n)...)
		s.settle()
	}
	few := reserveBytes + 1 + r.IntN(100<<10)
	begin(small, few, few+5000)
	s.wants(s.engine.snapshot().InboundBytes == int64(few-reserveBytes), "%d are charged for %d", s.engine.snapshot().InboundBytes, few)
	room := 1<<20 - (few - reserveBytes)
	begin(big, room+reserveBytes, 4<<20)
	s.wants(s.engine.snapshot().InboundBytes == 1<<20 && big.conn.ReadyState() == Open, "a full budget: %d, %+v", s.engine.snapshot().InboundBytes, big.event)
	last := r.IntN(2) // whoever passes it
	[]*actor{big, small}[last].more(1)
	s.settle()
	big.failsWith(StatusTryAgainLater, ErrInboundBudget)
	s.wants(small.conn.ReadyState() == Open && s.engine.snapshot().InboundBytes == int64(few-reserveBytes+last), "the other: %+v, %d are charged", small.event, s.engine.snapshot().InboundBytes)
	small.more(5000 - last)
	s.settle()
	s.wants(len(small.messages) == 1 && len(small.messages[0]) == few+5000 && s.engine.snapshot().InboundBytes == 0,
		"%d messages, %d are charged", len(small.messages), s.engine.snapshot().InboundBytes)
	return s.finish()
}

// BufferedAmount is exact after each byte that leaves (WHATWG bufferedAmount).
func trialCountsDown(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly()})
	a := s.comes(64<<10, 64+r.IntN(2000))
	base := a.left
	a.reads = false
	type sent struct{ end, n int }
	var all []sent
	end := 0
	for range 3 + r.IntN(20) {
		n := r.IntN(3000)
		way := sendWays[r.IntN(len(sendWays))]
		s.wants(way.send(a.conn, make([]byte, n)) == nil, "%s", way.name)
		end += s.frameBytes(n)
		all = append(all, sent{end, n})
		if r.IntN(4) == 0 {
			s.wants(a.conn.Ping([]byte("ping")) == nil, "Ping")
			end += s.frameBytes(len("ping"))
		}
	}
	for s.law == nil && a.left-base < end {
		a.take(1 + r.IntN(500))
		s.settle()
		var want uint64
		for _, m := range all {
			if m.end > a.left-base {
				want += uint64(m.n)
			}
		}
		s.wants(a.conn.BufferedAmount() == want, "BufferedAmount is %d, of %d bytes of the stream %d have left", a.conn.BufferedAmount(), end, a.left-base)
	}
	s.wants(a.conn.BufferedAmount() == 0, "BufferedAmount is %d at the end", a.conn.BufferedAmount())
	return s.finish()
}

// SetLimits looks at the marks again: a LowWater above what is queued is reached, a HighWater below it is passed.
func trialMarksMove(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly()})
	a := s.comes(64<<10, 2000)
	a.fill(2000 + r.IntN(20_000))
	a.message(OpText, []byte("a"), 1)
	s.settle()
	s.wants(!a.was("OnHighWater") && len(a.messages) == 1, "%v", a.events)
	a.relimit(func(l *Limits) { l.HighWater, l.LowWater = 1000, 500 })
	a.message(OpText, []byte("b"), 1)
	s.settle()
	s.wants(a.count("OnHighWater") == 1 && len(a.messages) == 1+s.readAbove(1), "HighWater was lowered below what is queued: %v", a.events)
	a.relimit(func(l *Limits) { l.HighWater, l.LowWater = 1<<20, 1<<19 })
	s.wants(a.count("OnDrain") == 1 && len(a.messages) == 2, "LowWater was raised above what is queued: %v", a.events)
	return s.finish()
}
