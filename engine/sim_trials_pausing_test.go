package engine

import (
	"fmt"
	"math/rand/v2"
	"time"
)

var pausingTrials = []trial{
	{"Pause and Resume", trialPause},
	{"Pause in OnMessage", trialPauseInside},
	{"a reset while nobody reads", trialResetUnread},
	{"closing resumes", trialClosingResumes},
	{"Post", trialPost},
	{"Broadcast", trialBroadcast},
	{"a broadcast for others", trialBroadcastPassesBy},
}

// While paused nothing that comes is delivered; Resume delivers all of it, in order.
func trialPause(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	if r.IntN(2) == 0 {
		s.rough()
	}
	a := s.comes(1000+r.IntN(64<<10), 64<<10)
	n := 0
	says := func(k int) {
		for range k {
			a.message(OpText, fmt.Append(nil, n), 1+r.IntN(3))
			n++
		}
		s.settle()
	}
	for range 1 + r.IntN(4) {
		says(r.IntN(10))
		s.wants(len(a.messages) == n, "%d of %d messages", len(a.messages), n)
		a.conn.Pause()
		s.settle()
		before := n
		says(1 + r.IntN(200))
		s.pass(between(r, 0, time.Minute))
		s.wants(len(a.messages) == before && a.count("OnPing") == 0, "%d messages are delivered while paused", len(a.messages)-before)
		s.wants(a.conn.SendText("sending goes on") == nil, "Send while paused")
		s.settle()
		if r.IntN(3) == 0 { // for nothing
			a.conn.Pause()
		}
		a.conn.Resume()
		s.settle()
	}
	s.wants(len(a.messages) == n, "%d of %d messages", len(a.messages), n)
	for i, m := range a.messages {
		s.wants(m == fmt.Sprint(i), "message %d is %q", i, m)
	}
	return s.finish()
}

// Pause in a callback holds what was read already, compressed or not: the next message waits for Resume.
func trialPauseInside(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly()})
	a := s.comes(64<<10, 64<<10)
	n := 2 + r.IntN(60)
	at := 1 + r.IntN(n-1)
	a.on = func(string) {
		if len(a.messages)%at == 0 {
			a.conn.Pause()
		}
	}
	for i := range n {
		a.message(OpText, fmt.Append(nil, i), 1)
	}
	s.settle()
	s.wants(len(a.messages) == at, "%d messages, Pause was called in the one before %d", len(a.messages), at)
	for k := 0; k < n && len(a.messages) < n; k++ {
		a.conn.Resume()
		s.settle()
	}
	s.wants(len(a.messages) == n, "%d of %d messages", len(a.messages), n)
	return s.finish()
}

// A peer that is not read, and resets, is noticed all the same: the connection is looked at every few seconds.
func trialResetUnread(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly()})
	a := s.comes(64<<10, 2000)
	if r.IntN(2) == 0 {
		a.conn.Pause()
	} else {
		a.relimit(func(l *Limits) { l.HighWater, l.LowWater = 1000, 500 })
		a.fill(5000)
	}
	s.pass(between(r, 0, time.Minute))
	a.end.Reset()
	began := s.world.Now()
	s.pass(probeInterval + late)
	a.cameBetween("OnClose", began, 0, probeInterval)
	s.wants(a.event.Code == StatusAbnormalClosure && !a.event.WasClean && a.count("OnError") == 1, "%+v", a.event)
	return s.finish()
}

// Closing resumes reading, whatever had stopped it: the peer's Close is found behind all that it had sent.
func trialClosingResumes(r *rand.Rand) error {
	o := Options{Limits: quietly(), InboxBytes: 3000}
	how := r.IntN(3)
	if how == 2 {
		o.Workers = 1
	}
	s := newRig(r, o)
	a := s.comes(2000, 2000)
	switch how {
	case 0:
		a.conn.Pause()
	case 1:
		a.relimit(func(l *Limits) { l.HighWater, l.LowWater = 1000, 500 })
		a.fill(5000)
	case 2:
		s.blocked = true
	}
	s.settle()
	for range 1 + r.IntN(40) {
		a.message(OpBinary, make([]byte, r.IntN(1000)), 1)
	}
	s.settle()
	if a.answers = false; r.IntN(2) == 0 { // behind it all
		a.closes(4004)
	} else {
		a.answers = true
	}
	s.settle()
	before := len(a.messages)
	_ = a.conn.CloseWith(4004, "")
	a.reads, s.blocked = true, false
	s.settle()
	s.wants(a.event.WasClean && a.event.Code == 4004 && len(a.messages) == before, "%+v, %d messages after Close", a.event, len(a.messages)-before)
	return s.finish()
}

