package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

var closingTrials = []trial{
	{"our Close", trialOurClose},
	{"a handler that closes", trialHandlerCloses},
	{"a Close while the workers lag", trialCloseBehindInbox},
	{"a message under way when we close", trialCloseInMessage},
	{"the peer's Close", trialPeersClose},
	{"Close crosses Close", trialCrossing},
	{"the peer closes and is gone", trialPeerClosesAndGoes},
	{"Terminate", trialTerminate},
	{"a violation in CLOSING", trialViolationInClosing},
	{"the peer's end", trialPeersEnd},
	{"a panic", trialPanic},
	{"Drain", trialDrain},
	{"a refusal nobody takes", trialRefusalNobodyTakes},
	{"a handler that hears of little", trialFewHooks},
}

// What is queued leaves before our Close frame; then the peer's answer, and a clean end. Nothing is delivered after Close returned.
func trialOurClose(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	if r.IntN(2) == 0 {
		s.rough()
	}
	a := s.comes(64<<10, 500)
	a.fill(r.IntN(3000))
	c := a.conn
	sent := c.BufferedAmount()
	code := []int{StatusNormalClosure, 4000 + r.IntN(1000), StatusNoStatusRcvd}[r.IntN(3)]
	var err error
	if code == StatusNoStatusRcvd {
		err = c.CloseNoStatus()
	} else {
		err = c.CloseWith(code, "enough")
	}
	s.wants(err == nil && c.ReadyState() == Closing, "Close: %v, %v", err, c.ReadyState())
	s.wants(c.SendBinary(make([]byte, 7)) == ErrClosed && c.BufferedAmount() == sent+7, "Send in CLOSING counts: %d after %d", c.BufferedAmount(), sent)
	s.wants(c.Ping(nil) == ErrClosed && c.Close() == nil, "Ping and Close in CLOSING")
	for range 3 {
		a.message(OpText, []byte("late"), 1)
	}
	s.settle()
	a.reads = true
	s.settle()
	s.wants(a.closeCode() == code && len(a.got(OpBinary)) == 1 && len(a.got(OpClose)) == 1, "the peer got %d, %d messages", a.closeCode(), len(a.got(OpBinary)))
	s.wants(a.event.WasClean && a.event.Code == code && !a.was("OnMessage") && !a.was("OnError"), "%+v %v", a.event, a.events)
	s.wants(a.ended == "end" && c.BufferedAmount() == 7, "the peer sees %q, BufferedAmount is %d", a.ended, c.BufferedAmount())
	return s.finish()
}

// A handler that closes gets no other message, not even of those that the same read has brought.
func trialHandlerCloses(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	a := s.comes(64<<10, 64<<10)
	c := a.conn
	end := []func(){c.Terminate, func() { _ = c.Close() }, func() { _ = c.CloseNoStatus() }}[r.IntN(3)]
	last := 1 + r.IntN(40)
	a.on = func(what string) {
		if what == "OnMessage" && len(a.messages) == last {
			end()
		}
	}
	for i := range last + 1 + r.IntN(40) {
		a.message(OpText, fmt.Append(nil, i), 1)
	}
	s.settle()
	s.wants(len(a.messages) == last && a.was("OnClose"), "closed in message %d, and told of %d; %v", last, len(a.messages), a.event)
	return s.finish()
}

// A connection that we close does not wait for the workers: what waits for them is dropped, and the peer's Close is read,
// if it is not that which waited behind the messages.
func trialCloseBehindInbox(r *rand.Rand) error {
	o := Options{Limits: quietly(), Workers: 1}
	full := r.IntN(2) == 0
	if full {
		o.InboxBytes = 2000
	}
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	_, goOn := a.unread(2)
	if !full {
		a.answers = false
		a.closes(4006)
		s.settle()
	}
	s.wants(a.conn.ReadyState() == Open, "%v", a.conn.ReadyState())
	_ = a.conn.CloseWith(4006, "")
	s.settle()
	s.wants(a.conn.ReadyState() == Closed && a.ended == "end", "%v, the peer sees %q", a.conn.ReadyState(), a.ended)
	goOn()
	s.settle()
	s.wants(a.event.Code == 4006 && a.event.WasClean && len(a.messages) == 0, "%+v, %d messages", a.event, len(a.messages))
	return s.finish()
}

