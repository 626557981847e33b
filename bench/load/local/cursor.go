package local

import "math"

// cursor says when the next thing is due, and whose turn it is. Things are due at even distances, and slots have their turns in an order
// that only the seed and their number decide. A change of the rate keeps the part of the distance that has passed: so there is neither a
// burst nor a gap where rates meet, however often they do. Times are nanoseconds.
type cursor struct {
	next    float64 // when the next thing is due; +Inf: nothing is
	step    float64 // from one to the next; +Inf: the rate is 0
	passed  float64 // the part of a distance that had passed when the rate became 0
	from    float64 // when it begins
	seed    uint64
	count   uint64 // of turns since the number of slots changed
	slots   uint64
	stride  uint64
	changes []change // that are due before next, the first of them first
}

// change is another rate, from a time on.
type change struct {
	at    float64
	step  float64
	slots uint64
}

// stopped is a cursor that nothing is due on.
func stopped() cursor { return cursor{from: math.Inf(1), next: math.Inf(1), step: math.Inf(1)} }

// begin has things due from at on, rate of them a second; the first one when phase, of 0 to 1, of a distance has passed.
func (c *cursor) begin(at int64, rate float64, slots int, phase float64, seed uint64) {
	*c = cursor{from: float64(at), seed: seed, step: math.Inf(1), next: math.Inf(1), passed: 1 - phase}
	c.apply(change{float64(at), stepOf(rate, slots), uint64(slots)})
}

// turn changes the rate and the number of slots, from at on. What was due before stays due, at its time.
func (c *cursor) turn(at int64, rate float64, slots int) {
	c.changes = append(c.changes, change{max(float64(at), c.from), stepOf(rate, slots), uint64(slots)})
	c.settle()
}

func stepOf(rate float64, slots int) float64 {
	if slots <= 0 || rate <= 0 {
		return math.Inf(1)
	}
	return 1e9 / rate
}

// settle applies the changes that come before the next thing.
func (c *cursor) settle() {
	for len(c.changes) > 0 && c.changes[0].at <= c.next {
		c.apply(c.changes[0])
		c.changes = append(c.changes[:0], c.changes[1:]...)
	}
}

func (c *cursor) apply(k change) {
	if !math.IsInf(c.step, 1) {
		c.passed = 1 - (c.next-k.at)/c.step
	}
	if c.step = k.step; math.IsInf(c.step, 1) {
		c.next = math.Inf(1)
	} else {
		c.next = k.at + (1-c.passed)*c.step
	}
	if k.slots != c.slots {
		c.slots, c.count, c.stride = k.slots, 0, strideOf(k.slots)
	}
}

// pop is the next thing that was due at now or before.
func (c *cursor) pop(now int64) (due int64, slot int, ok bool) {
	if c.next > float64(now) {
		return 0, 0, false
	}
	due = int64(math.Round(c.next))
	slot = int((c.seed + c.count*c.stride) % c.slots)
	c.count++
	c.next += c.step
	c.settle()
	return due, slot, true
}

// when is when the next thing is due.
func (c *cursor) when() int64 {
	if c.next >= never {
		return never
	}
	return int64(c.next)
}

// strideOf is a number that has no factor in common with n, near its golden section: slots that have their turns one after the other lie far apart.
func strideOf(n uint64) uint64 {
	for s := uint64(float64(n)*0.6180339887) | 1; ; s++ {
		if gcd(s, n) == 1 {
			return s
		}
	}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
