package engine

import (
	"slices"

	"github.com/gannet-ws/gannet/pool"
)

// What waits behind an open writer, or behind a long message that is being compressed. It
// leaves in the order in which it was sent, a writer's fragments where the writer began.

// deferredFrame is a data message that waits behind an open writer or a long message, or a
// fragment that waits behind a long message.
type deferredFrame struct {
	op       Opcode
	compress bool
	ours     bool // buf is: not the user's
	fin      bool // it is writer's last

	buf      *pool.Buffer // whose bytes from:to are the payload
	from, to int
	prepared *Prepared      // whose payload it is, instead of buf's
	writer   *messageWriter // whose fragment it is; nil: it is a message
}

func (d *deferredFrame) payload() []byte {
	if d.prepared != nil {
		return d.prepared.plain.payload()
	}
	return d.buf.B[d.from:d.to]
}

// keep copies p. Small payloads share buffers, for no buffer is smaller than 256 bytes: p goes
// behind that of last, the frame before, where there is room.
func (d *deferredFrame) keep(c *Conn, p []byte, last *deferredFrame) {
	size := len(p)
	if last != nil && last.ours && cap(last.buf.B) <= tailBytes {
		d.buf, size = last.buf, max(size, min(2*cap(last.buf.B), tailBytes))
	}
	if d.buf != nil && cap(d.buf.B)-len(d.buf.B) >= len(p) {
		d.buf.Retain()
	} else {
		d.buf = c.loop.engine.pool.Get(size)
	}
	d.ours, d.from = true, len(d.buf.B)
	d.buf.B = append(d.buf.B, p...)
	d.to = len(d.buf.B)
}

// whole is the buffer that has the payload and nothing else, if there is one.
func (d *deferredFrame) whole() *pool.Buffer {
	if d.buf == nil || d.to-d.from != len(d.buf.B) {
		return nil
	}
	return d.buf
}

func (d *deferredFrame) release() {
	if d.buf != nil {
		d.buf.Release()
	}
	*d = deferredFrame{}
}

// deferMessage keeps a message until those before it have been sent.
func (o *outbound) deferMessage(c *Conn, m *outgoing) {
	d := deferredFrame{op: m.op, compress: m.compress, prepared: m.prepared}
	switch {
	case m.owned != nil:
		d.buf, d.to = m.owned, len(m.p)
		d.buf.Retain()
	case d.prepared == nil:
		d.keep(c, m.p, o.deferredBefore(len(o.deferred)))
	}
	o.deferred = append(o.deferred, d)
	o.deferredBytes += uint64(len(m.p))
}

// deferFragment keeps a fragment until what was sent before its writer began has left. What
// was sent since stays behind it.
func (o *outbound) deferFragment(w *messageWriter, p []byte, fin bool) {
	d := deferredFrame{writer: w, fin: fin}
	at := w.behind
	if plantedBug(bugWriterLast) {
		at = len(o.deferred)
	}
	d.keep(w.conn, p, o.deferredBefore(at))
	o.deferred = slices.Insert(o.deferred, at, d)
	o.deferredBytes += uint64(len(p))
	w.behind++
}

func (o *outbound) deferredBefore(i int) *deferredFrame {
	if i == 0 {
		return nil
	}
	return &o.deferred[i-1]
}

// releases tells whether something waits that nothing holds back but a long message: not
// what is behind an open writer.
func (o *outbound) releases() bool {
	return len(o.deferred) != 0 && (o.writer == nil || o.writer.behind > 0)
}

// releaseDeferredLocked sends what waited: up to a message that is itself a long one, and, as
// all of it may be megabytes, no more than a turn's worth. With the rest the loop goes on.
func (c *Conn) releaseDeferredLocked() {
	for work := 0; c.out != nil && c.out.releases(); {
		o := c.out
		if o.long.buf != nil && !plantedBug(bugIntoLong) {
			return
		}
		if work >= c.loop.engine.conf.slice && !plantedBug(bugIntoLong) {
			o.long.over = true
			c.notify(todoSlice)
			return
		}
		work += deferredWork + c.releaseOneLocked(o)
	}
}

// deferredWork is what a message costs beside its bytes, as bytes that are compressed.
const deferredWork = 1 << 10

// releaseOneLocked sends the first of the messages that waited, and returns its length.
func (c *Conn) releaseOneLocked(o *outbound) int {
	d := o.deferred[0]
	o.deferred[0] = deferredFrame{}
	o.deferred = o.deferred[1:]
	p := d.payload()
	o.deferredBytes -= uint64(len(p))
	if o.writer != nil {
		o.writer.behind--
	}
	if d.writer != nil {
		d.writer.fragmentLocked(o, p, d.fin)
		d.release()
		return len(p)
	}
	m := &outgoing{op: d.op, p: p, payload: uint64(len(p)), owned: d.whole(), prepared: d.prepared, compress: d.compress}
	if d.prepared != nil {
		m.frame = d.prepared.plain.bytes
	}
	c.messageLocked(o, m)
	d.release()
	return len(p)
}
