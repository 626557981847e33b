package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/pool"
)

// inbox holds a connection's callbacks until a worker runs them, in order. It hangs off the
// connection as long as something waits or runs: an idle connection has none.
//
// What the peer said is the mail. While delivery is held (held) it stays, accounted for, and
// errands pass it: the posted function that calls Resume is one.
type inbox struct {
	mu      sync.Mutex
	conn    *Conn       // whose it is; nil in the pool
	mail    letterQueue // messages, chunks, pings and pongs, and the peer's end
	errands letterQueue // all the rest
	number  uint32      // of the next letter
	taken   int         // mail that a worker has at hand
	page    *pool.Buffer
	bytes   int64
	budget  holding // what of InboundBudget they hold
	queued  bool    // in the workers' queue, or with one of them
	full    bool    // reading is paused until it is half empty

	released atomic.Bool // nothing holds the mail back any more: the transport is gone
	armed    atomic.Bool // clock is running
	clock    *time.Timer // of what is corked; Conn.mu
}

var inboxPool = sync.Pool{New: func() any { return new(inbox) }}

const (
	// sharedBytes: data of at most so many bytes lie together in pages, because no buffer is smaller than
	// 256 bytes, and 128 more.
	sharedBytes = 512
	// A page is as long as all before it together, within these bounds.
	minPageBytes = 256
	maxPageBytes = 8 << 10
	// bufferBytes is what a pool.Buffer takes besides its memory.
	bufferBytes = 128
)

// held tells whether the mail waits.
func (b *inbox) held() bool { return b.conn.held() && !b.released.Load() }

// lockedInbox is the connection's inbox, locked; nil when it has none. On the loop, which alone
// gives it one.
func (c *Conn) lockedInbox() *inbox {
	for {
		b := c.inbox.Load()
		if b == nil {
			return nil
		}
		if b.mu.Lock(); b.conn == c {
			return b
		}
		b.mu.Unlock() // it was taken away meanwhile
	}
}

// openInbox is lockedInbox that gives the connection one if need be.
func (c *Conn) openInbox() *inbox {
	if b := c.lockedInbox(); b != nil {
		return b
	}
	b := inboxPool.Get().(*inbox)
	b.mu.Lock()
	b.conn = c
	c.inbox.Store(b)
	return b
}

// detach takes an empty inbox off its connection. Under b.mu, by the worker who has it.
func (b *inbox) detach() {
	b.conn.inbox.Store(nil)
	b.conn, b.full = nil, false
	b.released.Store(false)
	if b.page != nil {
		b.page.Release()
		b.page = nil
	}
}

// deposit leaves a letter to the workers: data is copied, or kept if it lies in own. On the loop.
func (c *Conn) deposit(t letter, data []byte, own *pool.Buffer) {
	b := c.openInbox()
	b.put(&t, data, own, c.loop.engine.pool)
	t.number = b.number
	b.number++
	if t.kind == letterCall {
		b.errands.push(&t)
	} else {
		b.mail.push(&t)
	}
	b.bytes += t.cost
	b.budget.grow(c, b.bytes)
	full := b.bytes > c.loop.engine.conf.InboxBytes
	b.full = b.full || full
	first := !b.queued
	b.queued = true
	b.mu.Unlock()
	if full && c.flags&pausedByInbox == 0 {
		c.flags |= pausedByInbox
		c.notify(todoInbox) // errands come outside of turns, too: reading stops all the same
	}
	if first {
		c.loop.engine.workers.put(c)
	}
}

// put puts data into the letter.
func (b *inbox) put(t *letter, data []byte, own *pool.Buffer, p *pool.Pool) {
	switch n := len(data); {
	case n == 0:
		t.data, t.cost = []byte{}, letterBytes
		return
	case own != nil:
		own.Retain()
		t.buf, t.data = own, data
	case n > sharedBytes:
		t.buf = p.Get(n)
		t.buf.B = append(t.buf.B, data...)
		t.data = t.buf.B
	default:
		page := b.pageFor(n, p)
		from := len(page.B)
		page.B = append(page.B, data...)
		page.Retain()
		t.buf, t.flags, t.data = page, t.flags|letterShared, page.B[from:len(page.B):len(page.B)]
		t.cost = letterBytes + 2*int64(n) // a page may be half empty
		return
	}
	t.cost = letterBytes + bufferCost(t.buf)
}

// pageFor is a page with room for n bytes.
func (b *inbox) pageFor(n int, p *pool.Pool) *pool.Buffer {
	size := minPageBytes
	if b.page != nil {
		if cap(b.page.B)-len(b.page.B) >= n {
			return b.page
		}
		size = min(2*cap(b.page.B), maxPageBytes)
		b.page.Release()
	}
	b.page = p.Get(max(size, n))
	return b.page
}

// bufferCost is what a buffer takes: of a mapping, only what was written.
func bufferCost(b *pool.Buffer) int64 {
	if cap(b.B) > pool.SmallMax {
		return int64(len(b.B)) + bufferBytes
	}
	return int64(cap(b.B)) + bufferBytes
}

