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
	w.straight, w.cork, w.marked = notPlain, w.cork-n, len(w.ends)
	switch {
	case w.broken:
		w.failed = true
		w.due |= Broken
	case n == 0:
		w.blocked = true
		w.due |= Room
	}
	return false
}

func (w *ledger) send(p []byte, at lies, memory int, promised bool) Verdict {
	n := uint64(len(p))
	if w.closed {
		w.lost += n
		return Closed
	}
	if w.now.spare && (len(p) < KeptBytes || at < owned) && w.straightly(p) {
		return Sent
	}
	w.attach()
	w.fallBehind()
	if w.failed {
		w.lost += n
		return Sent
	}
	v := Sent
	if !promised && (w.queued() != 0 || len(w.list) != 0 || w.turns) {
		v = w.admit(len(p), nil)
	}
	if v == Sent {
		w.accept(p, at, memory)
	}
	w.leave(w.corked)
	return v
}

func (w *ledger) accept(p []byte, at lies, memory int) {
	w.accepted += uint64(len(p))
	if !w.holdsBack() {
		w.frame(codec.OpBinary, true, true, p, at, uint64(len(p)))
		return
	}
	if len(p) < KeptBytes || at != owned {
		memory = len(p)
	}
	w.list = append(w.list, &item{p: p, made: at == prepared, cost: DeferredOverhead + uint64(memory)})
	w.settle()
}

func (w *ledger) begin(real *Writer) bool {
	if w.writer != nil {
		return false
	}
	w.attach()
	w.fallBehind()
	f := &fragments{real: real, waits: w.holdsBack()}
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
			w.nextFragment(f, p, false)
		}
	}
	w.leave(w.corked)
	return v
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

func (w *ledger) ping(p []byte, probe bool) {
	w.attach()
	if w.control(codec.OpPing, p); probe {
		w.pingEnd = len(w.stream)
	}
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
	if w.turns {
		w.body = append([]byte{}, body...)
	} else {
		w.control(codec.OpClose, body)
	}
	w.due |= Closing
	w.leave(w.corked)
}

// hear takes a broadcast's message, or that it passes the connection by.
func (w *ledger) hear(p []byte, passes bool, number uint32) (v Verdict) {
	w.heard = number
	if passes && !w.busy {
		return Sent
	}
	w.attach()
	if !passes {
		v = w.hearMessage(p, number)
	}
	if w.awaited != 0 {
		w.list = slices.DeleteFunc(w.list, func(d *item) bool { return d.upTo != 0 && d.upTo <= number })
		if w.lookAtMarks(); w.turns && !w.awaits() {
			w.goOn()
		}
	}
	w.leave(w.corked)
	return v
}

func (w *ledger) hearMessage(p []byte, number uint32) Verdict {
	at := slices.IndexFunc(w.list, func(d *item) bool { return d.upTo >= number })
	if at < 0 && w.closed {
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
	if at < 0 {
		w.accept(p, prepared, 0)
		return Sent
	}
	w.accepted += uint64(len(p))
	w.list = slices.Insert(w.list, at, &item{p: p, made: true, cost: DeferredOverhead + uint64(len(p))})
	w.settle()
	return Sent
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
	if w.turns {
		w.due |= Slices
	}
	w.leave(false)
	return false
}

func (w *ledger) turn() (more bool) {
	if !w.busy {
		return false
	}
	if w.attach(); !w.blocked && w.turns {
		w.goOn()
		more = w.turns && !w.awaits()
		w.flush()
	}
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
