package outgoing

import "slices"

// Broadcasts come to a connection when its loop comes to it, and are numbered in the order in which they were
// announced. Who sends to a connection that has not heard those announced before keeps a place for them, and waits
// behind that.

// Heard is the number of the last broadcast that has come here.
func (o *Out) Heard() uint32 { return o.heard }

// Skip has the connection begin behind the broadcast of this number.
func (o *Out) Skip(number uint32) { o.heard = number }

// behind tells whether the broadcast of this number has not come here.
func (o *Out) behind(number uint32) bool { return o.heard != number && int32(number-o.heard) > 0 }

// fallBehind keeps a place for the broadcasts that were announced before the call, unless there is one. What is
// sent from now on waits behind it.
func (b *busy) fallBehind() {
	last := b.After
	if !b.out.behind(last) || b.awaited != 0 && int32(last-b.awaited) <= 0 {
		return
	}
	b.awaited = last
	b.deferPlace(deferred{upTo: last}, len(b.deferred))
	b.turns = true
	b.out.due |= Asking
}

// Hear sends a broadcast's message, or none if m is nil: with it the connection has come up to number. What comes
// after the connection left OPEN is not sent, but where its place was kept.
func (o *Out) Hear(k Call, m *Message, number uint32, open bool) Verdict {
	v := Sent
	o.heard = number
	if m == nil && o.busy == nil {
		return v
	}
	b := o.attach(k)
	if m != nil {
		v = b.hear(m, number, open)
	}
	if b.awaited != 0 {
		b.passPlaces(number)
	}
	b.leave()
	return v
}

// hear sends m, or puts it where its place was kept.
func (b *busy) hear(m *Message, number uint32, open bool) Verdict {
	if !open && b.placeOf(number) < 0 {
		return Closed // the Close frame goes before it
	}
	if b.failed {
		b.out.Count(len(m.P))
		return Sent
	}
	if b.cost() != 0 && open {
		if v := b.admit(len(m.P), nil); v != Sent {
			return v
		}
	}
	place := b.placeOf(number) // now, for to make way may have sent what was before it
	if place < 0 {
		b.accept(m)
		return Sent
	}
	b.out.buffered += uint64(len(m.P))
	b.deferMessage(m, place)
	b.settle()
	return Sent
}

// placeOf is where among what is deferred the place of the broadcast of this number is; negative: none was kept.
func (b *busy) placeOf(number uint32) int {
	if b.awaited == 0 {
		return -1
	}
	return slices.IndexFunc(b.deferred, func(d deferred) bool { return d.upTo != 0 && int32(d.upTo-number) >= 0 })
}

// passPlaces drops the places of broadcasts that have come, and goes on behind them.
func (b *busy) passPlaces(number uint32) {
	b.deferred = slices.DeleteFunc(b.deferred, func(d deferred) bool {
		done := d.upTo != 0 && int32(d.upTo-number) <= 0
		if done {
			b.deferredBytes -= d.cost
		}
		return done
	})
	b.lookAtMarks()                      // a place may have been all that waited
	if b.turns && !b.awaitsBroadcast() { // what waited follows, or the Close frame
		b.afterLong()
	}
}
