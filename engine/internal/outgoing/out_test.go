package outgoing

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

var all = &deflate.Policy{MinSize: 1}

// Compressed before it was framed (RSV1), framed before it was masked, and nothing of the caller's is masked in place.
func TestStagesInOrder(t *testing.T) {
	r := newRig(t, all, true)
	text := strings.Repeat("abc", 10)
	packed, _ := r.lane.Deflate.Compress(nil, []byte(text), 15)
	if r.send(text, r.agreed) != Sent {
		t.Fatal("not sent")
	}
	want := codec.AppendMaskedFrame(nil, codec.OpBinary, true, true, [4]byte{1, 1, 2, 1 ^ 0x55}, packed)
	if !bytes.Equal(r.sink.left, want) {
		t.Errorf("% x, not % x", r.sink.left, want)
	}
	r.wants(text)
	r.wantDue(Used)
	if n := r.lane.Counts.Deflated.Messages.Load(); n != 1 {
		t.Error(n, "compressed")
	}
	r.gone()
}

// What is refused, or sent as it is, never reaches the compressor.
func TestLimitsComeBeforeTheCompressor(t *testing.T) {
	r := newRig(t, all, false)
	r.limits = &Limits{MaxBuffered: 100, High: 80, Low: 20, Drop: true}
	text := func(s string) string { return strings.Repeat(s, 20) }
	r.send(text("first"), r.agreed)
	r.send(text("as it is"), deflate.Agreement{})
	r.sink.room = 1
	if r.send(text("second"), r.agreed) != Sent { // into an empty queue
		t.Fatal("refused")
	}
	if v := r.send(text("dropped"), r.agreed); v != Full {
		t.Fatal(v)
	}
	r.wantDue(Used | Room | High)
	if !r.out.IsHigh() || r.lane.Counts.Dropped.Load() != 1 {
		t.Error("not high")
	}
	r.sink.room = 1 << 20
	if r.out.HasRoom(r.call()) {
		t.Error("still full")
	}
	r.wantDue(Low)
	r.send(text("third"), r.agreed)
	r.wants(text("first"), text("as it is"), text("second"), text("third"))
	r.gone()
}

func TestVerdicts(t *testing.T) {
	r := newRig(t, nil, false)
	r.limits = &Limits{MaxBuffered: 1000, High: 500, Low: 100}
	r.sink.room = 0
	r.send(accounts(2000), deflate.Agreement{})
	if v := r.send("x", deflate.Agreement{}); v != Slow {
		t.Fatal(v)
	}
	if n := r.out.Buffered(); n != 2000 {
		t.Error("buffered", n)
	}
	r.out.Close(r.call(), nil)
	r.out.Close(r.call(), nil) // once
	if v := r.send("late", deflate.Agreement{}); v != Closed || r.out.Buffered() != 2004 {
		t.Error(v, r.out.Buffered())
	}
	r.sink.room = 1 << 20
	r.out.HasRoom(r.call())
	r.wants(accounts(2000))
	if got := r.reader.frames; len(got) != 2 || got[1].op != codec.OpClose {
		t.Errorf("%+v", got)
	}
	r.wantDue(Room | High | Low | Closing)
	if n := r.out.Buffered(); n != 4 {
		t.Error("buffered", n)
	}
	r.out.Drop()
	r.out.Close(r.call(), nil)
	if !r.out.Idle() || r.out.Buffered() != 4 {
		t.Error("after Drop", r.out.Account())
	}
}

