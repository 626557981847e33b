package outgoing

import (
	"slices"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// What waits behind an open writer, behind a long message that is being compressed, or behind a
// broadcast that has not come to the connection yet. It leaves in the order in which it was sent: a writer's fragments
// where the writer began, a broadcast's message where Broadcast was called.

// deferred is a message that waits to be framed, or the place of a writer whose fragments do, or of broadcasts.
type deferred struct {
	op       codec.Opcode
	compress deflate.Agreement
	kept
	prepared *Prepared // whose payload it is, instead of kept
	writer   *Writer   // of a writer's place: whose
	upTo     uint32    // of the place of broadcasts: up to which number; 0: it is none
	cost     uint64    // in deferredBytes
}

const (
	// DeferredOverhead is what a message that waits costs beside its bytes, a writer's place and a broadcast's
	// too; fragmentOverhead what a writer's fragment does. Both with what a slice that grows has too much.
	DeferredOverhead = 128
	fragmentOverhead = 64
)

func (d *deferred) release() {
	d.drop()
	if d.writer != nil {
		for i := range d.writer.waiting {
			d.writer.waiting[i].drop()
		}
		d.writer.waiting = nil
	}
	*d = deferred{}
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
}

// keep copies p. Small payloads share buffers, for none is smaller than 256 bytes: p goes
// behind last, which was kept before it, where there is room. Writing to a buffer that has
// several references is safe there: all of them are under the same connection's lock, and
// none sees more of it than its own part.
func (b *busy) keep(p []byte, last *kept) kept {
	k, size := kept{copied: true}, len(p)
	if last != nil && last.copied && cap(last.buf.B) <= TailBytes {
		k.buf, size = last.buf, max(size, min(2*cap(last.buf.B), TailBytes))
	}
	if k.buf != nil && cap(k.buf.B)-len(k.buf.B) >= len(p) {
		k.buf.Retain()
	} else {
		k.buf = b.Lane.Pool.Get(size)
	}
	k.from = len(k.buf.B)
	k.buf.B = append(k.buf.B, p...)
	k.to = len(k.buf.B)
	return k
}

// deferMessage keeps a message until those before it have been framed: place tells where among what is deferred.
func (b *busy) deferMessage(m *Message, place int) {
	d := deferred{op: m.Op, compress: m.Compress, prepared: m.Prepared, cost: DeferredOverhead + uint64(len(m.P))}
	switch {
	case m.Prepared != nil:
	case m.Owned != nil && len(m.P) >= KeptBytes:
		d.kept = kept{buf: m.Owned, to: len(m.P)}
		d.buf.Retain()
		d.cost = DeferredOverhead + uint64(cap(m.Owned.B))
	default:
		var last *kept
		if n := len(b.deferred); n > 0 {
			last = &b.deferred[n-1].kept
		}
		d.kept = b.keep(m.P, last)
	}
	b.insert(d, place)
}

// deferPlace keeps a writer's place, or a broadcast's.
func (b *busy) deferPlace(d deferred, place int) {
	d.cost = DeferredOverhead
	b.insert(d, place)
}

func (b *busy) insert(d deferred, place int) {
	b.deferredBytes += d.cost
	if place == len(b.deferred) {
		b.deferred = append(b.deferred, d)
	} else {
		b.deferred = slices.Insert(b.deferred, place, d)
	}
}

// unfinished tells whether turns are still needed: a long message is being compressed, or what was
// deferred follows.
func (b *busy) unfinished() bool { return b.long.making() || b.turns }

// holdsBack tells whether what is sent now has to wait.
func (b *busy) holdsBack() bool { return b.writer != nil || b.unfinished() || len(b.deferred) != 0 }

// awaitsBroadcast tells whether what waits longest waits for a broadcast.
func (b *busy) awaitsBroadcast() bool { return len(b.deferred) != 0 && b.deferred[0].upTo != 0 }

// releasable tells whether something waits that nothing holds back but a long message: not
// what is behind an open writer whose turn has come, or behind a broadcast.
func (b *busy) releasable() bool {
	return len(b.deferred) != 0 && !b.awaitsBroadcast() && (b.writer == nil || b.writer.waits)
}

// releaseDeferred sends what waited: up to a message that is itself a long one, and, as
// all of it may be megabytes, no more than a turn's worth.
func (b *busy) releaseDeferred() {
	for work := 0; b.releasable(); {
		if b.long.making() {
			return
		}
		if work >= SliceBytes {
			b.turns = true
			b.out.due |= Slices
			return
		}
		if w := b.deferred[0].writer; w != nil {
			work += b.releaseFragment(w)
		} else {
			work += b.releaseOne()
		}
	}
	if b.awaitsBroadcast() {
		b.turns = true // so that all that follows waits, the Close frame too
	}
}

// releaseWork is what a message costs beside its bytes, as bytes that are compressed.
const releaseWork = 1 << 10

// workOf is what n bytes cost to send, as bytes that are compressed at level 6.
func (b *busy) workOf(n int, compress bool) int {
	if compress {
		n *= SliceBytes / b.Lane.Slice
	}
	return releaseWork + n
}

func (b *busy) popDeferred() deferred {
	d := b.deferred[0]
	b.deferredBytes -= d.cost
	b.deferred[0] = deferred{}
	b.deferred = b.deferred[1:]
	return d
}

// releaseOne sends the first of the messages that waited, and returns what that cost.
func (b *busy) releaseOne() int {
	d := b.popDeferred()
	m := &Message{Op: d.op, P: d.bytes(), Owned: d.sole(), from: d.from, Prepared: d.prepared}
	if d.prepared != nil {
		m.P = d.prepared.Payload()
	}
	if !b.hurried {
		m.Compress = d.compress
	}
	b.message(m)
	n := b.workOf(len(m.P), m.Compress != uncompressed)
	d.release()
	return n
}

// forgetDeferred drops what waits.
func (b *busy) forgetDeferred() {
	for i := range b.deferred {
		b.deferred[i].release()
	}
	b.deferred, b.deferredBytes = b.deferred[:0], 0
}