// RFC 6455 5.5.1: who is in the middle of a message when our Close comes may end it first. It has WriteStallTimeout for
// each 4 KiB, and the others CloseTimeout.
func trialCloseInMessage(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	timeout := between(r, time.Second, 3*time.Second)
	stall := between(r, 3*timeout, 6*timeout)
	o.Limits.CloseTimeout, o.Limits.WriteStallTimeout = timeout, stall
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	a.answers = false
	a.header(OpBinary, 3000)
	a.more(500)
	s.settle()
	_ = a.conn.Close()
	s.settle()
	began := s.world.Now()
	s.pass(between(r, 2*wheelTick, timeout/2)) // the clock has seen how much was left to take
	a.more(500)
	s.pass(between(r, 2*timeout, stall-early) + began - s.world.Now())
	s.wants(a.conn.ReadyState() == Closing, "too early: %+v", a.event)
	if r.IntN(2) == 0 { // it never ends it
		s.pass(stall + late - (s.world.Now() - began))
		a.cameBetween("OnClose", began, stall, stall)
		s.wants(errors.Is(a.event.Err, ErrCloseTimeout), "%+v", a.event)
		return s.finish()
	}
	a.more(2000)
	a.closes(StatusNormalClosure)
	s.settle()
	s.wants(a.event.WasClean && a.event.Code == StatusNormalClosure && len(a.messages) == 0, "%+v, %d messages", a.event, len(a.messages))
	return s.finish()
}

// The peer's Close is answered once with its code, behind what is queued, though it may have ended its half already
// (RFC 6455 5.5.1, 7.1.1). Nothing behind it is processed.
func trialPeersClose(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	if r.IntN(2) == 0 {
		s.rough()
	}
	a := s.comes(64<<10, 500)
	if r.IntN(2) == 0 {
		a.fill(r.IntN(3000))
	}
	messages := r.IntN(4)
	for range messages {
		a.message(OpText, []byte("before"), 1+r.IntN(3))
	}
	code := []int{1000, 1001, 1011, 3000, 4999}[r.IntN(5)]
	a.closes(code)
	if a.message(OpText, []byte("behind"), 1); r.IntN(3) == 0 {
		a.pend = append(a.pend, 0xff, 0xff)
	}
	s.settle()
	if half := r.IntN(2) == 0; half {
		a.end.CloseWrite()
	}
	s.settle()
	a.reads, a.answers = true, false
	s.settle()
	s.wants(a.closeCode() == code && len(a.got(OpClose)) == 1 && a.ended == "end", "answered with %d of %d, then %q", a.closeCode(), code, a.ended)
	s.wants(a.event.WasClean && a.event.Code == code && len(a.messages) == messages && !a.was("OnError"), "%d of %d messages, %+v", len(a.messages), messages, a.event)
	s.wants(a.conn.BufferedAmount() == 0, "BufferedAmount is %d", a.conn.BufferedAmount())
	return s.finish()
}

// Both close at once: one frame each way, clean, and OnClose reports the peer's code.
func trialCrossing(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	a := s.comes(64<<10, 64<<10)
	a.answers = false
	a.closes(4001)
	a.serve()
	_ = a.conn.CloseWith(4000, "")
	s.settle()
	s.wants(len(a.got(OpClose)) == 1 && a.closeCode() == 4000 && a.event.Code == 4001 && a.event.WasClean && a.ended == "end", "%d, %+v, %q", a.closeCode(), a.event, a.ended)
	return s.finish()
}

// RFC 6455 7.1.5: the code of the Close frame that was received is the connection's, whatever happens to what we had to say.
func trialPeerClosesAndGoes(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly()})
	a := s.comes(64<<10, 500)
	a.fill(1 + r.IntN(9000))
	a.closes(4002)
	s.settle()
	s.wants(a.conn.ReadyState() == Closing, "%v", a.events)
	a.end.Reset()
	s.settle()
	s.wants(a.event.Code == 4002 && !a.event.WasClean && a.event.Err != nil && a.count("OnError") == 1, "%+v %v", a.event, a.events)
	s.wants(a.conn.BufferedAmount() > 0, "what was not delivered is not counted")
	return s.finish()
}