// The high mark is passed only while the sink is full, and the low one is told of once.
func TestMarks(t *testing.T) {
	r := newRig(t, nil, false)
	r.limits = &Limits{MaxBuffered: -1, High: 300, Low: 100}
	r.corked = true
	for range 10 {
		r.send(accounts(100), deflate.Agreement{})
	}
	r.wantDue(0)
	r.corked, r.sink.room = false, 10
	r.out.Flush(r.call())
	r.wantDue(Room | High)
	for want, room := range map[Due]int{Room: 700} {
		r.sink.room = room
		r.out.HasRoom(r.call())
		r.wantDue(want)
	}
	r.sink.room = 300
	r.out.HasRoom(r.call())
	if r.took()&Low == 0 || r.out.IsHigh() {
		t.Errorf("%b", r.due)
	}
	r.due = 0
	r.limits = &Limits{MaxBuffered: -1, High: 1, Low: 1}
	r.out.Remark(r.call())
	r.wantDue(High)
	r.sink.room = 1000
	r.out.HasRoom(r.call())
	r.out.Remark(r.call())
	r.gone()
}

// A write takes part of a cork that the straight path has filled: the messages in it count one by one.
func TestPlainCorkIsCut(t *testing.T) {
	var whole []byte
	sizes := []int{0, 1, 125, 126, 127, 2000, 3}
	for _, n := range sizes {
		whole = codec.AppendFrame(whole, codec.OpBinary, true, false, []byte(accounts(n)))
	}
	for cut := range len(whole) {
		r := newRig(t, nil, false)
		r.corked = true
		sum := 0
		for _, n := range sizes {
			if sum += n; !r.out.SendPlain(r.spare, r.limits, 0, codec.OpBinary, []byte(accounts(n))) {
				t.Fatal("not straight")
			}
		}
		if n := r.out.Buffered(); n != uint64(sum) || r.sink.calls != 0 {
			t.Fatal(n, r.sink.calls)
		}
		r.sink.room = cut
		var tally Tally
		if r.out.FlushPlain(r.lane, 5, r.spare, &tally) {
			t.Fatal("all has left")
		}
		r.corked = false
		r.out.Flush(r.call())
		r.reader.readOn(r.sink.left)
		for _, f := range r.reader.all {
			sum -= len(f.payload)
		}
		if n := r.out.Buffered(); n != uint64(sum) {
			t.Fatalf("cut at %d: buffered %d, not %d", cut, n, sum)
		}
		r.sink.room = 1 << 20
		r.out.HasRoom(r.call())
		if !bytes.Equal(r.sink.left, whole) {
			t.Fatal("cut at", cut)
		}
		r.gone()
	}
}

// The straight path is closed where it would pass something.
func TestNotStraight(t *testing.T) {
	plain := func(r *rig) bool {
		return r.out.SendPlain(r.spare, r.limits, r.after, codec.OpBinary, []byte("plain"))
	}
	for name, f := range map[string]func(r *rig){
		"closed":   func(r *rig) { r.out.Close(r.call(), nil) },
		"dropped":  func(r *rig) { r.out.Drop() },
		"failed":   func(r *rig) { r.out.Fail(r.call()) },
		"writer":   func(r *rig) { r.begin(deflate.Agreement{}) },
		"behind":   func(r *rig) { r.after = 3 },
		"limits":   func(r *rig) { r.send("x", deflate.Agreement{}); r.limits = &Limits{MaxBuffered: 1} },
		"blocked":  func(r *rig) { r.sink.room = 0; r.send(accounts(40_000), deflate.Agreement{}) },
		"awaited":  func(r *rig) { r.send("x", deflate.Agreement{}); r.out.Await() },
		"too long": func(r *rig) { r.limits = &Limits{MaxBuffered: 5} },
	} {
		r := newRig(t, nil, false)
		r.corked = true
		if f(r); plain(r) {
			t.Error(name)
		}
		r.out.Drop()
	}
	r := newRig(t, nil, false)
	r.corked = true
	for range 3 {
		r.out.Skip(r.after)
		if !plain(r) || r.out.Heard() != r.after {
			t.Error("not straight")
		}
		r.after++
	}
}

