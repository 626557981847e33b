package outgoing

import (
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// growing is n bytes of which all but the first few do not shrink.
func growing(n, few int) string { return strings.Repeat("a", few) + noise(n)[few:] }

// A message whose first slice does not become shorter leaves as it is, and so does one that is not shorter when all of it is
// compressed: to the byte.
func TestNotShorter(t *testing.T) {
	const slice = 512
	firsts, totals := map[int]bool{}, map[int]bool{}
	for n := slice + 100; n < 4*slice; n += slice {
		for few := 30; few < 80; few++ {
			r := newRig(t, all, false)
			r.lane.Slice = slice
			p := growing(n, few)
			if n > 2*slice {
				p = p[:slice] + accounts(n-slice) // the rest shrinks
			}
			first, total := packed(r, p)
			firsts[first-slice], totals[total-n] = true, true
			r.send(p, r.agreed)
			r.letAllLeave()
			r.wants(p)
			if want := first < slice && total < n; r.reader.frames[0].rsv1 != want {
				t.Errorf("the first slice became %d of %d bytes, all %d of %d: compressed %v", first, slice, total, n, !want)
			}
			r.gone()
		}
	}
	for _, by := range []int{-1, 0, 1} {
		if !firsts[by] || !totals[by] {
			t.Error("none became longer by ", by)
		}
	}
}

// packed is what the first slice of p becomes, and all of it.
func packed(r *rig, p string) (first, total int) {
	s := r.lane.Deflate.Sender(r.agreed, r.lane.Pool)
	defer s.Close()
	s.Begin()
	for off, slice := 0, r.lane.Slice; off < len(p); off += slice {
		last := off+slice >= len(p)
		b := s.Write(nil, []byte(p[off:min(off+slice, len(p))]), !last)
		if last {
			b = s.End(b)
		}
		if total += len(b); off == 0 {
			first = total
		}
	}
	return first, total
}

// A slice that became nothing yet is no frame.
func TestNoEmptyFrames(t *testing.T) {
	r := newRig(t, &deflate.Policy{MinSize: 1, FrameBytes: -1}, false)
	p := string(make([]byte, 6*SliceBytes))
	r.send(p, r.agreed)
	r.letAllLeave()
	r.wants(p)
	for i, f := range r.reader.frames {
		if f.payload == "" {
			t.Errorf("frame %d is empty", i)
		}
	}
	if n := len(r.reader.frames); n > 5 {
		t.Errorf("%d frames: each slice became something", n)
	}
	r.gone()
}

// Lane.Frame is allowed: what becomes as long as that is one frame, what becomes longer is not.
func TestFrameBytes(t *testing.T) {
	p := noiseThenAccounts(3 * SliceBytes)
	size := int64(0)
	for _, less := range []int64{0, 0, 1} {
		r := newRig(t, all, false)
		if size > 0 {
			r.lane.Frame = size - less
		}
		r.send(p, r.agreed)
		r.letAllLeave()
		r.wants(p)
		size = int64(len(r.reader.frames[0].payload))
		if n := len(r.reader.frames); (n == 1) != (less == 0) {
			t.Errorf("%d frames, the longest may have %d", n, r.lane.Frame)
		}
		r.gone()
	}
}

// The rest of a message is stored if all of it then is within one frame, to the byte.
func TestTooLongStored(t *testing.T) {
	r := newRig(t, all, false)
	r.send(noiseThenAccounts(3*SliceBytes), r.agreed)
	b := r.out.busy
	stored := int64(len(b.long.made.B)) + heldBack + int64(2*SliceBytes+2*SliceBytes/storedShare)
	for less, want := range []bool{false, true} {
		if r.lane.Frame = stored - int64(less); b.tooLongStored() != want {
			t.Errorf("%d bytes of %d: %v", stored, r.lane.Frame, !want)
		}
	}
	r.out.Drop()
}

// A turn's worth of what waited leaves at once, to the byte.
func TestTurnsWorth(t *testing.T) {
	for _, more := range []int{-1, 0, 1} {
		r := newRig(t, nil, false)
		w := r.begin(deflate.Agreement{})
		for i := range 8 { // with the work for each, SliceBytes
			n := SliceBytes/8 - releaseWork
			if i == 3 {
				n += more
			}
			r.send(accounts(n), deflate.Agreement{})
		}
		r.send("the ninth", deflate.Agreement{})
		r.send("the tenth", deflate.Agreement{})
		r.due = 0
		r.out.Due()
		w.End(r.call())
		waits := 2
		if more < 0 {
			waits = 1
		}
		if n := r.out.Account().Deferred; n != waits {
			t.Errorf("%+d: %d wait", more, n)
		}
		r.wantDue(Slices)
		r.letAllLeave()
		r.gone()
	}
}

// What was announced before the connection left OPEN has its place before the Close frame, and no limit stands in its way.
func TestHearAfterClose(t *testing.T) {
	r := newRig(t, nil, false)
	r.limits = &Limits{MaxBuffered: 100, High: 50, Low: 10, Drop: true}
	r.after = 1
	r.send("behind", deflate.Agreement{})
	r.out.Close(r.call(), nil)
	big := new(Prepared)
	big.Make(codec.OpBinary, make([]byte, 2<<20))
	if v := r.out.Hear(r.call(), &Message{Op: codec.OpBinary, P: big.Payload(), Prepared: big}, 1, false); v != Sent {
		t.Fatal(v)
	}
	r.letAllLeave()
	r.wants(string(big.Payload()), "behind")
	if f := r.reader.frames; f[len(f)-1].op != codec.OpClose {
		t.Error("the Close frame is not the last")
	}
	r.gone()
}
