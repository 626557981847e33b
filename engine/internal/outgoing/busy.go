package outgoing

import (
	"slices"
	"sync"

	"github.com/gannet-ws/gannet/pool"
)

const (
	// CorkBytes is how much one callback may send before it is written: a read of
	// small messages is answered by one write.
	CorkBytes = 32 << 10
	// KeptBytes is the payload length from which the queue keeps a buffer that it may keep, rather than a copy.
	KeptBytes = 4 << 10
	// DirectBytes is the payload length from which a copy costs more than a second iovec.
	DirectBytes = 24 << 10
	// TailBytes is the size of the buffers that small messages share in the queue.
	TailBytes = 16 << 10
	// FlushBytes is what one flush writes at most, about a millisecond's worth. A reader
	// that keeps up never fills the socket: one write of 2 GiB would hold the loop for a second.
	FlushBytes = 2 << 20
	// maxVectors is how many slices one writev takes.
	maxVectors = 16
)

// CopyBytes is the most that is copied under the lock: 10 microseconds' worth, while a loop may be waiting for
// another connection's. See MustCopy and Lent.
const CopyBytes = 64 << 10

// busy is what a connection has while something waits: the queue, then the cork, then what is deferred.
type busy struct {
	flow

	queue    []segment  // queue[head:], oldest first: what the sink had no room for
	cork     []byte     // frames that wait for the end of a callback; empty while the queue is not
	marks    []mark     // marks[mhead:]: the ends of messages that have not wholly left
	deferred []deferred // what waits to be framed
	waiters  []waiter   // those who wait until all has left

	vectors [maxVectors + 2][]byte // for writeOnce: on the stack it would escape
}

// flow is what of a busy does not outlive its being attached.
type flow struct {
	Call // at hand
	out  *Out

	straight        int    // how much the straight path may put into the cork; notPlain: it is closed
	unmarked        int    // messages at the cork's end that have no mark
	unmarkedAt      int    // where in the cork they begin
	unmarkedPayload uint64 // of them
	touched         bool   // something else than the straight path was here

	head, mhead int
	placed      uint64 // stream offset of the last byte placed
	left        uint64 // stream offset of the last byte handed to the network
	payload     uint64 // sum of the marks' payloads

	blocked bool   // the sink was full
	failed  bool   // the sink refused a write: nothing more leaves
	high    bool   // the high water mark was passed, and the low one not reached since
	empty   bool   // Low is due only when the queue is empty: a message was refused at the low mark or below
	pongDue bool   // a newer pong waits for the one before it to leave
	pongEnd uint64 // where the last pong ends: one that has not left is enough
	pingEnd uint64 // where a ping ends that has a clock

	direct directness // of the payload that is being placed
	lent   *Rest      // what the sink did not take of a payload that its sender still lends

	writer        *Writer // the open one
	long          long    // the message that is compressed slice by slice
	turns         bool    // what was deferred follows, a turn's worth at a time
	body          []byte  // of the Close frame that waits for the last of these turns; nil: none does
	hurried       bool    // what waits leaves without being compressed: a callback needs the room
	deferredBytes uint64  // what deferred costs
	counted       uint64  // of what waits, what the lane's Counts know of
	awaited       uint32  // the newest broadcast that a place was kept for; 0: none was
}

var busyPool = sync.Pool{New: func() any { return &busy{cork: make([]byte, 0, CorkBytes)} }}

// attach begins a call. (Field by field: k was stored so just now, and what copies it as a whole has to wait for that.)
func (o *Out) attach(k Call) *busy {
	b := o.busy
	if b == nil {
		b = k.Spare.take()
		b.out, o.busy = o, b
	}
	b.Lane, b.Limits, b.ID = k.Lane, k.Limits, k.ID
	b.After, b.Corked, b.Spare = k.After, k.Corked, k.Spare
	b.straight, b.touched = notPlain, true
	b.markPlain()
	return b
}

