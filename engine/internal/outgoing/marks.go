package outgoing

// mark is the end of a message in the stream, and what it adds to Buffered.
type mark struct {
	end     uint64
	payload uint64
}

// settle accounts for what has left.
func (b *busy) settle() {
	if b.left == b.placed {
		b.out.buffered -= b.payload
		b.Lane.Counts.sent(len(b.marks)-b.mhead, b.payload)
		b.payload, b.marks, b.mhead = 0, b.marks[:0], 0
	} else {
		b.popMarks()
	}
	if b.pongDue && b.pongEnd <= b.left {
		b.pongDue = false
		b.out.due |= Pong
	}
	if b.left == b.placed {
		if b.out.buffered == 0 {
			b.wake(true)
		}
		if b.out.closed {
			b.out.due |= Closing
		}
	}
	b.lookAtMarks()
}

// popMarks takes the messages that have wholly left off Buffered.
func (b *busy) popMarks() {
	from, payload := b.mhead, uint64(0)
	for b.mhead < len(b.marks) && b.marks[b.mhead].end <= b.left {
		payload += b.marks[b.mhead].payload
		b.mhead++
	}
	b.out.buffered -= payload
	b.payload -= payload
	b.Lane.Counts.sent(b.mhead-from, payload)
	if b.mhead > 1024 && b.mhead > len(b.marks)/2 {
		b.marks = b.marks[:copy(b.marks, b.marks[b.mhead:])]
		b.mhead = 0
	}
}

// Remark looks at the water marks after they were moved.
func (o *Out) Remark(k Call) {
	if o.busy == nil {
		return
	}
	b := o.attach(k)
	b.lookAtMarks()
	b.leave()
}

// IsHigh tells whether the high water mark was passed, and the low one not reached since.
func (o *Out) IsHigh() bool { return o.busy != nil && o.busy.high }

func (b *busy) lookAtMarks() {
	if b.failed {
		return // nothing leaves any more, and nobody waits for it to
	}
	q := int64(b.markCost())
	if !b.high {
		if (b.blocked || b.holdsBack()) && q > b.Limits.High {
			b.passHigh()
		}
		return
	}
	low := b.Limits.Low
	if b.empty {
		low = 0
	}
	if q <= low {
		b.high, b.empty = false, false
		b.out.due |= Low
	}
}

func (b *busy) passHigh() {
	b.high = true
	b.out.due |= High
}

// refuse: a message did not fit. Whoever was told so is told of Low, wherever High lies: at the low mark,
// or, when less waits already, when nothing does.
func (b *busy) refuse() {
	b.empty = b.empty || int64(b.cost()) <= b.Limits.Low
	if !b.high {
		b.passHigh()
	}
}
