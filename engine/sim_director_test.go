package engine

import (
	"time"

	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// What moves a rig: turns, workers, time, and the end of the engine.

// turn is one turn of a loop.
func (s *rig) turn(i int) {
	s.turns++
	if !s.systems[i].turn() {
		s.loops[i].end()
		close(s.loops[i].done)
		s.ended[i] = true
	}
	s.check()
}

// waiting is how many connections wait for a worker.
func (w *workers) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queue.len()
}

// work is what a worker does next, if there is something.
func (s *rig) work() bool {
	w := s.engine.workers
	if w == nil || s.blocked || w.waiting() == 0 {
		return false
	}
	k := worker{pool: w}
	k.next()
	k.serve()
	s.check()
	return true
}

// settle turns everything until nothing is left to do but to wait.
func (s *rig) settle() {
	for range rigTurns {
		busy := s.background.run()
		busy = s.work() || busy
		for _, a := range s.actors {
			busy = a.serve() || busy
		}
		for i := range s.loops {
			if !s.ended[i] && !s.systems[i].Idle() {
				busy = true
				s.turn(i)
			}
		}
		if s.law != nil || !busy {
			return
		}
	}
	s.broke("nothing is settled after %d turns", rigTurns)
}

// pass lets time pass, and everything that is due happen when it is.
func (s *rig) pass(d time.Duration) {
	until := s.world.Now() + d
	for s.settle(); s.law == nil && s.world.Now() < until; s.settle() {
		next := until
		if at := s.world.NextAnswer(); at > s.world.Now() {
			next = min(next, at)
		}
		for i := range s.systems {
			if at := s.systems[i].Timer(); at != 0 && !s.ended[i] {
				next = min(next, at)
			}
		}
		s.world.Advance(max(next-s.world.Now(), 0))
	}
}

// check: what holds after every turn. The budget is what its holders hold, and the counters are what there is.
func (s *rig) check() {
	if err := s.world.Breach(); err != nil {
		s.broke("%v", err)
	}
	e := s.engine
	sum := int64(0)
	for _, h := range e.budget.holders {
		sum += h.bytes.Load()
	}
	s.wants(sum == e.budget.used.Load(), "the budget counts %d, its holders hold %d", e.budget.used.Load(), sum)
	var states [4]int64
	s.loops[0].table.each(func(c *Conn) bool {
		if c.phase > phaseOpening {
			states[c.ReadyState()]++
		}
		return true
	})
	st := s.engine.snapshot()
	s.wants(st.Open == states[Open] && st.Closing == states[Closing], "Stats count %d OPEN, %d CLOSING, there are %v", st.Open, st.Closing, states)
}

// goAway begins a shutdown, as Shutdown does.
func (s *rig) goAway() {
	s.engine.beginClosing()
	if door := s.door; s.client == nil {
		s.loops[0].post(task{call: func() { s.loops[0].closeListener(door, true, func() {}) }})
	}
	for _, l := range s.loops {
		l.post(task{call: l.goAway})
	}
	s.settle()
}

// finish ends the engine, and looks for what is left.
func (s *rig) finish() error {
	if s.law != nil {
		return s.law
	}
	s.blocked = false
	s.world.SetFaults(sim.Faults{})
	if !s.engine.closing.Load() {
		s.goAway()
	}
	for _, l := range s.loops {
		l.post(task{call: l.terminateAll})
	}
	s.settle()
	s.settle()
	for i := range s.loops {
		s.wants(s.ended[i], "loop %d does not end", i)
	}
	if s.law != nil {
		return s.law
	}
	for _, a := range s.actors {
		a.reads = true
		a.serve()
		s.wants((a.was("OnOpen") || a.ask != nil) == a.was("OnClose"), "actor %d: %v", a.id, a.events)
		if a.was("OnClose") {
			s.wants(a.event.WasClean == (a.event.Err == nil), "actor %d: %+v", a.id, a.event)
		}
	}
	// The general simulation knows what must not be left.
	m := &simulation{engine: s.engine, world: s.world, loops: s.loops, byConn: map[*Conn]*ledger{}}
	if m.checkNothingLeft(); m.law != nil {
		s.broke("%v", m.law)
	}
	return s.law
}
