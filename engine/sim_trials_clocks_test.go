package engine

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Clocks: none ends a connection whose peer made progress, and each one that is due does, within its resolution.

var clockTrials = []trial{
	{"idle", trialIdle},
	{"idle after a pause of ours", trialIdleAfter},
	{"idle after a slow read", trialIdleAfterSlow},
	{"control frames after a pause of ours", trialControlAfter},
	{"pings", trialPings},
	{"lifetime", trialLifetime},
	{"write stall", trialStall},
	{"close time-out", trialCloseTimeout},
	{"handshake time-out", trialHandshakeTimeout},
	{"clocks begin at OPEN", trialClocksBeginAtOpen},
	{"clocks changed on the way", trialReclocked},
	{"linger ends", trialLinger},
	{"a lingering peer says a byte", trialLingerBytes},
	{"a clock's Close and a reset", trialClockAndReset},
	{"a stall clock and a held lock", trialStallWhileHeld},
	{"a ping and a held lock", trialPingWhileHeld},
	{"an end that a clock did not cause", trialClockAndEnd},
	{"an answering peer lives", trialLives},
}

// cameBetween: a callback came, no sooner than from and no later than to after since.
func (a *actor) cameBetween(what string, since, from, to time.Duration) {
	at := a.when(what) - since
	a.s.wants(a.was(what) && at >= from-early && at <= to+late, "%s %v after it began, not %v to %v; %v", what, at, from, to, a.events)
}

// bit is something that a peer may send, of which a clock must hear.
func (a *actor) bit() {
	switch a.s.rng.IntN(4) {
	case 0:
		a.message(OpText, []byte("talk"), 1+a.s.rng.IntN(3))
	case 1:
		a.say(OpPing, true, nil)
	case 2:
		a.say(OpPong, true, nil)
	default: // a message that takes its time: each byte counts
		if len(a.pend) == 0 {
			a.say(OpText, true, []byte("slow"))
			b := a.pend
			a.pend = nil
			for _, x := range b {
				a.s.pass(between(a.s.rng, 0, 20*time.Millisecond))
				a.pend = append(a.pend, x)
				a.s.settle()
			}
		}
	}
	a.s.settle()
}

func idleRig(r *rand.Rand, o Options) (*rig, time.Duration) {
	idle := between(r, 600*time.Millisecond, 20*time.Second)
	o.Limits = quietly()
	o.Limits.IdleTimeout = idle
	return newRig(r, o), idle
}

func trialIdle(r *rand.Rand) error {
	s, idle := idleRig(r, Options{Loops: 1 + r.IntN(2)})
	a := s.comes(64<<10, 64<<10)
	last := s.world.Now()
	for range r.IntN(6) {
		s.pass(between(r, 0, idle-late-100*time.Millisecond))
		s.wants(a.conn.ReadyState() == Open, "idle %v after a byte came, of %v", s.world.Now()-last, idle)
		a.bit()
		last = s.world.Now()
	}
	s.pass(idle - early)
	s.wants(a.conn.ReadyState() == Open, "idle before %v: %+v", idle, a.event)
	s.pass(early + late)
	a.cameBetween("OnClose", last, idle, idle)
	s.wants(a.event.Code == StatusGoingAway && a.event.WasClean && a.closeCode() == StatusGoingAway && s.engine.snapshot().Causes["idle"] == 1,
		"%+v %v", a.event, s.engine.snapshot().Causes)
	return s.finish()
}

// unread ends our reading, in one of three ways: Pause, a queue above HighWater (of a server: a client reads on, and pauses), or a full
// inbox, which is of so many messages. goOn ends that.
func (a *actor) unread(how int) (messages int, goOn func()) {
	s, c := a.s, a.conn
	if how == 1 && s.client != nil {
		how = 0
	}
	switch how {
	case 0:
		c.Pause()
		goOn = c.Resume
	case 1:
		a.relimit(func(l *Limits) { l.HighWater, l.LowWater = 1000, 500 })
		a.fill(5000)
		goOn = func() { a.reads = true }
	case 2:
		s.blocked = true
		messages = 2 + s.rng.IntN(4) // the second fills the inbox; those behind it wait where they were read
		for range messages {
			a.message(OpBinary, make([]byte, 900), 1)
		}
		goOn = func() { s.blocked = false }
	}
	s.settle()
	return messages, goOn
}

