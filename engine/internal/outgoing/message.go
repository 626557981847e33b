package outgoing

import (
	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// Message is one to be sent. Nothing of it is kept when the call returns but what it says may be.
type Message struct {
	Op       codec.Opcode
	P        []byte            // the payload, which is only read
	Owned    *pool.Buffer      // P's buffer, of which a reference may be kept; P is all of it
	Prepared *Prepared         // whose payload P is; a reference may be kept
	Compress deflate.Agreement // what was agreed on; the zero value: it is sent as it is
	Lent     bool              // P stays as it is until the caller, when it has let go of the lock, has seen to Lent
	Promised bool              // it was accepted before: the limits were asked then
	from     int               // where in Owned P begins
}

// Send sends a message, or keeps it behind those before it. With an empty queue it is always accepted.
func (o *Out) Send(k Call, m *Message) Verdict {
	if o.closed {
		o.Count(len(m.P))
		return Closed
	}
	if k.Spare != nil && o.straight(k, m) {
		return Sent
	}
	b := o.attach(k)
	b.fallBehind()
	if b.failed { // the peer is gone, and what it said before is being heard
		b.countWaiting()
		o.Count(len(m.P))
		return Sent
	}
	v := Sent
	if !m.Promised && (b.queued() != 0 || len(b.deferred) != 0 || b.unfinished()) {
		v = b.admit(len(m.P), nil)
	}
	if v == Sent {
		b.accept(m)
	}
	b.leave()
	return v
}

// MustCopy tells whether more of m than CopyBytes would have to be copied under the lock. Then the caller
// copies it without, and owns the copy.
func (o *Out) MustCopy(k Call, m *Message) bool {
	if len(m.P) <= CopyBytes || m.Owned != nil || m.Prepared != nil || o.closed { // a prepared message is compressed from where it is
		return false
	}
	if m.Compress != uncompressed && len(m.P) > k.Lane.Slice {
		return true
	}
	return o.behind(k.After) || o.busy != nil && o.busy.holdsBack()
}

// accept sends a message that the limits have let through, or keeps it behind those before it.
func (b *busy) accept(m *Message) {
	b.out.buffered += uint64(len(m.P))
	if b.holdsBack() {
		b.deferMessage(m, len(b.deferred))
		b.settle()
		return
	}
	b.message(m)
}

// admit applies MaxBuffered to n bytes more, w's or, if that is nil, a message's.
// What comes into an empty queue always passes.
func (b *busy) admit(n int, w *Writer) Verdict {
	if b.Limits.MaxBuffered < 0 || b.failed || b.takes(n, w) || b.makeWay(n, w) {
		return Sent
	}
	if !b.Limits.Drop {
		return Slow
	}
	b.Lane.Counts.Dropped.Add(1)
	b.refuse()
	return Full
}

// makeWay sends what waits for us and not for the peer, who may read all it is sent:
// what a callback has corked, and what is to be compressed yet. That leaves as it is: a loop may be
// waiting for it.
func (b *busy) makeWay(n int, w *Writer) bool {
	b.hurried = true
	defer func() { b.hurried = false }()
	for !b.blocked && !b.failed {
		if b.flush(nil); b.takes(n, w) {
			return true
		}
		if !b.long.making() && (!b.turns || b.awaitsBroadcast()) {
			return false
		}
		b.slice()
	}
	return false
}

// takes tells whether n bytes more are within MaxBuffered. What is behind w, whose turn
// has come, waits for w and does not stand in its way. What waits for a broadcast waits for us, for a turn of the
// loop: the smallest limits do not count then.
func (b *busy) takes(n int, w *Writer) bool {
	q, most := b.cost(), uint64(b.Limits.MaxBuffered)
	if w != nil && !w.waits {
		q = b.queueCost()
	}
	if b.awaitsBroadcast() {
		most = max(most, 1<<20)
	}
	return q == 0 || q+uint64(n) <= most
}
