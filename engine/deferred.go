package engine

import (
	"slices"

	"github.com/gannet-ws/gannet/pool"
)

// What waits behind an open writer, behind a long message that is being compressed, or behind a
// broadcast that has not come to the connection yet. It leaves in the order in which it was sent: a writer's fragments
// where the writer began, a broadcast's message where Broadcast was called.

// deferredFrame is a data message that waits, or the place of a writer whose fragments do, or of broadcasts.
type deferredFrame struct {
	op       Opcode
	compress bool
	kept
	prepared *Prepared      // whose payload it is, instead of kept
	writer   *messageWriter // whose place it is; nil: it is a message, or
	upTo     uint32         // the place of the broadcasts up to this number; 0: it is none
	cost     uint64         // in deferredBytes
}

const (
	// deferredOverhead is what a message that waits costs beside its bytes, a writer's place and a broadcast's
	// too; fragmentOverhead what a writer's fragment does. Both with what a slice that grows has too much.
	deferredOverhead = 128
	fragmentOverhead = 64
)

func (d *deferredFrame) payload() []byte {
	if d.prepared != nil {
		return d.prepared.plain.payload()
	}
	return d.bytes()
}

func (d *deferredFrame) release() {
	d.drop()
	if d.writer != nil {
		for i := range d.writer.waiting {
			d.writer.waiting[i].drop()
		}
		d.writer.waiting = nil
	}
	*d = deferredFrame{}
}

// fragment is one of a writer's that waits.
type fragment struct {
	kept
	fin bool
}

// kept is a payload that waits: bytes from:to of a buffer, to which it has a reference.
type kept struct {
	buf      *pool.Buffer
	from, to int
	copied   bool // buf is ours, and others may share it
}

func (k *kept) bytes() []byte {
	if k.buf == nil {
		return nil
	}
	return k.buf.B[k.from:k.to]
}

// sole is the buffer if nobody writes to it any more. Of a shared one only a long part is worth a reference.
func (k *kept) sole() *pool.Buffer {
	if k.buf == nil || k.copied && (k.to-k.from < len(k.buf.B) || !k.buf.Exclusive()) {
		return nil
	}
	return k.buf
}

func (k *kept) drop() {
	if k.buf != nil {
		k.buf.Release()
	}
	*k = kept{}
}

// keep copies p. Small payloads share buffers, for none is smaller than 256 bytes: p goes
// behind last, which was kept before it, where there is room. Writing to a buffer that has
// several references is safe there: all of them are under the same connection's lock, and
// none sees more of it than its own part.
func (c *Conn) keep(p []byte, last *kept) kept {
	k, size := kept{copied: true}, len(p)
	if last != nil && last.copied && cap(last.buf.B) <= tailBytes {
		k.buf, size = last.buf, max(size, min(2*cap(last.buf.B), tailBytes))
	}
	if k.buf != nil && cap(k.buf.B)-len(k.buf.B) >= len(p) {
		k.buf.Retain()
	} else {
		k.buf = c.loop.engine.pool.Get(size)
	}
	k.from = len(k.buf.B)
	k.buf.B = append(k.buf.B, p...)
	k.to = len(k.buf.B)
	return k
}

// deferMessage keeps a message until those before it have been sent: place tells where among what is deferred.
func (o *outbound) deferMessage(c *Conn, m *outgoing, place int) {
	d := deferredFrame{op: m.op, compress: m.compress, prepared: m.prepared, cost: deferredOverhead + uint64(len(m.p))}
	switch {
	case m.prepared != nil:
	case m.owned != nil && len(m.p) >= directBytes:
		d.kept = kept{buf: m.owned, to: len(m.p)}
		d.buf.Retain()
		d.cost = deferredOverhead + uint64(cap(m.owned.B))
	default:
		var last *kept
		if n := len(o.deferred); n > 0 {
			last = &o.deferred[n-1].kept
		}
		d.kept = c.keep(m.p, last)
	}
	o.deferredBytes += d.cost
	if place == len(o.deferred) {
		o.deferred = append(o.deferred, d)
	} else {
		o.deferred = slices.Insert(o.deferred, place, d)
	}
}

// deferPlace keeps a writer's place, or a broadcast's.
func (o *outbound) deferPlace(d deferredFrame, place int) {
	d.cost = deferredOverhead
	o.deferredBytes += d.cost
	o.deferred = slices.Insert(o.deferred, place, d)
}

// deferFragment keeps a fragment until its writer's turn has come.
func (o *outbound) deferFragment(w *messageWriter, k kept, fin bool) {
	w.waiting = append(w.waiting, fragment{kept: k, fin: fin})
	o.deferredBytes += k.cost()
}