// What is posted runs in the sequence, once, in order, and not after OnClose.
func trialPost(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: r.IntN(2)})
	if r.IntN(2) == 0 {
		s.rough()
	}
	a := s.comes(64<<10, 64<<10)
	posted, ran := 0, 0
	post := func() {
		k := posted
		posted++
		err := a.conn.Post(func(c *Conn) {
			s.wants(!a.inside && k == ran && c == a.conn && !a.was("OnClose"), "posting %d runs after %d, inside another callback: %v", k, ran, a.inside)
			ran++
			s.wants(c.SendText("x") == nil || c.ReadyState() != Open, "Send")
		})
		s.wants(err == nil, "Post: %v", err)
	}
	for range 1 + r.IntN(10) {
		if post(); r.IntN(2) == 0 {
			a.say(OpText, true, []byte("between"))
		}
		if r.IntN(3) == 0 {
			s.settle()
		}
	}
	s.settle()
	s.wants(ran == posted && len(a.got(OpText)) == ran, "%d of %d postings ran, %d messages", ran, posted, len(a.got(OpText)))
	_ = a.conn.Close()
	s.settle()
	s.wants(a.conn.Post(func(*Conn) { s.broke("a posting after OnClose") }) == ErrClosed, "Post in CLOSED")
	s.settle()
	return s.finish()
}

// A broadcast reaches those who are asked for, once each, on every loop; not those who close.
func trialBroadcast(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Loops: 1 + r.IntN(3), Workers: r.IntN(2)})
	for range 1 + r.IntN(8) {
		s.comes(64<<10, 64<<10)
	}
	out := s.actors[r.IntN(len(s.actors))]
	if r.IntN(2) == 0 {
		_ = out.conn.Close()
	}
	closing := out.conn.ReadyState() != Open
	n := 1 + r.IntN(4)
	for i := range n {
		p, _ := Prepare(OpText, fmt.Append(nil, i))
		s.engine.broadcast(p, func(c *Conn) bool { return s.of(c) != out || closing })
	}
	s.settle()
	for _, a := range s.actors {
		want := n
		if a == out {
			want = 0
		}
		got := a.got(OpText)
		s.wants(len(got) == want, "actor %d got %d of %d broadcasts", a.id, len(got), want)
		for i, h := range got {
			s.wants(h.body == fmt.Sprint(i), "broadcast %d arrives as %q", i, h.body)
		}
	}
	return s.finish()
}

// What waits for a broadcast counts for the marks until the broadcast has come, also where it was for others: then OnDrain
// comes, though nothing leaves with it.
func trialBroadcastPassesBy(r *rand.Rand) error {
	o := Options{Limits: quietly(), Workers: r.IntN(2)}
	o.Limits.Overflow, o.Limits.MaxBufferedAmount = DropMessage, 1+r.Int64N(2000)
	s := newRig(r, o)
	a := s.comes(64<<10, 64<<10)
	c := a.conn
	w := c.NewWriter(OpText)
	_, err := w.Write([]byte("begun"))
	if err == nil && r.IntN(3) > 0 {
		err = c.SendText("behind it")
	}
	p, _ := Prepare(OpText, []byte("for others"))
	s.engine.broadcast(p, func(*Conn) bool { return false })
	full := c.SendBinary(make([]byte, 2<<20))
	s.wants(err == nil && full == ErrBufferFull, "%v, %v", err, full)
	if r.IntN(3) == 0 {
		s.turn(0)
	}
	s.wants(w.Close() == nil, "the writer's Close")
	s.settle()
	a.message(OpText, []byte("x"), 1)
	s.settle()
	s.wants(a.count("OnHighWater") == 1 && a.count("OnDrain") == 1 && len(a.messages) == 1, "%v", a.events)
	return s.finish()
}
