package sim

import (
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// report is one entry of what a poller found: a descriptor's event, or the wake-up.
type report struct {
	fd   int
	ev   netio.Event
	wake bool
}

// Turn is one turn of the poller: what is ready at its beginning is reported, one after
// the other, even if it changes meanwhile. It reports false when the handler ended the loop.
func (s *System) Turn(h netio.Handler) (alive bool) {
	s.world.mu.Lock()
	found := s.collect()
	s.turn++
	s.calls = 0
	s.turning = true
	s.world.mu.Unlock()
	defer s.endTurn()
	alive = s.report(h, found)
	h.OnBatchEnd()
	return alive
}

// report reports what was found, until the handler ends the loop.
func (s *System) report(h netio.Handler, found []report) (alive bool) {
	for _, r := range found {
		if !r.wake {
			s.event(true)
			h.OnEvent(r.fd, r.ev)
			s.event(false)
			continue
		}
		s.world.mu.Lock()
		s.woken = false // before OnWake: who wakes from here on is heard next time
		s.world.mu.Unlock()
		if !h.OnWake() {
			return false
		}
	}
	return true
}

// event begins or ends an event.
func (s *System) event(begins bool) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if s.inEvent = begins; begins {
		s.events++
	}
}

func (s *System) endTurn() {
	s.world.mu.Lock()
	s.turning, s.inEvent = false, false
	s.world.mu.Unlock()
}

// collect is what the poller finds, in any order.
func (s *System) collect() []report {
	w := s.world
	var found []report
	for fd, k := range w.sockets {
		if k == nil || k.sys != s || k.watched == 0 {
			continue
		}
		ev := k.ready(w.now) & k.watched
		if k.broken != nil && w.rng.IntN(2) == 0 {
			ev = netio.Readable | netio.Writable // a poller may report an error as both
		}
		switch {
		case ev == 0 && w.chance(w.faults.Spurious):
			ev = k.watched
		case ev != 0 && w.chance(w.faults.Omit):
			ev = 0
		}
		if ev != 0 {
			found = append(found, report{fd: fd, ev: ev})
		}
	}
	if s.wakes() {
		found = append(found, report{wake: true})
	}
	w.rng.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	return found
}

// wakes tells whether OnWake runs in this turn.
func (s *System) wakes() bool {
	w := s.world
	if s.timer != 0 && w.now >= s.timer && !w.chance(w.faults.LateTimer) {
		s.timer, s.woken = 0, true
	}
	if s.woken {
		return !w.chance(w.faults.LateWake)
	}
	return w.chance(w.faults.IdleWake)
}

// Idle tells whether a turn would find nothing, now or later, but the timer.
func (s *System) Idle() bool {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if s.woken || s.timer != 0 && s.world.now >= s.timer {
		return false
	}
	for _, k := range s.world.sockets {
		if k != nil && k.sys == s && k.ready(s.world.now)&k.watched != 0 {
			return false
		}
	}
	return true
}

// Timer is when the loop's timer is due; 0 when it is not set.
func (s *System) Timer() time.Duration {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.timer
}

// idleTime is what passes, in the world and outside, when a loop of its own goroutine has nothing to do.
const idleTime = 20 * time.Microsecond

// Run implements netio.System for a loop with a goroutine of its own. A turn that finds
// nothing lets a little time pass.
func (s *System) Run(h netio.Handler) error {
	for s.Turn(h) {
		if s.Idle() {
			s.world.Advance(idleTime)
			time.Sleep(idleTime)
		}
	}
	return nil
}