// A full cork is written before marks are made, and one that is broken is found out.
func TestFullCork(t *testing.T) {
	r := newRig(t, nil, false)
	r.corked = true
	p := accounts(1000)
	for range 100 {
		r.send(p, deflate.Agreement{})
	}
	if r.sink.calls != 3 || r.out.Account().Queued >= CorkBytes {
		t.Error(r.sink.calls, r.out.Account())
	}
	r.out.FlushPlain(r.lane, 5, r.spare, new(Tally))
	r.wants(slices.Repeat([]string{p}, 100)...)
	r.send(p, deflate.Agreement{})
	r.sink.broken, r.corked = true, false
	r.out.Flush(r.call())
	r.wantDue(Broken)
	if v := r.send(p, deflate.Agreement{}); v != Sent || r.out.Buffered() != 2000 || r.out.Account().Queued > 1010 {
		t.Error(v, r.out.Account())
	}
	w := r.begin(deflate.Agreement{})
	if v := w.Write(r.call(), []byte(p), nil); v != Sent || r.out.Buffered() != 3000 {
		t.Error(v)
	}
	var one Prepared
	one.Make(codec.OpBinary, []byte(p))
	r.out.Hear(r.call(), &Message{Op: codec.OpBinary, P: one.Payload(), Prepared: &one}, 1, true)
	if r.out.Fail(r.call()); r.out.Buffered() != 4000 {
		t.Error(r.out.Buffered())
	}
	r.out.Remark(r.call())
	r.wantDue(0)
	r.out.Drop()
}

func TestControlFrames(t *testing.T) {
	r := newRig(t, nil, false)
	r.out.Raw(r.call(), []byte("HTTP/1.1 101"))
	r.out.Flush(r.call())
	if string(r.sink.left) != "HTTP/1.1 101" {
		t.Fatalf("%q", r.sink.left)
	}
	r.reader.read = len(r.sink.left)
	r.sink.room = 0
	r.send("first", deflate.Agreement{})
	r.out.Probe(r.call())
	if !r.out.PingWaits() || !r.out.Pong(r.call(), []byte("one")) || r.out.Pong(r.call(), []byte("two")) || !r.out.PongAwaited() {
		t.Error(r.out.Account())
	}
	done := r.out.Await()
	forgotten := r.out.Await()
	if r.out.Waiters() != 2 {
		t.Error(r.out.Waiters())
	}
	r.out.Forget(forgotten)
	r.out.Forget(forgotten)
	r.sink.room = 100
	r.due = 0
	r.out.Due()
	r.out.HasRoom(r.call())
	r.wantDue(Pong)
	<-done
	if r.out.PingWaits() || r.out.PongAwaited() || r.out.Waiters() != 0 || r.out.Await() != nil {
		t.Error("it waits")
	}
	r.out.Forget(done)
	r.wants("first")
	r.gone()
}

// A lane whose callbacks may take long: control frames do not wait for their end, and what waits is told of.
func TestTimedLane(t *testing.T) {
	r := newRig(t, nil, false)
	r.lane.Timed, r.corked, r.spare = true, true, nil
	r.send("x", deflate.Agreement{})
	r.wantDue(Corked)
	r.out.Ping(r.call(), nil, false)
	r.wants("x")
	r.wantDue(0)
	r.corked = false
	r.out.Flush(r.call())
	r.gone()
}

// Closing aborts a writer: what has begun takes those behind it along, else they leave.
func TestAbortedWriter(t *testing.T) {
	for _, begun := range []bool{true, false} {
		r := newRig(t, all, false)
		if !begun {
			r.sink.room = 0
			r.send(noiseThenAccounts(3*SliceBytes), r.agreed) // the writer waits behind it
		}
		w := r.begin(r.agreed)
		w.Write(r.call(), []byte("fragment"), nil)
		if w.Begun() != begun {
			t.Fatal("begun:", w.Begun())
		}
		r.send("behind", deflate.Agreement{})
		r.out.Close(r.call(), []byte{3, 232})
		if begun && (r.out.Buffered() != 14 || !r.out.AllLeft()) {
			t.Error(r.out.Buffered())
		}
		if !begun {
			if !r.out.CloseWaits() || r.out.AllLeft() {
				t.Error("the Close frame does not wait")
			}
			r.letAllLeave()
			r.wants(noiseThenAccounts(3*SliceBytes), "behind")
			if n := r.out.Buffered(); n != 8 {
				t.Error("buffered", n)
			}
		}
		if f := r.reader; f != nil {
			f.readOn(r.sink.left)
			if last := f.frames[len(f.frames)-1]; last.op != codec.OpClose {
				t.Errorf("%+v", last)
			}
		}
		r.out.Drop()
	}
}

