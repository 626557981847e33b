package local

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// quantum is the least time between two wakes of a lane: what falls due within it leaves together. It bounds how late the pacer itself makes a message.
	quantum = int64(100 * time.Microsecond)
	// nap is the longest that the pacer sleeps: a rate that rises must not wait for it.
	nap = int64(time.Millisecond)
)

// pacer wakes the lanes when something is due. It is one goroutine with a thread of its own, because the timers of Go's runtime are
// a millisecond late on an idle machine.
type pacer struct {
	ending atomic.Bool
	done   chan struct{}
}

func (p *pacer) begin(g *generator) {
	p.done = make(chan struct{})
	go p.run(g)
}

// end ends the goroutine, if there is one, and waits for it.
func (p *pacer) end() {
	p.ending.Store(true)
	if p.done != nil {
		<-p.done
	}
}

func (p *pacer) run(g *generator) {
	defer close(p.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	precise()
	for !p.ending.Load() {
		now := g.now()
		next := now + nap
		for _, l := range g.lanes {
			due := l.due.Load()
			if due <= now {
				l.wake(now)
				due = now + quantum
			}
			next = min(next, due)
		}
		sleep(max(next-g.now(), quantum))
	}
}
