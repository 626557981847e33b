package wheel

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"
)

// table is the simplest owner: a slice of nodes, named by index.
type table []Node

func (t table) at(name int32) *Node { return &t[name] }

func newTable(tick time.Duration, slots, nodes int) (*Wheel, table) {
	t := make(table, nodes)
	return New(tick, slots, t.at), t
}

const ms = time.Millisecond

func fired(w *Wheel, now time.Duration) []int32 {
	var names []int32
	w.Advance(now, func(name int32) { names = append(names, name) })
	slices.Sort(names)
	return names
}

func wantFired(t *testing.T, w *Wheel, now time.Duration, want ...int32) {
	t.Helper()
	if got := fired(w, now); !slices.Equal(got, want) {
		t.Fatalf("at %v fired %v, want %v", now, got, want)
	}
}

func TestNeverEarlyAtMostOneTickLate(t *testing.T) {
	w, _ := newTable(10*ms, 64, 4)
	w.Schedule(0, 10*ms)
	w.Schedule(1, 11*ms)
	w.Schedule(2, 20*ms)
	w.Schedule(3, 0) // passed already: the next tick
	wantFired(t, w, 9*ms)
	wantFired(t, w, 10*ms, 0, 3)
	wantFired(t, w, 19*ms+999*time.Microsecond)
	wantFired(t, w, 20*ms, 1, 2)
	if w.Len() != 0 {
		t.Fatalf("%d nodes left", w.Len())
	}
}

func TestFarTimersWaitForTheirRevolution(t *testing.T) {
	w, nodes := newTable(ms, 64, 3)
	w.Schedule(0, 5*ms)
	w.Schedule(1, (5+64)*ms)
	w.Schedule(2, (5+640)*ms)
	wantFired(t, w, 5*ms, 0)
	wantFired(t, w, 68*ms)
	wantFired(t, w, 69*ms, 1)
	wantFired(t, w, 644*ms)
	if !nodes[2].Scheduled() {
		t.Fatal("the far node is gone")
	}
	wantFired(t, w, 10*time.Second, 2)
}

func TestScheduleMoves(t *testing.T) {
	w, _ := newTable(ms, 64, 1)
	w.Schedule(0, 5*ms)
	w.Schedule(0, 9*ms)
	wantFired(t, w, 8*ms)
	wantFired(t, w, 9*ms, 0)
	w.Schedule(0, 100*ms)
	w.Schedule(0, 20*ms)
	wantFired(t, w, 20*ms, 0)
	wantFired(t, w, 200*ms)
}

func TestClockThatStandsOrGoesBack(t *testing.T) {
	w, _ := newTable(ms, 64, 1)
	w.Schedule(0, 5*ms)
	wantFired(t, w, 4*ms)
	wantFired(t, w, 4*ms)
	wantFired(t, w, 1*ms)
	wantFired(t, w, 5*ms, 0)
}

// A callback may do anything to any node: those due in the same slot included.
func TestCallbackChangesItsOwnSlot(t *testing.T) {
	for victim := range int32(5) {
		for actor := range int32(5) {
			t.Run(fmt.Sprintf("%d cancels %d", actor, victim), func(t *testing.T) {
				w, nodes := newTable(ms, 64, 5)
				for name := range int32(5) {
					w.Schedule(name, 3*ms)
				}
				times := make([]int, 5)
				acted := false
				w.Advance(3*ms, func(name int32) {
					times[name]++
					if name == actor {
						acted = true
						w.Cancel(victim)
						w.Schedule(actor, (3+64)*ms) // the same slot, one revolution on
					}
				})
				for name, n := range times {
					if n > 1 || n == 0 && int32(name) != victim {
						t.Errorf("node %d fired %d times", name, n)
					}
				}
				if acted != nodes[actor].Scheduled() {
					t.Errorf("acted %v, scheduled again %v", acted, nodes[actor].Scheduled())
				}
				wantFired(t, w, 66*ms)
			})
		}
	}
}