// leave ends a call: a busy that has nothing left to do is given back, unless a callback may soon need it.
func (b *busy) leave() {
	if !b.Corked && b.idle() {
		b.detach()
	} else {
		b.countWaiting()
		b.straight = b.plainRoom()
	}
}

// idle tells whether nothing is left to do.
func (b *busy) idle() bool {
	return b.placed == b.left && !b.holdsBack() && b.body == nil && len(b.waiters) == 0 && !b.failed && !b.high
}

// detachIdle is leave where no callback will need it.
func (b *busy) detachIdle() {
	if b.idle() {
		b.detach()
	} else {
		b.countWaiting()
		b.straight = b.plainRoom()
	}
}

// waiting is how many bytes wait: for the sink, for an earlier message, or to be compressed. What lies in the cork leaves with
// the callback that sent it, and does not count, so that most messages need not be counted twice.
func (b *busy) waiting() uint64 {
	return b.queued() - uint64(len(b.cork)) + b.deferredBytes + b.long.rest() + b.long.collected()
}

// countWaiting brings the lane's Counts up to date, and whoever waits for the queue.
func (b *busy) countWaiting() {
	if len(b.waiters) != 0 && b.nothingWaits() {
		b.wake(false)
	}
	if n := b.waiting(); n != b.counted {
		b.Lane.Counts.Waiting.Add(int64(n - b.counted))
		b.counted = n
	}
}

func (b *busy) detach() {
	b.out.busy = nil
	spare := b.Spare
	b.recycle()
	spare.put(b)
}

// recycle makes an emptied busy ready for another connection.
func (b *busy) recycle() {
	if b.cork = b.cork[:0]; !b.touched {
		b.out, b.placed, b.left, b.unmarked, b.unmarkedPayload = nil, 0, 0, 0, 0
		return
	}
	if b.counted != 0 {
		b.Lane.Counts.Waiting.Add(-int64(b.counted))
	}
	b.flow = flow{}
	if cap(b.cork) > CorkBytes { // it grew: the sink was broken, and nobody had heard of it yet
		b.cork = make([]byte, 0, CorkBytes)
	}
	b.queue, b.marks, b.deferred, b.waiters = shrunk(b.queue), shrunk(b.marks), shrunk(b.deferred), shrunk(b.waiters)
}

// shrunk is an emptied slice, without its array if a busy moment made that large.
func shrunk[T any](s []T) []T {
	const most = 1 << 10
	if cap(s) > most {
		return nil
	}
	return s[:0]
}

// queued is the number of bytes that are framed and have not left, control frames included.
func (b *busy) queued() uint64 { return b.placed - b.left }

// messageCost is what a message in the queue costs at least: a flood of empty ones is bounded, too.
const messageCost = 32

// queueCost is what the queue counts for in every account: its bytes, and no message less than messageCost.
func (b *busy) queueCost() uint64 {
	return max(b.queued(), messageCost*uint64(len(b.marks)-b.mhead+b.unmarked))
}

// cost is what all that waits counts for: the queue, and what will yet be queued, as far as it
// is known: what is to be compressed as long as it is, what was collected as long as that became.
func (b *busy) cost() uint64 {
	return b.queueCost() + b.deferredBytes + b.long.rest() + b.long.collected()
}

// markCost is what the water marks compare with. A long message alone passes none: its slices leave as the peer
// reads. But whoever reads all that leaves may still ask faster than we compress, or a writer ends.
func (b *busy) markCost() uint64 {
	if len(b.deferred) != 0 {
		return b.cost()
	}
	return b.queueCost()
}

// Drop gives up what has not left: the connection is CLOSED. It stays in Buffered.
func (o *Out) Drop() {
	o.closed = true
	if o.sender != nil {
		o.sender.Close()
		o.sender = nil
	}
	b := o.busy
	if b == nil {
		return
	}
	for i := b.head; i < len(b.queue); i++ {
		b.queue[i].release()
	}
	b.forgetDeferred()
	b.leavePlace()
	b.long.release()
	b.wake(true)
	b.Spare = nil // that of the last call: if it was a callback's, another connection may be using it by now
	b.detach()
}

