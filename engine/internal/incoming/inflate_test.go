package incoming

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// TestStepsAreBounded: a message of megabytes out of a few bytes is inflated a step at a time, without new bytes; what
// is left of the piece may be at another place, and the work is counted.
func TestStepsAreBounded(t *testing.T) {
	for _, chunks := range []bool{false, true} {
		r := newRig(t, true, chunks)
		const size = 1 << 20
		wire := (&squeezer{}).message(make([]byte, size))
		b := frame(0xc2, wire)
		r.stream = b
		steps := 0
		for len(b) > 0 || r.in.More() {
			before := r.work
			b = r.step(b)
			if steps++; r.work-before > StepBytes+wireWork*len(wire) {
				t.Fatalf("a step of %d bytes", r.work-before)
			}
			if !chunks && r.in.More() && r.in.Assembled() != int64(r.in.inflated) {
				t.Fatalf("%d assembled of %d", r.in.Assembled(), r.in.inflated)
			}
		}
		if steps < size/StepBytes || len(r.got) != 1 || len(r.got[0].data) != size || r.work < size {
			t.Errorf("%d steps, %d messages, %d bytes of work, code %d", steps, len(r.got), r.work, r.code)
		}
		if n := r.lane.Inflated; n != (Count{1, uint64(len(wire)), size}) {
			t.Errorf("%+v", n)
		}
		if !chunks && r.most < size-StepBytes {
			t.Errorf("at most %d bytes were held", r.most)
		}
	}
}

// TestShortStaysInTheRoom: a short compressed message is delivered without a buffer, in the lane's own room.
func TestShortStaysInTheRoom(t *testing.T) {
	r := newRig(t, true, false)
	var z squeezer
	for range 3 {
		var e Event
		if _, err := r.in.Next(frame(0xc1, z.message([]byte(strings.Repeat("short ", 50)))), &r.lim, &e); err != nil || e.Held != nil || len(e.Data) != 300 || &e.Data[0] != &r.lane.scratch[0] {
			t.Fatalf("%+v, %v", e, err)
		}
	}
}

// TestNothingInflatedTakesNoBuffer: as long as what has come makes no byte of the message, none is taken.
func TestNothingInflatedTakesNoBuffer(t *testing.T) {
	r := newRig(t, true, false)
	r.feed(frame(0x42, (&squeezer{}).message([]byte("some bytes"))[:1]))
	r.feed(frame(0x00, nil))
	if r.in.msg != nil || r.in.Assembled() != 0 {
		t.Errorf("a buffer for %d bytes", r.in.Assembled())
	}
}

// TestInflatedCapacity: a message's buffer grows when a step has room for less than firstBytes, and then by as much as has come,
// but never for more than the limit.
func TestInflatedCapacity(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 4))
		r := newRig(t, true, false)
		r.whole = false
		most := 1 + rng.Uint64N(1<<(10+rng.IntN(10)))
		r.lim.MaxMessageSize, r.lim.MaxFragments = int64(most), 1<<20
		var z squeezer
		room := 0
		for op, have := byte(0x42), uint64(0); have < most; op = 0 {
			n := 1 + rng.Uint64N(min(most-have, 40_000))
			if fits := uint64(room) - have; room > 0 && fits > firstBytes && rng.IntN(2) == 0 {
				n = min(fits-firstBytes, most-have) // then the next step has room for just so many
			}
			r.stream = append(r.stream, frame(op, z.flushed(n))...)
			for b := r.stream[r.used:]; len(b) > 0 || r.in.More(); {
				if left := min(most-have, StepBytes); room > 0 && uint64(room)-have < min(left, firstBytes) {
					room = capacity(max(have+min(left, max(firstBytes, have)), min(2*uint64(room), most)))
				}
				b = r.step(b)
				if have = r.in.inflated; room == 0 && have > 0 {
					room = capacity(max(have, firstBytes))
				}
				if r.in.msg == nil || cap(r.in.msg.B) != room || r.in.Assembled() != int64(have) {
					t.Fatalf("seed %d: %d bytes of %d have room for %d, not %d; code %d", seed, have, most, cap(r.in.msg.B), room, r.code)
				}
			}
		}
	}
}

// TestDiscardInsideAStep: the rest of the piece is used up, and what follows is heard.
func TestDiscardInsideAStep(t *testing.T) {
	r := newRig(t, true, false)
	wire := (&squeezer{}).message(bytes.Repeat([]byte("0123456789abcdef"), 1<<15))
	b := append(frame(0x42, wire), frame(0x89, []byte("still there?"))...)
	r.stream = b
	for !r.in.More() {
		b = r.step(b)
	}
	r.in.Discard()
	if n := r.in.Held(); n != 0 || !r.in.More() {
		t.Fatalf("%d bytes are held; more: %v", n, r.in.More())
	}
	for len(b) > 0 || r.in.More() {
		b = r.step(b)
	}
	if len(r.got) != 1 || r.got[0] != (occurrence{Ping, 0, "still there?"}) {
		t.Errorf("%q", r.got)
	}
}

// TestFullToTheLastByte: a message of exactly MaxMessageSize bytes is one, a byte more is 1009, whatever its steps are.
func TestFullToTheLastByte(t *testing.T) {
	for _, size := range []int{1, 100, 4096, StepBytes - 1, StepBytes, StepBytes + 1, 3*StepBytes + 5} {
		for extra := range 2 {
			for _, chunks := range []bool{false, true} {
				r := newRig(t, true, chunks)
				r.lim.MaxMessageSize = int64(size)
				r.feed(frame(0xc2, (&squeezer{}).message(bytes.Repeat([]byte{'x'}, size+extra))))
				if r.code != extra*1009 || len(r.got) != 1-extra || int(r.in.inflated) > size {
					t.Errorf("%d bytes of %d: code %d, %d messages, %d inflated", size+extra, size, r.code, len(r.got), r.in.inflated)
				}
			}
		}
	}
}

// TestMaxWire: a compressed message may take more bytes on the wire than it has, but not any number.
func TestMaxWire(t *testing.T) {
	lim := Limits{MaxMessageSize: 100, MaxFragments: 1 << 20}
	if n := lim.MaxWire(); n != 100*mostGrowth+mostGrowthBase {
		t.Fatal(n)
	}
	for extra := range uint64(2) {
		r := newRig(t, true, false)
		r.lim = lim
		empty := bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 1+int(lim.MaxWire())/5) // stored blocks of nothing
		r.feed(frame(0x42, empty[:lim.MaxWire()-1]))
		r.feed(frame(0x00, empty[lim.MaxWire()-1:lim.MaxWire()+extra]))
		if want := int(extra) * 1009; r.code != want {
			t.Errorf("%d bytes: code %d", lim.MaxWire()+extra, r.code)
		}
	}
}

// TestReceiverIsMadeOnce: with the first compressed byte of a connection, not before.
func TestReceiverIsMadeOnce(t *testing.T) {
	r := newRig(t, true, false)
	r.feed(frame(0x81, []byte("plain")))
	var z squeezer
	r.feed(frame(0x41, nil))
	if r.in.Receiver() != nil {
		t.Fatal("a receiver before the first compressed byte")
	}
	r.feed(frame(0x80, z.message([]byte("one"))))
	first := r.in.Receiver()
	r.feed(frame(0xc1, z.message([]byte("two"))))
	if first == nil || r.in.Receiver() != first || r.in.Held() == 0 {
		t.Error("another receiver, or no window")
	}
	if a := (deflate.Agreement{}); a == r.in.agreed {
		t.Error("nothing was agreed on")
	}
}
