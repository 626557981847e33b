package engine

import (
	"fmt"
	"math/rand/v2"
)

var workerTrials = []trial{
	{"an inbox fills and eases", trialInbox},
	{"a letter into an inbox that eases", trialInboxLetter},
	{"workers keep order", trialWorkersOrder},
	{"the peer ends behind an inbox", trialInboxEnd},
	{"an inbox in the budget", trialInboxBudget},
}

// With the workers blocked no more than InboxBytes, and what one read brings, is taken; then all comes, in order, and
// the loop answers pings all the while.
func trialInbox(r *rand.Rand) error {
	inbox := 2000 + r.IntN(20_000)
	s := newRig(r, Options{Limits: quietly(), Workers: 1 + r.IntN(2), InboxBytes: int64(inbox)})
	room := 500 + r.IntN(2000)
	a := s.comes(room, 64<<10)
	n := 0
	for range 1 + r.IntN(3) {
		s.blocked = true
		a.say(OpPing, true, []byte("the loop"))
		s.settle()
		s.wants(len(a.got(OpPong)) > 0, "no pong while the workers are blocked")
		before := len(a.messages)
		for sum := 0; sum < 5*inbox; n++ {
			size := r.IntN(1000)
			a.message(OpBinary, append(fmt.Appendf(nil, "%d ", n), make([]byte, size)...), 1)
			sum += size
		}
		s.settle()
		held := s.engine.snapshot().Buffers.OutBytes
		s.wants(len(a.pend) > inbox, "the peer got rid of all but %d, InboxBytes is %d", len(a.pend), inbox)
		s.wants(len(a.messages) == before && held < int64(4*(inbox+room)+256<<10), "%d messages, %d bytes are held", len(a.messages)-before, held)
		s.blocked = false
		s.settle()
	}
	s.wants(len(a.messages) == n, "%d of %d messages", len(a.messages), n)
	for i, m := range a.messages {
		var k int
		_, _ = fmt.Sscan(m, &k)
		s.wants(k == i, "message %d is %d", i, k)
	}
	return s.finish()
}

// An inbox that is full stops reading until it is half empty. What comes into it meanwhile, a posting, changes nothing
// in that: reading goes on some time. A worker takes 64 letters at once, so there is more of them.
func trialInboxLetter(r *rand.Rand) error {
	const all, inbox = 400, 50_000 // some 190 letters
	s := newRig(r, Options{Limits: quietly(), Workers: 1, InboxBytes: inbox})
	a := s.comes(64<<10, 64<<10)
	a.message(OpBinary, make([]byte, 1200), 1) // it runs alone
	posted := 0
	a.on = func(what string) {
		switch {
		case what != "OnMessage":
		case len(a.messages) == 1: // the loop reads on, and fills the inbox
			for range all {
				a.message(OpBinary, make([]byte, 100), 1)
			}
			a.serve()
			s.turnAll()
		case r.IntN(20) == 0:
			s.wants(a.conn.Post(func(*Conn) { posted++ }) == nil, "no posting")
			s.turnAll()
		}
	}
	s.settle()
	s.wants(posted > 0 && len(a.messages) == 1+all, "%d postings, %d of %d messages: nothing is read any more", posted, len(a.messages), 1+all)
	return s.finish()
}

// Two connections and more on few workers: each in its order, and what is sent leaves in order.
func trialWorkersOrder(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: 2, Loops: 1 + r.IntN(2)})
	if r.IntN(2) == 0 {
		s.rough()
	}
	n := 1 + r.IntN(150)
	for range 1 + r.IntN(4) {
		a := s.comes(64<<10, 64<<10)
		a.on = func(what string) {
			if what == "OnMessage" {
				_ = a.conn.SendText(a.messages[len(a.messages)-1])
				if r.IntN(20) == 0 {
					s.turnAll()
				}
			}
		}
	}
	for i := range n {
		for _, a := range s.actors {
			a.message(OpText, fmt.Append(nil, i), 1)
		}
		if r.IntN(10) == 0 {
			s.settle()
		}
	}
	s.settle()
	for _, a := range s.actors {
		got := a.got(OpText)
		s.wants(len(got) == n, "%d of %d answers", len(got), n)
		for i, h := range got {
			s.wants(h.body == fmt.Sprint(i), "answer %d is %q", i, h.body)
		}
	}
	return s.finish()
}

// What the peer had sent before its end is delivered first; the state is OPEN until then.
func trialInboxEnd(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: 1})
	a := s.comes(64<<10, 64<<10)
	s.blocked = true
	n := 1 + r.IntN(200)
	for i := range n {
		a.message(OpText, fmt.Append(nil, i), 1)
	}
	s.settle()
	how := r.IntN(4)
	switch how {
	case 0:
		a.closes(4005)
	case 1:
		a.serve()
		a.end.CloseWrite()
	case 2:
		a.pend = append(a.pend, 0xff, 0xff)
	case 3:
		a.end.Reset()
	}
	s.settle()
	s.wants(a.conn.ReadyState() == Open, "%v with %d messages to deliver", a.conn.ReadyState(), n)
	s.pass(between(r, 0, 1e10))
	s.blocked = false
	s.settle()
	s.wants(len(a.messages) == n && a.was("OnClose"), "%d of %d messages, %v", len(a.messages), n, a.event)
	s.wants(a.event.WasClean == (how == 0) && a.was("OnError") == (how != 0), "%+v", a.event)
	return s.finish()
}

// What waits for the workers is charged to InboundBudget, and given back when it was delivered, or dropped.
func trialInboxBudget(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly(), Workers: 1, InboxBytes: 8 << 20, InboundBudget: 1 << 20})
	a, b := s.comes(64<<10, 64<<10), s.comes(64<<10, 64<<10)
	s.blocked = true
	fill := func(k *actor, n int) {
		for ; n > 0; n -= 1000 {
			k.message(OpBinary, make([]byte, 1000), 1)
		}
		s.settle()
	}
	fill(b, 200_000)
	some := s.engine.snapshot().InboundBytes
	s.wants(some >= 200_000-reserveBytes && some < 500_000, "%d are charged for 200 messages of 1,000", some)
	if r.IntN(2) == 0 { // too much: the one that holds most is closed, and its messages are dropped
		fill(a, 1_500_000)
		s.wants(s.engine.snapshot().InboundBytes < 500_000, "%d are charged yet", s.engine.snapshot().InboundBytes)
		s.blocked = false
		s.settle()
		s.wants(a.closeCode() == StatusTryAgainLater && b.conn.ReadyState() == Open, "told %d, the other is %v", a.closeCode(), b.conn.ReadyState())
	} else {
		fill(a, 100_000)
	}
	s.blocked = false
	s.settle()
	s.wants(len(b.messages) == 200 && s.engine.snapshot().InboundBytes == 0, "%d messages, %d are charged", len(b.messages), s.engine.snapshot().InboundBytes)
	return s.finish()
}
