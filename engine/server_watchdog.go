package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// The watch-dog finds callbacks that hold their loop: all other connections of that loop wait for them, and their author should know. It
// looks at the loops each watchTick while something moves, and rests while nothing does. Only one that it has found costs more:
// the stack of its goroutine, once a minute.
//
// It asks each loop whether it still turns (watched). One that has not answered at the next look is woken: if it was idle it answers now, and
// if it does not, it is held. What holds it is one callback if no step of the loop ends meanwhile. Time for which the watch-dog itself was late
// counts only in part: then the whole process stood, or has no processor.

const (
	// slowCallback is how long a callback may hold its loop before it is counted and logged.
	slowCallback = 100 * time.Millisecond
	// watchTick is the time between two looks: a callback is found two ticks after slowCallback at the latest, where nothing else is late.
	watchTick = 20 * time.Millisecond
	// logSlowEvery is how often one is logged. The others are counted.
	logSlowEvery = time.Minute
	// innocentFor is how long nobody is suspected after a stack showed that no callback held its loop: the machine is too busy.
	innocentFor = time.Second
	// lagWindow is how long the greatest lag is kept, and once more.
	lagWindow = 5 * time.Second
)

// watchdog is one engine's. It has a goroutine only while it looks.
type watchdog struct {
	engine *engine
	start  time.Time
	timer  *time.Timer // nil: nobody watches (the simulator's loops, whose time is their own)
	armed  atomic.Bool // the timer runs, or a look is under way
	over   atomic.Bool

	looking  sync.Mutex // a look is under way
	logged   time.Duration
	spared   time.Duration // until when nobody is suspected
	unlogged uint64        // callbacks counted since the last line

	mu     sync.Mutex
	looked time.Duration // the last time
	vigils []vigil       // of each loop
	lags   lags
}

// begin has it watch e's loops. Before the first of them runs.
func (d *watchdog) begin(e *engine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		return
	}
	d.engine, d.start = e, time.Now()
	d.logged = -logSlowEvery
	d.timer = time.AfterFunc(time.Hour, d.look)
	d.timer.Stop()
}

// end ends it. When it returns no look is under way. After the loops have ended.
func (d *watchdog) end() {
	d.over.Store(true)
	d.looking.Lock()
	defer d.looking.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}

// now is the time since it began.
func (d *watchdog) now() time.Duration { return time.Since(d.start) }

// call ends its rest. On a loop, which moves now.
func (d *watchdog) call() {
	if d.timer != nil && d.armed.CompareAndSwap(false, true) {
		d.timer.Reset(watchTick)
	}
}

// look is the timer's.
func (d *watchdog) look() {
	d.looking.Lock()
	defer d.looking.Unlock()
	if d.over.Load() {
		return
	}
	moves := d.lookAtAll(d.now())
	if !moves {
		d.armed.Store(false)
		// Whoever moved before that saw armed, and did not set the timer.
		if moves = d.anyMoves(); !moves || !d.armed.CompareAndSwap(false, true) {
			return
		}
	}
	d.timer.Reset(watchTick)
}

// lookAtAll reports whether one of the loops moves.
func (d *watchdog) lookAtAll(now time.Duration) bool {
	loops := d.engine.allLoops()
	var suspects []*loop
	d.mu.Lock()
	passed := min(now-d.looked, 2*watchTick)
	d.looked = now
	for len(d.vigils) < len(loops) {
		d.vigils = append(d.vigils, vigil{})
	}
	for i, l := range loops {
		v := &d.vigils[i]
		if late, answered := v.hear(&l.watched); answered {
			d.lags.add(now, late)
		}
		wake, suspect := v.look(&l.watched, now, passed)
		if wake {
			l.sys.Wake()
		}
		if suspect && now >= d.spared {
			v.told = true
			suspects = append(suspects, l)
		}
	}
	d.mu.Unlock()
	for _, l := range suspects {
		d.suspect(l, d.vigils[l.index])
	}
	return d.anyMoves()
}

func (d *watchdog) anyMoves() bool {
	for _, l := range d.engine.allLoops() {
		if l.watched.moves.Load() {
			return true
		}
	}
	return false
}

// vigil is what the watch-dog knows of a loop.
type vigil struct {
	asked bool          // and has not heard the answer
	woken bool          // it did not answer until the next look
	waits time.Duration // since when it was woken
	since time.Duration // since when no step has ended
	steps uint64        // that have ended before
	held  time.Duration // for how long that is, as far as it counts
	told  bool          // that was told
}

// hear takes the answer, if there is one.
func (v *vigil) hear(w *watched) (late time.Duration, answered bool) {
	if !v.asked || w.asked.Load() {
		return 0, false
	}
	*v = vigil{}
	return time.Duration(w.late.Load()), true
}

// look goes on with a loop, after passed: it asks, or has it woken, or suspects that one step holds it.
func (v *vigil) look(w *watched, now, passed time.Duration) (wake, suspect bool) {
	steps := w.steps.Load()
	switch {
	case !v.asked && !w.moves.Load():
	case !v.asked:
		*v = vigil{asked: true, steps: steps}
		w.askedAt.Store(int64(now))
		w.woken.Store(false)
		w.asked.Store(true)
	case !v.woken:
		v.woken, v.waits, v.since, v.steps = true, now, now, steps
		w.woken.Store(true)
		return true, false
	case v.steps != steps:
		v.since, v.steps, v.held, v.told = now, steps, 0, false
	default:
		v.held += passed
	}
	return false, v.held >= slowCallback && !v.told
}

// lags keeps the greatest of the last seconds.
type lags struct {
	began       time.Duration // of the window at hand
	now, before time.Duration // the greatest in it, and in the one before
}

func (g *lags) add(now, late time.Duration) {
	g.turn(now)
	g.now = max(g.now, late)
}

func (g *lags) turn(now time.Duration) {
	switch passed := now - g.began; {
	case passed >= 2*lagWindow:
		*g = lags{began: now}
	case passed >= lagWindow:
		*g = lags{began: g.began + lagWindow, before: g.now}
	}
}

// lag is Stats.LoopLag.
func (d *watchdog) lag() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil {
		return 0
	}
	now := d.now()
	d.lags.turn(now)
	worst := max(d.lags.now, d.lags.before)
	for i, l := range d.engine.allLoops() {
		if i == len(d.vigils) {
			break
		}
		switch v := &d.vigils[i]; {
		case v.asked && !l.watched.asked.Load():
			worst = max(worst, time.Duration(l.watched.late.Load()))
		case v.asked && v.woken:
			worst = max(worst, now-v.waits)
		}
	}
	return worst
}
