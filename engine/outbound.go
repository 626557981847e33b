package engine

import (
	"sync"

	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/pool"
)

const (
	// corkBytes is how much one callback may send before it is written: a read of
	// small messages is answered by one write.
	corkBytes = 32 << 10
	// directBytes is the payload length from which a copy costs more than a second iovec.
	directBytes = 4 << 10
	// tailBytes is the size of the buffers that small messages share in the queue.
	tailBytes = 16 << 10
	// flushBytes is what one flush writes at most, about a millisecond's worth. A reader
	// that keeps up never fills the socket: one write of 2 GiB would hold the loop for a second.
	flushBytes = 2 << 20
	// maxVectors is how many slices one writev takes.
	maxVectors = 16
)

// outbound is what waits to leave on one connection: the queue, then the cork. It is
// attached while there is something, and everything in it is under Conn.mu.
type outbound struct {
	flow

	queue    []segment       // queue[head:], oldest first: what the socket had no room for
	cork     []byte          // frames that wait for the end of a callback; empty while the queue is not
	marks    []mark          // marks[mhead:]: the ends of messages that have not wholly left
	deferred []deferredFrame // data messages behind the open writer, or a long message
	waiters  []chan struct{} // Drain

	vectors [maxVectors + 2][]byte // for writeOnce: on the stack it would escape
}

// flow is what of an outbound does not outlive its being attached.
type flow struct {
	head, mhead int
	placed      uint64 // stream offset of the last byte placed
	left        uint64 // stream offset of the last byte handed to the network
	payload     uint64 // sum of the marks' payloads

	blocked bool        // the socket was full: the loop watches for room
	failed  bool        // the socket refused a write: nothing more leaves
	pongDue bool        // a newer ping waits for the pong before it to leave
	pongEnd uint64      // where the last pong ends: one that has not left is enough
	pingEnd uint64      // where a ping ends that has a clock
	failure *CloseError // why the sender closed the connection

	direct     directness // of the payload that is being placed
	lent       *lentRest  // what the socket did not take of a payload that its sender still lends
	emptyFirst bool       // OnDrain waits for an empty queue: a message was refused at LowWater or below

	writer        *messageWriter // the open NewWriter
	long          longMessage    // under way
	hurried       bool           // what waits leaves without being compressed: a callback needs the room
	deferredBytes uint64         // what it costs
	awaited       uint32         // the newest broadcast that a place was kept for; 0: none was
}

// directness is whose the payload is that leaves from where it lies.
type directness uint8

const (
	directCopied directness = iota // a buffer that is released next: what has not left is copied
	directStable                   // nobody changes it
	directLent                     // the sender's, until its call returns: what has not left is copied without the lock
)

// lentRest is what the socket did not take of a long payload. Its place in the queue is taken; its bytes come
// when the sender has copied them, which needs no lock.
type lentRest struct {
	p    []byte       // the sender's
	buf  *pool.Buffer // the copy; nil until it is made, and nothing behind it leaves before
	gone bool         // the connection is CLOSED: nobody needs it any more
}

// segment is one run of bytes in the queue. With end < 0 it is still appended to, and
// ends where its buffer does.
type segment struct {
	buf      *pool.Buffer
	raw      []byte    // a prepared frame, the garbage collector's, when buf is nil
	rest     *lentRest // whose bytes they are, when it is not nil
	off, end int
}

func (s *segment) release() {
	if s.rest != nil {
		if s.rest.gone = true; s.rest.buf != nil {
			s.rest.buf.Release()
		}
	}
	if s.buf != nil {
		s.buf.Release()
	}
	*s = segment{}
}

// ready tells whether the segment's bytes are there.
func (s *segment) ready() bool { return s.rest == nil || s.rest.buf != nil }

func (s *segment) bytes() []byte {
	if s.rest != nil {
		return s.rest.buf.B[s.off:]
	}
	if s.buf == nil {
		return s.raw[s.off:]
	}
	if s.end < 0 {
		return s.buf.B[s.off:]
	}
	return s.buf.B[s.off:s.end]
}

// mark is the end of a message in the stream, and what it adds to bufferedAmount.
type mark struct {
	end     uint64
	payload uint64
}

var outboundPool = sync.Pool{New: func() any { return &outbound{cork: make([]byte, 0, corkBytes)} }}