func (r *rig) letAllLeave() {
	r.Helper()
	for range 1000 {
		r.sink.room = 1 << 30
		full := r.out.HasRoom(r.call())
		more := r.out.Slice(r.call())
		r.out.Flush(r.call())
		if !full && !more && !r.out.Account().Blocked {
			return
		}
	}
	r.Fatalf("it does not end: %+v", r.out.Account())
}

// noiseThenAccounts shrinks.
func noiseThenAccounts(n int) string { return noise(n/8) + accounts(n-n/8) }

// A long message is collected within Frame, and sent as one frame; beyond that in fragments; and as it is where it does not shrink.
func TestLongMessages(t *testing.T) {
	for name, k := range map[string]struct {
		p      string
		frame  int
		frames int
		rsv1   bool
	}{
		"collected":   {accounts(5*SliceBytes + 9), 0, 1, true},
		"fragments":   {accounts(5*SliceBytes + 9), -1, 5, true},
		"passes":      {accounts(SliceBytes) + noise(3*SliceBytes), 200 << 10, 3, true},
		"noise":       {noise(3 * SliceBytes), 0, 1, false},
		"grows again": {accounts(SliceBytes) + noise(20*SliceBytes), 64 << 20, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &deflate.Policy{MinSize: 1, FrameBytes: k.frame}, false)
			owned := r.lane.Pool.Get(len(k.p))
			owned.Append([]byte(k.p))
			r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: owned.B, Owned: owned, Compress: r.agreed})
			owned.Release()
			r.send("behind", r.agreed)
			r.letAllLeave()
			r.wants(k.p, "behind")
			frames := 0
			for _, f := range r.reader.frames[:len(r.reader.frames)-1] {
				if f.op < codec.OpClose {
					frames++
				}
			}
			if rsv1 := r.reader.frames[0].rsv1; frames < k.frames || k.frames == 1 && frames > 1 || rsv1 != k.rsv1 {
				t.Errorf("%d frames, RSV1: %v", frames, rsv1)
			}
			r.gone()
		})
	}
}

// What stands before the end of a callback is hurried: it leaves uncompressed, and the rest of a long message stored.
func TestHurried(t *testing.T) {
	for _, frame := range []int{0, -1, 150 << 10} {
		r := newRig(t, &deflate.Policy{MinSize: 1, FrameBytes: frame}, false)
		long := noiseThenAccounts(6 * SliceBytes)
		r.limits = &Limits{MaxBuffered: 3 * SliceBytes, High: 1000, Low: 10, Drop: true}
		r.send(long, r.agreed)
		r.send(accounts(900), r.agreed)
		w := r.begin(r.agreed)
		w.Write(r.call(), []byte("fragment"), nil)
		if v := r.send(accounts(3000), r.agreed); v != Sent {
			t.Fatal(v)
		}
		w.End(r.call())
		r.letAllLeave()
		r.wants(long, accounts(900), "fragment", accounts(3000))
		r.gone()
	}
}

