package outgoing

import (
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// A full cork is written, and only part of it leaves though the sink has room: what has left counts no more, even where
// the message that had no room in the cork now has, and asks for no write.
func TestShortWriteOfFullCork(t *testing.T) {
	r := newRig(t, nil, false)
	r.corked = true
	p := accounts(10_000)
	for range 3 {
		r.send(p, deflate.Agreement{})
	}
	r.sink.most = 15_000
	r.send(p, deflate.Agreement{})
	if n := r.out.Buffered(); n != 30_000 || r.sink.calls != 1 {
		t.Fatalf("after %d writes buffered is %d", r.sink.calls, n)
	}
	r.corked = false
	r.out.Flush(r.call())
	r.wants(p, p, p, p)
	r.gone()
}

// The straight path ends with the Close frame, also while that lies in a cork with room: who found the connection OPEN
// before somebody closed it sends nothing behind.
func TestNothingPlainBehindClose(t *testing.T) {
	for _, before := range []int{0, 1} {
		r := newRig(t, nil, false)
		r.corked = true
		for range before {
			r.send("before", deflate.Agreement{})
		}
		r.out.Close(r.call(), []byte{3, 232})
		if r.out.Idle() {
			t.Fatal("the Close frame is not in the cork")
		}
		if r.out.AddPlain(r.limits, r.after, codec.OpBinary, []byte("behind")) || r.out.SendPlain(r.spare, r.limits, r.after, codec.OpBinary, []byte("behind")) {
			t.Error("a message is behind the Close frame")
		}
		r.corked = false
		r.out.Flush(r.call())
		if left := r.sink.left; string(left[len(left)-4:]) != "\x88\x02\x03\xe8" {
			t.Errorf("% x has left, and not the Close frame last", left)
		}
	}
}

// What a connection leaves that is CLOSED while something waits goes to no spare: that which it had in a callback is another one's by now, and
// may be in use.
func TestDropTouchesNoSpare(t *testing.T) {
	r := newRig(t, nil, false)
	r.corked, r.sink.room = true, 3
	r.send(accounts(100), deflate.Agreement{})
	r.out.Flush(r.call()) // the callback's end
	if r.out.Idle() || r.spare.busy != nil {
		t.Fatal("all has left")
	}
	if r.out.Drop(); r.spare.busy != nil {
		t.Error("the spare was given something")
	}
	if n := r.lane.Pool.Stats().Out; n != 0 {
		t.Errorf("%d buffers are out", n)
	}
}
