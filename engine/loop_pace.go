package engine

import "time"

// pace says when to look at the clock during work that goes by units of unknown size: frames,
// letters, connections. A look costs as much as a small frame, so it is not taken after each: as many units are
// done in between as take lookEvery at the rate that was seen last, and at most three times as many as were done before.
type pace struct {
	began  time.Duration
	looked time.Duration
	done   int // units
	seen   int // of them, at the last look
	next   int // how many are done at the next one
}

const (
	// lookEvery is the time between two looks: a turn is that much longer than its budget at most, while its units stay alike.
	lookEvery = turnBudget / 16
	// paceMost is how many units pass between two looks at most: those that come next may be slow ones.
	paceMost = 32
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
	most := min(3*p.done, paceMost)
	if took := now - p.looked; took > 0 {
		most = min(most, int(lookEvery*time.Duration(p.done-p.seen)/took))
	}
	p.looked, p.seen = now, p.done
	p.next = p.done + max(most, 1)
	return now - p.began
}
