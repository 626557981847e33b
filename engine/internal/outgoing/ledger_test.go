package outgoing

import (
	"slices"

	"github.com/gannet-ws/gannet/codec"
)

// ledger is the slow, obvious account of a way out: the stream byte for byte, how much of it has left, a list of what is deferred,
// and what each call makes due. It has no buffers and no marks, and knows of the straight path only when it is open. What is
// compressed it compresses itself.
type ledger struct {
	lane   *Lane // for what was set of it
	timed  bool
	mask   func() [4]byte
	room   int // of the sink
	most   int // it takes in one call; 0: any
	broken bool

	now  call // at hand
	call      // the last one that looked at more than the straight path

	busy     bool
	touched  bool // not by the straight path alone
	stream   []byte
	left     int // of it
	base     int // where it was idle last
	cork     int // so much at the end of it is in the cork
	queue    bool
	ends     []end // of messages in the stream, as far as they had not left when it was settled last
	marked   int   // of them
	rests    []int // where the bytes of lent payloads begin that nobody has copied yet
	list     []*item
	writer   *fragments
	straight int // room of the straight path; notPlain

	closed, failed, blocked, high, empty, turns bool
	body                                        []byte
	pongDue                                     bool
	pongEnd, pingEnd                            int
	heard, awaited                              uint32
	waiters                                     int
	packing

	accepted, lost, gone uint64 // payload
	messages, dropped    uint64
	due                  Due
}

type call struct {
	limits *Limits
	after  uint32
	corked bool
	spare  bool
}

type end struct {
	at      int
	payload uint64
}

// item is something deferred: a message, a writer's place, or that of broadcasts.
type item struct {
	kept
	buffer int // so much is in its buffer, the payloads of others included
	p      []byte
	pack   bool // it is to be compressed
	made   *Prepared
	writer *fragments
	upTo   uint32
	cost   uint64
}

// fragments is a writer.
type fragments struct {
	begun, waits bool
	pack         bool // they are to be compressed
	payload      uint64
	waiting      []*item // the last one ends the message if ended
	ended        bool
	real         *Writer
}

func (w *ledger) queued() uint64 { return uint64(len(w.stream) - w.left) }

func (w *ledger) queueCost() uint64 { return max(w.queued(), messageCost*uint64(len(w.ends))) }

func (w *ledger) unframed() (n uint64) {
	for _, d := range w.list {
		n += d.cost
		if d.writer != nil {
			for _, f := range d.writer.waiting {
				n += f.cost
			}
		}
	}
	return n
}

func (w *ledger) cost() uint64 {
	return w.queueCost() + w.unframed() + uint64(len(w.long.p)-w.long.off) + uint64(len(w.long.made))
}

func (w *ledger) markCost() uint64 {
	if len(w.list) == 0 {
		return w.queueCost()
	}
	return w.cost()
}

func (w *ledger) buffered() uint64 { return w.accepted + w.lost - w.gone }

func (w *ledger) holdsBack() bool { return w.writer != nil || w.unfinished() || len(w.list) != 0 }

func (w *ledger) unfinished() bool { return w.long.p != nil || w.turns }

func (w *ledger) awaits() bool { return len(w.list) != 0 && w.list[0].upTo != 0 }

func (w *ledger) releasable() bool {
	return len(w.list) != 0 && !w.awaits() && (w.writer == nil || w.writer.waits)
}

func (w *ledger) behind() bool { return int32(w.after-w.heard) > 0 }

// attach begins a call.
func (w *ledger) attach() {
	w.busy, w.touched, w.call, w.straight, w.marked = true, true, w.now, notPlain, len(w.ends)
}

func (w *ledger) idle() bool {
	return w.queued() == 0 && !w.holdsBack() && w.body == nil && w.waiters == 0 && !w.failed && !w.high
}

// leave ends a call. Unless a callback runs, what is idle is nothing.
func (w *ledger) leave(corked bool) {
	if w.straight = w.plainRoom(); !corked && w.idle() {
		w.detach()
	}
}

func (w *ledger) detach() {
	w.touched = false
	w.busy, w.base, w.marked, w.awaited, w.pongDue, w.waiters, w.high, w.empty = false, len(w.stream), 0, 0, false, 0, false, false
	w.left, w.cork, w.queue, w.ends, w.rests = len(w.stream), 0, false, nil, nil
	w.blocked, w.failed, w.turns, w.writer, w.list, w.body = false, false, false, nil, nil, nil
}

func (w *ledger) plainRoom() int {
	if w.blocked || w.failed || w.high || w.pongDue || w.queue || w.holdsBack() || w.waiters != 0 || w.closed || w.behind() {
		return notPlain
	}
	n := CorkBytes - w.cork
	if w.limits.MaxBuffered >= 0 {
		n = min(n, int(w.limits.MaxBuffered-int64(w.queueCost())))
	}
	return max(n, 0)
}

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

// admit applies MaxBuffered to n bytes more, f's or a message's.
func (w *ledger) admit(n int, f *fragments) Verdict {
	if w.limits.MaxBuffered < 0 || w.failed || w.takes(n, f) || w.makeWay(n, f) {
		return Sent
	}
	if !w.limits.Drop {
		return Slow
	}
	w.dropped++
	w.empty = w.empty || int64(w.cost()) <= w.limits.Low
	if !w.high {
		w.high = true
		w.due |= High
	}
	return Full
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
