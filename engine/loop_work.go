package engine

import "time"

// What a loop has to do beside its events is work. It is done at a wake, in units that are short each, and by
// nobody else than goOn, which alone decides who is next, in what order, and for how long:
//
//	work         a unit                                   order
//	graves       a descriptor is closed                   as they left the poller
//	mail         a letter is served                       as they were posted
//	ready        a connection goes on: its timer, its     first come, first served; who is not done
//	             turn, a slice, what it has to hear       then goes behind the others
//	broadcasts   a connection is asked for what it has    by number, round the table
//	             not been asked for
//	resting      a connection rests                       as they came; one a step where others wait
//
// Each kind has a step in turn: units for half a millisecond. When a turn's time is over the poller is asked again, and
// the next wake goes on with the kind that is next. So however much there is of one kind, whoever has something to
// say waits for that time, and another kind for a few wakes. What an event does within its own turn is no work.
type work interface {
	// begin begins a step with what is there now, and reports whether that is anything.
	begin(l *loop) (more bool)
	// unit does one unit, and reports whether more of what begin found is left.
	unit(l *loop) (more bool)
	// left reports whether there is something for another wake.
	left() bool
}

const (
	// turnBudget is how long one connection may keep its loop before the others are served, and how long
	// all work may, at a wake.
	turnBudget = time.Millisecond
	// stepBudget is how long one kind of work may, and a turn that goes on.
	stepBudget = turnBudget / 2
	// restBudget: thousands that fell silent at the same time must not stand in front of those that have something to do.
	restBudget = turnBudget / 4
	// spentBudget is how long unfinished turns may take in all before whoever comes later
	// gets but a step: forty bombs that arrive at once would keep the others for 40 ms.
	spentBudget = 2 * turnBudget
)

// kinds are all kinds of work.
func (l *loop) kinds() [5]work {
	return [...]work{&l.graves, &l.mail, &l.ready, &l.broadcasts, &l.resting}
}

// goOn gives each kind of work a step. It reports whether that was all: no work is left for another wake.
func (l *loop) goOn() (all bool) {
	began := l.now
	kinds := l.kinds()
	for range kinds {
		w := kinds[l.next]
		l.next = (l.next + 1) % len(kinds)
		if w.begin(l) && l.step(w)-began >= turnBudget {
			return false
		}
	}
	l.next = 0
	return !l.left()
}

// step does a kind's units until its time is over or they are done. It returns the time.
func (l *loop) step(w work) time.Duration {
	budget := l.budgetOf(w)
	var p pace
	p.begin(l.now)
	for more := true; more; {
		more = w.unit(l)
		l.stepped()
		if l.doomed.Load() {
			l.serveDoomed()
		}
		if p.due() {
			if l.look(); p.look(l.now) >= budget {
				break
			}
		}
	}
	return l.now
}

func (l *loop) budgetOf(w work) time.Duration {
	switch {
	case w != work(&l.resting):
		return stepBudget
	case l.ready.left() || l.mail.left() || l.broadcasts.left():
		return 0 // one unit
	}
	return restBudget
}

// left reports whether there is work for another wake.
func (l *loop) left() bool {
	for _, w := range l.kinds() {
		if w.left() {
			return true
		}
	}
	return false
}

// readyConns are the connections with an unfinished turn, a slice to make, a timer that fired, or something to hear.
type readyConns struct {
	fifo[*Conn]
	round int // of them, how many were there when the step began: each goes on once
}

func (r *readyConns) begin(*loop) bool {
	r.round = r.len()
	return r.round > 0
}

func (r *readyConns) left() bool { return r.len() > 0 }

func (r *readyConns) unit(*loop) bool {
	r.round--
	r.pop().goOn()
	return r.round > 0
}

// enqueue has c's unfinished work gone on with, when the others were served.
func (l *loop) enqueue(c *Conn) {
	if c.flags&enqueued == 0 {
		c.flags |= enqueued
		l.ready.push(c)
		l.sys.Wake()
	}
}

// goOn goes on with what c has not finished.
func (c *Conn) goOn() {
	l := c.loop
	c.flags &^= enqueued
	if c.flags&timerDue != 0 {
		c.flags &^= timerDue
		c.onTimer()
	}
	if c.phase != phaseBuried {
		l.nextTurn(c)
		c.nextSlice()
		l.hearOn(c)
	}
	if c.flags&hearDue != 0 {
		c.flags &^= hearDue
		c.hear()
	}
}

// fire is the wheel's callback. The timers of thousands may be due together, so they are work.
func (l *loop) fire(fd int32) {
	c := l.table.get(int(fd))
	c.flags |= timerDue
	l.enqueue(c)
}
