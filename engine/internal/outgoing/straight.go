package outgoing

import "github.com/gannet-ws/gannet/codec"

// The straight path. Most messages are whole, uncompressed and unmasked, are sent in a callback, and find nothing that
// waits but more of their kind. Such a one is copied into the cork, and one write takes them all: no limit is asked, for
// busy.plainRoom knew it before, and no mark is made, for as long as all leave at once two sums will do. Marks are made of
// the frames in the cork when a write takes only part of it, or something else comes behind them.

// Spare is a place for what a connection needs while it is busy: one loop's, and quicker than the pool for all. Who
// calls with a Spare is the only one who uses it, until it is given to another connection's calls.
type Spare struct{ busy *busy }

func (s *Spare) take() *busy {
	if s == nil || s.busy == nil {
		return busyPool.Get().(*busy)
	}
	b := s.busy
	s.busy = nil
	return b
}

func (s *Spare) put(b *busy) {
	if s == nil || s.busy != nil {
		busyPool.Put(b)
	} else {
		s.busy = b
	}
}

// SendPlain is Send for an uncompressed message where the straight path can be taken; else it answers false, and
// nothing was done. k.After and k.Limits are given alone, and k is otherwise that of a corked call with a Spare.
func (o *Out) SendPlain(s *Spare, l *Limits, after uint32, op codec.Opcode, p []byte) bool {
	if o.busy == nil {
		if o.closed {
			return false
		}
		b := s.take()
		o.busy, b.out, b.Spare, b.Limits, b.After = b, o, s, l, after
		b.straight = cap(b.cork)
		if most := l.MaxBuffered; most >= 0 {
			b.straight = int(min(most, int64(b.straight)))
		}
	}
	return o.AddPlain(l, after, op, p)
}

// AddPlain is SendPlain where the connection is busy: most likely with what SendPlain has put into the cork before.
func (o *Out) AddPlain(l *Limits, after uint32, op codec.Opcode, p []byte) bool {
	b := o.busy
	n := len(p) + maxHeader
	if n > b.straight || after != o.heard || l != b.Limits {
		return false
	}
	at := len(b.cork)
	if b.unmarked == 0 {
		b.unmarkedAt = at
	}
	frame := b.cork[at : at+n]
	header := putHeader(frame, op, len(p))
	n = header + copy(frame[header:], p)
	b.cork = b.cork[:at+n]
	b.placed += uint64(n)
	b.straight -= max(n, messageCost)
	b.unmarked++
	b.unmarkedPayload += uint64(len(p))
	o.buffered += uint64(len(p))
	return true
}

// straight sends m by the straight path, if it can: when the cork is full, after that was written. k has a Spare.
func (o *Out) straight(k Call, m *Message) bool {
	if m.Compress != uncompressed || len(m.P) >= KeptBytes && (m.Owned != nil || m.Prepared != nil) {
		return false
	}
	if o.SendPlain(k.Spare, k.Limits, k.After, m.Op, m.P) {
		return true
	}
	n := len(m.P) + maxHeader
	b := o.busy
	if b == nil || !b.isPlain() || n > CorkBytes {
		return false
	}
	if b.straight = b.plainRoom(); n > b.straight && (n <= cap(b.cork)-len(b.cork) || !b.emptyCork(k)) {
		return false
	}
	return o.SendPlain(k.Spare, k.Limits, k.After, m.Op, m.P)
}

// emptyCork writes a cork in which nothing is marked, and reports whether all has left.
func (b *busy) emptyCork(k Call) bool {
	if b.Call = k; !b.flushPlain() {
		return false
	}
	b.left = b.placed
	b.cork, b.unmarked, b.unmarkedPayload = b.cork[:0], 0, 0
	b.straight = b.plainRoom()
	return true
}

// isPlain tells whether the cork is all that waits, and nothing in it is marked.
func (b *busy) isPlain() bool { return b.straight != notPlain && len(b.marks) == 0 && len(b.cork) != 0 }