// While we do not read, the peer's silence is our own doing: the clock begins anew when reading goes on.
func trialIdleAfter(r *rand.Rand) error {
	o := Options{InboxBytes: 2000}
	how := r.IntN(3)
	if how == 2 {
		o.Workers = 1
	}
	s, idle := idleRig(r, o)
	a := s.comes(64<<10, 3000)
	c := a.conn
	some, goOn := a.unread(how)
	s.pass(idle + between(r, 0, 2*idle) + late)
	s.wants(c.ReadyState() == Open, "idle while nothing is read: %+v", a.event)
	resumed := s.world.Now()
	goOn()
	s.pass(idle - early)
	s.wants(c.ReadyState() == Open, "idle %v after reading went on, of %v", a.when("OnClose")-resumed, idle)
	s.pass(early + late + idle/4) // what the kernel had not got rid of is looked at now and then
	a.cameBetween("OnClose", resumed, idle, idle+idle/4)
	s.wants(how != 2 || len(a.messages) == some, "%d of %d messages", len(a.messages), some)
	return s.finish()
}

// A slow peer that has taken all is like any other again: its clocks begin at that moment.
func trialIdleAfterSlow(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	idle := between(r, 4*time.Second, 20*time.Second)
	o.Limits.IdleTimeout, o.Limits.WriteStallTimeout = idle, idle
	s := newRig(r, o)
	a := s.comes(64<<10, 10<<10)
	a.fill(100 << 10)
	for range 3 + r.IntN(4) {
		s.pass(between(r, idle/2, idle-late-early))
		a.take(10 << 10)
		s.settle()
	}
	s.wants(a.conn.ReadyState() == Open, "a slow reader is cut off: %+v", a.event)
	a.reads = true
	s.settle()
	taken := s.world.Now()
	s.pass(idle/2 + late)
	s.wants(a.conn.progress == nil, "it has taken all, and is watched as a slow one")
	s.pass(taken + idle - early - s.world.Now())
	s.wants(a.conn.ReadyState() == Open, "idle %v after it took all, of %v", a.when("OnClose")-taken, idle)
	s.pass(early + late + idle/4)
	a.cameBetween("OnClose", taken, idle, idle+idle/4)
	return s.finish()
}

// What a peer says while we do not read comes all at once when we do. It did not say it at once, and MaxControlRate holds
// for what it said.
func trialControlAfter(r *rand.Rand) error {
	o := Options{Limits: quietly(), InboxBytes: 2000}
	o.Limits.MaxControlRate = 20 + r.IntN(50)
	how := r.IntN(3)
	if how == 2 {
		o.Workers = 1
	}
	s := newRig(r, o)
	a := s.comes(64<<10, 3000)
	_, goOn := a.unread(how)
	for range 3 + r.IntN(5) {
		for range o.Limits.MaxControlRate * 3 / 4 {
			a.say(OpPong, true, nil)
		}
		s.pass(time.Second)
	}
	goOn()
	s.settle()
	s.wants(a.conn.ReadyState() == Open, "%d a second while it was not read: %+v", o.Limits.MaxControlRate*3/4, a.event)
	return s.finish()
}

