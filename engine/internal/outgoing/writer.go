package outgoing

import (
	"slices"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// Writer sends one message in fragments, of a size that nobody knows before. Other messages wait behind it.
type Writer struct {
	out      *Out
	op       codec.Opcode
	compress deflate.Agreement
	begun    bool
	payload  uint64
	waits    bool       // it has a place among what is deferred, and its turn has not come
	waiting  []fragment // what was written meanwhile
}

// fragment is one of a writer's that waits.
type fragment struct {
	kept
	fin bool
}

// cost is what a fragment counts for.
func (k *kept) cost() uint64 { return fragmentOverhead + uint64(k.to-k.from) }

// Begin begins a message in fragments with w, which is new; it reports false if another is open. It ends with End, Close or Drop.
func (o *Out) Begin(k Call, w *Writer, op codec.Opcode, compress deflate.Agreement) bool {
	if o.busy != nil && o.busy.writer != nil {
		return false
	}
	b := o.attach(k)
	b.fallBehind()
	*w = Writer{out: o, op: op, compress: compress, waits: b.holdsBack()}
	if w.waits {
		b.deferPlace(deferred{writer: w}, len(b.deferred))
	}
	b.writer = w
	b.countWaiting()
	return true
}

// Begun tells whether its first frame was placed.
func (w *Writer) Begun() bool { return w.begun }

// MustCopy tells whether more than CopyBytes of n bytes would have to be copied under the lock.
func (w *Writer) MustCopy(n int) bool {
	return n > CopyBytes && (w.waits || w.compress != uncompressed)
}

// Write sends p as one fragment: or, where it is to be compressed, a slice of it, and goes on with the rest as with
// a long message. copied is a buffer with p in it, or nil; without one p is lent.
func (w *Writer) Write(k Call, p []byte, copied *pool.Buffer) Verdict {
	b := w.out.attach(k)
	v := Sent
	if b.placed != b.left || w.waits {
		v = b.admit(len(p), w)
	}
	if v == Sent {
		w.payload += uint64(len(p))
		b.out.buffered += uint64(len(p))
	}
	if v == Sent && !b.failed {
		w.write(b, p, copied)
	}
	b.countWaiting()
	return v // nothing is over while a writer is open
}

func (w *Writer) write(b *busy, p []byte, copied *pool.Buffer) {
	most := len(p)
	if w.compress != uncompressed {
		most = b.Lane.Slice
	}
	w.next(b, p, copied, 0, min(most, len(p)), false)
	if len(p) <= most {
		return
	}
	if !w.waits {
		w.waits, b.turns = true, true
		b.deferPlace(deferred{writer: w}, 0)
		b.out.due |= Slices
	}
	for from := most; from < len(p); from += most {
		w.keep(b, p, copied, from, min(from+most, len(p)), false)
	}
	b.settle()
}

// End ends the message and lets go what waits behind it.
func (w *Writer) End(k Call) {
	b := w.out.attach(k)
	b.writer = nil
	w.next(b, nil, nil, 0, 0, true)
	b.releaseDeferred()
	b.leave()
}

// next sends p[from:to] as the next fragment now, or when its turn has come.
func (w *Writer) next(b *busy, p []byte, copied *pool.Buffer, from, to int, fin bool) {
	if w.waits {
		w.keep(b, p, copied, from, to, fin)
		b.settle()
	} else {
		w.fragment(b, &piece{p: p[from:to], lent: true, fin: fin})
	}
}

// keep keeps p[from:to] until the writer's turn has come.
func (w *Writer) keep(b *busy, p []byte, copied *pool.Buffer, from, to int, fin bool) {
	f := fragment{kept: kept{buf: copied, from: from, to: to}, fin: fin}
	if copied != nil {
		copied.Retain()
	} else {
		var last *kept // the next one may share its buffer
		if n := len(w.waiting); n > 0 {
			last = &w.waiting[n-1].kept
		}
		f.kept = b.keep(p[from:to], last)
	}
	w.waiting = append(w.waiting, f)
	b.deferredBytes += f.cost()
}

// fragment sends f. A message that was empty is not compressed.
func (w *Writer) fragment(b *busy, f *piece) {
	f.op, f.payload, f.first = w.op, w.payload, !w.begun
	w.begun = true
	if w.compress == uncompressed || f.first && f.fin {
		b.frame(f)
		return
	}
	s := b.sender(w.compress)
	if f.first {
		s.Begin()
	}
	p := f.p
	buf := b.Lane.Pool.Get(len(p) + compressSlack)
	switch {
	case f.fin:
		buf.B = s.End(buf.B)
	case b.hurried:
		buf.B = s.Store(buf.B, p)
	default:
		buf.B = s.Write(buf.B, p, true)
	}
	b.compressed(&piece{op: f.op, payload: f.payload, first: f.first, fin: f.fin}, buf.B, len(p))
	buf.Release()
	b.park()
}

// releaseFragment sends the first fragment that waited of a writer whose turn has come,
// and returns what that cost. After the last it is as if the writer had never waited.
func (b *busy) releaseFragment(w *Writer) int {
	if len(w.waiting) == 0 {
		b.popDeferred()
		w.waits, w.waiting = false, nil
		return 0
	}
	f := w.waiting[0]
	w.waiting[0] = fragment{}
	w.waiting = w.waiting[1:]
	n := f.to - f.from
	b.deferredBytes -= f.cost()
	if f.fin {
		b.popDeferred()
	}
	w.fragment(b, &piece{p: f.bytes(), owned: f.sole(), from: f.from, fin: f.fin})
	f.drop()
	return b.workOf(n, w.compress != uncompressed && !b.hurried)
}

// abortWriter: the connection closes. A message that has begun stays unfinished, and
// no other can follow it (RFC 6455 5.4): those that wait are not sent, and stay counted.
// Before a writer's first frame they can, and leave as all that is queued does.
func (b *busy) abortWriter() {
	w := b.writer
	if w == nil {
		return
	}
	b.writer = nil
	if w.begun {
		b.forgetDeferred()
		return
	}
	b.forgetWriter(w)
	b.releaseDeferred()
}

// forgetWriter drops the fragments that wait, and the place, of a writer that is aborted.
func (b *busy) forgetWriter(w *Writer) {
	for i := range w.waiting {
		b.deferredBytes -= w.waiting[i].cost()
	}
	b.deferred = slices.DeleteFunc(b.deferred, func(d deferred) bool {
		if d.writer != w {
			return false
		}
		b.deferredBytes -= d.cost
		d.release()
		return true
	})
}