// While the sink is full a long message holds no compressor and no place, and what was collected stays.
func TestParked(t *testing.T) {
	r := newRig(t, all, false)
	r.send(accounts(8*SliceBytes), r.agreed)
	if !r.out.HoldsCompressor() {
		t.Error("it holds no compressor")
	}
	r.out.Slice(r.call())
	if a := r.out.Account(); !a.Place || !a.Collects || r.lane.Collecting() != 1 {
		t.Errorf("%+v", a)
	}
	r.sink.room = 0
	r.out.Ping(r.call(), nil, false)
	before := r.out.Account().Long
	if r.out.Slice(r.call()) || r.out.HoldsCompressor() || r.lane.Collecting() != 0 || r.out.Account().Long != before {
		t.Errorf("%+v", r.out.Account())
	}
	r.lane.Places = 0
	r.sink.room = 1 << 30
	r.out.HasRoom(r.call())
	if !r.out.Slice(r.call()) || r.out.Account().Long != before {
		t.Error("it has a place")
	}
	r.lane.Places = 1
	r.letAllLeave()
	r.wants(accounts(8 * SliceBytes))
	w := r.begin(r.agreed)
	w.Write(r.call(), []byte(accounts(100_000)), nil)
	r.sink.room = 0
	r.out.Ping(r.call(), nil, false)
	if r.out.Slice(r.call()); r.out.HoldsCompressor() {
		t.Error("a writer holds a compressor while the sink is full")
	}
	w.Write(r.call(), []byte(accounts(300_000)), nil)
	w.End(r.call())
	r.letAllLeave()
	r.wants(accounts(8*SliceBytes), accounts(100_000)+accounts(300_000))
	r.out.Rest()
	r.gone()
}

// Where many messages hold compressors, each gives its own back between slices.
func TestManyHeldCompressors(t *testing.T) {
	r := newRig(t, all, false)
	var others []*deflate.Sender
	hold := func(n int) {
		for len(others) < n {
			s := r.lane.Deflate.Sender(r.agreed, r.lane.Pool)
			s.Begin()
			s.Write(nil, []byte(accounts(10_000)), false)
			others = append(others, &s)
		}
	}
	hold(MostHeld - 1)
	r.send(accounts(6*SliceBytes), r.agreed)
	for n, holds := range []bool{true, false} {
		hold(MostHeld - 1 + n)
		if r.out.Slice(r.call()); r.out.HoldsCompressor() != holds {
			t.Errorf("with %d others: %v", len(others), !holds)
		}
	}
	for _, s := range others {
		s.Close()
	}
	r.letAllLeave()
	r.wants(accounts(6 * SliceBytes))
	r.gone()
}

// A slice takes about half a millisecond at each level.
func TestSliceAt(t *testing.T) {
	for level, want := range []int{128, 128, 128, 128, 128, 128, 128, 32, 16, 4} {
		if n := SliceAt(level); n != want<<10 {
			t.Errorf("level %d: %d", level, n)
		}
	}
}

// A moment in which much waited costs no memory afterwards.
func TestShrunk(t *testing.T) {
	if s := shrunk(make([]int, 7, 1024)); cap(s) != 1024 || len(s) != 0 {
		t.Error(len(s), cap(s))
	}
	if s := shrunk(make([]int, 0, 1025)); s != nil {
		t.Error(cap(s))
	}
	r := newRig(t, nil, false)
	r.corked, r.sink.broken = true, true
	for range 400 { // nobody has heard that the sink is broken
		r.out.Ping(r.call(), make([]byte, 125), false)
	}
	if n := cap(r.out.busy.cork); n <= CorkBytes {
		t.Fatal("the cork has not grown:", n)
	}
	b := r.out.busy
	if r.out.Drop(); cap(b.cork) != CorkBytes {
		t.Error("what goes to the next connection has a cork of", cap(b.cork))
	}
}