// take copies what is to be run next to dst, in order. Mail stays in the inbox until it has run: who
// pauses in the first letter's callback holds back the others.
func (b *inbox) take(dst []letter) []letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	mail := b.mail.reader()
	for held := b.held(); len(dst) < cap(dst); {
		m, e := mail.letter(), b.errands.head()
		switch {
		case m != nil && !held && (e == nil || m.earlier(e)):
			dst = append(dst, *m)
			mail.next()
			b.taken++
		case e != nil:
			dst = append(dst, *e)
			b.errands.pop()
		default:
			return dst
		}
	}
	return dst
}

// settle takes what has run off the account: all errands of ran, and the first mail letters. It tells whether
// there is more to run, and whether there is room again for what reading had to wait for.
func (b *inbox) settle(ran []letter, mail int) (more, eased bool) {
	b.mu.Lock()
	c := b.conn
	b.taken = 0
	for i := range ran {
		if ran[i].kind == letterCall {
			b.bytes -= ran[i].cost
		}
	}
	for range mail {
		b.bytes -= b.mail.head().cost
		b.mail.pop()
	}
	b.budget.shrink(c, b.bytes)
	if eased = b.full && b.bytes <= c.loop.engine.conf.InboxBytes/2; eased {
		b.full = false
	}
	// Under the lock, so that whoever ends the hold after this look sees queued.
	more = b.errands.n > 0 || b.mail.n > 0 && !b.held()
	b.queued = more
	empty := b.errands.n+b.mail.n == 0
	if empty {
		b.detach()
	}
	b.mu.Unlock()
	if empty {
		inboxPool.Put(b)
	}
	return more, eased
}

// wakeInbox has the workers look at mail again that was held. On the loop.
func (c *Conn) wakeInbox() {
	b := c.lockedInbox()
	if b == nil {
		return
	}
	first := !b.queued
	b.queued = true
	b.mu.Unlock()
	if first {
		c.loop.engine.workers.put(c)
	}
}

// releaseInbox ends all holds: the transport is gone, and its end comes when what the peer
// had said before was delivered. On the loop.
func (c *Conn) releaseInbox() {
	if b := c.lockedInbox(); b != nil {
		b.released.Store(true)
		b.mu.Unlock()
		c.wakeInbox()
	}
}

// dropInbox gives up the messages that wait, of a connection that failed or closes: nobody would
// get them, and the workers may be long in coming. Errands stay. On the loop.
func (c *Conn) dropInbox() {
	b := c.lockedInbox()
	if b == nil {
		return
	}
	var left letterQueue
	for i := 0; b.mail.n > 0; i++ {
		t := b.mail.head()
		if i < b.taken || t.kind == letterEnd {
			left.push(t)
		} else {
			b.bytes -= t.cost
			t.release()
		}
		b.mail.pop()
	}
	if left.n > 0 {
		b.mail = left
	}
	b.budget.shrink(c, b.bytes)
	b.released.Store(true)
	b.mu.Unlock()
	c.wakeInbox()
}

func (t *letter) release() {
	if t.buf != nil {
		t.buf.Release()
	}
	*t = letter{}
}

// inboxEased goes on with what waited for the workers. On the loop.
func (c *Conn) inboxEased() {
	if c.flags&pausedByInbox == 0 {
		return
	}
	if b := c.lockedInbox(); b != nil {
		full := b.full
		b.mu.Unlock()
		if full {
			return
		}
	}
	c.readAgain()
	c.readPastInbox()
}

// readPastInbox lifts the inbox's hold on reading. What was read before it waits nowhere else.
func (c *Conn) readPastInbox() {
	if c.flags&pausedByInbox == 0 {
		return
	}
	c.flags &^= pausedByInbox
	c.pauseOver()
}

// corkTime is how long a cork holds what somebody sends while a worker runs another's callback.
const corkTime = time.Millisecond

// boundCork sees to it that what was just corked leaves in time: a worker's callback may take long.
// Loops need no such clock, for their callbacks must not. Under mu.
func (c *Conn) boundCork() {
	if w := c.loop.engine.workers; w == nil || !w.timed {
		return
	}
	b := c.inbox.Load() // the worker who corked needs the lock to give it up
	if b == nil || !b.armed.CompareAndSwap(false, true) {
		return
	}
	if b.clock == nil {
		b.clock = time.AfterFunc(corkTime, b.flush)
	} else {
		b.clock.Reset(corkTime)
	}
}

// flush is the clock's. It is not stopped when the cork is gone sooner: at most once in corkTime it finds nothing to
// do, or sends what another callback has corked a little early.
func (b *inbox) flush() {
	b.mu.Lock()
	c := b.conn
	b.mu.Unlock()
	b.armed.Store(false)
	if c == nil {
		return
	}
	c.lock()
	if c.corked.Load() {
		c.flushCork()
	}
	c.unlock()
}
