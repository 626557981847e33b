package engine

import (
	"sync"
	"sync/atomic"
)

// batch is how many callbacks of one connection a worker runs before the others' turn.
const batch = 64

// workers is the bounded pool that runs callbacks, and its queue of connections.
type workers struct {
	mu    sync.Mutex
	ready sync.Cond
	queue fifo[*Conn]
	end   bool
	alive sync.WaitGroup
	all   []worker
	timed bool // their corks have clocks: not the simulator's, whose time is its own
}

// worker is one goroutine, and what it has at hand: a callback may end the goroutine
// (runtime.Goexit), and then the next one goes on here.
type worker struct {
	pool      *workers
	goroutine atomic.Uint64 // its number, for onWorker
	conn      *Conn         // whose letters they are; nil: nobody's
	letters   []letter
	at        int  // the next one
	mail      int  // of the peer's letters, those that have run
	stopped   bool // delivery was held: the peer's other letters wait
	running   bool // a callback is
	exited    bool // a callback ended the goroutine
}

func startWorkers(n int) *workers {
	w := &workers{all: make([]worker, n), timed: true}
	w.ready.L = &w.mu
	w.alive.Add(n)
	for i := range w.all {
		w.all[i].pool = w
		go w.all[i].run()
	}
	return w
}

// onWorker tells whether the caller runs on one of the engine's workers.
func (e *engine) onWorker() bool {
	return e.conf != nil && e.conf.Workers > 0 && e.workerHere(goroutineID()) != nil // a goroutine's number costs a malloc
}

// workerHere is the worker whose goroutine has this number; nil: none.
func (e *engine) workerHere(id uint64) *worker {
	e.mu.Lock() // start may be about to make them
	w := e.workers
	e.mu.Unlock()
	if w == nil {
		return nil
	}
	for i := range w.all {
		if w.all[i].goroutine.Load() == id {
			return &w.all[i]
		}
	}
	return nil
}

func (w *workers) put(c *Conn) {
	w.mu.Lock()
	w.queue.push(c)
	w.mu.Unlock()
	w.ready.Signal()
}

func (w *workers) take() *Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.queue.len() == 0 {
		if w.end {
			return nil
		}
		w.ready.Wait()
	}
	return w.queue.pop()
}

// stop ends the workers once what is queued has run.
func (w *workers) stop() {
	w.mu.Lock()
	w.end = true
	w.mu.Unlock()
	w.ready.Broadcast()
	w.alive.Wait()
}

func (w *worker) run() {
	defer w.succeed()
	w.goroutine.Store(goroutineID())
	for w.conn != nil || w.next() {
		w.serve()
	}
	w.pool.alive.Done()
}

// succeed, deferred, has another goroutine go on when a callback ended this one.
func (w *worker) succeed() {
	if w.exited {
		w.exited = false
		go w.run()
	}
}

// next takes the next connection's letters, and corks it. It is false at the end.
func (w *worker) next() bool {
	c := w.pool.take()
	if c == nil {
		return false
	}
	if w.letters == nil {
		w.letters = make([]letter, 0, batch)
	}
	w.conn, w.at, w.mail, w.stopped = c, 0, 0, false
	w.letters = c.inbox.Load().take(w.letters[:0])
	c.corked.Store(true)
	return true
}

// serve runs the letters at hand.
func (w *worker) serve() {
	c := w.conn
	for w.at < len(w.letters) {
		t := &w.letters[w.at]
		w.at++
		if w.delivers(t) {
			w.runLetter(t)
		}
	}
	c.lock()
	c.flushCork()
	c.corked.Store(false)
	c.unlock()
	more, eased := c.inbox.Load().settle(w.letters, w.mail)
	w.conn = nil
	w.putAway()
	if eased {
		c.notify(todoInbox)
	}
	if more {
		w.pool.put(c)
	}
}

// delivers tells whether a letter is to be run now. What the peer said comes in order: once one is
// held back all that follow are.
func (w *worker) delivers(t *letter) bool {
	if t.kind == letterCall {
		return true
	}
	if w.stopped = w.stopped || w.conn.inbox.Load().held(); w.stopped {
		return false
	}
	w.mail++
	return t.kind == letterEnd || w.conn.hears()
}

// putAway releases the buffers of what has run.
func (w *worker) putAway() {
	mail := w.mail
	for i := range w.letters {
		t := &w.letters[i]
		if t.kind != letterCall {
			if mail == 0 { // it is in the inbox yet
				*t = letter{}
				continue
			}
			mail--
		}
		t.release()
	}
}

func (w *worker) runLetter(t *letter) {
	c := w.conn
	defer w.recoverLetter()
	w.running = true
	h := &c.route().hooks
	switch t.kind {
	case letterMessage:
		m := Message{Op: t.op, Data: t.data, pool: c.loop.engine.pool}
		if t.flags&letterShared == 0 {
			m.held = t.buf
		}
		h.message(c, m)
		m.giveBack()
	case letterChunk:
		h.chunk(c, Chunk{Op: t.op, Data: t.data, First: t.flags&letterFirst != 0, Last: t.flags&letterLast != 0})
		spoil(t.data)
	case letterControl:
		f := h.pong
		if t.op == OpPing {
			f = h.ping
		}
		if f != nil { // else SetHandler has come between
			f(c, t.data)
		}
		spoil(t.data)
	case letterEnd:
		c.notify(todoEnd)
	case letterCall:
		t.call(c)
	}
	w.running = false
}

// recoverLetter, deferred, turns a callback's panic, or its end of the goroutine, into the end of its connection.
func (w *worker) recoverLetter() {
	if !w.running {
		return
	}
	w.running = false
	c := w.conn
	r := recover()
	w.exited = r == nil
	_ = c.loop.engine.blamed(c, r)
	f := handlerPanicked
	if w.exited {
		f = handlerExited
	}
	c.lock()
	c.failLocked(f)
	c.unlock()
}
