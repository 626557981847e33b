package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// CloseWrite: whoever has said all still hears the peer, at the handler's pace, and not for ever. And SetHandler.

var hearingOnTrials = []trial{
	{"CloseWrite", trialCloseWrite},
	{"CloseWrite above HighWater", trialCloseWriteHigh},
	{"CloseWrite of a handler that lags", trialCloseWriteLags},
	{"CloseWrite of a handler that pauses for ever", trialCloseWritePaused},
	{"CloseWrite, and the peer is gone", trialCloseWriteLost},
	{"CloseWrite, and a panic", trialCloseWritePanic},
	{"SetHandler", trialSetHandler},
}

// numbered sends messages with the numbers from..to-1.
func (a *actor) numbered(from, to int) {
	for i := from; i < to; i++ {
		a.message(OpText, fmt.Append(nil, i), 1+a.s.rng.IntN(3))
	}
}

// heardNumbers: the handler got n messages, in order.
func (a *actor) heardNumbers(n int) {
	a.s.wants(len(a.messages) == n, "%d of %d messages; %v", len(a.messages), n, a.events)
	for i, m := range a.messages {
		a.s.wants(m == fmt.Sprint(i), "message %d is %q", i, m)
	}
}

// Whatever held the reading before: what the peer says until its Close is delivered, in CLOSING, and the end is clean.
func trialCloseWrite(r *rand.Rand) error {
	o := Options{Limits: quietly(), InboxBytes: 2000, Workers: r.IntN(2)}
	s := newRig(r, o)
	if r.IntN(2) == 0 {
		s.rough()
	}
	a := s.comes(1000+r.IntN(64<<10), 2000)
	goOn := func() {}
	if how := r.IntN(3); how != 2 {
		_, goOn = a.unread(how)
	}
	a.answers = false
	n := r.IntN(100)
	a.numbered(0, n)
	s.settle()
	_ = a.conn.CloseWrite()
	s.wants(a.conn.ReadyState() == Closing && a.conn.SendText("late") == ErrClosed, "%v after CloseWrite", a.conn.ReadyState())
	more := n + r.IntN(100)
	a.numbered(n, more)
	if r.IntN(2) == 0 {
		s.settle()
	}
	a.closes(StatusNormalClosure)
	if goOn(); r.IntN(2) == 0 {
		a.conn.Pause()
		s.pass(between(r, 0, 10*time.Second))
	}
	a.reads = true
	a.conn.Resume()
	s.settle()
	a.heardNumbers(more)
	s.wants(a.event.WasClean && a.event.Code == StatusNormalClosure && a.closeCode() == StatusNormalClosure, "%+v, the peer got %d", a.event, a.closeCode())
	return s.finish()
}

// A peer that does not take its answers gets its messages delivered all the same: who has nothing more to say has no HighWater.
func trialCloseWriteHigh(r *rand.Rand) error {
	o := Options{Limits: quietly(), Workers: 1}
	o.Limits.HighWater, o.Limits.LowWater = 1000, 500
	s := newServerRig(r, o, nil)
	a := s.comes(64<<10, 3000)
	s.blocked = true
	n := 1 + r.IntN(100)
	a.numbered(0, n)
	s.settle()
	a.fill(5000)
	s.blocked = false
	s.settle()
	s.wants(len(a.messages) == 0, "%d messages above HighWater", len(a.messages))
	_ = a.conn.CloseWrite()
	s.settle()
	a.heardNumbers(n)
	a.reads = true
	s.settle()
	s.wants(a.event.WasClean && a.event.Code == StatusNormalClosure, "%+v", a.event)
	return s.finish()
}

// A handler that lags behind is our own doing: CloseTimeout does not count meanwhile, whether the peer's Close was read or waits.
func trialCloseWriteLags(r *rand.Rand) error {
	o := Options{Limits: quietly(), Workers: 1, MaxClosing: time.Hour}
	o.Limits.CloseTimeout = between(r, time.Second, 5*time.Second)
	if r.IntN(2) == 0 {
		o.InboxBytes = 1 + r.Int64N(2000)
	}
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	s.blocked = true
	n := 10 + r.IntN(100)
	if a.answers = false; r.IntN(2) == 0 { // the peer closes first
		a.numbered(0, n)
		a.closes(StatusNormalClosure)
		s.settle()
		_ = a.conn.CloseWrite()
	} else {
		_ = a.conn.CloseWrite()
		a.numbered(0, n)
		a.closes(StatusNormalClosure)
	}
	s.pass(between(r, 2, 10) * o.Limits.CloseTimeout)
	s.wants(!a.was("OnClose") && a.conn.ReadyState() == Closing, "cut off while the handler lags: %+v", a.event)
	s.blocked = false
	s.settle()
	a.heardNumbers(n)
	s.wants(a.event.WasClean && a.event.Code == StatusNormalClosure, "%+v", a.event)
	return s.finish()
}

