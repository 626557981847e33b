package engine

import (
	"sync/atomic"
	"time"
)

// watched is what a loop and the watch-dog (server_watchdog.go) tell each other. The watch-dog asks, and the loop answers when its
// batch of events ends. Until then it counts its steps, so that one long callback is told from many short ones. A loop that nobody has
// asked reads a flag that nobody writes, and writes nothing.
type watched struct {
	asked    atomic.Bool          // an answer is awaited; the watch-dog sets it, the loop clears it
	askedAt  atomic.Int64         // when, in the watch-dog's time
	woken    atomic.Bool          // the watch-dog had to wake the loop, for nothing moved
	steps    atomic.Uint64        // callbacks and units of work that have ended while an answer was awaited
	late     atomic.Int64         // the answer: nanoseconds for which the loop had not looked for what had come
	moves    atomic.Bool          // the watch-dog is to look after the loop; the loop alone writes it
	deciding atomic.Pointer[Conn] // whose handshake the handler is asked about

	// loop
	batch time.Duration // when the batch at hand began, as far as anybody has looked; 0: nobody has
}

// begin is told of the first look at the clock in a batch. What moves after a rest calls the watch-dog.
func (w *watched) begin(l *loop) {
	if w.batch = l.now; !w.moves.Load() {
		w.moves.Store(true)
		l.engine.dog.call()
	}
}

// end ends a batch.
func (w *watched) end(l *loop) {
	if w.asked.Load() {
		w.answer(l)
	}
	w.batch = 0
}

// answer tells how late the loop is: an event that came when the watch-dog asked, or when the batch began, has waited since. If the
// loop had to be woken nothing else moves, and the watch-dog may rest until it does.
func (w *watched) answer(l *loop) {
	late := time.Duration(0)
	if w.batch != 0 {
		late = min(l.engine.dog.now()-time.Duration(w.askedAt.Load()), l.sys.Now()-w.batch)
	}
	w.late.Store(int64(late))
	if w.woken.Load() {
		w.moves.Store(false)
	}
	w.asked.Store(false)
}

// forget is for a loop that ends.
func (w *watched) forget() {
	w.moves.Store(false)
	w.asked.Store(false)
}

// stepped notes that a callback has returned, or that a unit of the loop's own work is done.
func (l *loop) stepped() {
	if l.watched.asked.Load() {
		l.watched.steps.Add(1)
	}
}
