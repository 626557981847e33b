package local

import (
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

// lane is one event loop and the connections that live on it. What is below "loop" is touched in that loop's callbacks alone, so
// nothing of it needs a lock; whoever else wants to touch it asks do.
type lane struct {
	gen    *generator
	index  int
	client *engine.Client
	tick   func(*engine.Conn) // l.ticked, made once

	live     atomic.Int64                // connections that may still call back, and what is about to be one; seized: somebody is in do
	anchor   atomic.Pointer[engine.Conn] // an open connection, through which the loop is reached
	pieces   atomic.Pointer[[][]peer]    // the connections' notes, in pieces of pieceSize, so that a peer stays where it is
	started  atomic.Pointer[engine.Conn] // the newest: stands in where none is open
	due      atomic.Int64                // when the pacer has to wake the loop
	wokenAt  atomic.Int64                // when it was woken and has not come yet; 0: it was not
	openNow  atomic.Int64                // connections that are open: for whoever looks from outside
	attempts atomic.Int64                // since the last report
	expected atomic.Int64                // fan-out: deliveries that should come of what this lane's writers sent, since the beginning

	// loop
	shelves     shelves
	tally       *load.Tally
	room        []byte // the message being made
	compare     []byte // the one that should have come
	measure     int64
	stage       stage
	messages    cursor
	pings       cursor
	leaving     cursor // churn
	resuming    resumptions
	chores      chores
	outstanding int64 // messages that wait for their answers, or to be sent
	delivered   int64 // fan-out: deliveries since the beginning
}

// pieceSize is how many peers come at a time.
const pieceSize = 512

// never is a time that does not come.
const never = math.MaxInt64

// stage is how far a lane is.
type stage uint8

const (
	connecting stage = iota // nothing is sent
	running
	ending // nothing new is sent
	over   // every connection that opens is closed
)

// seized is lane.live while somebody outside of the loop has the lane.
const seized = -1

// enter says that a connection is about to begin. Any goroutine.
func (l *lane) enter() {
	for {
		n := l.live.Load()
		if n != seized && l.live.CompareAndSwap(n, n+1) {
			return
		}
		runtime.Gosched()
	}
}

// leave says that a connection calls back no more. It is the last that its last callback does.
func (l *lane) leave() { l.live.Add(-1) }

// How long a loop is waited for. One that dials, on a machine that is far too busy, may have seconds of work before it.
const (
	patience   = time.Minute
	reportable = 2 * time.Second // a report leaves out a lane that is later: what it did is in the next one
)

// do runs f where nothing else of the lane runs: on its loop, or here if there is no connection that could call back. It answers
// false, and does not run f, when the loop is not reached in time. Any goroutine but the loop's.
func (l *lane) do(within time.Duration, f func()) bool {
	var taken atomic.Bool
	done := make(chan struct{})
	letter := func(*engine.Conn) {
		if taken.CompareAndSwap(false, true) {
			f()
			close(done)
		}
	}
	for end := time.Now().Add(within); ; {
		if l.live.CompareAndSwap(0, seized) {
			mine := taken.CompareAndSwap(false, true)
			if mine {
				f()
			}
			l.live.Store(0)
			if mine {
				return true
			}
		}
		l.post(letter)
		select {
		case <-done:
			return true
		case <-time.After(20 * time.Millisecond): // the connection may be gone, and the letter with it
		}
		if time.Now().After(end) && taken.CompareAndSwap(false, true) {
			return false
		}
	}
}

// post has f called on the loop, if a connection is there for it. Any goroutine.
func (l *lane) post(f func(*engine.Conn)) bool {
	for _, c := range [...]*engine.Conn{l.anchor.Load(), l.started.Load()} {
		if c != nil && c.Post(f) == nil {
			return true
		}
	}
	return false
}

// peer is what there is of a slot. Any goroutine may ask where it is.
func (l *lane) peer(slot int) *peer { return &(*l.pieces.Load())[slot/pieceSize][slot%pieceSize] }

// slots is how many peers there are room for.
func (l *lane) slots() int { return len(*l.pieces.Load()) * pieceSize }

// grow makes room for n peers.
func (l *lane) grow(n int) {
	pieces := slices.Clone(*l.pieces.Load())
	for have := len(pieces) * pieceSize; have < n; have += pieceSize {
		piece := make([]peer, pieceSize)
		for i := range piece {
			piece[i].slot, piece[i].lane = int32(have+i), uint8(l.index)
		}
		pieces = append(pieces, piece)
	}
	l.pieces.Store(&pieces)
}

// anchorGone looks for another anchor, from the one that is gone on. On the loop.
func (l *lane) anchorGone(p *peer) {
	l.wokenAt.Store(0) // the wake may have gone with it
	for i, n := 1, l.slots(); i < n; i++ {
		if q := l.peer((int(p.slot) + i) % n); q.open {
			l.anchor.Store(q.conn)
			l.schedule(l.gen.now())
			return
		}
	}
	l.anchor.Store(nil)
}
