package engine

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/codec"
)

// stopGrace is how long Shutdown waits for the loops and workers once its context has ended.
const stopGrace = 100 * time.Millisecond

// Shutdown stops accepting, closes every connection with 1001 once what is queued for it
// has left, lets Fallback finish the requests that it has, and waits until all are gone;
// a handshake that OnUpgrade put off (Later) may still be decided. When ctx ends first it terminates the rest and
// answers ctx's error, a tenth of a second later at most: callbacks and Fallback's requests that still run are not waited for,
// and when they return their loops and workers end, after OnClose. It answers ErrOnLoop on a loop and on a worker,
// which it would wait for.
//
// Serve and ListenAndServe return when Shutdown does, so a main that ends with either of them loses nobody. Give ctx a time
// of its own, for the context that asked for the end has ended already: longer than Limits.CloseTimeout, which a peer has
// that does not answer its Close.
func (s *Server) Shutdown(ctx context.Context) error { return s.shutdown(ctx, &s.listening) }

// shutdown is a server's, with its listeners, or a client's.
func (e *engine) shutdown(ctx context.Context, v *listening) error {
	if err := e.made(); err != nil {
		return err
	}
	if e.waitsForCaller() {
		return ErrOnLoop
	}
	defer e.isOver()
	e.beginClosing()
	closed := make(chan struct{})
	go func() {
		v.closeAll(e, true) // it waits for the loops
		close(closed)
	}()
	err := closedWithin(ctx, closed)
	if err == nil {
		for _, l := range e.allLoops() {
			l.post(task{call: l.goAway})
		}
		e.fallback.shutDown(ctx)
		e.checkGone()
		err = closedWithin(ctx, e.gone)
	}
	e.stop()
	if err == nil {
		err = closedWithin(ctx, e.ended)
	}
	if err != nil {
		v.letGo()
		select {
		case <-e.ended:
		case <-time.After(stopGrace):
		}
	}
	return err
}

// closedWithin waits until done is closed, or ctx ends: then it is ctx's error.
func closedWithin(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-done: // both at a time
		return nil
	default:
		return ctx.Err()
	}
}

// Close ends every connection at once, and the server. It returns when every callback has returned, OnClose's
// among them, and so waits for one that blocks: Shutdown with a context does not. It answers ErrOnLoop on a loop
// and on a worker.
func (s *Server) Close() error { return s.close(&s.listening) }

func (e *engine) close(v *listening) error {
	if err := e.made(); err != nil {
		return err
	}
	if e.waitsForCaller() {
		return ErrOnLoop
	}
	defer e.isOver()
	e.beginClosing()
	v.closeAll(e, false)
	e.stop()
	<-e.ended
	return nil
}

func (e *engine) beginClosing() {
	e.mu.Lock()
	e.closing.Store(true)
	e.mu.Unlock()
}

// isOver lets Serve and ListenAndServe return. Of several calls of Shutdown and Close the first one that is done has ended
// every connection.
func (e *engine) isOver() { e.wakeOver.Do(func() { close(e.over) }) }

// untilOver is the last step of Serve and ListenAndServe: after a Shutdown or Close they return when that is done. net/http's
// return at once, and most programs leave main then: their clients would be cut off while Shutdown still waits for them.
func (e *engine) untilOver(err error) error {
	if err == ErrServerClosed {
		<-e.over
	}
	return err
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
func (l *loop) goAway() {
	l.endDials((*Conn).giveUpClosing)
	l.goAwayFrom(0)
}

// closeGoingAway closes a connection for Shutdown. A client's user may not close with 1001, but the engine itself goes.
func (c *Conn) closeGoingAway() {
	var body [codec.MaxControlPayload]byte
	c.beginClose(codec.AppendCloseBody(body[:0], StatusGoingAway, roleNames[c.loop.engine.role]+" shutting down"))
}

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
			c.closeGoingAway()
		} else if c.flags&dialled != 0 {
			c.giveUpClosing()
		} else if c.ReadyState() == Connecting && (c.opening == nil || c.opening.late == nil) {
			c.refuseUnasked()
		}
	}
}

// refuseUnasked refuses a client that has not made its request yet. Over TLS one that has said nothing may not have
// finished that handshake either, and then it is not reading why it is refused: what has not left by then is not waited for.
func (c *Conn) refuseUnasked() {
	silent := c.opening == nil && c.flags&overTLS != 0
	c.refuse(shuttingDown)
	if p := c.progress; p != nil && silent {
		p.bound = c.loop.now + lingerTime
	}
}

// closesPerLetter is how many connections are closed before the others are served.
const closesPerLetter = 32

// stop terminates what is left and begins to end the loops and the workers: e.ended is closed when they have.
func (e *engine) stop() {
	e.mu.Lock()
	again := e.stopped
	e.stopped = true
	e.mu.Unlock()
	if again {
		return
	}
	close(e.stopping)
	for _, l := range e.allLoops() {
		l.post(task{call: l.terminateAll})
	}
	go func() {
		e.fallback.stop()
		e.deciding.Wait()
		for _, l := range e.allLoops() {
			<-l.done
		}
		if e.workers != nil {
			e.workers.stop()
		}
		e.dog.end()
		close(e.ended)
	}()
}

// terminateAll ends the loop's connections and then the loop itself. A connection whose
// lock is taken ends when its holder lets go, so the loop turns until none is left.
func (l *loop) terminateAll() {
	defer l.terminateRest() // OnClose may end the goroutine
	l.terminateEach()
}

func (l *loop) terminateRest() {
	if l.conns.Load() > 0 {
		time.AfterFunc(time.Millisecond, func() { l.post(task{call: l.terminateAll}) })
		return
	}
	l.forgetBroadcasts()
	l.stop = true
}

// waitsForCaller tells whether the end of the engine would wait for the caller: on a loop, on a worker, and in OnUpgrade by ServeHTTP.
func (e *engine) waitsForCaller() bool {
	_, deciding := e.deciders.Load(goroutineID())
	return deciding || e.onLoop() || e.onWorker()
}

// onLoop tells whether the caller runs on one of the engine's loops.
func (e *engine) onLoop() bool { return e.loopHere() != nil }

// loopHere is the loop that the caller runs on; nil: none.
func (e *engine) loopHere() *loop {
	id := goroutineID()
	for _, l := range e.allLoops() {
		if l.goroutine.Load() == id {
			return l
		}
	}
	return nil
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