// maxHeader is the longest header of an unmasked frame.
const maxHeader = codec.MaxHeaderSize - 4

// notPlain is the room of a busy in which something waits that the straight path does not know.
const notPlain = -1

// plainRoom is how many bytes the straight path may put into the cork: none outside of a corked call with a Spare, so
// that AddPlain need not ask.
func (b *busy) plainRoom() int {
	if b.Spare == nil || b.blocked || b.failed || b.high || b.pongDue || b.head != len(b.queue) || b.holdsBack() || len(b.waiters) != 0 ||
		b.out.closed || b.out.behind(b.After) {
		return notPlain
	}
	room := cap(b.cork) - len(b.cork)
	if most := b.Limits.MaxBuffered; most >= 0 {
		room = int(min(int64(room), most-int64(b.queueCost())))
	}
	return max(room, 0)
}

// FlushPlain is Flush where nothing but what SendPlain has sent waits, and all of it leaves; what that was it adds to t. Else it
// answers false: then Flush goes on.
func (o *Out) FlushPlain(l *Lane, id int, s *Spare, t *Tally) bool {
	b := o.busy
	if b == nil || !b.isPlain() || b.touched {
		return false
	}
	n, err := l.Sink.Write(id, b.cork)
	if n != len(b.cork) || err != nil {
		b.Lane, b.ID = l, id
		b.cut(n, err)
		return false
	}
	o.buffered -= b.unmarkedPayload
	t.Messages += uint64(b.unmarked)
	t.Bytes += b.unmarkedPayload
	o.busy = nil
	b.recycle()
	s.put(b)
	return true
}

// Tally is what has left through a lane and is not in its Counts yet: one goroutine's.
type Tally struct{ Messages, Bytes uint64 }

// flushPlain is flush for a cork in which nothing is marked. It reports whether all has left: then nothing is left to do.
func (b *busy) flushPlain() bool {
	n, err := b.Lane.Sink.Write(b.ID, b.cork)
	if n == len(b.cork) && err == nil {
		b.out.buffered -= b.unmarkedPayload
		b.Lane.Counts.sent(b.unmarked, b.unmarkedPayload)
		return true
	}
	b.cut(n, err)
	return false
}

// cut goes on from the straight path: only n bytes of the cork have left.
func (b *busy) cut(n int, err error) {
	b.straight, b.touched = notPlain, true
	b.markPlain()
	b.advance(n, nil)
	b.afterWrite(err, FlushBytes-n)
	b.settle() // what comes next may stay in the cork, and ask for no write
}

// markPlain makes the marks of what the straight path has put into the cork: of the frames at its end.
func (b *busy) markPlain() {
	if b.unmarked == 0 {
		return
	}
	frames := b.cork[b.unmarkedAt:]
	end := b.placed - uint64(len(frames))
	for len(frames) > 0 {
		n, payload := frameSize(frames)
		end += uint64(n)
		frames = frames[n:]
		b.marks = append(b.marks, mark{end, uint64(payload)})
	}
	b.payload += b.unmarkedPayload
	b.unmarked, b.unmarkedPayload, b.unmarkedAt = 0, 0, 0
}

// putHeader writes the header of an unmasked frame that fits the cork, and returns how long it is. (What package codec does for
// frames of all kinds takes a call.)
func putHeader(b []byte, op codec.Opcode, payload int) int {
	b[0] = 0x80 | byte(op) // FIN
	if payload <= 125 {
		b[1] = byte(payload)
		return 2
	}
	b[1], b[2], b[3] = 126, byte(payload>>8), byte(payload)
	return 4
}

// frameSize is how long the unmasked frame at the start of b is, and its payload.
func frameSize(b []byte) (frame, payload int) {
	switch n := int(b[1]); n {
	case 127:
		panic("outgoing: a frame in the cork that is longer than the cork")
	case 126:
		payload = int(b[2])<<8 | int(b[3])
		return payload + 4, payload
	default:
		return n + 2, n
	}
}
