package outgoing

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// countingSink takes so much of each call, and writes down how each was made.
type countingSink struct {
	most  int // 0: all
	calls []string
	left  int
}

func (s *countingSink) took(how string, n int) (int, error) {
	if s.most > 0 {
		n = min(n, s.most)
	}
	s.calls = append(s.calls, fmt.Sprint(how, n))
	s.left += n
	return n, nil
}

func (s *countingSink) Write(_ int, p []byte) (int, error) { return s.took("write ", len(p)) }

func (s *countingSink) Writev(_ int, v [][]byte) (int, error) {
	n := 0
	for _, p := range v {
		n += len(p)
	}
	return s.took(fmt.Sprint("writev of ", len(v), ": "), n)
}

// What leaves together is one call of the sink: a write if it lies in one place, else one writev.
func TestOneCall(t *testing.T) {
	frame := func(n int) int { return len(codec.AppendFrame(nil, codec.OpBinary, true, false, make([]byte, n))) }
	for _, k := range []struct {
		name string
		do   func(r *rig)
		want []string
	}{
		{"cork", func(r *rig) { r.send("ab", deflate.Agreement{}); r.send("c", deflate.Agreement{}) }, []string{fmt.Sprint("write ", frame(2)+frame(1))}},
		{"cork of control frames", func(r *rig) { r.out.Ping(r.call(), nil, false); r.out.Raw(r.call(), []byte("raw")) }, []string{"write 5"}},
		{"cork and a long payload", func(r *rig) { r.send("ab", deflate.Agreement{}); r.send(accounts(40_000), deflate.Agreement{}) },
			[]string{fmt.Sprint("writev of 2: ", frame(2)+frame(40_000))}},
		{"a prepared frame", func(r *rig) { r.sendPrepared(accounts(KeptBytes)) }, []string{fmt.Sprint("write ", frame(KeptBytes))}},
		{"queue", func(r *rig) { r.sendOwned(accounts(KeptBytes)); r.send("ab", deflate.Agreement{}) },
			[]string{fmt.Sprint("writev of 5: ", frame(KeptBytes)+frame(2))}}, // header, payload, header and payload, and no cork and no payload
		{"queue and a long payload", func(r *rig) { r.sendOwned(accounts(KeptBytes)); r.send(accounts(40_000), deflate.Agreement{}) },
			[]string{fmt.Sprint("writev of 5: ", frame(KeptBytes)+frame(40_000))}},
	} {
		r, s := newRig(t, nil, false), new(countingSink)
		r.lane.Sink, r.corked = s, true
		k.do(r)
		r.corked = false
		r.out.Flush(r.call())
		if fmt.Sprint(s.calls) != fmt.Sprint(k.want) {
			t.Errorf("%s: %v, not %v", k.name, s.calls, k.want)
		}
		r.gone()
	}
}

func (r *rig) sendOwned(p string) {
	b := r.lane.Pool.Get(len(p))
	b.Append([]byte(p))
	r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: b.B, Owned: b})
	b.Release()
}

func (r *rig) sendPrepared(p string) {
	one := new(Prepared)
	one.Make(codec.OpBinary, []byte(p))
	r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: one.Payload(), Prepared: one})
}

// A flush writes FlushBytes to the byte, however many segments and calls that takes; so does each that goes on.
func TestFlushBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, most := range []int{0, FlushBytes - 1, FlushBytes, FlushBytes + 1, FlushBytes/2 + 1, 300_000, 70_001} {
		r, s := newRig(t, nil, false), &countingSink{most: most}
		r.sink.room = 0
		for r.out.Account().Queued < 3*FlushBytes {
			switch p := accounts(1 + rng.IntN(100_000)); rng.IntN(3) {
			case 0:
				r.send(p, deflate.Agreement{})
			case 1:
				r.sendOwned(p)
			case 2:
				r.sendPrepared(p)
			}
		}
		direct := newRig(t, nil, false)
		alone := &countingSink{most: most}
		direct.lane.Sink = alone
		if direct.send(string(make([]byte, 2*FlushBytes)), deflate.Agreement{}); alone.left != FlushBytes {
			t.Errorf("calls of %d: %d bytes of one message have left", most, alone.left)
		}
		direct.out.Drop()
		r.lane.Sink = s
		for before := uint64(0); before != r.out.Account().Queued && !r.out.Idle(); {
			before = r.out.Account().Queued
			r.due = 0
			r.out.Due()
			full := r.out.HasRoom(r.call())
			if want := min(before, FlushBytes); before-r.out.Account().Queued != want || full != (want < before) || full != (r.out.Due()&Room != 0) {
				t.Fatalf("calls of %d: %d of %d bytes have left, full: %v", most, before-r.out.Account().Queued, before, full)
			}
		}
		r.gone()
	}
}

