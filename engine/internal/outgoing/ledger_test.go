package outgoing

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
