package outgoing

import (
	"slices"

	"github.com/gannet-ws/gannet/codec"
)

// What the ledger lets in, and what waits.

// admit applies MaxBuffered to n bytes more, f's or a message's.
func (w *ledger) admit(n int, f *fragments) Verdict {
	if w.limits.MaxBuffered < 0 || w.failed || w.takes(n, f) || w.makeWay(n, f) {
		return Sent
	}
	if !w.limits.Drop {
		return Slow
	}
	w.dropped++
	w.refuse()
	return Full
}

func (w *ledger) refuse() {
	w.empty = w.empty || int64(w.cost()) <= w.limits.Low
	if !w.high {
		w.high = true
		w.due |= High
	}
}

func (w *ledger) takes(n int, f *fragments) bool {
	q, most := w.cost(), uint64(w.limits.MaxBuffered)
	if f != nil && !f.waits {
		q = w.queueCost()
	}
	if w.awaits() {
		most = max(most, 1<<20)
	}
	return q == 0 || q+uint64(n) <= most
}

func (w *ledger) makeWay(n int, f *fragments) bool {
	w.hurried = true
	defer func() { w.hurried = false }()
	for !w.blocked && !w.failed {
		if w.flush(); w.takes(n, f) {
			return true
		}
		if w.long.p == nil && (!w.turns || w.awaits()) {
			return false
		}
		w.goOn()
	}
	return false
}

// release frames what is deferred, as far as nothing holds it back and a turn's work goes.
func (w *ledger) release() {
	for work := 0; w.releasable() && w.long.p == nil; {
		if work >= SliceBytes {
			w.turns = true
			w.due |= Slices
			return
		}
		d := w.list[0]
		f := d.writer
		switch {
		case f == nil:
			w.list = w.list[1:]
			pack := d.pack && !w.hurried
			w.message(d.p, w.lies(d), d.made, pack)
			work += w.workOf(len(d.p), pack)
		case len(f.waiting) == 0:
			w.list, f.waits = w.list[1:], false
		default:
			d = f.waiting[0]
			f.waiting = f.waiting[1:]
			fin := f.ended && len(f.waiting) == 0
			if fin {
				w.list = w.list[1:]
			}
			w.fragment(f, d.p, fin, w.lies(d))
			work += w.workOf(len(d.p), f.pack && !w.hurried)
		}
	}
	if w.awaits() {
		w.turns = true
	}
}

func (w *ledger) workOf(n int, pack bool) int {
	if pack {
		n *= SliceBytes / w.lane.Slice
	}
	return releaseWork + n
}

// lies: a copy that waited may be kept if nothing else is in its buffer.
func (w *ledger) lies(d *item) lies {
	switch {
	case d.made != nil:
		return prepared
	case d.buf == nil:
		return copied
	case !d.copied:
		return owned
	}
	alone := d.to-d.from == d.buffer
	for _, o := range w.list {
		alone = alone && o.buf != d.buf
		if o.writer != nil {
			alone = alone && !slices.ContainsFunc(o.writer.waiting, func(f *item) bool { return f.buf == d.buf })
		}
	}
	if alone {
		return owned
	}
	return copied
}

// goOn is a turn.
func (w *ledger) goOn() (more bool) {
	if w.long.p == nil || w.makeSlice() {
		w.afterLong()
	}
	return w.long.p != nil || w.turns && !w.awaits()
}

func (w *ledger) afterLong() {
	w.release()
	if w.long.p != nil || w.releasable() || w.awaits() {
		return
	}
	w.turns = false
	if w.body != nil {
		body := w.body
		w.body = nil
		w.control(codec.OpClose, body)
	} else if w.writer != nil {
		w.settle()
	}
}