// A closed connection gives everything back, whatever it was in the middle of.
func TestDrop(t *testing.T) {
	for name, f := range map[string]func(r *rig){
		"long": func(r *rig) { r.send(accounts(4*SliceBytes), r.agreed); r.out.Slice(r.call()) },
		"writer": func(r *rig) {
			r.send(accounts(4*SliceBytes), r.agreed)
			w := r.begin(r.agreed)
			w.Write(r.call(), []byte("waits"), nil)
			r.send("behind", r.agreed)
		},
		"queue": func(r *rig) {
			r.sink.room = 10
			r.send(accounts(100_000), deflate.Agreement{})
			b := r.lane.Pool.Get(10_000)
			b.Append([]byte(accounts(10_000)))
			r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: b.B, Owned: b})
			b.Release()
		},
	} {
		r := newRig(t, all, false)
		f(r)
		n, done := r.out.Buffered(), r.out.Await()
		r.out.Drop()
		if <-done; r.out.Buffered() != n || !r.out.Idle() {
			t.Error(name, r.out.Buffered())
		}
		if n := r.lane.Pool.Stats().Out; n != 0 || r.lane.Collecting() != 0 {
			t.Errorf("%s: %d buffers are out", name, n)
		}
	}
}

// A lent payload that the sink does not take is copied without the lock; nothing behind it leaves before.
func TestLent(t *testing.T) {
	for _, dropped := range []bool{false, true} {
		r := newRig(t, nil, false)
		r.sink.room = 100
		p := accounts(200_000)
		r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: []byte(p), Lent: true})
		rest := r.out.Lent()
		if rest == nil || r.out.Lent() != nil {
			t.Fatal("nothing is lent")
		}
		r.send("behind", deflate.Agreement{})
		r.sink.room = 1 << 30
		r.out.HasRoom(r.call())
		if len(r.sink.left) != 100 {
			t.Fatal(len(r.sink.left))
		}
		copied := rest.Copy(r.lane.Pool)
		if dropped {
			r.out.Drop()
			r.out.Kept(r.call(), rest, copied)
			r.out.buffered = 0
		} else {
			r.out.Kept(r.call(), rest, copied)
			r.wants(p, "behind")
		}
		r.gone()
	}
	if new(Out).Lent() != nil {
		t.Error("an idle Out lends")
	}
	r := newRig(t, nil, false)
	r.sink.room = 100
	r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: []byte(accounts(200_000)), Lent: true})
	rest := r.out.Lent()
	r.out.Kept(r.call(), rest, rest.Copy(r.lane.Pool))
	r.out.Drop()
	if n := r.lane.Pool.Stats().Out; n != 0 {
		t.Error(n, "buffers are out")
	}
}

// Broadcasts have their place in the order of calls, and refusals of theirs change nothing of it.
func TestHear(t *testing.T) {
	r := newRig(t, all, false)
	one, two := new(Prepared), new(Prepared)
	one.Make(codec.OpBinary, []byte("one"))
	two.Make(codec.OpBinary, []byte(accounts(3000)))
	of := func(p *Prepared) *Message {
		return &Message{Op: p.Op(), P: p.Payload(), Prepared: p, Compress: r.agreed}
	}
	r.after = 2
	r.send("after both", deflate.Agreement{})
	r.wantDue(Asking)
	if !r.out.MustCopy(r.call(), &Message{P: make([]byte, 100_000)}) || r.out.MustCopy(r.call(), of(two)) {
		t.Error("MustCopy")
	}
	r.out.Hear(r.call(), of(one), 1, true)
	r.wants("one")
	r.out.Hear(r.call(), of(two), 2, true)
	r.wants("one", accounts(3000), "after both")
	if all := two.Forms(); len(all) != 1 || all[0].WindowBits != 15 || all[0].Size == 0 || !two.Made() || two.Size() < 3000 {
		t.Errorf("%+v", all)
	}
	if v := r.out.Hear(r.call(), of(one), 3, false); v != Closed {
		t.Error(v)
	}
	r.limits = &Limits{MaxBuffered: 100, Drop: true, High: 50, Low: 10}
	r.after, r.sink.room = 4, 0
	r.send(accounts(90), deflate.Agreement{}) // what waits for a broadcast may be 1 MiB
	r.send(accounts(2000), deflate.Agreement{})
	big := new(Prepared)
	big.Make(codec.OpBinary, make([]byte, 1<<20))
	if v := r.out.Hear(r.call(), &Message{Op: codec.OpBinary, P: big.Payload(), Prepared: big}, 4, true); v != Full {
		t.Error(v)
	}
	r.sink.room = 1 << 30
	r.letAllLeave()
	r.wants("one", accounts(3000), "after both", accounts(90), accounts(2000))
	if new(Prepared).Forms() != nil || SharedWindow(12) != 11 || SharedWindow(9) != 8 {
		t.Error("forms")
	}
	small := new(Prepared)
	small.Make(codec.OpBinary, []byte(noise(500)))
	r.limits = &noLimits
	r.out.Send(r.call(), of(small))
	if all := small.Forms(); len(all) != 1 || all[0].Size != 0 {
		t.Errorf("%+v", all)
	}
	r.out.Close(r.call(), nil)
	r.out.Drop()
}

