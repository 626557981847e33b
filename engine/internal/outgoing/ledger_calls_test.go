package outgoing

import (
	"slices"

	"github.com/gannet-ws/gannet/codec"
)

// The calls of an Out, as the ledger keeps account of them.

func (w *ledger) fallBehind() {
	if !w.behind() || w.awaited != 0 && int32(w.after-w.awaited) <= 0 {
		return
	}
	w.awaited, w.turns = w.after, true
	w.list = append(w.list, &item{upTo: w.after, cost: DeferredOverhead})
	w.due |= Asking
}

func (w *ledger) sendPlain(p []byte) bool {
	if !w.busy {
		if w.closed {
			return false
		}
		w.busy, w.call = true, call{limits: w.now.limits, after: w.now.after}
		w.straight = w.plainRoom()
	}
	if len(p)+maxHeader > w.straight || w.now.after != w.heard || w.now.limits != w.limits {
		return false
	}
	before := len(w.stream)
	w.stream = codec.AppendFrame(w.stream, codec.OpBinary, true, false, p)
	w.cork += len(w.stream) - before
	w.straight -= max(len(w.stream)-before, messageCost)
	w.ends = append(w.ends, end{len(w.stream), uint64(len(p))})
	w.accepted += uint64(len(p))
	return true
}

// straightly sends by the straight path, if it is open: when the cork is full, after that was written.
func (w *ledger) straightly(p []byte) bool {
	if w.sendPlain(p) {
		return true
	}
	n := len(p) + maxHeader
	if !w.busy || w.straight == notPlain || w.marked != 0 || w.cork == 0 || n > CorkBytes {
		return false
	}
	if w.straight = w.plainRoom(); n > w.straight && (n <= CorkBytes-w.cork || !w.emptyCork()) {
		return false
	}
	return w.sendPlain(p)
}

// emptyCork is one write of the cork.
func (w *ledger) emptyCork() bool {
	w.call = w.now
	n := min(w.cork, w.room)
	if w.most > 0 {
		n = min(n, w.most)
	}
	if w.broken {
		n = 0
	}
	w.left, w.room = w.left+n, w.room-n
	if w.left == len(w.stream) {
		for _, e := range w.ends {
			w.gone += e.payload
			w.messages++
		}
		w.ends, w.cork = nil, 0
		w.straight = w.plainRoom()
		return true
	}
	w.straight, w.touched, w.cork, w.marked = notPlain, true, w.cork-n, len(w.ends)
	switch {
	case w.broken:
		w.failed = true
		w.due |= Broken
	case n == 0:
		w.blocked = true
		w.due |= Room
	}
	w.settle()
	return false
}

func (w *ledger) send(p []byte, at lies, m *Message) Verdict {
	n := uint64(len(p))
	if w.closed {
		w.lost += n
		return Closed
	}
	if w.now.spare && m.Compress == uncompressed && (len(p) < KeptBytes || at < owned) && w.straightly(p) {
		return Sent
	}
	w.attach()
	w.fallBehind()
	if w.failed {
		w.lost += n
		return Sent
	}
	v := Sent
	if !m.Promised && (w.queued() != 0 || len(w.list) != 0 || w.unfinished()) {
		v = w.admit(len(p), nil)
	}
	if v == Sent {
		w.accept(p, at, m)
	}
	w.leave(w.corked)
	return v
}

func (w *ledger) accept(p []byte, at lies, m *Message) {
	w.accepted += uint64(len(p))
	pack := m.Compress != uncompressed
	if !w.holdsBack() {
		w.message(p, at, m.Prepared, pack)
		return
	}
	d := &item{p: p, pack: pack, made: m.Prepared, cost: DeferredOverhead + uint64(len(p))}
	if at == owned && len(p) >= KeptBytes {
		d.cost = DeferredOverhead + uint64(cap(m.Owned.B))
	}
	w.list = append(w.list, d)
	w.settle()
}

func (w *ledger) begin(real *Writer, pack bool) bool {
	if w.writer != nil {
		return false
	}
	w.attach()
	w.fallBehind()
	f := &fragments{real: real, waits: w.holdsBack(), pack: pack}
	if f.waits {
		w.list = append(w.list, &item{writer: f, cost: DeferredOverhead})
	}
	w.writer = f
	return true
}

func (w *ledger) writeFragment(p []byte) Verdict {
	f := w.writer
	w.attach()
	v := Sent
	if w.queued() != 0 || f.waits {
		v = w.admit(len(p), f)
	}
	if v == Sent {
		f.payload += uint64(len(p))
		w.accepted += uint64(len(p))
		if !w.failed {
			w.fragments(f, p)
		}
	}
	w.leave(w.corked)
	return v
}

// slices sends what a writer has written: where it is to be compressed a slice a turn.
func (w *ledger) fragments(f *fragments, p []byte) {
	most := len(p)
	if f.pack {
		most = w.lane.Slice
	}
	w.nextFragment(f, p[:min(most, len(p))], false)
	if len(p) <= most {
		return
	}
	if !f.waits {
		f.waits, w.turns = true, true
		w.list = slices.Insert(w.list, 0, &item{writer: f, cost: DeferredOverhead})
		w.due |= Slices
	}
	for part := range slices.Chunk(p[most:], most) {
		f.waiting = append(f.waiting, &item{p: part, cost: fragmentOverhead + uint64(len(part))})
	}
	w.settle()
}