func trialPings(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	ping, pong := between(r, 300*time.Millisecond, 20*time.Second), between(r, 200*time.Millisecond, 20*time.Second)
	o.Limits.PingInterval, o.Limits.PongTimeout = ping, pong
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	last := s.world.Now()
	n := 1 + r.IntN(4)
	for k := 1; k <= n && s.law == nil; k++ {
		s.pass(last + ping - early - s.world.Now())
		s.wants(len(a.got(OpPing)) < k, "pinged %v after a sign of life, of %v", s.world.Now()-last, ping)
		s.pass(early + late)
		if len(a.got(OpPing)) != k {
			s.broke("pinged %d times of %d, interval %v", len(a.got(OpPing)), k, ping)
			break
		}
		last = a.got(OpPing)[k-1].at // answered at once
		s.pass(last + 2*grain - min(s.world.Now(), last+2*grain))
	}
	s.wants(a.count("OnPong") == n, "%d pongs of %d are told of", a.count("OnPong"), n)
	a.answers = false
	for !a.was("OnClose") && len(a.got(OpPing)) < n+1 && s.law == nil && s.world.Now() < last+2*ping+late {
		s.pass(50 * time.Millisecond)
	}
	if len(a.got(OpPing)) < n+1 {
		s.broke("no ping: %v", a.events)
		return s.finish()
	}
	sent := a.got(OpPing)[n].at
	if r.IntN(2) == 0 { // anything answers
		s.pass(between(r, 3*grain, pong-early))
		a.bit()
		s.wants(a.conn.ReadyState() == Open, "%+v", a.event)
		last, sent = s.world.Now(), -1
		for sent < 0 && s.law == nil && s.world.Now() < last+ping+2*late {
			if s.pass(30 * time.Millisecond); len(a.got(OpPing)) > n+1 {
				sent = a.got(OpPing)[n+1].at
			}
		}
		s.wants(sent >= last+ping-early-2*grain, "pinged %v after a sign of life, of %v", sent-last, ping)
	}
	s.pass(sent + pong + late - min(s.world.Now(), sent+pong+late))
	a.cameBetween("OnClose", sent, pong, pong+30*time.Millisecond)
	s.wants(a.event.Code == StatusAbnormalClosure && errors.Is(a.event.Err, ErrPongTimeout) && s.engine.snapshot().Causes["pong-timeout"] == 1, "%+v", a.event)
	return s.finish()
}

func trialLifetime(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	life := between(r, 200*time.Millisecond, time.Minute)
	o.Limits.MaxLifetime = life
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	opened := a.when("OnOpen")
	for range r.IntN(5) {
		s.pass(between(r, 0, life/6))
		a.bit()
	}
	s.pass(opened + life - early - s.world.Now())
	s.wants(a.conn.ReadyState() == Open, "too early: %+v", a.event)
	s.pass(early + late)
	a.cameBetween("OnClose", opened, life, life)
	s.wants(a.event.Code == StatusGoingAway && a.event.WasClean && s.engine.snapshot().Causes["lifetime"] == 1, "%+v", a.event)
	return s.finish()
}

// A peer that takes 4 KiB each WriteStallTimeout, or more, lives; one that takes nothing ends the connection (1013).
func trialStall(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	stall := between(r, 500*time.Millisecond, 20*time.Second)
	o.Limits.WriteStallTimeout = stall
	s := newRig(r, o)
	a := s.comes(64<<10, 8<<10)
	a.fill(200 << 10)
	began := s.world.Now()
	for range r.IntN(8) {
		s.pass(between(r, stall/10, stall/2))
		a.take(10 << 10)
		s.settle()
		began = s.world.Now()
		s.wants(a.conn.ReadyState() == Open, "a slow reader is cut off: %+v", a.event)
	}
	s.pass(stall - early)
	s.wants(a.conn.ReadyState() == Open, "too early: %+v", a.event)
	s.pass(stall + early + late)
	a.cameBetween("OnClose", began, stall, 2*stall)
	s.wants(errors.Is(a.event.Err, ErrSlowConsumer) && a.event.Code == StatusAbnormalClosure && s.engine.snapshot().Causes["write-stall"] == 1, "%+v", a.event)
	s.wants(a.conn.BufferedAmount() > 0, "what was not delivered is not counted")
	return s.finish()
}