// A broadcast that has to make way goes where its place is then: what was before that has left with the long message.
func TestHearMakesWay(t *testing.T) {
	r := newRig(t, all, false)
	long := accounts(3 * SliceBytes)
	r.send(long, r.agreed)
	r.send("before", deflate.Agreement{})
	r.send("before, too", deflate.Agreement{})
	r.after = 1
	r.send("behind", deflate.Agreement{})
	r.limits = &Limits{MaxBuffered: 2 << 20, High: 1 << 20, Low: 1 << 10, Drop: true}
	one := new(Prepared)
	one.Make(codec.OpBinary, make([]byte, 2<<20-1000))
	if v := r.out.Hear(r.call(), &Message{Op: codec.OpBinary, P: one.Payload(), Prepared: one}, 1, true); v != Sent {
		t.Fatal(v)
	}
	r.letAllLeave()
	r.wants(long, "before", "before, too", string(one.Payload()), "behind")
	r.gone()
}

// However many messages wait, a queue of empty ones costs something, and its marks are taken off as they leave.
func TestManyMarks(t *testing.T) {
	r := newRig(t, nil, false)
	r.sink.room = 0
	for range 5000 {
		r.send("", deflate.Agreement{})
	}
	if a := r.out.Account(); a.Cost != 5000*messageCost {
		t.Errorf("%+v", a)
	}
	for !r.out.Idle() {
		r.sink.room = 100
		r.out.HasRoom(r.call())
	}
	if n := r.lane.Counts.Messages.Load(); n != 5000 {
		t.Error(n)
	}
	r.gone()
}

// Marks that have left are thrown away when they are more than 1024, and more than the others.
func TestMarksAreThrownAway(t *testing.T) {
	for _, n := range []int{1500, 2046, 2047, 2048, 2049, 2050, 5000} {
		r := newRig(t, nil, false)
		r.sink.room = 0
		for range n {
			r.send("", deflate.Agreement{})
		}
		marks, gone := n, 0
		for range n - 1 {
			r.sink.room = 2
			r.out.HasRoom(r.call())
			if gone++; gone > 1024 && gone > marks/2 {
				marks, gone = marks-gone, 0
			}
			if b := r.out.busy; len(b.marks) != marks || b.mhead != gone {
				t.Fatalf("of %d: %d marks, %d of them have left; not %d and %d", n, len(b.marks), b.mhead, marks, gone)
			}
		}
		r.letAllLeave()
		r.gone()
	}
}

