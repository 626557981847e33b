package outgoing

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// capacity is that of a buffer for n bytes.
func capacity(n int) int {
	b := pool.Get(n)
	defer b.Release()
	return cap(b.B)
}

// Small payloads that wait share buffers. Each new one is twice as large, up to TailBytes, and nothing goes behind a buffer that
// is somebody else's, or larger.
func TestPayloadsShareBuffers(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 6))
		r := newRig(t, nil, false)
		b := r.out.attach(r.call())
		var all []kept
		var last *kept
		size, used := 0, 0
		for range 60 {
			n := rng.IntN(1 << (4 + rng.IntN(11)))
			if size > 0 && rng.IntN(3) == 0 {
				n = size - used + rng.IntN(3) - 1 // the last byte of the room, or nearly so
			}
			n = max(n, 0)
			shares := last != nil && last.copied && size <= TailBytes && used+n <= size
			switch {
			case shares:
			case last != nil && last.copied && size <= TailBytes:
				size, used = capacity(max(n, min(2*size, TailBytes))), 0
			default:
				size, used = capacity(n), 0
			}
			k := b.keep([]byte(accounts(n)), last)
			if shares != (last != nil && k.buf == last.buf) || cap(k.buf.B) != size || k.from != used || string(k.bytes()) != accounts(n) {
				t.Fatalf("seed %d: %d bytes at %d of %d, not at %d of %d", seed, n, k.from, cap(k.buf.B), used, size)
			}
			used += n
			all = append(all, k)
			if last = &all[len(all)-1]; rng.IntN(12) == 0 {
				theirs := kept{buf: r.lane.Pool.Get(300), to: 0}
				all = append(all, theirs)
				last = &all[len(all)-1]
			}
		}
		for i := range all {
			all[i].drop()
		}
		r.out.Flush(r.call())
		r.gone()
	}
}

// The first two that wait share one already, a message's behind a message's and a fragment's behind a fragment's.
func TestTwoPayloadsShareABuffer(t *testing.T) {
	r := newRig(t, nil, false)
	w := r.begin(deflate.Agreement{})
	for _, p := range []string{"one", "two", "three"} {
		if r.send(p, deflate.Agreement{}); r.lane.Pool.Stats().Out != 1 {
			t.Errorf("%q has a buffer of its own", p)
		}
	}
	w.End(r.call())
	r.wants("", "one", "two", "three")
	r.gone()

	r = newRig(t, nil, false)
	r.after = 1
	w = r.begin(deflate.Agreement{})
	for _, p := range []string{"one", "two", "three"} {
		if w.Write(r.call(), []byte(p), nil); r.lane.Pool.Stats().Out != 1 {
			t.Errorf("%q has a buffer of its own", p)
		}
	}
	w.End(r.call())
	r.out.Hear(r.call(), nil, 1, true)
	r.wants("onetwothree")
	r.gone()
}

// The queue keeps the buffer of a payload that waited if it is not ours, or if it holds nothing else and nobody else has it.
func TestSole(t *testing.T) {
	r := newRig(t, nil, false)
	b := r.out.attach(r.call())
	one := b.keep([]byte(accounts(5000)), nil)
	if one.sole() != one.buf {
		t.Error("the only one in its buffer")
	}
	two := b.keep([]byte(accounts(3000)), &one)
	if two.buf != one.buf || one.sole() != nil || two.sole() != nil {
		t.Error("two in a buffer")
	}
	two.drop()
	if one.sole() != nil {
		t.Error("somebody was behind it")
	}
	three := b.keep([]byte(accounts(10)), nil)
	three.buf.Retain()
	if three.sole() != nil {
		t.Error("somebody else has its buffer")
	}
	if three.copied = false; three.sole() != three.buf {
		t.Error("nobody writes to what is not ours")
	}
	if (&kept{}).sole() != nil || (&kept{}).bytes() != nil {
		t.Error("nothing is kept")
	}
	three.drop()
	three.drop()
	one.drop()
	r.out.Flush(r.call())
	r.gone()
}

// What has left is not referred to any more, and what was given back is as new.
func (k *booked) checkForgotten() {
	k.Helper()
	if s := k.spare; s != nil && s.busy != nil {
		emptied(k, "a spare's queue", s.busy.queue)
		emptied(k, "a spare's deferred", s.busy.deferred)
		emptied(k, "a spare's waiters", s.busy.waiters)
		if b := s.busy; b.out != nil || len(b.cork) != 0 || cap(b.cork) != CorkBytes || len(b.marks) != 0 || b.touched || b.placed != 0 || b.left != 0 || b.unmarked != 0 || b.unmarkedPayload != 0 {
			k.Fatalf("a spare is of a connection, after %s", k.done)
		}
	}
	b := k.out.busy
	if b == nil {
		k.was = nil
		return
	}
	emptied(k, "the queue", b.queue[:b.head:b.head])
	emptied(k, "the queue", b.queue[len(b.queue):])
	emptied(k, "deferred", b.deferred[len(b.deferred):])
	emptied(k, "the waiters", b.waiters[len(b.waiters):])
	for _, p := range b.vectors {
		if p != nil {
			k.Fatalf("a vector is kept, after %s", k.done)
		}
	}
	if made := b.long.made; made != nil && cap(made.B) != capacity(cap(made.B)) {
		k.Fatalf("what was collected is in memory that is not the pool's, after %s", k.done)
	}
	if b.head == len(b.queue) && b.head != 0 {
		k.Fatalf("an empty queue has a head at %d, after %s", b.head, k.done)
	}
	for _, s := range b.queue[b.head:] {
		if s.ready() && len(s.bytes()) == 0 {
			k.Fatalf("an empty segment, after %s", k.done)
		}
	}
	k.was = forgotten(k, "what was deferred", k.was, b.deferred)
	if k.writer != nil {
		k.wasOurs = forgotten(k, "what waited of a writer", k.wasOurs, k.writer.waiting)
	}
}

// forgotten: what a slice had in front is empty if it is the same array still, which it returns.
func forgotten[T any](k *booked, what string, was, is []T) []T {
	k.Helper()
	is = is[:cap(is)]
	if len(is) > 0 && len(was) >= len(is) && &was[len(was)-1] == &is[len(is)-1] {
		n := len(was) - len(is)
		emptied(k, what, was[:n:n])
	}
	return is
}

func emptied[T any](k *booked, what string, s []T) {
	k.Helper()
	for _, e := range s[:cap(s)] {
		if !reflect.ValueOf(&e).Elem().IsZero() {
			k.Fatalf("%s holds %+v, after %s", what, e, k.done)
		}
	}
}

// A spare holds what was given back last while it held nothing, and gives it away once.
func TestSpare(t *testing.T) {
	r, other := newRig(t, nil, false), newRig(t, nil, false)
	other.spare = r.spare
	r.corked, other.corked = true, true
	r.send("x", deflate.Agreement{})
	first := r.out.busy
	r.out.FlushPlain(r.lane, 5, r.spare, new(Tally))
	if r.spare.busy != first {
		t.Error("it was not kept")
	}
	other.send("y", deflate.Agreement{})
	if r.spare.busy != nil || other.out.busy != first {
		t.Error("it was not used")
	}
	if r.send("z", deflate.Agreement{}); r.out.busy == first {
		t.Fatal("two have it")
	}
	other.out.FlushPlain(other.lane, 5, other.spare, new(Tally))
	r.out.Flush(r.call())
	if r.spare.busy != first || !r.out.Idle() {
		t.Error("another has taken its place")
	}
	r.wants("x", "z")
	other.wants("y")
}