func TestRescheduleForNowFiresInALaterCall(t *testing.T) {
	w, _ := newTable(ms, 64, 1)
	w.Schedule(0, ms)
	n := 0
	again := func(name int32) { n++; w.Schedule(name, 0) }
	w.Advance(10*ms, again)
	if n != 1 {
		t.Fatalf("fired %d times in one call", n)
	}
	w.Advance(11*ms, again)
	if n != 2 {
		t.Fatalf("fired %d times after the next tick", n)
	}
}

func TestNextIsNeverLate(t *testing.T) {
	w, _ := newTable(10*ms, 64, 3)
	if at, ok := w.Next(); ok {
		t.Fatalf("an empty wheel is armed for %v", at)
	}
	w.Schedule(0, 95*ms)
	if at, _ := w.Next(); at != 100*ms {
		t.Fatalf("armed for %v, want 100ms", at)
	}
	w.Schedule(1, 15*ms)
	if at, _ := w.Next(); at != 20*ms {
		t.Fatalf("armed for %v, want 20ms", at)
	}
	w.Cancel(1)
	wantFired(t, w, 60*ms)
	if at, _ := w.Next(); at != 100*ms {
		t.Fatalf("armed for %v, want 100ms", at)
	}
	w.Cancel(0)
	w.Cancel(0)
	if at, ok := w.Next(); ok {
		t.Fatalf("armed for %v after the last was cancelled", at)
	}
}

func TestExtremeDeadlines(t *testing.T) {
	w, nodes := newTable(ms, 64, 2)
	w.Schedule(0, math.MaxInt64)
	w.Schedule(1, math.MinInt64)
	wantFired(t, w, 24*time.Hour, 1)
	if !nodes[0].Scheduled() {
		t.Fatal("the farthest timer fired within a day")
	}
}

func TestNewRefuses(t *testing.T) {
	for _, bad := range []struct {
		tick  time.Duration
		slots int
	}{{0, 64}, {ms - 1, 64}, {ms, 0}, {ms, 32}, {ms, 65}, {ms, 1 << 21}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%v, %d) did not panic", bad.tick, bad.slots)
				}
			}()
			New(bad.tick, bad.slots, nil)
		}()
	}
}

func TestAllocatesNothing(t *testing.T) {
	w, _ := newTable(ms, 256, 1000)
	now := time.Duration(0)
	fire := func(name int32) { w.Schedule(name, now+time.Duration(name)*ms) }
	n := testing.AllocsPerRun(200, func() {
		for name := range int32(1000) {
			w.Schedule(name, now+time.Duration(name%300)*ms)
		}
		now += 50 * ms
		w.Advance(now, fire)
		w.Next()
	})
	if n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// A callback may end its goroutine (runtime.Goexit): the next Advance fires what this one left, and Next says so.
func TestExitInFire(t *testing.T) {
	nodes := make([]Node, 40)
	w := New(time.Millisecond, 64, func(name int32) *Node { return &nodes[name] })
	for i := range nodes { // several a tick, over several ticks and more than a revolution
		w.Schedule(int32(i), time.Duration(1+i/4*9)*time.Millisecond)
	}
	fired := map[int32]int{}
	for range nodes {
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.Advance(200*time.Millisecond, func(name int32) {
				fired[name]++
				if name == 7 {
					w.Schedule(name, 300*time.Millisecond)
				}
				runtime.Goexit()
			})
		}()
		<-done
		if at, ok := w.Next(); ok && w.Len() > 1 && at > 200*time.Millisecond {
			t.Fatalf("%d nodes are overdue, and Next is %v", w.Len()-1, at)
		}
	}
	for i := range nodes {
		if fired[int32(i)] != 1 {
			t.Errorf("node %d fired %d times", i, fired[int32(i)])
		}
	}
	if at, ok := w.Next(); !ok || at > 300*time.Millisecond || w.Len() != 1 {
		t.Error(at, ok, w.Len())
	}
}