// A handler that never resumes has MaxClosing, with the peer's Close read or not.
func trialCloseWritePaused(r *rand.Rand) error {
	o := Options{Limits: quietly(), Workers: r.IntN(2)}
	o.Limits.CloseTimeout = between(r, time.Second, 5*time.Second)
	o.MaxClosing = between(r, 10*time.Second, 20*time.Second)
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	a.answers, s.blocked = false, true
	a.on = func(what string) {
		if what == "OnMessage" {
			a.conn.Pause()
			_ = a.conn.CloseWrite()
		}
	}
	a.numbered(0, 2+r.IntN(20))
	if r.IntN(2) == 0 {
		a.closes(StatusNormalClosure)
	}
	s.settle()
	s.blocked = false
	s.settle()
	began := s.world.Now()
	s.wants(len(a.messages) == 1 && a.conn.ReadyState() == Closing, "%d messages, %v", len(a.messages), a.conn.ReadyState())
	s.pass(2 * o.MaxClosing)
	a.cameBetween("OnClose", began, o.MaxClosing, o.MaxClosing)
	s.wants(len(a.messages) == 1 && a.event.Code == StatusAbnormalClosure && errors.Is(a.event.Err, ErrCloseTimeout), "%d messages, %+v", len(a.messages), a.event)
	return s.finish()
}

// A peer that is gone, with messages that wait for a handler that pauses: MaxClosing ends that as well.
func trialCloseWriteLost(r *rand.Rand) error {
	o := Options{Limits: quietly(), MaxClosing: between(r, 10*time.Second, 20*time.Second)}
	s := newRig(r, o)
	a := s.comes(64<<10, 3000)
	a.fill(5000)
	a.on = func(what string) {
		if what == "OnMessage" && len(a.messages) == 1 {
			a.conn.Pause()
		}
	}
	n := 2 + r.IntN(20)
	a.numbered(0, n)
	s.settle()
	_ = a.conn.CloseWrite()
	s.settle()
	a.end.Reset()
	began := s.world.Now()
	if resumes := r.IntN(2) == 0; resumes {
		s.pass(between(r, 0, o.MaxClosing/2))
		s.wants(!a.was("OnClose"), "it ends while messages wait: %+v", a.event)
		a.conn.Resume()
		s.settle()
		a.heardNumbers(n)
		s.pass(o.MaxClosing)
		s.wants(a.was("OnClose"), "%v", a.conn.ReadyState())
		return s.finish()
	}
	s.pass(2 * o.MaxClosing)
	a.cameBetween("OnClose", began, 0, o.MaxClosing+hearTime)
	s.wants(a.event.Code == StatusAbnormalClosure && !a.event.WasClean && a.count("OnError") == 1, "%+v", a.event)
	return s.finish()
}

// A handler that panics after CloseWrite hears no more messages, and OnError says why.
func trialCloseWritePanic(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	a := s.comes(64<<10, 64<<10)
	last := 1 + r.IntN(10)
	a.on = func(what string) {
		if what != "OnMessage" {
			return
		}
		if len(a.messages) == 1 {
			_ = a.conn.CloseWrite()
		}
		if len(a.messages) == last {
			a.inside = false
			panic("on purpose")
		}
	}
	a.answers = false
	a.numbered(0, last+r.IntN(20))
	s.settle()
	a.heardNumbers(last)
	s.wants(a.was("OnClose") && a.event.Code == StatusAbnormalClosure && errors.Is(a.event.Err, ErrHandlerPanic), "%v, %+v", a.conn.ReadyState(), a.event)
	return s.finish()
}

// SetHandler in a callback: the next one is the other's, whatever was read already; each message and the end come once.
func trialSetHandler(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	if r.IntN(2) == 0 {
		s.rough()
	}
	a := s.comes(64<<10, 64<<10)
	n := 2 + r.IntN(60)
	at, byChunk, second, part := 1+r.IntN(n-1), r.IntN(2) == 0, 0, ""
	other := s.handler(nil)
	other.Upgrade, other.Ping = nil, nil
	whole := other.Message
	other.Message = func(c *Conn, m Message) { second++; whole(c, m) }
	if byChunk {
		other.Chunk = func(c *Conn, k Chunk) {
			s.wants(k.First == (part == ""), "a chunk that is the first: %v, after %q", k.First, part)
			if part += string(k.Data); k.Last {
				whole(c, Message{Op: k.Op, Data: []byte(part)})
				second++
				part = ""
			}
		}
	}
	a.on = func(what string) {
		if what == "OnMessage" && len(a.messages) == at && second == 0 {
			s.wants(a.conn.SetHandler(other) == nil && a.conn.Handler() != nil, "SetHandler")
		}
	}
	for i := range n {
		a.numbered(i, i+1)
		a.say(OpPing, true, nil)
	}
	s.settle()
	a.heardNumbers(n)
	s.wants(second == n-at, "the other handler got %d messages, not %d", second, n-at)
	s.wants(a.count("OnPing") == at-1, "OnPing was called %d times; the handler after message %d has none", a.count("OnPing"), at)
	if err := a.conn.SetLimits(Limits{MaxMessageSize: 1000}); r.IntN(2) == 0 && err == nil {
		_ = a.conn.Close()
	} else {
		a.closes(StatusNormalClosure)
	}
	s.settle()
	s.wants(a.count("OnClose") == 1 && a.event.WasClean && a.conn.Handler() != nil, "%v %+v", a.events, a.event)
	return s.finish()
}