// outLocked is the connection's outbound, attached if need be.
func (c *Conn) outLocked() *outbound {
	if c.out == nil {
		c.out = outboundPool.Get().(*outbound)
	}
	return c.out
}

// detachLocked gives an outbound back that has nothing left to do.
func (c *Conn) detachLocked() {
	o := c.out
	if o.placed != o.left || o.writer != nil || o.long.pending() || len(o.deferred) != 0 && !plantedBug(bugLostDeferred) || len(o.waiters) != 0 || o.failed || o.failure != nil {
		return
	}
	c.out = nil
	o.recycle()
}

// recycle makes an emptied outbound ready for another connection.
func (o *outbound) recycle() {
	o.flow = flow{}
	if cap(o.cork) > corkBytes { // it grew: the socket was broken, and the loop had not heard of it yet
		o.cork = make([]byte, 0, corkBytes)
	}
	o.queue, o.cork, o.marks, o.deferred, o.waiters = shrunk(o.queue), o.cork[:0], shrunk(o.marks), shrunk(o.deferred), shrunk(o.waiters)
	outboundPool.Put(o)
}

// queued is the number of bytes that wait, framing and control frames included.
func (o *outbound) queued() uint64 { return o.placed - o.left }

// markCost is what a message in the queue costs at least: a flood of empty ones is bounded, too.
const markCost = 32

// queueCost is what the queue counts for in every account: its bytes, and no message less than markCost.
func (o *outbound) queueCost() uint64 {
	return max(o.queued(), markCost*uint64(len(o.marks)-o.mhead))
}

// waiting is what all that waits counts for: the queue, and what will yet be queued, as far as it
// is known: what is to be compressed as long as it is, what was collected as long as that became.
func (o *outbound) waiting() uint64 {
	return o.queueCost() + o.deferredBytes + o.long.rest() + o.long.collected()
}

// unsent tells whether something is still to leave.
func (o *outbound) unsent() bool { return o.queued() != 0 || o.long.pending() }

// room returns the slice that the next n bytes are appended to: the cork, or the queue's
// end. A new buffer there has room for least bytes, so that small frames share it.
func (c *Conn) room(o *outbound, n, least int) *[]byte {
	if o.head == len(o.queue) {
		if len(o.cork)+n > cap(o.cork) && len(o.cork) > 0 {
			c.flushLocked(nil)
		}
		if o.head == len(o.queue) && n <= cap(o.cork) {
			return &o.cork
		}
	}
	if last := len(o.queue) - 1; last >= o.head {
		if s := &o.queue[last]; s.end < 0 {
			if len(s.buf.B)+n <= cap(s.buf.B) {
				return &s.buf.B
			}
			s.end = len(s.buf.B)
		}
	}
	b := c.loop.engine.pool.Get(max(n, least))
	o.queue = append(o.queue, segment{buf: b, end: -1})
	return &b.B
}

// push queues the bytes from:to of a buffer, taking over one reference.
func (o *outbound) push(b *pool.Buffer, from, to int) {
	o.sealTail()
	o.queue = append(o.queue, segment{buf: b, off: from, end: to})
	if last := len(o.queue) - 1; plantedBug(bugQueueFront) && last > o.head+1 {
		o.queue[last-1], o.queue[last] = o.queue[last], o.queue[last-1]
	}
}

// sealTail ends the shared buffer at the queue's end: what follows is not in it.
func (o *outbound) sealTail() {
	if last := len(o.queue) - 1; last >= o.head && o.queue[last].end < 0 {
		o.queue[last].end = len(o.queue[last].buf.B)
	}
}

// flushLocked writes what is queued, then what is corked, then direct, which is lent
// (a payload or a prepared frame whose bytes are counted in placed already). What the socket
// has no room for is queued, and the loop told to wait for room.
func (c *Conn) flushLocked(direct []byte) {
	o := c.out
	if o == nil {
		return
	}
	if s := c.stages.Load(); s != nil && s.seal != nil {
		o.direct = directCopied
		c.placeDirect(o, direct)
		c.flushSealed(o)
		c.settleLocked(o)
		return
	}
	for budget := flushBytes; !o.blocked && !o.failed && o.left != o.placed && o.ready(); {
		n, err := c.writeOnce(o, direct, budget)
		direct = o.advance(n, direct)
		budget -= n
		c.afterWrite(o, err, budget)
	}
	c.placeDirect(o, direct)
	c.settleLocked(o)
}

