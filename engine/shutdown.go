package engine

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Shutdown stops accepting, closes every connection with 1001 once what is queued for it
// has left, lets Fallback finish the requests that it has, and waits until all are gone;
// a handshake that OnUpgrade put off (Later) may still be decided. When ctx ends first it terminates the rest and
// answers ctx's error. It answers ErrOnLoop on a loop and on a worker,
// which it would wait for.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.onLoop() || s.onWorker() {
		return ErrOnLoop
	}
	s.beginClosing()
	s.listening.closeAll(&s.engine, true)
	for _, l := range s.allLoops() {
		l.post(task{call: l.goAway})
	}
	s.fallback.shutDown(ctx)
	s.checkGone()
	var err error
	select {
	case <-s.gone:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.stop()
	return err
}

// Close ends every connection at once, and the server. It answers ErrOnLoop on a loop
// and on a worker.
func (s *Server) Close() error {
	if s.onLoop() || s.onWorker() {
		return ErrOnLoop
	}
	s.beginClosing()
	s.listening.closeAll(&s.engine, false)
	s.stop()
	return nil
}

func (e *engine) beginClosing() {
	e.mu.Lock()
	e.closing.Store(true)
	e.mu.Unlock()
}

func (e *engine) checkGone() {
	e.mu.Lock()
	none := e.total == 0
	e.mu.Unlock()
	if none {
		e.wakeGone.Do(func() { close(e.gone) })
	}
}

// goAway closes the loop's connections with 1001, and refuses those that have not made
// a request yet: an idle one would hold a Shutdown up until HandshakeTimeout. What waits
// for a late decision is the user's to end.
func (l *loop) goAway() { l.goAwayFrom(0) }

// goAwayFrom goes on with the table from a descriptor on, some at a time: each Close is a write.
func (l *loop) goAwayFrom(fd int) {
	for closed := 0; fd < l.table.slots(); fd++ {
		c := l.table.get(fd)
		if c == nil || c.loop != l {
			continue
		}
		if closed == closesPerLetter {
			l.post(task{call: func() { l.goAwayFrom(fd) }})
			return
		}
		closed++
		if c.ReadyState() == Open {
			_ = c.CloseWith(codeGoingAway, "server shutting down")
		} else if c.ReadyState() == Connecting && (c.opening == nil || c.opening.late == nil) {
			c.refuse(shuttingDown)
		}
	}
}

// closesPerLetter is how many connections are closed before the others are served.
const closesPerLetter = 32

// stop terminates what is left and ends the loops and the workers.
func (e *engine) stop() {
	e.mu.Lock()
	if e.stopped {
		e.mu.Unlock()
		e.waitLoops()
		return
	}
	e.stopped = true
	e.mu.Unlock()
	for _, l := range e.allLoops() {
		l.post(task{call: l.terminateAll})
	}
	e.fallback.stop()
	e.waitLoops()
	if e.workers != nil {
		e.workers.stop()
	}
}

func (e *engine) waitLoops() {
	for _, l := range e.allLoops() {
		<-l.done
	}
}

// terminateAll ends the loop's connections and then the loop itself. A connection whose
// lock is taken ends when its holder lets go, so the loop turns until none is left.
func (l *loop) terminateAll() {
	l.terminateEach()
	if l.conns.Load() > 0 {
		time.AfterFunc(time.Millisecond, func() { l.post(task{call: l.terminateAll}) })
		return
	}
	l.stop = true
}

// onLoop tells whether the caller runs on one of the engine's loops.
func (e *engine) onLoop() bool {
	id := goroutineID()
	for _, l := range e.allLoops() {
		if l.goroutine.Load() == id {
			return true
		}
	}
	return false
}

// loopGoroutines are the numbers of all loops' goroutines, of every engine in the process.
var loopGoroutines sync.Map

// onAnyLoop tells whether the caller runs on a loop, of whatever engine: a proxy's callback on one engine sends
// on another's connections.
func onAnyLoop() bool {
	_, yes := loopGoroutines.Load(goroutineID())
	return yes
}

// goroutineID is the number that runtime.Stack gives the calling goroutine. It is slow
// (a microsecond), and only calls that are about to wait ask for it.
func goroutineID() uint64 {
	var buf [32]byte
	n := runtime.Stack(buf[:], false)
	var id uint64
	for _, b := range buf[len("goroutine "):n] {
		if b < '0' || b > '9' {
			break
		}
		id = id*10 + uint64(b-'0')
	}
	return id
}