// Terminate drops what is queued and resets; no Close frame leaves, and none of the peer's makes it a clean end.
func trialTerminate(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	a := s.comes(64<<10, 500)
	c := a.conn
	how := r.IntN(5)
	if how == 1 || how == 2 || r.IntN(3) == 0 {
		a.fill(r.IntN(2000))
	}
	closing := how == 2
	if closing {
		_ = c.Close()
		s.settle()
	}
	if how == 3 { // what is on its way in makes no difference
		a.closes(4000)
		a.serve()
	}
	if how == 4 {
		a.pend = append(a.pend, 0xff, 0xff)
		a.serve()
	}
	c.Terminate()
	s.wants(c.ReadyState() == Closing && c.SendText("x") == ErrClosed, "%v after Terminate", c.ReadyState())
	s.settle()
	a.reads = true
	s.settle()
	s.wants(a.closeCode() == 0 && a.ended == "reset", "the peer is told %d, and then sees %q", a.closeCode(), a.ended)
	s.wants(a.event.Code == StatusAbnormalClosure && !a.event.WasClean && errors.Is(a.event.Err, ErrTerminated) && !a.was("OnError"), "%+v %v", a.event, a.events)
	return s.finish()
}

// A peer that breaks a rule while we close is not waited for longer than CloseTimeout, nor told a second time.
func trialViolationInClosing(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	o.Limits.CloseTimeout, o.Limits.WriteStallTimeout = 5e9, 5e9
	s := newRig(r, o)
	a := s.comes(64<<10, 500)
	blocked := r.IntN(2) == 0
	a.answers = false
	if blocked {
		a.fill(1 + r.IntN(3000))
	}
	_ = a.conn.CloseWith(4003, "")
	s.settle()
	a.pend = append(a.pend, 0xff, 0xff)
	s.settle()
	if blocked && r.IntN(2) == 0 {
		s.pass(3 * 5e9)
		s.wants(a.event.Code == StatusAbnormalClosure && a.count("OnError") == 1, "it reads nothing, and is kept: %v", a.events)
		return s.finish()
	}
	a.reads = true
	s.settle()
	s.wants(len(a.got(OpClose)) == 1 && a.closeCode() == 4003, "the peer is told %d, %d times", a.closeCode(), len(a.got(OpClose)))
	s.wants(a.event.Code == StatusAbnormalClosure && !a.event.WasClean && a.count("OnError") == 1, "%+v %v", a.event, a.events)
	return s.finish()
}

// The peer ends its half without a Close, or resets: 1006, an error, and what it had sent before comes first.
func trialPeersEnd(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	a := s.comes(64<<10, 500)
	messages := r.IntN(4)
	for range messages {
		a.message(OpText, []byte("before"), 1+r.IntN(3))
	}
	if r.IntN(2) == 0 {
		s.settle()
	}
	a.serve()
	if s.rng.IntN(2) == 0 {
		a.pend = append(a.pend, 0x81) // half a header
		a.serve()
	}
	a.end.CloseWrite()
	s.settle()
	s.wants(len(a.messages) == messages, "%d of %d messages before the end", len(a.messages), messages)
	s.wants(a.event.Code == StatusAbnormalClosure && !a.event.WasClean && a.count("OnError") == 1 && errors.Is(a.event.Err, ErrAbnormal), "%+v %v", a.event, a.events)
	return s.finish()
}

// A panic of the handler's ends its connection with 1011, wherever it was, and no other.
func trialPanic(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	other, a := s.comes(64<<10, 64<<10), s.comes(64<<10, 64<<10)
	where := []string{"OnMessage", "OnPing", "OnPong", "OnHighWater", "OnDrain"}[r.IntN(5)]
	a.on = func(what string) {
		if what == where {
			panic("the handler's own")
		}
	}
	a.relimit(func(l *Limits) { l.HighWater, l.LowWater = 1000, 500 })
	a.say(OpText, true, []byte("x"))
	a.say(OpPing, true, nil)
	a.say(OpPong, true, nil)
	s.settle()
	if a.conn.ReadyState() == Open {
		a.fill(5000)
		a.reads = true
	}
	s.settle()
	st := s.engine.snapshot()
	s.wants(st.Panics == 1 && st.Failures[StatusInternalServerError] == 1, "%d panics, %v", st.Panics, st.Failures)
	a.failsWith(StatusInternalServerError, ErrHandlerPanic)
	other.message(OpText, []byte("x"), 1)
	s.settle()
	s.wants(len(other.messages) == 1, "the other one notices")
	return s.finish()
}

