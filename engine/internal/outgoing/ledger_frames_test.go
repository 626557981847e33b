package outgoing

import "github.com/gannet-ws/gannet/codec"

// Frames in the ledger: placed, written, settled.

// flush writes until the sink is full, a flush's share is written, or what comes next has not been copied yet.
func (w *ledger) flush() {
	w.write(FlushBytes)
	w.settle()
}

func (w *ledger) write(budget int) {
	for !w.blocked && !w.failed && w.left != len(w.stream) && (len(w.rests) == 0 || w.left < w.rests[0]) {
		until := len(w.stream)
		if len(w.rests) != 0 {
			until = w.rests[0]
		}
		n := min(until-w.left, budget, w.room)
		switch {
		case w.broken:
			w.failed = true
			w.due |= Broken
			return
		case n == 0, n == budget && w.left+n != len(w.stream):
			w.blocked = true
			w.due |= Room
		}
		w.left, w.room, budget = w.left+n, w.room-n, budget-n
	}
	switch {
	case w.left == len(w.stream):
		w.cork, w.queue = 0, false
	case !w.failed:
		w.cork, w.queue = 0, true
	}
}

// settle looks at what has left.
func (w *ledger) settle() {
	for len(w.ends) > 0 && w.ends[0].at <= w.left {
		w.gone += w.ends[0].payload
		w.messages++
		w.ends, w.marked = w.ends[1:], max(w.marked-1, 0)
	}
	if w.pongDue && w.pongEnd <= w.left {
		w.pongDue = false
		w.due |= Pong
	}
	if w.queued() == 0 {
		if w.buffered() == 0 {
			w.waiters = 0
		}
		if w.closed {
			w.due |= Closing
		}
	}
	w.lookAtMarks()
}

func (w *ledger) lookAtMarks() {
	low := w.limits.Low
	if w.empty {
		low = 0
	}
	switch q := int64(w.markCost()); {
	case w.failed:
	case !w.high && (w.blocked || w.holdsBack()) && q > w.limits.High:
		w.high = true
		w.due |= High
	case w.high && q <= low:
		w.high, w.empty = false, false
		w.due |= Low
	}
}

// lies is where a frame's payload lies.
type lies uint8

const (
	copied   lies = iota // it is released next
	lent                 // it is the sender's
	owned                // the queue may keep it
	prepared             // so it is, with its header
)

// cut is one frame of a message.
type cut struct {
	op               codec.Opcode
	first, fin, rsv1 bool
	p                []byte
	at               lies
	payload          uint64 // of the message
}

// frame places a frame of a message, and writes unless that waits for a callback's end.
func (w *ledger) frame(f cut) {
	if !f.first {
		f.op = codec.OpContinuation
	}
	direct := w.place(f)
	if f.fin {
		w.ends, w.marked = append(w.ends, end{len(w.stream), f.payload}), w.marked+1
	}
	switch {
	case w.blocked && direct == 0:
		w.settle()
	case direct == 0 && w.corked && w.queued() < CorkBytes:
		if w.timed {
			w.due |= Corked
		}
	default:
		w.write(FlushBytes)
		if rest := min(direct, len(w.stream)-w.left); rest > CopyBytes && f.at == lent && !w.failed {
			w.rests = append(w.rests, len(w.stream)-rest)
		}
		w.settle()
	}
}

// place puts a frame into the stream. direct is how much of it is to be written from where it lies.
func (w *ledger) place(f cut) (direct int) {
	n := len(f.p)
	keeps := n >= KeptBytes && f.at >= owned && w.mask == nil
	switch {
	case !keeps && (n < DirectBytes || w.blocked || w.mask != nil):
		w.fits(n + codec.MaxHeaderSize)
	case f.at == prepared && w.blocked:
		w.queue, w.cork = true, 0
	case f.at == prepared:
		direct = len(codec.AppendFrame(nil, f.op, f.fin, f.rsv1, f.p))
	case f.at == owned:
		w.fits(codec.MaxHeaderSize)
		w.queue, w.cork = true, 0
	default:
		w.fits(codec.MaxHeaderSize)
		direct = n
	}
	before := len(w.stream)
	if w.mask != nil {
		w.stream = codec.AppendMaskedFrame(w.stream, f.op, f.fin, f.rsv1, w.mask(), f.p)
	} else {
		w.stream = codec.AppendFrame(w.stream, f.op, f.fin, f.rsv1, f.p)
	}
	if !w.queue {
		w.cork += len(w.stream) - before - direct
	}
	return direct
}

// fits makes room for n bytes: in the cork, which is written when it is full, or behind the queue.
func (w *ledger) fits(n int) {
	if !w.queue && w.cork+n > CorkBytes && w.cork > 0 {
		w.flush()
	}
	if n > CorkBytes {
		w.queue = true
	}
}

func (w *ledger) control(op codec.Opcode, p []byte) {
	w.place(cut{op: op, fin: true, p: p})
	if w.blocked {
		w.settle()
	} else if !w.corked || w.timed {
		w.flush()
	}
}
