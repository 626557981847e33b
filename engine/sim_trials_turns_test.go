package engine

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

var turnTrials = []trial{
	{"who has a word waits for few", trialFair},
	{"a long read takes turns", trialTurns},
	{"a wake serves only so many", trialWake},
}

// Many connections have work that takes several turns each; one says a word now and then. However many they are, it
// waits for a few turns of others, not for all of them.
func trialFair(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly(), Deflate: &deflate.Policy{}}, nil)
	const busy, words = 30, 100
	offer := []string{"", "Sec-WebSocket-Extensions: permessage-deflate\r\n"}[r.IntN(2)]
	step := 300 * time.Microsecond
	for range busy {
		a := s.call(64<<10, 64<<10)
		a.knock(offer)
		a.on = func(what string) { s.world.Advance(step) }
	}
	innocent := s.call(64<<10, 64<<10)
	innocent.knock(offer)
	s.settle()
	for _, a := range s.actors[:busy] {
		for range words {
			a.say(OpText, true, []byte("work"))
		}
		a.serve()
	}
	worst := time.Duration(0)
	for k := 0; k < 20 && s.law == nil; k++ {
		for range r.IntN(10) {
			s.turn(0)
		}
		n, since := len(innocent.messages), s.world.Now()
		innocent.say(OpText, true, []byte("word"))
		innocent.serve()
		for turns := 0; len(innocent.messages) == n && turns < 1000; turns++ {
			s.turn(0)
		}
		worst = max(worst, s.world.Now()-since)
	}
	// Two wakes, each with a turn's time and one turn more; and what becomes ready in the same wait.
	s.wants(worst <= 12*time.Millisecond, "a word waits %v while %d others have work", worst, busy)
	s.settle()
	for _, a := range s.actors[:busy] {
		s.wants(len(a.messages) == words, "%d of %d messages", len(a.messages), words)
	}
	return s.finish()
}

// What one read brings is not all worked off while the others wait; it is delivered in order, all of it.
func trialTurns(r *rand.Rand) error {
	s := newRig(r, Options{Limits: quietly()})
	a, other := s.comes(256<<10, 64<<10), s.comes(64<<10, 64<<10)
	a.on = func(string) { s.world.Advance(100 * time.Microsecond) }
	n := 500 + r.IntN(1000)
	for i := range n {
		a.message(OpText, fmt.Append(nil, i), 1)
	}
	a.serve()
	s.turn(0)
	before := len(a.messages)
	s.wants(before < n, "all %d messages in one turn", n)
	other.message(OpText, []byte("x"), 1)
	other.serve()
	for k := 0; k < 4 && len(other.messages) == 0; k++ {
		s.turn(0)
	}
	s.wants(len(other.messages) == 1 && len(a.messages) < n, "the other waited for %d messages", len(a.messages)-before)
	s.settle()
	for i, m := range a.messages {
		s.wants(m == fmt.Sprint(i), "message %d is %q", i, m)
	}
	s.wants(len(a.messages) == n, "%d of %d messages", len(a.messages), n)
	return s.finish()
}

// One wake goes on with unfinished work for about a turn's time, whatever waits: events come between.
func trialWake(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly(), Deflate: &deflate.Policy{}}, nil)
	const busy = 30
	for range busy {
		a := s.call(64<<10, 64<<10)
		a.knock("Sec-WebSocket-Extensions: permessage-deflate\r\n")
		a.on = func(string) { s.world.Advance(between(r, 300*time.Microsecond, 600*time.Microsecond)) }
	}
	s.settle()
	for _, a := range s.actors {
		for range 50 {
			a.say(OpText, true, []byte("work"))
		}
		a.serve()
	}
	s.turn(0)
	for k := 0; k < 50 && s.law == nil; k++ {
		since := s.world.Now()
		s.turn(0) // nothing but what is left
		took := s.world.Now() - since
		s.wants(took <= 5*time.Millisecond, "one wake takes %v", took)
	}
	s.settle()
	return s.finish()
}

// turnAll is what the loops do while a worker's callback runs.
func (s *rig) turnAll() {
	for range 20 {
		for i := range s.loops {
			if !s.ended[i] && !s.systems[i].Idle() {
				s.turn(i)
			}
		}
	}
}