// Fail has what is sent from now on counted, and not kept: nothing leaves any more. It reports whether the
// high water mark was passed, which nobody will read below now.
func (o *Out) Fail(k Call) (wasHigh bool) {
	b := o.attach(k)
	b.failed, b.blocked = true, false
	wasHigh, b.high = b.high, false
	return wasHigh
}

// Await returns what is closed when all has left, or the connection is CLOSED; nil if all has left already.
func (o *Out) Await() chan struct{} {
	if o.busy == nil || o.buffered == 0 && o.busy.queued() == 0 {
		return nil
	}
	return o.busy.await(false)
}

// AwaitQueue is Await for whoever is in the middle of a message: it waits until nothing is left but what is still to be written.
func (o *Out) AwaitQueue() chan struct{} {
	if o.busy == nil || o.busy.nothingWaits() {
		return nil
	}
	return o.busy.await(true)
}

// nothingWaits tells whether all that was given has left, as far as a message is written.
func (b *busy) nothingWaits() bool {
	return b.left == b.placed && !b.unfinished() && len(b.deferred) == 0
}

// waiter is somebody who waits: for Buffered to be 0, or, in the middle of a message, for the queue to be empty.
type waiter struct {
	done  chan struct{}
	queue bool
}

func (b *busy) await(queue bool) chan struct{} {
	w := waiter{make(chan struct{}), queue}
	b.straight = notPlain
	b.waiters = append(b.waiters, w)
	return w.done
}

// Waiters is how many wait for what Await returned.
func (o *Out) Waiters() int {
	if o.busy == nil {
		return 0
	}
	return len(o.busy.waiters)
}

// Forget takes back what Await returned.
func (o *Out) Forget(w chan struct{}) {
	if o.busy == nil {
		return
	}
	o.busy.waiters = slices.DeleteFunc(o.busy.waiters, func(c waiter) bool { return c.done == w })
}

// wake ends the waiting: of all, or of those who wait for the queue alone.
func (b *busy) wake(all bool) {
	b.waiters = slices.DeleteFunc(b.waiters, func(w waiter) bool {
		if all || w.queue {
			close(w.done)
			return true
		}
		return false
	})
}

// segment is one run of bytes in the queue. With end < 0 it ends where its buffer does, and is
// appended to while it is the last.
type segment struct {
	buf      *pool.Buffer
	raw      []byte // a prepared frame, the garbage collector's, when buf is nil
	rest     *Rest  // whose bytes they are, when it is not nil
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

// room returns the slice that the next n bytes are appended to: the cork, or the queue's
// end. A new buffer there has room for least bytes, so that small frames share it.
func (b *busy) room(n, least int) *[]byte {
	if b.head == len(b.queue) {
		if len(b.cork)+n > cap(b.cork) && len(b.cork) > 0 {
			b.flush(nil)
		}
		if b.head == len(b.queue) && n <= cap(b.cork) {
			return &b.cork
		}
	}
	if last := len(b.queue) - 1; last >= b.head {
		if s := &b.queue[last]; s.end < 0 && len(s.buf.B)+n <= cap(s.buf.B) {
			return &s.buf.B
		}
	}
	buf := b.Lane.Pool.Get(max(n, least))
	b.queue = append(b.queue, segment{buf: buf, end: -1})
	return &buf.B
}

// push queues a segment behind the cork.
func (b *busy) push(s segment) {
	b.corkToQueue()
	b.queue = append(b.queue, s)
}

// corkToQueue moves the cork behind the queue.
func (b *busy) corkToQueue() {
	if len(b.cork) == 0 {
		return
	}
	buf := b.Lane.Pool.Get(len(b.cork))
	buf.B = append(buf.B, b.cork...)
	b.cork = b.cork[:0]
	b.queue = append(b.queue, segment{buf: buf, end: len(buf.B)})
}
