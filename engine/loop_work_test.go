package engine

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// flood is a machine whose time goes on when work is done, and only then: each unit costs unitCost.
type flood struct {
	nullSystem
	now    time.Duration
	woken  atomic.Bool // by whoever posts
	input  map[int][]byte
	closed []int
	heard  map[int]int // messages, by descriptor
	before int         // what was written until the connections were open
}

const unitCost = 100 * time.Microsecond

func (f *flood) cost() { f.now += unitCost }

func (f *flood) Now() time.Duration { return f.now }
func (f *flood) Wake()              { f.woken.Store(true) }
func (f *flood) Close(fd int) error {
	f.closed = append(f.closed, fd)
	f.cost()
	return nil
}

func (f *flood) Read(fd int, p []byte) (int, error) {
	n := copy(p, f.input[fd])
	if f.input[fd] = f.input[fd][n:]; n == 0 {
		return 0, netio.ErrAgain
	}
	return n, nil
}

// floods are ways to give a loop more work than a wake can do. Each returns how many units of how many are done.
var floods = map[string]func(t *testing.T, l *loop, f *flood) (done func() int, of int){
	"graves": func(_ *testing.T, l *loop, f *flood) (func() int, int) {
		for fd := range 500 {
			l.bury(1000+fd, false)
		}
		return func() int { return len(f.closed) }, 500
	},
	"mail": func(t *testing.T, l *loop, f *flood) (func() int, int) {
		served := 0
		for i := range 500 {
			l.post(task{call: func() {
				if served != i {
					t.Errorf("letter %d is served after %d", i, served)
				}
				served++
				f.cost()
			}})
		}
		return func() int { return served }, 500
	},
	"turns": func(t *testing.T, l *loop, f *flood) (func() int, int) {
		for fd := range 10 {
			for range 50 {
				f.input[fd] = append(f.input[fd], maskedFrame(finBit|2, []byte("flood"))...)
			}
			l.OnEvent(fd, netio.Readable)
		}
		return func() (n int) {
			for fd := range 10 {
				n += f.heard[fd]
			}
			return n
		}, 500
	},
	"timers": func(_ *testing.T, l *loop, _ *flood) (func() int, int) {
		const n = 40
		for fd := range n {
			c := l.table.get(fd)
			c.times.opened = -time.Hour // MaxLifetime is up: OnClose costs time
			l.fire(int32(fd))
		}
		return func() int { return n - l.ready.len() }, n
	},
	"broadcasts": func(t *testing.T, l *loop, f *flood) (func() int, int) {
		asked := 0
		p, err := Prepare(OpText, []byte("to all"))
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			l.announce(p, func(*Conn) bool { asked++; f.cost(); return false })
		}
		return func() int { return asked }, 50 * 50
	},
	"resting": func(_ *testing.T, l *loop, _ *flood) (func() int, int) {
		const n = 20
		for range n {
			o := &Conn{loop: l}
			o.deflation.Store(new(deflation))
			l.restLater(o)
		}
		return func() int { return n - l.resting.len() }, n
	},
}