// Whoever waits in Drain hears when all has left, and not before; and when the connection ends first.
func trialDrain(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly()})
	a := s.comes(64<<10, 500)
	a.fill(1 + r.IntN(4000))
	first := drainOf(a.conn)
	for range r.IntN(5) {
		a.take(1 + r.IntN(200))
		s.settle()
	}
	second := drainOf(a.conn)
	c := a.conn
	s.wants(isOver(first) == (c.BufferedAmount() == 0), "Drain is over: %v, BufferedAmount is %d", isOver(first), c.BufferedAmount())
	switch r.IntN(3) {
	case 0:
		a.reads = true
		s.settle()
		s.wants(c.BufferedAmount() == 0 && c.ReadyState() == Open, "%d", c.BufferedAmount())
	case 1:
		a.end.Reset()
		s.settle()
	case 2: // what Send counted in CLOSING never leaves: Drain ends when the connection does
		_ = c.Close()
		_ = c.SendText("counted, not sent")
		third := drainOf(a.conn)
		a.reads = true
		s.settle()
		s.wants(a.event.WasClean && isOver(third), "Drain in CLOSING is over: %v; %v", isOver(third), a.events)
	}
	s.wants(isOver(first) && isOver(second), "Drain is over: %v, %v; %v, BufferedAmount is %d", isOver(first), isOver(second), a.events, c.BufferedAmount())
	return s.finish()
}

// A refusal that the peer does not take, or takes bit by bit, is one answer all the same, and holds nothing for ever.
func trialRefusalNobodyTakes(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly()}, func(a *actor) { _ = a.upgrade.Refuse(403, string(make([]byte, 500))) })
	a, never := s.call(64<<10, 20+r.IntN(200)), s.call(64<<10, 20)
	for _, k := range []*actor{a, never} {
		k.reads = false
		k.knock("")
	}
	s.settle()
	taken := 0
	for s.law == nil && a.ended == "" && taken < 3000 {
		a.take(1 + r.IntN(100))
		taken++
		s.settle()
	}
	s.wants(a.status == "403" && a.ended == "end", "answered %q, then %q", a.status, a.ended)
	s.pass(40e9)
	s.wants(s.world.OpenDescriptors() == 1 && s.engine.snapshot().Buffers.Out == 0, "%d descriptors, %d buffers", s.world.OpenDescriptors(), s.engine.snapshot().Buffers.Out)
	return s.finish()
}

// Who wants to hear of messages alone misses nothing: pings are answered, the marks hold, errors end the connection.
func trialFewHooks(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly(), Workers: r.IntN(2)}, nil)
	h := &s.engine.own.hooks
	h.upgrade, h.ping, h.pong, h.highWater, h.drain, h.err, h.chunk = nil, nil, nil, nil, nil, nil, nil
	a := s.call(64<<10, 2000)
	h.open = func(c *Conn) {
		a.conn = c
		a.note("OnOpen", nil)
	}
	a.knock("")
	s.settle()
	if a.status != "101" || a.conn == nil {
		s.broke("answered %q", a.status)
		return s.finish()
	}
	a.say(OpPing, true, []byte("ping"))
	a.say(OpPong, true, nil)
	a.message(OpText, []byte("a"), 1+r.IntN(3))
	s.settle()
	s.wants(len(a.got(OpPong)) == 1 && len(a.messages) == 1, "%d pongs, %d messages", len(a.got(OpPong)), len(a.messages))
	a.relimit(func(l *Limits) { l.HighWater, l.LowWater = 1000, 500 })
	a.fill(5000)
	a.message(OpText, []byte("b"), 1)
	s.settle()
	s.wants(len(a.messages) == 1, "a message is delivered above HighWater")
	a.reads = true
	s.settle()
	s.wants(len(a.messages) == 2, "no message is delivered any more")
	a.pend = append(a.pend, 0xff, 0xff)
	s.settle()
	s.wants(a.closeCode() == 1002 && a.event.Code == StatusAbnormalClosure, "told %d, %+v", a.closeCode(), a.event)
	return s.finish()
}