// ready tells whether what leaves next is there.
func (o *outbound) ready() bool { return o.head == len(o.queue) || o.queue[o.head].ready() }

// afterWrite notes that the socket is full or broken. With the budget spent it counts as
// full: the loop goes on when it has served the others.
func (c *Conn) afterWrite(o *outbound, err error, budget int) {
	switch {
	case err == netio.ErrAgain || err == nil && budget <= 0 && o.left != o.placed:
		o.blocked = true
		c.notify(todoWatch)
	case err != nil:
		o.failed = true
		c.notify(todoFail)
	}
}

// writeOnce is one system call, of at most most bytes.
func (c *Conn) writeOnce(o *outbound, direct []byte, most int) (int, error) {
	sys, fd := c.loop.sys, int(c.fd)
	if o.head == len(o.queue) {
		switch {
		case len(direct) == 0:
			return sys.Write(fd, o.cork)
		case len(o.cork) == 0:
			return sys.Write(fd, direct[:min(len(direct), most)])
		}
	}
	v := &o.vectors
	k := 0
	for i := o.head; i < len(o.queue) && k < maxVectors && o.queue[i].ready(); i++ {
		v[k] = o.queue[i].bytes()
		k++
	}
	if k == len(o.queue)-o.head {
		v[k], v[k+1] = o.cork, direct
		k += 2
	}
	for i := range v[:k] {
		v[i] = v[i][:min(len(v[i]), most)]
		most -= len(v[i])
	}
	n, err := sys.Writev(fd, v[:k])
	clear(v[:k])
	return n, err
}

// advance takes n bytes, which have left, off the queue, the cork and direct.
func (o *outbound) advance(n int, direct []byte) []byte {
	o.left += uint64(n)
	for n > 0 && o.head < len(o.queue) {
		s := &o.queue[o.head]
		k := len(s.bytes())
		if n < k {
			if !plantedBug(bugSentTwice) {
				s.off += n
			}
			return direct
		}
		n -= k
		s.release()
		o.head++
	}
	if o.head == len(o.queue) {
		o.queue, o.head = o.queue[:0], 0
	}
	if n < len(o.cork) {
		o.cork = o.cork[:copy(o.cork, o.cork[n:])]
		return direct
	}
	n -= len(o.cork)
	o.cork = o.cork[:0]
	return direct[n:]
}

// placeDirect queues what is left of the cork and of a direct payload.
func (c *Conn) placeDirect(o *outbound, direct []byte) {
	if len(direct) == 0 && (len(o.cork) == 0 || !o.blocked) {
		return
	}
	if o.failed {
		return
	}
	switch {
	case len(direct) != 0 && o.direct == directStable:
		c.corkToQueue(o)
		o.sealTail()
		o.queue = append(o.queue, segment{raw: direct})
		return
	case o.direct == directLent && len(direct) > copyBytes:
		c.corkToQueue(o)
		o.sealTail()
		o.lent = &lentRest{p: direct}
		o.queue = append(o.queue, segment{rest: o.lent})
		return
	}
	b := c.loop.engine.pool.Get(max(len(o.cork)+len(direct), tailBytes))
	b.B = append(append(b.B, o.cork...), direct...)
	o.cork = o.cork[:0]
	o.sealTail()
	o.queue = append(o.queue, segment{buf: b, end: -1})
}

// lentLocked is what the caller has to keep, with keepRest, when it has unlocked.
func (c *Conn) lentLocked() *lentRest {
	if c.out == nil {
		return nil
	}
	r := c.out.lent
	c.out.lent = nil
	return r
}

// keepRest copies what the socket did not take of a lent payload, and lets it go on.
func (c *Conn) keepRest(r *lentRest) {
	b := c.loop.engine.pool.Get(len(r.p))
	b.B = append(b.B, r.p...)
	r.p = nil
	if !c.lockOffLoop() {
		c.handCall(handedCall{rest: r, copied: b})
		return
	}
	c.restLocked(r, b)
	c.unlock()
}