// flooded is a loop with 50 connections.
func flooded(t *testing.T) (*loop, *flood) {
	t.Helper()
	f := &flood{now: time.Hour, input: map[int][]byte{}, heard: map[int]int{}}
	s, err := NewServer(Funcs{
		Message: func(c *Conn, _ Message) { f.heard[int(c.fd)]++; f.cost() },
		Close:   func(*Conn, CloseEvent) { f.cost() },
	}, Options{Loops: 1, Limits: Limits{MaxLifetime: 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	l := s.newLoop(f, nil, nil)
	s.loops.Store(&[]*loop{l})
	for fd := range 50 {
		l.adopt(arrival{fd: fd})
		f.input[fd] = slices.Clone(nullRequest)
		l.OnEvent(fd, netio.Readable)
		if l.table.get(fd).ReadyState() != Open {
			t.Fatal("not open")
		}
	}
	f.rest(t, l)
	f.before = f.written
	return l, f
}

// rest has the loop wake until it asks for no more.
func (f *flood) rest(t *testing.T, l *loop) {
	t.Helper()
	for wakes := 0; f.woken.Load(); wakes++ {
		f.woken.Store(false)
		if l.OnWake(); wakes > 1000 {
			t.Fatal("the loop does not come to rest")
		}
	}
	l.OnBatchEnd()
}

// With however much work of one kind, or of all, a wake takes a turn's time and a step at most, an event is served
// between, and each kind goes on every few wakes until all is done.
func TestNoWorkHoldsTheLoop(t *testing.T) {
	kinds := [][]string{{"graves", "mail", "turns", "broadcasts", "resting"}, {"mail", "timers", "broadcasts"}}
	for name := range floods {
		kinds = append(kinds, []string{name})
	}
	for _, names := range kinds {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			l, f := flooded(t)
			done := map[string]func() int{}
			of, last := map[string]int{}, map[string]int{}
			for _, name := range names {
				done[name], of[name] = floods[name](t, l, f)
			}
			const innocent = 49
			stood := map[string]int{} // for how many wakes
			for wakes := 0; f.woken.Load(); wakes++ {
				f.woken.Store(false)
				began := f.now
				l.OnWake()
				if took := f.now - began; took > turnBudget+stepBudget+unitCost {
					t.Fatalf("wake %d took %v", wakes, took)
				}
				for _, name := range names {
					n := done[name]()
					if stood[name]++; n != last[name] {
						stood[name] = 0
					}
					if last[name] = n; stood[name] > 4 && n < of[name] {
						t.Fatalf("wake %d: no %s for %d wakes, %v", wakes, name, stood[name], last)
					}
				}
				if l.table.get(innocent) != nil && !slices.Contains(names, "timers") {
					before := f.heard[innocent]
					f.input[innocent] = maskedFrame(finBit|2, []byte("innocent"))
					if l.OnEvent(innocent, netio.Readable); f.heard[innocent] != before+1 {
						t.Fatalf("wake %d: the innocent's message was not served", wakes)
					}
				}
				if l.OnBatchEnd(); wakes > 2000 {
					t.Fatal("it does not end")
				}
			}
			for _, name := range names {
				if last[name] != of[name] || l.left() {
					t.Errorf("%d %s are done, of %d, and no wake is asked for", last[name], name, of[name])
				}
			}
		})
	}
}

// What is there when a wake begins is done in it if there is time, each kind after the one that it may leave work to;
// also where the wake before began in the middle, because the one before that had no time for more.
func TestLittleWorkIsDoneInOneWake(t *testing.T) {
	for next := range len(new(loop).kinds()) {
		l, _ := flooded(t)
		l.next = next
		l.OnWake()
		var order []string
		c := l.table.get(3)
		l.post(task{call: func() {
			order = append(order, "letter")
			c.flags |= timerDue
			l.enqueue(c)
		}})
		p, err := Prepare(OpText, []byte("to all"))
		if err != nil {
			t.Fatal(err)
		}
		l.announce(p, func(to *Conn) bool {
			if to == c {
				order = append(order, "broadcast")
			}
			return false
		})
		l.OnWake()
		if !slices.Equal(order, []string{"letter", "broadcast"}) || c.flags&(timerDue|enqueued) != 0 || l.left() {
			t.Error(order, c.flags&(timerDue|enqueued), l.left())
		}
	}
}

// What has fallen silent rests for a quarter of a turn at a wake, and by ones where anything else is left.
func TestRestingStandsBehindOthers(t *testing.T) {
	l, _ := flooded(t)
	if b := l.budgetOf(&l.resting); b != restBudget {
		t.Error("alone", b)
	}
	if b := l.budgetOf(&l.mail); b != stepBudget {
		t.Error("mail", b)
	}
	for name, begin := range map[string]func(){
		"mail":       func() { l.mail.letters = []task{{}} },
		"ready":      func() { l.enqueue(l.table.get(3)) },
		"broadcasts": func() { l.broadcasts.underWay = []broadcast{{}} },
	} {
		l.mail, l.ready, l.broadcasts.underWay = mail{}, readyConns{}, nil
		if begin(); l.budgetOf(&l.resting) != 0 {
			t.Errorf("behind %s: %v", name, l.budgetOf(&l.resting))
		}
	}
}

// Unfinished turns that had their time shorten those of who comes later, until the next wake.
func TestTurnsAreWholeAfterAWake(t *testing.T) {
	l, f := flooded(t)
	turn := func(fd int) int {
		before := f.heard[fd]
		f.input[fd] = bytes.Repeat(maskedFrame(finBit|2, []byte("flood")), 50)
		l.OnEvent(fd, netio.Readable)
		return f.heard[fd] - before
	}
	whole, last := turn(0), 0
	for fd := range 9 {
		last = turn(1 + fd)
	}
	if whole < int(turnBudget/unitCost) || last >= whole/2 {
		t.Errorf("%d messages, and after nine others %d", whole, last)
	}
	f.rest(t, l)
	if again := turn(20); again != whole {
		t.Errorf("%d messages, and after a wake %d", whole, again)
	}
}

// Whoever broadcasts more than the loops can do in the callback of a connection waits, exactly from there on.
func TestBroadcastersWaitAboveTheMost(t *testing.T) {
	l, f := flooded(t)
	e, c := l.engine, l.table.get(3)
	l.goroutine.Store(goroutineID())
	l.at = c
	e.broadcasting.Store(e.mostBroadcasting())
	if e.holdBroadcaster(); c.held() {
		t.Error("waits too early")
	}
	e.broadcasting.Add(1)
	if e.holdBroadcaster(); !c.held() {
		t.Error("does not wait")
	}
	l.at = nil
	c = l.table.get(4) // OnClose may broadcast too, and nothing is delivered behind it that could wait
	f.input[4] = peersClose
	l.OnEvent(4, netio.Readable)
	c.holds.Or(heldByBroadcasts)
	if c.awaitBroadcasts(); c.phase != phaseLingering || c.flags&pausedByBroadcasts != 0 || c.holds.Load() != 0 || e.broadcasters.Load() != 0 {
		t.Errorf("phase %d, flags %b, %d wait", c.phase, c.flags, e.broadcasters.Load())
	}
}

// A connection is asked for so many broadcasts at once, and then for the rest; their numbers come round, and none is 0.
func TestBroadcastsAreAskedForInParts(t *testing.T) {
	l, f := flooded(t)
	const all = mostAsked + 10
	l.broadcasts.last.Store(math.MaxUint32 - 5)
	l.broadcasts.taken = math.MaxUint32 - 5
	l.table.each(func(c *Conn) bool {
		c.asked = math.MaxUint32 - 5
		c.out.Skip(c.asked)
		return true
	})
	p, err := Prepare(OpText, []byte("to all"))
	if err != nil {
		t.Fatal(err)
	}
	c, asked := l.table.get(3), 0
	for range all {
		l.announce(p, func(to *Conn) bool {
			if to == c {
				asked++
			}
			return to == c
		})
	}
	l.broadcasts.take()
	weight := int64(all) * (&broadcast{p: p}).weight()
	if n := l.engine.broadcasting.Load(); n != weight {
		t.Errorf("%d bytes are under way, not %d", n, weight)
	}
	if l.ask(c) || asked != mostAsked {
		t.Errorf("asked for %d at once", asked)
	}
	if !l.ask(c) || asked != all {
		t.Errorf("asked for %d of %d", asked, all)
	}
	f.rest(t, l)
	if want := all * len(codec.AppendFrame(nil, OpText, true, false, []byte("to all"))); f.written-f.before != want || asked != all {
		t.Errorf("%d bytes leave, not %d; asked for %d", f.written-f.before, want, asked)
	}
	if last := l.broadcasts.last.Load(); last != all-5 || l.engine.broadcasting.Load() != 0 || l.broadcasts.left() {
		t.Errorf("the last one's number is %d, %d bytes are under way", last, l.engine.broadcasting.Load())
	}
}

// Those who broadcast go on when half of what may be under way is done, and not before.
func TestBroadcastersGoOnAtHalf(t *testing.T) {
	l, _ := flooded(t)
	e, c := l.engine, l.table.get(3)
	c.holds.Or(heldByBroadcasts)
	e.broadcasting.Store(e.mostBroadcasting()/2 + 1)
	c.awaitBroadcasts()
	l.OnWake()
	if c.flags&pausedByBroadcasts == 0 || !c.held() {
		t.Error("goes on too early")
	}
	e.broadcasting.Store(e.mostBroadcasting() / 2)
	e.releaseBroadcasters()
	l.OnWake()
	if c.flags&pausedByBroadcasts != 0 || c.held() || e.broadcasters.Load() != 0 {
		t.Error("does not go on")
	}
}

// A descriptor is closed in the wake after the next at the latest, and never in the wake in which it left the poller
// or in the one before which it did.
func TestGravesWaitForAnotherWake(t *testing.T) {
	l, f := flooded(t)
	l.bury(700, false) // before a wake, in the same turn perhaps
	l.post(task{call: func() { l.bury(701, false) }})
	var closed []int
	for range 3 {
		l.OnWake()
		closed = append(closed, len(f.closed))
	}
	if !slices.Equal(closed, []int{0, 1, 2}) && !slices.Equal(closed, []int{0, 2, 2}) || l.graves.left() {
		t.Errorf("closed %v: after each wake %v", f.closed, closed)
	}
}

// A doomed connection is closed behind the unit that doomed it, not behind the others of its step.
func TestDoomedAreServedBetweenUnits(t *testing.T) {
	l, _ := flooded(t)
	c := l.table.get(7)
	l.engine.budget.list(c)
	l.post(task{call: func() {
		l.engine.budget.mu.Lock()
		l.engine.budget.holders[0].shed = true
		l.engine.budget.mu.Unlock()
		c.todo.Or(todoShed)
		l.doomed.Store(true)
	}})
	var state ReadyState
	l.post(task{call: func() { state = c.ReadyState() }})
	l.OnWake()
	if state == Open {
		t.Error("the next letter found it open")
	}
}
