package outgoing

import (
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// There are three kinds of windows, and what fits one fits all that are wider.
func TestSharedWindow(t *testing.T) {
	for bits := uint8(8); bits <= 15; bits++ {
		want := uint8(8)
		if bits >= 11 {
			want = 11
		}
		if bits == 15 {
			want = 15
		}
		if got := SharedWindow(bits); got != want {
			t.Errorf("%d bits: %d", bits, got)
		}
	}
}

// A prepared message is compressed once for each kind of window of each extension, and keeps what it was.
func TestForms(t *testing.T) {
	var one Prepared
	if one.Made() {
		t.Error("made of nothing")
	}
	one.Make(codec.OpText, []byte(accounts(3000)))
	x, err := deflate.New(*all)
	y, _ := deflate.New(deflate.Policy{MinSize: 1, Level: 1})
	if err != nil || !one.Made() || one.Op() != codec.OpText || string(one.Payload()) != accounts(3000) || one.Size() != 3004 {
		t.Fatal(err, one.Op(), one.Size())
	}
	forms := 0
	for _, k := range []struct {
		x    *deflate.Extension
		bits uint8
		is   bool // compressed before
	}{{x, 15, false}, {x, 15, true}, {x, 14, false}, {x, 11, true}, {x, 8, false}, {x, 9, true}, {y, 15, false}, {y, 15, true}, {x, 15, true}} {
		if is := one.isCompressed(k.x, k.bits); is != k.is {
			t.Errorf("%d bits: compressed %v", k.bits, is)
		}
		f := one.Compress(k.x, k.bits)
		if !k.is {
			forms++
		}
		want, _ := k.x.Compress(nil, one.Payload(), SharedWindow(k.bits))
		if string(f.payload()) != string(want) || len(one.Forms()) != forms || f != one.Compress(k.x, k.bits) {
			t.Errorf("%d bits: %d bytes, %d forms", k.bits, len(f.payload()), len(one.Forms()))
		}
		if !one.making.TryLock() {
			t.Fatal("a lock is held")
		}
		one.making.Unlock()
	}
}

// A prepared message of one slice is compressed in one go; a longer one a slice a turn, unless somebody has compressed it.
func TestPreparedOfASlice(t *testing.T) {
	for _, k := range []struct {
		more   int
		before bool
		long   bool
	}{{0, false, false}, {1, false, true}, {1, true, false}} {
		r := newRig(t, all, false)
		one := new(Prepared)
		one.Make(codec.OpBinary, []byte(accounts(SliceBytes+k.more)))
		if k.before {
			one.Compress(r.lane.Deflate, 15)
		}
		r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: one.Payload(), Prepared: one, Compress: r.agreed})
		if long := r.out.Account().Turns; long != k.long || len(one.Forms()) != 1 != long {
			t.Errorf("%+v: %v, %d forms", k, long, len(one.Forms()))
		}
		r.letAllLeave()
		r.wants(string(one.Payload()))
		r.gone()
	}
}
