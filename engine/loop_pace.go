package engine

import "time"

// pace says when to look at the clock during work that goes by units of unknown size: frames,
// letters, connections. A look costs as much as a small frame, so it is not taken after each: after the 1st, the
// 2nd, the 4th and the 8th, then after each 16th, and after each one while they are slow.
type pace struct {
	began  time.Duration
	looked time.Duration
	done   int // units
	seen   int // of them, at the last look
	next   int // how many are done at the next one
}

const (
	// paceMost is how many units pass between two looks at most.
	paceMost = 16
	// slowUnit: of units that take longer, paceMost would be more than a turn.
	slowUnit = turnBudget / paceMost
)

// begin begins at now; at 0 with the first look.
func (p *pace) begin(now time.Duration) { *p = pace{began: now, looked: now, next: 1} }

// due counts a unit, and tells whether to look now.
func (p *pace) due() bool {
	p.done++
	return p.done >= p.next
}

// ripe tells whether due did.
func (p *pace) ripe() bool { return p.done >= p.next }

// look is told the time, after units that nobody has looked at yet, and returns how much has passed since begin.
func (p *pace) look(now time.Duration) time.Duration {
	if p.began == 0 {
		p.began, p.looked = now, now
	}
	slow := now-p.looked > slowUnit*time.Duration(p.done-p.seen)
	p.looked, p.seen = now, p.done
	if p.next = p.done + min(p.done, paceMost); slow {
		p.next = p.done + 1
	}
	return now - p.began
}