func (c *Conn) restLocked(r *lentRest, b *pool.Buffer) {
	if r.gone {
		b.Release()
		return
	}
	r.buf = b
	c.flushLocked(nil)
	if c.out != nil && !c.corked.Load() {
		c.detachLocked()
	}
}

// settleLocked accounts for what has left: bufferedAmount, drain and high water.
func (c *Conn) settleLocked(o *outbound) {
	if o.left == o.placed {
		c.buffered -= o.payload
		c.loop.stats.sent(len(o.marks)-o.mhead, o.payload)
		o.payload, o.marks, o.mhead = 0, o.marks[:0], 0
	} else {
		c.popMarks(o)
	}
	if o.pongDue && o.pongEnd <= o.left && !plantedBug(bugLostPong) {
		o.pongDue = false
		c.notify(todoPong)
	}
	if c.buffered == 0 && len(o.waiters) != 0 && o.left == o.placed {
		o.wakeWaiters()
	}
	if o.left == o.placed && c.ReadyState() != Open {
		c.notify(todoClose)
	}
	c.markLocked(o)
}

// markLocked looks at the water marks. A long message alone passes none: its slices leave as the peer reads.
func (c *Conn) markLocked(o *outbound) {
	if o.failed {
		return // nothing leaves any more, and nobody waits for it to
	}
	q := int64(o.queueCost())
	if len(o.deferred) != 0 && !(o.long.over && plantedBug(bugLongDrain)) { // whoever reads all that leaves may still ask faster than we compress, or a writer ends
		q = int64(o.waiting())
	}
	l := c.limits.Load()
	if c.holds.Load()&heldByHigh == 0 {
		if (o.blocked || o.holdsBack()) && q > l.HighWater {
			c.passHighLocked()
		}
		return
	}
	low := l.LowWater
	if o.emptyFirst {
		low = 0
	}
	if q <= low || plantedBug(bugEarlyDrain) && q <= l.HighWater {
		o.emptyFirst = false
		c.holds.And(^heldByHigh)
		if !plantedBug(bugLostDrain) {
			c.notify(todoDrain)
		}
	}
}

func (c *Conn) passHighLocked() {
	c.holds.Or(heldByHigh)
	c.notify(todoHigh)
}

// refusedLocked: a message did not fit. Whoever was told so hears OnDrain, wherever HighWater lies: at LowWater,
// or, when the queue is shorter than that already, when it is empty.
func (c *Conn) refusedLocked() {
	o := c.outLocked()
	o.emptyFirst = o.emptyFirst || int64(o.waiting()) <= c.limits.Load().LowWater
	if c.holds.Load()&heldByHigh == 0 {
		c.passHighLocked()
	}
}

// remark looks at the water marks after they were moved. On the loop.
func (c *Conn) remark() {
	if c.tryLockOr(todoMarks) {
		if c.out != nil {
			c.markLocked(c.out)
		}
		c.unlock()
	}
}

// popMarks takes the messages that have wholly left off bufferedAmount.
func (c *Conn) popMarks(o *outbound) {
	from, payload := o.mhead, uint64(0)
	for o.mhead < len(o.marks) && (o.marks[o.mhead].end <= o.left || plantedBug(bugEarlyAmount)) {
		payload += o.marks[o.mhead].payload
		o.mhead++
	}
	if o.mhead == from {
		return
	}
	c.buffered -= payload
	o.payload -= payload
	c.loop.stats.sent(o.mhead-from, payload)
	if o.mhead > 1024 && o.mhead > len(o.marks)/2 {
		o.marks = o.marks[:copy(o.marks, o.marks[o.mhead:])]
		o.mhead = 0
	}
}

func (o *outbound) wakeWaiters() {
	for _, w := range o.waiters {
		close(w)
	}
	o.waiters = o.waiters[:0]
}

// dropLocked gives up what has not left: the connection is CLOSED. What was not
// delivered stays in bufferedAmount.
func (c *Conn) dropLocked() {
	c.closeSenderLocked()
	o := c.out
	if o == nil {
		return
	}
	for i := o.head; i < len(o.queue); i++ {
		o.queue[i].release()
	}
	o.forgetDeferred()
	c.dropLongLocked(&o.long)
	o.wakeWaiters()
	c.out = nil
	o.recycle()
}
