package netio

import "time"

// readyQueue is a list of connections that may have something to report, each at most
// once. It belongs to its Bridge's mu, links included.
type readyQueue struct{ first, last *carried }

func (q *readyQueue) push(k *carried) {
	if k.queued {
		return
	}
	k.queued = true
	if q.last == nil {
		q.first = k
	} else {
		q.last.behind = k
	}
	q.last = k
}

func (q *readyQueue) pop() *carried {
	k := q.first
	if k == nil {
		return nil
	}
	q.first = k.behind
	if q.first == nil {
		q.last = nil
	}
	k.queued, k.behind = false, nil
	return k
}

// Run implements System.
func (b *Bridge) Run(h Handler) error {
	if b.telling != nil { // the handler has ended its goroutine
		b.told()
	}
	for {
		b.report(h)
		expired := b.expired() // both are asked: one call serves both
		alive := !b.woken.Swap(false) && !expired || h.OnWake()
		h.OnBatchEnd()
		if !alive {
			return nil
		}
		if b.idle() {
			<-b.signal
		}
	}
}

// report is one turn: it tells the handler of each connection that was in the queue
// when it began. One that still is ready afterwards goes to the end for the next turn,
// which is what makes the events level-triggered.
func (b *Bridge) report(h Handler) {
	b.mu.Lock()
	end := b.ready.last
	b.mu.Unlock()
	for k := end; k != nil; {
		b.mu.Lock()
		k = b.ready.pop()
		b.mu.Unlock()
		if ev := k.events(); ev != 0 {
			b.telling = k
			h.OnEvent(k.fd, ev)
			b.told()
		}
		if k == end {
			return
		}
	}
}

// told brings the connection that the handler was told of back for the next turn, if it is still ready.
func (b *Bridge) told() {
	b.telling.requeue()
	b.telling = nil
}

func (b *Bridge) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ready.first == nil
}

func (b *Bridge) enqueue(k *carried) {
	b.mu.Lock()
	b.ready.push(k)
	b.mu.Unlock()
	b.poke()
}

// poke makes Run look again; several before it does are one.
func (b *Bridge) poke() {
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// Wake implements System.
func (b *Bridge) Wake() {
	if !b.woken.Load() && b.woken.CompareAndSwap(false, true) {
		b.poke()
	}
}

// Now implements System.
func (b *Bridge) Now() time.Duration { return time.Since(b.start) }

// SetTimer implements System.
func (b *Bridge) SetTimer(at time.Duration) {
	b.armed = at
	if at == 0 {
		b.timer.Stop()
		return
	}
	b.timer.Reset(max(at-b.Now(), 0))
}

// expired tells whether the timer is due, and disarms it then. A firing that SetTimer
// overtook is not one; the timer that it set is still to come.
func (b *Bridge) expired() bool {
	if !b.fired.Swap(false) || b.armed == 0 || b.Now() < b.armed {
		return false
	}
	b.armed = 0
	return true
}

// Release implements System.
func (b *Bridge) Release() error {
	b.timer.Stop()
	return nil
}