func (w *ledger) nextFragment(f *fragments, p []byte, fin bool) {
	if !f.waits {
		w.fragment(f, p, fin, lent)
		return
	}
	f.waiting, f.ended = append(f.waiting, &item{p: p, cost: fragmentOverhead + uint64(len(p))}), fin
	w.settle()
}

func (w *ledger) endWriter() {
	f := w.writer
	w.attach()
	w.writer = nil
	w.nextFragment(f, nil, true)
	w.release()
	w.leave(w.corked)
}

func (w *ledger) raw(p []byte) {
	w.attach()
	w.fits(len(p))
	w.stream = append(w.stream, p...)
	if !w.queue {
		w.cork += len(p)
	}
}

func (w *ledger) ping(p []byte, promised bool) Verdict {
	w.attach()
	defer func() { w.leave(w.corked) }()
	if most := w.limits.MaxBuffered; !promised && w.blocked && most >= 0 && int64(w.cost())+int64(len(p)) > most {
		w.refuse()
		return Full
	}
	w.control(codec.OpPing, p)
	return Sent
}

func (w *ledger) probe() {
	w.attach()
	w.control(codec.OpPing, nil)
	w.pingEnd = len(w.stream)
	w.leave(w.corked)
}

func (w *ledger) pong(p []byte) bool {
	w.attach()
	if w.blocked && w.pongEnd > w.left {
		w.pongDue = true
		return false
	}
	w.control(codec.OpPong, p)
	w.pongEnd = len(w.stream)
	w.leave(w.corked)
	return true
}

func (w *ledger) close(body []byte) {
	if w.closed {
		return
	}
	w.attach()
	w.fallBehind()
	w.closed = true
	f := w.writer
	w.writer = nil
	switch {
	case f == nil:
	case f.begun:
		w.list = nil
	default:
		w.list = slices.DeleteFunc(w.list, func(d *item) bool { return d.writer == f })
		w.release()
	}
	if w.unfinished() {
		w.body = append([]byte{}, body...)
	} else {
		w.control(codec.OpClose, body)
	}
	w.due |= Closing
	w.leave(w.corked)
}

// hear takes a broadcast's message, or that it passes the connection by.
func (w *ledger) hear(m *Message, number uint32) (v Verdict) {
	w.heard = number
	if m == nil && !w.busy {
		return Sent
	}
	w.attach()
	if m != nil {
		v = w.hearMessage(m, number)
	}
	if w.awaited != 0 {
		w.list = slices.DeleteFunc(w.list, func(d *item) bool { return d.upTo != 0 && int32(d.upTo-number) <= 0 })
		if w.lookAtMarks(); w.turns && !w.awaits() {
			w.afterLong()
		}
	}
	w.leave(w.corked)
	return v
}

func (w *ledger) hearMessage(m *Message, number uint32) Verdict {
	p := m.P
	place := func() int {
		return slices.IndexFunc(w.list, func(d *item) bool { return d.upTo != 0 && int32(d.upTo-number) >= 0 })
	}
	if w.closed && place() < 0 {
		return Closed
	}
	if w.failed {
		w.lost += uint64(len(p))
		return Sent
	}
	if w.cost() != 0 && !w.closed {
		if v := w.admit(len(p), nil); v != Sent {
			return v
		}
	}
	at := place()
	if at < 0 {
		w.accept(p, prepared, m)
		return Sent
	}
	w.accepted += uint64(len(p))
	w.list = slices.Insert(w.list, at, &item{p: p, pack: m.Compress != uncompressed, made: m.Prepared, cost: DeferredOverhead + uint64(len(p))})
	w.settle()
	return Sent
}

// flushPlain tells whether one write of the cork is all there is to do.
func (w *ledger) flushPlain() bool {
	return w.straight != notPlain && w.marked == 0 && w.cork != 0 && !w.touched && !w.broken && w.room >= w.cork && (w.most == 0 || w.most >= w.cork)
}

func (w *ledger) flushAll() {
	if !w.busy {
		return
	}
	w.attach()
	w.flush()
	w.leave(false)
}

func (w *ledger) hasRoom() (full bool) {
	if !w.busy {
		return false
	}
	w.attach()
	w.blocked = false
	if w.flush(); w.blocked {
		return true
	}
	if w.unfinished() {
		w.due |= Slices
	}
	w.leave(false)
	return false
}

func (w *ledger) turn() (more bool) {
	if !w.busy {
		return false
	}
	switch w.attach(); {
	case w.blocked:
		w.long.place = false
	case w.unfinished():
		if more = true; w.takePlace() {
			more = w.goOn()
		}
		w.flush()
	}
	w.park()
	w.leave(false)
	return more
}

func (w *ledger) copiedRest(i int) {
	w.rests = slices.Delete(w.rests, i, i+1)
	w.attach()
	w.flush()
	w.leave(w.corked)
}

func (w *ledger) remark() {
	if w.busy {
		w.attach()
		w.lookAtMarks()
		w.leave(w.corked)
	}
}

func (w *ledger) fail() (wasHigh bool) {
	w.attach()
	wasHigh, w.high = w.high, false
	w.failed, w.blocked = true, false
	return wasHigh
}

func (w *ledger) await() bool {
	if !w.busy || w.buffered() == 0 && w.queued() == 0 {
		return false
	}
	w.straight = notPlain
	w.waiters++
	return true
}