// A peer that answers no Close is cut off CloseTimeout after ours left.
func trialCloseTimeout(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	timeout := between(r, 100*time.Millisecond, 20*time.Second)
	o.Limits.CloseTimeout = timeout
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	a.answers = false
	s.pass(between(r, 0, time.Second))
	began := s.world.Now()
	_ = a.conn.Close()
	s.settle()
	s.wants(a.closeCode() == StatusNormalClosure, "our Close says %d", a.closeCode())
	if r.IntN(2) == 0 {
		s.pass(timeout / 2)
		a.message(OpText, []byte("still talking, which moves no clock"), 1)
	}
	s.pass(began + timeout - early - s.world.Now())
	s.wants(a.conn.ReadyState() == Closing, "too early: %+v", a.event)
	s.pass(early + late)
	a.cameBetween("OnClose", began, timeout, timeout)
	s.wants(a.event.Code == StatusAbnormalClosure && errors.Is(a.event.Err, ErrCloseTimeout) && a.count("OnError") == 1 && len(a.messages) == 0, "%+v %v", a.event, a.events)
	s.wants(a.ended == "reset", "the peer sees %q", a.ended)
	return s.finish()
}

// Who has sent nothing hears nothing, who has begun a request 408, and who waits for a decision 503.
func trialHandshakeTimeout(r *rand.Rand) error {
	timeout := between(r, 200*time.Millisecond, 20*time.Second)
	later := r.IntN(2) == 0
	s := newServerRig(r, Options{HandshakeTimeout: timeout, Limits: quietly()}, func(a *actor) {
		if later {
			a.upgrade.Later()
		}
	})
	a := s.call(64<<10, 64<<10)
	s.settle()
	began := s.world.Now()
	head := a.request("")
	if !later {
		head = head[:r.IntN(len(head))*r.IntN(4)/3]
	}
	silent := len(head) == 0
	for s.law == nil && len(head) > 0 && s.world.Now() < began+timeout/2 { // in pieces, which helps nothing
		n := 1 + r.IntN(len(head))
		a.pend, head = append(a.pend, head[:n]...), head[n:]
		s.pass(between(r, 0, timeout/8))
	}
	s.pass(began + timeout - early - min(s.world.Now(), began+timeout-early))
	s.wants(a.ended == "", "too early: %q", a.ended)
	s.pass(early + late)
	status, reason := "408", "timeout"
	switch {
	case a.upgrade != nil:
		status, reason = "503", "decision-timeout"
	case silent:
		status = ""
	}
	s.wants(a.ended == "end" && a.status == status && a.endedAt >= began+timeout-early && a.endedAt <= began+timeout+late,
		"the peer sees %q, %q %v after it came, not %v", a.status, a.ended, a.endedAt-began, timeout)
	s.wants(len(a.events) == 0 && s.engine.snapshot().Refusals[reason] == 1 && s.engine.snapshot().Connecting == 0, "%v %+v", a.events, s.engine.snapshot().Refusals)
	if later && len(head) == 0 {
		s.wants(a.upgrade != nil && a.upgrade.Accept() == ErrClosed, "Accept after that")
	}
	return s.finish()
}

// The clocks of an open connection begin when it opens, however long the decision took.
func trialClocksBeginAtOpen(r *rand.Rand) error {
	span := between(r, 500*time.Millisecond, 10*time.Second)
	o := Options{Limits: quietly(), HandshakeTimeout: 10 * span}
	which := r.IntN(3)
	*[]*time.Duration{&o.Limits.IdleTimeout, &o.Limits.MaxLifetime, &o.Limits.PingInterval}[which] = span
	s := newServerRig(r, o, func(a *actor) { a.upgrade.Later() })
	a := s.call(64<<10, 64<<10)
	a.knock("")
	s.pass(between(r, span/2, 3*span))
	s.wants(a.upgrade.Accept() == nil, "Accept")
	s.settle()
	opened := s.world.Now()
	s.pass(span - early)
	s.wants(a.was("OnOpen") && !a.was("OnClose") && len(a.got(OpPing)) == 0, "a clock is due %v before its time, %v after OnOpen: %v", early, span, a.events)
	s.pass(early + late)
	if which == 2 {
		s.wants(len(a.got(OpPing)) == 1, "no ping")
	} else {
		a.cameBetween("OnClose", opened, span, span)
	}
	return s.finish()
}

