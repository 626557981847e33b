package local

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// mostDialling is how many connections may be under way at a time: so many handshakes a server, and the backlog of its
// listening socket, should take.
const mostDialling = 500

// opener begins connections, at a rate. It is a goroutine.
type opener struct {
	gen    *generator
	rate   float64
	kick   chan struct{} // there may be something to do
	done   chan struct{} // closed when it has ended
	stop   context.CancelFunc
	moving atomic.Int64 // under way
	wanted atomic.Int64 // slots of the share that should have a connection

	mu     sync.Mutex
	fresh  int     // of those, the first that had their attempt since they are wanted
	back   []*peer // to be begun again
	failed error   // of the generator itself
}

func newOpener(g *generator, rate float64) *opener {
	return &opener{gen: g, rate: rate, kick: make(chan struct{}, 1), done: make(chan struct{})}
}

// begin starts the goroutine.
func (o *opener) begin() {
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	go o.run(ctx)
}

// end ends the goroutine, and waits for it.
func (o *opener) end() {
	if o.stop != nil {
		o.stop()
		<-o.done
	}
}

// settled says that an attempt is over.
func (o *opener) settled() {
	o.moving.Add(-1)
	o.poke()
}

// again has p's connection begun once more.
func (o *opener) again(p *peer) {
	o.mu.Lock()
	o.back = append(o.back, p)
	o.mu.Unlock()
	o.poke()
}

// want says how many slots should have a connection.
func (o *opener) want(n int) {
	o.mu.Lock()
	o.wanted.Store(int64(n))
	o.fresh = min(o.fresh, n) // who is wanted again later has another attempt
	o.mu.Unlock()
	o.poke()
}

func (o *opener) poke() {
	select {
	case o.kick <- struct{}{}:
	default:
	}
}

// next is a peer whose connection should begin; nil: there is none.
func (o *opener) next() *peer {
	o.mu.Lock()
	defer o.mu.Unlock()
	wanted := int(o.wanted.Load())
	for o.fresh < wanted {
		p := o.gen.slot(o.fresh)
		o.fresh++
		if p.claim() {
			return p
		}
	}
	for len(o.back) > 0 {
		p := o.back[0]
		o.back = o.back[1:]
		if o.gen.indexOf(p) < wanted && p.claim() {
			return p
		}
	}
	return nil
}

// idle tells whether all that should have a connection have one, or have failed.
func (o *opener) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed != nil || o.fresh >= int(o.wanted.Load()) && o.moving.Load() == 0 && len(o.back) == 0
}

func (o *opener) run(ctx context.Context) {
	defer close(o.done)
	step := time.Duration(float64(time.Second) / max(o.rate, 1e-3)) // a share without connections has no rate
	for due := time.Now(); ctx.Err() == nil; {
		var p *peer
		if o.moving.Add(1) <= mostDialling {
			p = o.next()
		}
		if p == nil {
			o.moving.Add(-1)
			select {
			case <-o.kick:
			case <-ctx.Done():
				return
			}
			due = later(due, time.Now().Add(-step)) // what was not asked for is not made up for
			continue
		}
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
		}
		due = later(due.Add(step), time.Now().Add(-catchUp))
		if err := o.gen.start(p); err != nil {
			o.mu.Lock()
			o.failed = err
			o.mu.Unlock()
			return
		}
	}
}

// catchUp is how far the opener may be behind its rate and still make up for it: a timer that fires late should not lower the rate, and
// a server that stalls should not be met by a burst.
const catchUp = 50 * time.Millisecond

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// failure is why no more connections can be begun, whatever the server says.
func (o *opener) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}
