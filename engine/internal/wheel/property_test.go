package wheel

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var seed = flag.Uint64("wheel.seed", 0, "run the property test with this seed only")

// slow is the obvious twin: a list that is searched from end to end.
type slow struct {
	tick time.Duration
	due  map[int32]time.Duration // rounded up to a tick, later than now
	now  time.Duration           // a tick
}

func (s *slow) schedule(name int32, at time.Duration) {
	if r := at % s.tick; r > 0 {
		at += s.tick - r
	}
	s.due[name] = max(at, s.now+s.tick)
}

func (s *slow) advance(now time.Duration) []int32 {
	var names []int32
	s.now = max(s.now, now-now%s.tick)
	for name, at := range s.due {
		if at <= s.now {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *slow) first() (at time.Duration, ok bool) {
	for _, d := range s.due {
		if !ok || d < at {
			at, ok = d, true
		}
	}
	return at, ok
}

func TestAgainstTheSlowTwin(t *testing.T) {
	seeds := []uint64{*seed}
	if *seed == 0 {
		seeds = seeds[:0]
		for i := range uint64(60) {
			seeds = append(seeds, i+1, rand.Uint64())
		}
	}
	for _, seed := range seeds {
		if !runAgainstTwin(t, rand.New(rand.NewPCG(seed, 0))) {
			t.Fatalf("replay with -wheel.seed=%d", seed)
		}
	}
}

// runAgainstTwin drives both with the same calls, callbacks included.
func runAgainstTwin(t *testing.T, r *rand.Rand) bool {
	const nodes = 40
	tick := time.Duration(1+r.IntN(20)) * ms
	slots := 64 << r.IntN(3)
	w, table := newTable(tick, slots, nodes)
	s := &slow{tick: tick, due: map[int32]time.Duration{}}
	now := time.Duration(0)
	reach := int64(tick) * int64(slots) * 3
	change := func() {
		name := int32(r.IntN(nodes))
		if r.IntN(4) == 0 {
			w.Cancel(name)
			delete(s.due, name)
			return
		}
		at := now + time.Duration(r.Int64N(reach)-reach/20)
		w.Schedule(name, at)
		s.schedule(name, at)
	}
	for range 400 {
		for range r.IntN(6) {
			change()
		}
		if !checkNext(t, w, s) {
			return false
		}
		now += time.Duration(r.Int64N(reach / int64(1+r.IntN(500))))
		if !advanceBoth(t, w, s, now, func() {
			for range r.IntN(3) {
				change()
			}
		}) {
			return false
		}
		for name := range table {
			if _, in := s.due[int32(name)]; in != table[name].Scheduled() {
				t.Errorf("node %d: twin says %v, wheel says %v", name, in, !in)
				return false
			}
		}
		if w.Len() != len(s.due) {
			t.Errorf("%d nodes, want %d", w.Len(), len(s.due))
			return false
		}
	}
	return true
}

// advanceBoth checks that the wheel fires what the twin says, except for what a
// callback cancelled or moved before its turn came.
func advanceBoth(t *testing.T, w *Wheel, s *slow, now time.Duration, inCallback func()) bool {
	ok := true
	waiting := map[int32]bool{}
	for _, name := range s.advance(now) {
		waiting[name] = true
	}
	w.Advance(now, func(name int32) {
		if at, in := s.due[name]; !in || at > s.now || !waiting[name] {
			t.Errorf("node %d fired at %v, due %v (scheduled: %v)", name, now, at, in)
			ok = false
		}
		delete(waiting, name)
		delete(s.due, name)
		inCallback()
	})
	for name := range waiting {
		if at, in := s.due[name]; in && at <= s.now {
			t.Errorf("node %d did not fire at %v, due %v", name, now, at)
			ok = false
		}
	}
	return ok
}

// checkNext: armed exactly when there is something, not after the first deadline,
// and before it only to look at a later revolution.
func checkNext(t *testing.T, w *Wheel, s *slow) bool {
	first, some := s.first()
	next, armed := w.Next()
	if armed != some || armed && (next > first || next <= s.now) {
		t.Errorf("Next is %v %v at %v, the first deadline is %v %v", next, armed, s.now, first, some)
		return false
	}
	return true
}