// SetLimits counts for the clocks at once, in both directions.
func trialReclocked(r *rand.Rand) error {
	s, idle := idleRig(r, Options{})
	a := s.comes(64<<10, 64<<10)
	began := s.world.Now()
	s.pass(between(r, 0, idle-late-grain))
	other := between(r, 100*time.Millisecond, 40*time.Second)
	a.relimit(func(l *Limits) { l.IdleTimeout = other })
	due := max(began+other, s.world.Now())
	s.pass(due - early - min(s.world.Now(), due-early))
	if due-early > s.world.Now() {
		s.wants(a.conn.ReadyState() == Open, "too early: %+v", a.event)
	}
	s.pass(early + late)
	a.cameBetween("OnClose", due, 0, 0)
	return s.finish()
}

// A peer that keeps its end open after it broke a rule is let go some time; nobody holds a descriptor for ever.
func trialLinger(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly()}, nil)
	a := s.comes(64<<10, 64<<10)
	refused := s.call(64<<10, 64<<10)
	refused.pend = append(refused.pend, "GET / HTTP/1.0\r\n\r\n"...)
	a.pend = append(a.pend, 0xff, 0xff)
	s.settle()
	a.failsWith(1002, a.event.Err)
	s.wants(refused.status != "" && refused.status != "101", "answered %q", refused.status)
	for range 40 { // it goes on talking
		s.pass(time.Second)
	}
	s.wants(s.world.OpenDescriptors() == 1, "%d descriptors are open after 40 s", s.world.OpenDescriptors())
	return s.finish()
}

// After our half of the stream has ended the peer has lingerTime to end its own, and again that with each byte that it says.
func trialLingerBytes(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly()})
	a := s.comes(64<<10, 64<<10)
	a.reads = false
	a.pend = append(a.pend, 0xff, 0xff)
	s.settle()
	last := s.world.Now()
	for range 100 { // it takes our Close frame, and keeps its own end open
		_, _ = a.end.Read(s.buf)
	}
	for range r.IntN(8) {
		s.pass(between(r, 0, lingerTime-early))
		s.wants(s.descriptors() == 1, "let go %v after a byte", s.world.Now()-last)
		a.more(1)
		s.settle()
		last = s.world.Now()
	}
	s.pass(lingerTime - early)
	s.wants(s.descriptors() == 1, "let go sooner than %v after a byte", lingerTime)
	s.pass(early + lingerTime/4 + late) // that is how often we look
	s.wants(s.descriptors() == 0, "kept %v after a byte", s.world.Now()-last)
	return s.finish()
}

// A peer that answers a clock's Close with a reset is gone, and the error says what our Close was for.
func trialClockAndReset(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	after, why := between(r, time.Second, 10*time.Second), ErrIdleTimeout
	if r.IntN(2) == 0 {
		o.Limits.IdleTimeout = after
	} else {
		o.Limits.MaxLifetime, why = after, ErrMaxLifetime
	}
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	a.answers = false
	s.pass(after + late)
	s.wants(a.closeCode() == StatusGoingAway, "told %d", a.closeCode())
	a.end.Reset()
	s.settle()
	s.wants(a.event.Code == StatusAbnormalClosure && errors.Is(a.event.Err, why) && errors.Is(a.event.Err, ErrAbnormal), "%+v", a.event)
	return s.finish()
}