// Who was refused a message at the low mark or below is told of Low when nothing waits, not a byte before.
func TestRefusedAtTheLowMark(t *testing.T) {
	for _, k := range []struct {
		low int64
		at  int // Low is due when so many bytes are left
	}{{126, 126}, {127, 0}, {128, 0}} {
		r := newRig(t, nil, false)
		r.limits = &Limits{MaxBuffered: 127, High: 1000, Low: k.low, Drop: true}
		r.sink.room = 0
		r.out.Ping(r.call(), make([]byte, 125), false)
		if v := r.send("x", deflate.Agreement{}); v != Full {
			t.Fatal(v)
		}
		r.wantDue(Room | High)
		for left := 126; left >= 0; left-- {
			r.sink.room = 1
			r.out.HasRoom(r.call())
			if low := r.out.Due()&Low != 0; low != (left == k.at) {
				t.Errorf("Low %d: due %v with %d bytes left", k.low, low, left)
			}
		}
		r.gone()
	}
}

// The limits are asked from the first byte, and the first message, that waits.
func TestLimitsAreAsked(t *testing.T) {
	for name, wait := range map[string]func(r *rig){
		"a byte":    func(r *rig) { r.sink.room = 1; r.out.Ping(r.call(), nil, false) },
		"a message": func(r *rig) { r.begin(deflate.Agreement{}); r.send("x", deflate.Agreement{}) },
	} {
		r := newRig(t, nil, false)
		r.limits = &Limits{MaxBuffered: 100, High: 1000, Low: 10}
		if wait(r); r.send(accounts(150), deflate.Agreement{}) != Slow {
			t.Error(name, "waits, and a message over the limit is accepted")
		}
		r.out.Drop()
	}
}

// A message that is compressed in one go need not be copied; a longer one has to be kept.
func TestMustCopyWhatIsCompressedInSlices(t *testing.T) {
	r := newRig(t, all, false)
	for more, want := range []bool{false, true} {
		m := &Message{Op: codec.OpBinary, P: make([]byte, SliceBytes+more), Compress: r.agreed}
		if r.out.MustCopy(r.call(), m) != want {
			t.Errorf("%d bytes: %v", len(m.P), !want)
		}
	}
}

// High is passed by a byte more than the mark, not by the mark.
func TestHighToTheByte(t *testing.T) {
	for more, want := range []Due{Room, Room | High} {
		r := newRig(t, nil, false)
		r.limits = &Limits{MaxBuffered: -1, High: 102, Low: 10}
		r.sink.room = 0
		r.send(accounts(100+more), deflate.Agreement{})
		r.wantDue(want)
		r.letAllLeave()
		r.gone()
	}
}

// Places count, and one that goes while another stays may be what Low waited for.
func TestLowByAPlace(t *testing.T) {
	r := newRig(t, nil, false)
	r.limits = &Limits{MaxBuffered: 100, High: 1000, Low: 100, Drop: true}
	for r.after = 1; r.after < 3; r.after++ {
		if v := r.send(string(make([]byte, 2<<20)), deflate.Agreement{}); v != Full {
			t.Fatal(v)
		}
	}
	r.after = 2
	r.wantDue(Asking | High)
	r.limits = &Limits{MaxBuffered: 100, High: 1000, Low: DeferredOverhead, Drop: true}
	r.out.Remark(r.call())
	r.wantDue(0)
	r.out.Hear(r.call(), nil, 1, true)
	r.wantDue(Low)
	r.out.Hear(r.call(), nil, 2, true)
	r.gone()
}

// One flush writes a bounded amount, and then counts the sink as full.
func TestFlushIsBounded(t *testing.T) {
	r := newRig(t, nil, false)
	r.send(accounts(3*FlushBytes), deflate.Agreement{})
	if n := len(r.sink.left); n < FlushBytes || n > FlushBytes+100 {
		t.Error(n)
	}
	r.wantDue(Room)
	r.letAllLeave()
	r.wants(accounts(3 * FlushBytes))
	r.gone()
	r.lane.Counts.Add(new(Tally))
	if new(Out).HasRoom(r.call()) || new(Out).Slice(r.call()) || new(Out).IsHigh() {
		t.Error("an idle Out has something to do")
	}
	new(Out).Remark(r.call())
}