// cost is what a fragment counts for.
func (k *kept) cost() uint64 { return fragmentOverhead + uint64(k.to-k.from) }

// lastKept is the last fragment of w that waits, for the next one to share its buffer.
func (w *messageWriter) lastKept() *kept {
	if n := len(w.waiting); n > 0 {
		return &w.waiting[n-1].kept
	}
	return nil
}

// holdsBack tells whether what is sent now has to wait.
func (o *outbound) holdsBack() bool {
	return o.writer != nil || o.long.underWay() || len(o.deferred) != 0
}

// awaitsBroadcast tells whether what waits longest waits for a broadcast.
func (o *outbound) awaitsBroadcast() bool { return len(o.deferred) != 0 && o.deferred[0].upTo != 0 }

// releasable tells whether something waits that nothing holds back but a long message: not
// what is behind an open writer whose turn has come, or behind a broadcast.
func (o *outbound) releasable() bool {
	return len(o.deferred) != 0 && !o.awaitsBroadcast() && (o.writer == nil || o.writer.waits)
}

// releaseDeferredLocked sends what waited: up to a message that is itself a long one, and, as
// all of it may be megabytes, no more than a turn's worth. With the rest the loop goes on.
func (c *Conn) releaseDeferredLocked() {
	for work := 0; c.out != nil && c.out.releasable(); {
		o := c.out
		if o.long.making() && !plantedBug(bugIntoLong) {
			return
		}
		if work >= sliceBytes && !plantedBug(bugIntoLong) {
			o.long.over = true
			c.notify(todoSlice)
			return
		}
		if w := o.deferred[0].writer; w != nil {
			work += c.releaseFragmentLocked(o, w)
		} else {
			work += c.releaseOneLocked(o)
		}
	}
	if o := c.out; o != nil && o.awaitsBroadcast() {
		o.long.over = true // so that all that follows waits, the Close frame too
	}
}

// deferredWork is what a message costs beside its bytes, as bytes that are compressed.
const deferredWork = 1 << 10

// deferredCost is what n bytes cost to send, as bytes that are compressed at level 6.
func (c *Conn) deferredCost(n int, compress bool) int {
	if compress {
		n *= sliceBytes / c.loop.engine.conf.slice
	}
	return deferredWork + n
}

func (o *outbound) popDeferred() deferredFrame {
	d := o.deferred[0]
	o.deferredBytes -= d.cost
	o.deferred[0] = deferredFrame{}
	o.deferred = o.deferred[1:]
	return d
}

// releaseOneLocked sends the first of the messages that waited, and returns what that cost.
func (c *Conn) releaseOneLocked(o *outbound) int {
	d := o.popDeferred()
	p := d.payload()
	compress := d.compress && !o.hurried
	m := &outgoing{op: d.op, p: p, payload: uint64(len(p)), owned: d.sole(), from: d.from, prepared: d.prepared, compress: compress}
	if d.prepared != nil {
		m.frame = d.prepared.plain.bytes
	}
	c.messageLocked(o, m)
	d.release()
	return c.deferredCost(len(p), compress)
}

// releaseFragmentLocked sends the first fragment that waited of a writer whose turn has come,
// and returns what that cost. After the last it is as if the writer had never waited.
func (c *Conn) releaseFragmentLocked(o *outbound, w *messageWriter) int {
	if len(w.waiting) == 0 {
		o.popDeferred()
		w.waits, w.waiting = false, nil
		return 0
	}
	f := w.waiting[0]
	w.waiting[0] = fragment{}
	w.waiting = w.waiting[1:]
	n := f.to - f.from
	o.deferredBytes -= f.cost()
	if f.fin {
		o.popDeferred() // first: what it sends may be all, and give the outbound back
	}
	compress := w.deflate && !o.hurried
	w.fragmentLocked(o, &outgoing{p: f.bytes(), owned: f.sole(), from: f.from}, f.fin)
	f.drop()
	return c.deferredCost(n, compress)
}

// forgetDeferred drops what waits.
func (o *outbound) forgetDeferred() {
	for i := range o.deferred {
		o.deferred[i].release()
	}
	o.deferred, o.deferredBytes = o.deferred[:0], 0
}

// forgetWriter drops the fragments that wait, and the place, of a writer that is aborted.
func (o *outbound) forgetWriter(w *messageWriter) {
	for i := range w.waiting {
		o.deferredBytes -= w.waiting[i].cost()
	}
	o.deferred = slices.DeleteFunc(o.deferred, func(d deferredFrame) bool {
		if d.writer != w {
			return false
		}
		o.deferredBytes -= d.cost
		d.release()
		return true
	})
}