// Nobody can tell how far a peer has come while somebody has the connection's lock: the clock waits for that.
func trialStallWhileHeld(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	stall := between(r, 500*time.Millisecond, 20*time.Second)
	o.Limits.WriteStallTimeout = stall
	s := newRig(r, o)
	a := s.comes(64<<10, 8<<10)
	a.fill(50 << 10)
	a.conn.mu.Lock()
	a.take(8 << 10) // all that has left
	s.world.Advance(stall + late + between(r, 0, stall))
	for range 5 {
		s.turn(0)
	}
	a.conn.unlock()
	s.settle()
	s.wants(a.conn.ReadyState() == Open, "a peer that has taken all is cut off: %+v", a.event)
	s.pass(2*stall + late)
	s.wants(errors.Is(a.event.Err, ErrSlowConsumer), "%+v", a.event)
	return s.finish()
}

// A ping that is due while somebody has the lock leaves when he lets go, once, unless he closes: nothing follows a Close frame.
func trialPingWhileHeld(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	o.Limits.PingInterval, o.Limits.PongTimeout = between(r, time.Second, 5*time.Second), time.Second
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	a.conn.mu.Lock()
	for range 1 + r.IntN(5) {
		s.world.Advance(o.Limits.PingInterval + late)
		s.turn(0)
	}
	a.serve()
	s.wants(len(a.got(OpPing)) == 0, "a ping leaves while somebody has the lock")
	if r.IntN(2) == 0 {
		a.conn.beginCloseLocked(nil)
		a.conn.unlock()
		s.settle()
		s.wants(len(a.heard) == 1 && a.closeCode() == StatusNoStatusRcvd && a.event.WasClean, "%v, %+v", a.heard, a.event)
		return s.finish()
	}
	a.conn.unlock()
	s.settle()
	s.wants(len(a.got(OpPing)) == 1 && a.conn.ReadyState() == Open && a.count("OnPong") == 1, "%d pings, %d pongs, %+v", len(a.got(OpPing)), a.count("OnPong"), a.event)
	return s.finish()
}

// What a peer had said, or how it had left, before a clock came due is what counts: the loop only had no time to look.
func trialClockAndEnd(r *rand.Rand) error {
	o := Options{Limits: quietly()}
	o.Limits.PingInterval, o.Limits.PongTimeout = time.Second, time.Second
	o.Limits.IdleTimeout = 10 * time.Second
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	a.answers = false
	s.pass(time.Second + late)
	s.wants(len(a.got(OpPing)) == 1, "no ping")
	what := r.IntN(4)
	switch what {
	case 0:
		a.end.Reset()
	case 1:
		a.end.CloseWrite()
	case 2:
		a.closes(4000)
		a.serve()
	case 3:
		a.message(OpText, []byte("late"), 1)
		a.serve()
	}
	s.world.Advance(time.Minute) // the machine slept
	s.settle()
	causes := s.engine.snapshot().Causes
	s.wants(causes["pong-timeout"] == 0 && causes["idle"] == 0, "a clock ended a connection of which something had come: %v %+v", causes, a.event)
	switch what {
	case 3:
		s.wants(len(a.messages) == 1 && a.conn.ReadyState() == Open, "%+v", a.event)
	case 2:
		s.wants(a.event.Code == 4000 && a.event.WasClean, "%+v", a.event)
	default:
		s.wants(a.event.Code == StatusAbnormalClosure && a.was("OnClose") && !errors.Is(a.event.Err, ErrPongTimeout), "%+v", a.event)
	}
	return s.finish()
}

// With the default clocks who answers pings lives for ever, and who sends is not even pinged.
func trialLives(r *rand.Rand) error {
	s := newRig(r, Options{})
	quiet, talks := s.comes(64<<10, 64<<10), s.comes(64<<10, 64<<10)
	for range 40 {
		s.pass(30 * time.Second)
		talks.say(OpText, true, []byte("x"))
		s.settle()
	}
	s.wants(quiet.conn.ReadyState() == Open && talks.conn.ReadyState() == Open, "%+v %+v", quiet.event, talks.event)
	s.wants(len(talks.got(OpPing)) == 0 && len(quiet.got(OpPing)) > 15, "%d pings, %d to the one who talks", len(quiet.got(OpPing)), len(talks.got(OpPing)))
	return s.finish()
}
