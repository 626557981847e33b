package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/pool"
)

// inbox holds a connection's callbacks until a worker runs them, in order.
type inbox struct {
	mu      sync.Mutex
	letters []letter
	bytes   int64
	budget  holding // what of InboundBudget they hold
	queued  bool    // in the workers' queue, or with one of them
	full    bool    // reading is paused until it is half empty
}

type letterKind uint8

const (
	letterMessage letterKind = iota
	letterChunk
	letterLent // OnPing, OnPong
	letterCall
)

// letter is one callback to be.
type letter struct {
	kind        letterKind
	op          Opcode
	first, last bool
	buf         *pool.Buffer
	lent        func(*Conn, []byte)
	call        func(*Conn)
}

func (t *letter) size() int64 {
	if t.buf == nil {
		return 0
	}
	return int64(len(t.buf.B)) + letterOverhead
}

// letterOverhead makes a flood of empty messages count.
const letterOverhead = 64

// batch is how many callbacks of one connection a worker runs before the others' turn.
const batch = 64

// workers is the bounded pool that runs callbacks, and its queue of connections.
type workers struct {
	mu    sync.Mutex
	ready sync.Cond
	queue []*Conn
	head  int
	end   bool
	alive sync.WaitGroup

	goroutines []atomic.Uint64 // their numbers, for onWorker
}

func startWorkers(n int) *workers {
	w := &workers{goroutines: make([]atomic.Uint64, n)}
	w.ready.L = &w.mu
	w.alive.Add(n)
	for i := range n {
		go w.run(&w.goroutines[i])
	}
	return w
}

// onWorker tells whether the caller runs on one of the engine's workers.
func (e *engine) onWorker() bool {
	if e.workers == nil {
		return false
	}
	id := goroutineID()
	for i := range e.workers.goroutines {
		if e.workers.goroutines[i].Load() == id {
			return true
		}
	}
	return false
}

func (w *workers) put(c *Conn) {
	w.mu.Lock()
	w.queue = append(w.queue, c)
	w.mu.Unlock()
	w.ready.Signal()
}

func (w *workers) take() *Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.head == len(w.queue) {
		if w.end {
			return nil
		}
		w.ready.Wait()
	}
	c := w.queue[w.head]
	w.queue[w.head] = nil
	if w.head++; w.head == len(w.queue) {
		w.queue, w.head = w.queue[:0], 0
	} else if w.head > 1024 && w.head > len(w.queue)/2 {
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue, w.head = w.queue[:n], 0
	}
	return c
}

// stop ends the workers once what is queued has run.
func (w *workers) stop() {
	w.mu.Lock()
	w.end = true
	w.mu.Unlock()
	w.ready.Broadcast()
	w.alive.Wait()
}

func (w *workers) run(goroutine *atomic.Uint64) {
	defer w.alive.Done()
	goroutine.Store(goroutineID())
	var letters []letter
	for c := w.take(); c != nil; c = w.take() {
		letters = w.serve(c, letters)
	}
}

// serve runs the next of c's callbacks. The letters' array is used again.
func (w *workers) serve(c *Conn, letters []letter) []letter {
	letters = c.inbox.take(letters[:0])
	c.runLetters(letters)
	if c.inboxDone(letters) {
		w.put(c)
	}
	clear(letters)
	return letters
}

// toInbox leaves a callback to the workers. On the loop.
func (c *Conn) toInbox(t letter) {
	if c.inbox == nil {
		c.inbox = new(inbox)
	}
	b := c.inbox
	b.mu.Lock()
	b.letters = append(b.letters, t)
	b.bytes += t.size()
	b.budget.grow(c, b.bytes)
	full := b.bytes > c.loop.engine.conf.InboxBytes
	b.full = b.full || full
	first := !b.queued
	b.queued = true
	b.mu.Unlock()
	if full {
		c.flags |= pausedByInbox
	}
	if first {
		c.loop.engine.workers.put(c)
	}
}

// busy tells whether a callback waits or runs.
func (b *inbox) busy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.queued
}

func (b *inbox) take(dst []letter) []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.letters), batch)
	dst = append(dst, b.letters[:n]...)
	rest := copy(b.letters, b.letters[n:])
	clear(b.letters[rest:])
	b.letters = b.letters[:rest]
	return dst
}

// inboxDone settles the account of what was run, and tells whether there is more.
func (c *Conn) inboxDone(ran []letter) (more bool) {
	b := c.inbox
	b.mu.Lock()
	for i := range ran {
		b.bytes -= ran[i].size()
	}
	b.budget.shrink(c, b.bytes)
	eased := b.full && b.bytes <= c.loop.engine.conf.InboxBytes/2
	if eased {
		b.full = false
	}
	b.queued = len(b.letters) > 0
	more = b.queued
	b.mu.Unlock()
	for i := range ran {
		if ran[i].buf != nil {
			ran[i].buf.Release()
		}
	}
	if eased {
		c.notify(todoInbox)
	}
	return more
}

// dropInbox gives up the messages that wait, of a connection that failed: nobody would get them,
// and the workers may be long in coming. What is to be called after them stays.
func (c *Conn) dropInbox() {
	b := c.inbox
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.letters[:0]
	for _, t := range b.letters {
		if t.kind == letterCall {
			left = append(left, t)
			continue
		}
		b.bytes -= t.size()
		t.buf.Release()
	}
	clear(b.letters[len(left):])
	b.letters = left
	b.budget.shrink(c, b.bytes)
}

// inboxEased goes on with what waited for the workers. On the loop.
func (c *Conn) inboxEased() {
	if c.flags&pausedByInbox == 0 {
		return
	}
	c.inbox.mu.Lock()
	full := c.inbox.full
	c.inbox.mu.Unlock()
	if full {
		return
	}
	c.times.read = tickOf(c.loop.now)
	c.readPastInbox()
}

// readPastInbox lifts the inbox's hold on reading. What was read before it waits nowhere else.
func (c *Conn) readPastInbox() {
	if c.flags&pausedByInbox == 0 {
		return
	}
	c.flags &^= pausedByInbox
	c.goOnTurn()
}

// runLetters runs callbacks, corked, on a worker.
func (c *Conn) runLetters(letters []letter) {
	c.corked.Store(true)
	began := time.Now()
	for i := range letters {
		c.runLetter(&letters[i])
		if i+1 < len(letters) && time.Since(began) > turnBudget { // the first answers do not wait for slow callbacks
			c.lock()
			c.flushCork()
			c.unlock()
			began = time.Now()
		}
	}
	c.lock()
	c.flushCork()
	c.corked.Store(false)
	c.unlock()
}

func (c *Conn) runLetter(t *letter) {
	h := &c.loop.engine.hooks
	defer c.recoverLetter()
	if t.kind != letterCall && c.ReadyState() != Open {
		return
	}
	switch t.kind {
	case letterMessage:
		h.message(c, Message{Op: t.op, Data: t.buf.B, pool: c.loop.engine.pool, held: t.buf})
	case letterChunk:
		h.chunk(c, Chunk{Op: t.op, Data: t.buf.B, First: t.first, Last: t.last})
	case letterLent:
		t.lent(c, t.buf.B)
	case letterCall:
		t.call(c)
	}
}

func (c *Conn) recoverLetter() {
	if r := recover(); r != nil {
		c.loop.engine.panicked(c, r)
		c.lock()
		c.failLocked(&CloseError{codeInternalError, ErrHandlerPanic})
		c.unlock()
	}
}
