package outgoing

import (
	"bytes"
	"fmt"
)

// same compares what a call answers with what the ledger says.
func same[T comparable](k *booked, what string, got, want T) T {
	k.Helper()
	if got != want {
		k.Fatalf("%s: %+v, the ledger says %+v; after %s", what, got, want, k.done)
	}
	return got
}

func (k *booked) note(format string, args ...any) {
	k.done += fmt.Sprintf(format, args...)
	k.done = k.done[max(0, len(k.done)-300):]
}

// check asks for everything.
func (k *booked) check() {
	k.Helper()
	l, o := &k.led, &k.out
	same(k, "bytes that have left", len(k.sink.left), l.left)
	if !bytes.Equal(k.sink.left[k.seen:], l.stream[k.seen:l.left]) {
		k.Fatalf("the stream is not the ledger's, after %s", k.done)
	}
	k.seen = l.left
	same(k, "HasDue", o.HasDue(), l.due != 0)
	same(k, "Due", o.Due(), l.due)
	l.due = 0
	same(k, "Idle", o.Idle(), !l.busy)
	same(k, "Buffered", o.Buffered(), l.buffered())
	want := Account{}
	if l.busy {
		want = Account{
			Left: uint64(l.left - l.base), Queued: l.queued(), Cost: l.cost(), Mark: l.markCost(), Deferred: len(l.list), Unframed: l.unframed(),
			Long: uint64(len(l.long.p) - l.long.off), Collected: uint64(len(l.long.made)), Blocked: l.blocked, Failed: l.failed,
			Turns: l.unfinished(), Awaits: l.awaits(), Stuck: l.releasable() && !l.unfinished(),
			Collects: l.long.p != nil && !l.long.begun, Place: l.long.place,
		}
	}
	same(k, "Account", o.Account(), want)
	same(k, "high, ping, pong, Close, all left", [...]bool{o.IsHigh(), o.PingWaits(), o.PongAwaited(), o.CloseWaits(), o.AllLeft()},
		[...]bool{l.high, l.busy && l.pingEnd > l.left, l.pongDue, l.body != nil, !l.busy || l.queued() == 0 && !l.unfinished()})
	same(k, "a compressor is held", o.HoldsCompressor(), l.sender != nil && l.sender.HoldsCompressor())
	same(k, "Heard", o.Heard(), l.heard)
	if l.busy && l.spare && !l.behind() {
		same(k, "room of the straight path", o.busy.straight, l.straight)
	}
	k.checkWaiters()
	counts := &k.lane.Counts
	same(k, "Counts", [...]uint64{counts.Messages.Load(), counts.Bytes.Load(), counts.Dropped.Load()}, [...]uint64{l.messages, l.gone, l.dropped})
	d := &counts.Deflated
	same(k, "Counts.Deflated", [...]uint64{d.Messages.Load(), d.Wire.Load(), d.Bytes.Load()}, l.deflated)
	same(k, "Counts.Waiting", counts.Waiting.Load(), k.waits())
	k.noteBuffers()
	k.checkForgotten()
}

// waits is what of a connection waits beyond its cork.
func (k *booked) waits() int64 {
	l := &k.led
	if !l.busy {
		return 0
	}
	return int64(l.queued()) - int64(len(k.out.busy.cork)) + int64(l.unframed()) + int64(len(l.long.p)-l.long.off+len(l.long.made))
}

// checkOrder: messages leave in the order in which they were accepted, a broadcast's where its place was kept.
func (k *booked) checkOrder() {
	if k.raws {
		return
	}
	k.reader.readOn(k.sink.left)
	for i, f := range k.reader.all {
		if e := k.order.list[i]; e.place != 0 || e.open || e.payload != f.payload {
			k.Fatalf("message %d of %d bytes has left instead of %d, place %d", i, len(f.payload), len(e.payload), e.place)
		}
	}
}

func (k *booked) checkWaiters() {
	k.Helper()
	same(k, "Waiters", k.out.Waiters(), k.led.waiters)
	for _, w := range k.waiting {
		woken := false
		select {
		case <-w:
			woken = true
		default:
		}
		same(k, "a waiter is woken", woken, k.led.waiters == 0)
	}
	if k.led.waiters == 0 {
		k.waiting = nil
	}
}

// noteBuffers writes down where payloads wait: whether they share a buffer decides how they leave.
func (k *booked) noteBuffers() {
	for i, d := range k.led.list {
		if d.writer == nil {
			d.keptIn(&k.out.busy.deferred[i].kept)
			continue
		}
		for j, f := range d.writer.waiting {
			f.keptIn(&d.writer.real.waiting[j].kept)
		}
	}
}

func (d *item) keptIn(k *kept) {
	if d.kept = *k; d.buf != nil {
		d.buffer = len(d.buf.B)
	}
}