// The queue has few segments for many small frames: they share buffers of TailBytes, as far as each has room for the next.
func TestSmallFramesShareATail(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		r := newRig(t, nil, false)
		r.sink.room = 0
		r.send(accounts(KeptBytes+rng.IntN(9000)), deflate.Agreement{}) // blocks: it is the queue's first, in a buffer for so much
		buffers, room := 1, 0
		if tail := r.out.busy.queue[0]; tail.end < 0 {
			room = cap(tail.buf.B) - len(tail.buf.B)
		}
		for range rng.IntN(200) {
			n := rng.IntN(1500)
			if rng.IntN(4) == 0 {
				n = max(0, room-codec.MaxHeaderSize-rng.IntN(3)) // up to the last byte, or not
			}
			before := r.out.Account().Queued
			r.send(accounts(n), deflate.Agreement{})
			if n+codec.MaxHeaderSize > room {
				buffers, room = buffers+1, capacity(max(TailBytes, n+codec.MaxHeaderSize))
			}
			room -= int(r.out.Account().Queued - before)
			if out := r.lane.Pool.Stats().Out; int(out) != buffers {
				t.Fatalf("%d buffers are out, not %d", out, buffers)
			}
		}
		r.letAllLeave()
		r.gone()
	}
}

// From KeptBytes on the queue keeps the sender's buffer, or a prepared frame, instead of a copy; what is left of a prepared frame
// is never copied, and never lent.
func TestKeptRatherThanCopied(t *testing.T) {
	for _, blocked := range []bool{true, false} {
		for _, n := range []int{KeptBytes - 1, KeptBytes, 200_000} {
			r := newRig(t, nil, false)
			r.send(accounts(100_000), deflate.Agreement{}) // lent, and all of it leaves
			r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: []byte(accounts(100_000)), Lent: true})
			if r.sink.room = 1; blocked {
				r.sink.room = 0
				r.out.Ping(r.call(), nil, false)
			}
			r.sendPrepared(accounts(n))
			q := r.out.busy.queue
			if kept := q[len(q)-1].raw != nil; kept != (n >= KeptBytes) || r.out.Lent() != nil {
				t.Errorf("%d prepared bytes, blocked %v: kept %v", n, blocked, kept)
			}
			b := r.lane.Pool.Get(n)
			b.Append([]byte(accounts(n)))
			r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: b.B, Owned: b})
			if kept := !b.Exclusive(); kept != (n >= KeptBytes) {
				t.Errorf("%d bytes, blocked %v: kept %v", n, blocked, kept)
			}
			b.Release()
			r.letAllLeave()
			r.gone()
		}
	}
	for _, n := range []int{KeptBytes - 1, KeptBytes} { // by the straight path only what is copied anyway
		r := newRig(t, nil, false)
		r.corked = true
		b := r.lane.Pool.Get(n)
		b.Append([]byte(accounts(n)))
		r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: b.B, Owned: b})
		if kept := !b.Exclusive(); kept != (n >= KeptBytes) {
			t.Errorf("%d bytes in a callback: kept %v", n, kept)
		}
		b.Release()
		r.letAllLeave()
		r.gone()
	}
}

// What fits the cork goes there.
func TestCorkIsFilled(t *testing.T) {
	for n, fits := range map[int]bool{CorkBytes - codec.MaxHeaderSize: true, CorkBytes - codec.MaxHeaderSize + 1: false} {
		r := newRig(t, nil, true)
		r.corked, r.sink.room = true, 1
		r.send(accounts(n), deflate.Agreement{})
		if b := r.out.busy; (len(b.cork) > n) != fits || (len(b.queue) == 0) != fits {
			t.Errorf("%d bytes: %d are in the cork", n, len(b.cork))
		}
		r.letAllLeave()
		r.corked = false
		r.letAllLeave()
		r.gone()
	}
}

// The straight path fills the cork to the byte that it knows of, though small messages cost more than they are long; only then
// it writes.
func TestStraightRoom(t *testing.T) {
	for small := range 3 {
		for _, more := range []int{-1, 0, 1} {
			r := newRig(t, nil, false)
			r.corked = true
			for range small {
				r.send("x", deflate.Agreement{}) // 3 bytes, at messageCost
			}
			r.send(accounts(1000), deflate.Agreement{})
			n := CorkBytes - len(r.out.busy.cork) - maxHeader + more
			r.send(accounts(n), deflate.Agreement{})
			if wrote := r.sink.calls > 0; wrote != (more > 0) || len(r.out.busy.marks) != 0 || r.out.busy.straight == notPlain {
				t.Errorf("behind %d small ones, %+d: written %v, %d marks", small, more, wrote, len(r.out.busy.marks))
			}
			r.out.FlushPlain(r.lane, 5, r.spare, new(Tally))
			r.gone()
		}
	}
}

// As much as the cork holds does not wait for a callback's end, where it lies in the queue either.
func TestCorkBytesAreWritten(t *testing.T) {
	for n, writes := range map[int]bool{CorkBytes - 5: false, CorkBytes - 4: true} { // with a header of 4 bytes
		r := newRig(t, nil, false)
		r.corked = true
		if r.sendOwned(accounts(n)); (r.sink.calls > 0) != writes {
			t.Errorf("%d bytes: %d calls", n, r.sink.calls)
		}
		r.out.Flush(r.call())
		r.gone()
	}
}
