package deflate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/pool"
)

// wire is two connected ends, one direction of it, and the obvious decoder listening in.
type wire struct {
	tb       testing.TB
	sender   *Sender
	receiver *Receiver
	witness  obvious
	d        Direction
}

func newWire(tb testing.TB, p Policy, d Direction) *wire {
	tb.Helper()
	x, err := New(p)
	if err != nil {
		tb.Fatal(err)
	}
	mem := pool.New()
	s := x.Sender(Agreement{Send: d}, mem)
	tb.Cleanup(func() {
		s.Close()
		if n := mem.Stats().Out; n != 0 {
			tb.Errorf("the sender kept %d buffers", n)
		}
	})
	return &wire{tb: tb, sender: &s, receiver: newReceiver(tb, d), d: d}
}

// check inflates a payload both ways, and asserts that it is m and within the window.
func (w *wire) check(payload, m []byte, c cutting) {
	w.tb.Helper()
	if got, err := receive(w.receiver, payload, c); err != nil || !bytes.Equal(got, m) {
		w.tb.Fatalf("%d bytes came back as %d, %v", len(m), len(got), err)
	}
	w.witnesses(payload, m)
}

// witnesses asserts the same by the obvious decoder.
func (w *wire) witnesses(payload, m []byte) {
	w.tb.Helper()
	if !w.d.Takeover {
		w.witness.out = nil
	}
	if got, err := w.witness.inflateMessage(payload); err != nil || !bytes.Equal(got, m) {
		w.tb.Fatalf("the witness: %d bytes came back as %d, %v", len(m), len(got), err)
	}
	if w.witness.longest > 1<<w.d.WindowBits {
		w.tb.Fatalf("distance %d in a window of %d bits", w.witness.longest, w.d.WindowBits)
	}
	if n := len(w.witness.out); n > 1<<16 {
		w.witness.out = append([]byte(nil), w.witness.out[n-1<<15:]...)
	}
}

// send compresses m and checks what arrives. It reports whether m was compressed.
func (w *wire) send(m []byte) bool {
	w.tb.Helper()
	before := bytes.Clone(m)
	out, ok := w.sender.Compress([]byte("prefix"), m)
	if !bytes.Equal(m, before) {
		w.tb.Fatal("the message was written")
	}
	payload, kept := bytes.CutPrefix(out, []byte("prefix"))
	switch {
	case !kept:
		w.tb.Fatal("dst was changed")
	case !ok && len(payload) != 0:
		w.tb.Fatal("output of a message that is to be sent as it is")
	case ok && len(payload) >= len(m) && !w.sender.ownsEncoder():
		w.tb.Fatalf("%d bytes became %d", len(m), len(payload))
	}
	if ok {
		w.check(payload, m, whole())
	}
	return ok
}

// Every corpus, window, level and kind of takeover: it arrives, and no distance passes the window.
func TestDistances(t *testing.T) {
	for _, bits := range []uint8{8, 9, 12, 15} {
		for _, takeover := range []Takeover{SharedHistory, NoTakeover, OwnCompressor} {
			for _, level := range []int{1, 3, 6, 9} {
				p := Policy{Takeover: takeover, Level: level, HistoryBytes: 512 << (level % 4), MinSize: 1}
				testDistances(t, p, Direction{bits, takeover != NoTakeover})
				if takeover != NoTakeover && level%5 == 1 {
					testDistances(t, p, Direction{bits, false}) // the peer may ask for that
				}
			}
		}
	}
}

func testDistances(t *testing.T, p Policy, d Direction) {
	name := fmt.Sprintf("%+v, takeover %d, level %d", d, p.Takeover, p.Level)
	t.Run(name, func(t *testing.T) {
		if testing.Short() && (p.Level > 1 || d.WindowBits&1 == 0) {
			return
		}
		w := newWire(t, p, d)
		compressed := 0
		r := rand.New(rand.NewPCG(uint64(d.WindowBits), 9))
		all := corpus.All()
		for i := range 21 {
			m := all[i%len(all)].Messages
			if w.send(m[r.IntN(len(m))]) {
				compressed++
			}
		}
		if compressed < 14 {
			t.Errorf("only %d of 21 messages were compressed", compressed)
		}
		if !d.Takeover && w.sender.history != nil {
			t.Error("a history is kept that nothing may refer to")
		}
	})
}

// The trap of the issue: a long message after a short history, with a level that would use distances up to 32 KiB.
func TestLongMessageInSmallWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	long := append(corpus.Random(r, 400), corpus.Page(r, 60<<10)...)
	long = append(long, long[:30<<10]...)
	for bits := uint8(8); bits <= 14; bits++ {
		for _, level := range []int{1, 6} {
			w := newWire(t, Policy{Level: level, HistoryBytes: 512}, Direction{bits, true})
			for _, m := range [][]byte{corpus.Orders(r, 200), long, corpus.Orders(r, 200), corpus.Orders(r, 1<<10)} {
				w.send(m)
			}
		}
	}
}

// Connections share encoders, not histories: message by message in turn, each arrives at its own end. The trap is a
// message without a history, right after another connection's with one.
func TestSharedEncoders(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, level := range []int{1, 3, 6} {
		p := Policy{Level: level, MinSize: 1}
		var wires []*wire
		for range 3 {
			wires = append(wires, newWire(t, p, full()), newWire(t, p, Direction{9, true}), newWire(t, p, Direction{15, false}))
		}
		sizes := []int{100, 500, 1000} // klauspost's encoders from 128 bytes on, the small window's beyond 512
		if level == 1 {
			sizes = []int{100, 1000, maxShort + 100} // and here for long ones only
		}
		for i := range 100 {
			w := wires[r.IntN(len(wires))]
			if i%3 == 0 {
				w.sender.Rest()
			}
			w.send(corpus.Orders(r, sizes[r.IntN(len(sizes))]))
		}
	}
}

// A message that would grow is sent as it is, and the history does not know it.
func TestIncompressible(t *testing.T) {
	w := newWire(t, Policy{MinSize: 1}, full())
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		switch n := 1 + r.IntN(3000); i % 3 {
		case 0:
			if w.send(corpus.Random(r, n)) {
				t.Fatal("random bytes were compressed")
			}
		case 1:
			w.send(corpus.Orders(r, max(60, n)))
		case 2:
			// Half of each: whether or not it shrinks, the next has to refer to the right bytes.
			w.send(append(corpus.Random(r, n), corpus.Tick(r, 0)...))
		}
	}
	w = newWire(t, Policy{MinSize: 200}, full())
	if w.send(bytes.Repeat([]byte("a"), 199)) || !w.send(bytes.Repeat([]byte("a"), 200)) {
		t.Error("the minimum size is not kept")
	}
	w = newWire(t, Policy{MinSize: 1}, full())
	if w.send(nil) || w.send([]byte("a")) {
		t.Error("what cannot shrink was compressed")
	}
}

// A compressor of one's own forgets at a short message, which by default is sent as it is.
func TestOwnCompressorRemembersBesideShortMessages(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	order, short := corpus.Orders(r, 1024), corpus.Orders(r, 1024)[:100]
	sizes := func(minSize int) (first, second int) {
		w := newWire(t, Policy{Takeover: OwnCompressor, MinSize: minSize}, full())
		compressed := func(m []byte) int {
			b, ok := w.sender.Compress(nil, m)
			if !ok {
				return -1
			}
			w.check(b, m, cutting{})
			return len(b)
		}
		first = compressed(order)
		if n := compressed(short); (n < 0) != (minSize == 0) {
			t.Errorf("MinSize %d: 100 bytes make %d", minSize, n)
		}
		return first, compressed(order)
	}
	if first, second := sizes(0); second > first/10 {
		t.Errorf("%d bytes, and %d when it knew them", first, second)
	}
	if first, second := sizes(1); second < first {
		t.Errorf("%d bytes, and %d: the policy's doc and default are out of date", first, second)
	}
}

// A broadcast is compressed once; connections with a history, without one, and without takeover stay in step.
func TestBroadcast(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	x, _ := New(Policy{MinSize: 1})
	wires := []*wire{
		newWire(t, Policy{MinSize: 1}, full()), newWire(t, Policy{MinSize: 1}, Direction{10, true}),
		newWire(t, Policy{MinSize: 1}, Direction{15, false}), newWire(t, Policy{MinSize: 1}, full()),
	}
	for i := range 60 {
		m := corpus.Orders(r, 100+r.IntN(2000))
		if i%2 == 0 {
			payload, ok := x.Compress(nil, m, 10)
			if !ok {
				t.Fatal("not compressed")
			}
			for _, w := range wires {
				if !w.sender.Sent(m) {
					t.Fatal("refused")
				}
				w.check(payload, m, whole())
			}
		} else {
			wires[r.IntN(len(wires)-1)].send(m)
		}
	}
	if last := wires[len(wires)-1].sender; last.history != nil {
		t.Error("a connection that only got broadcasts has a history")
	}
	own := newWire(t, Policy{Takeover: OwnCompressor}, full())
	if own.sender.Sent([]byte("x")) {
		t.Error("a connection with its own compressor cannot send what others share")
	}
}

// Messages in parts, among whole ones: cut anywhere, flushed or not.
func TestStreams(t *testing.T) {
	for _, p := range []Policy{{}, {Takeover: OwnCompressor}, {Takeover: NoTakeover}, {Level: 6, HistoryBytes: 8192}} {
		for _, bits := range []uint8{8, 9, 12, 15} {
			w := newWire(t, p, Direction{bits, p.Takeover != NoTakeover})
			r := rand.New(rand.NewPCG(uint64(bits), 1))
			for range unraced(12, 2) {
				w.stream(r, corpus.Page(r, 100+r.IntN(90000)))
				w.send(corpus.Orders(r, 500))
				w.stream(r, corpus.Random(r, r.IntN(3000)))
				w.stream(r, nil)
			}
		}
	}
}

// stream sends m in parts. Whenever a part was flushed, all so far has to have arrived.
func (w *wire) stream(r *rand.Rand, m []byte) {
	w.tb.Helper()
	var payload, got []byte
	hear := func(part []byte, final bool) Step {
		for {
			dst := make([]byte, r.IntN(5000))
			n, used, step, err := w.receiver.Inflate(dst, part, final)
			if err != nil {
				w.tb.Fatal(err)
			}
			got, part = append(got, dst[:n]...), part[used:]
			if step == Done || step == NeedInput {
				return step
			}
		}
	}
	most := 1 + r.IntN(max(1, len(m)))
	w.sender.Begin()
	for rest := m; len(rest) > 0; {
		n := 1 + r.IntN(min(most, len(rest)))
		flush := r.IntN(3) > 0
		out := w.sender.Write([]byte("x"), rest[:n], flush)
		rest = rest[n:]
		if out[0] != 'x' {
			w.tb.Fatal("dst was changed")
		}
		payload = append(payload, out[1:]...)
		hear(out[1:], false)
		if sent := m[:len(m)-len(rest)]; flush && !bytes.Equal(got, sent) {
			w.tb.Fatalf("%d bytes were flushed, %d have arrived", len(sent), len(got))
		}
	}
	out := w.sender.End([]byte("x"))[1:]
	if hear(out, true) != Done || !bytes.Equal(got, m) {
		w.tb.Fatalf("%d bytes came back as %d", len(m), len(got))
	}
	w.witnesses(append(payload, out...), m)
}

// A message in short parts takes little more than as a whole, and leaves the history that a whole one would.
func TestShortParts(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, p := range []Policy{{}, {Takeover: NoTakeover}, {Level: 6}, {Level: 9}, {SendWindowBits: 9}} {
		bits := uint8(15)
		if p.SendWindowBits != 0 {
			bits = uint8(p.SendWindowBits)
		}
		w := newWire(t, p, Direction{bits, p.Takeover != NoTakeover})
		for _, size := range []int{20, 1000, 128, 32, 100, 127, 200, 5000}[:unraced(8, 3)] {
			before := corpus.Orders(r, 1000)
			w.send(before)
			m := corpus.Orders(r, 10_000)
			w.sender.Begin()
			var payload []byte
			for rest := m; len(rest) > 0; rest = rest[min(size, len(rest)):] {
				payload = w.sender.Write(payload, rest[:min(size, len(rest))], true)
			}
			payload = w.sender.End(payload)
			w.check(payload, m, whole())
			n := len(payload)
			t.Logf("takeover %d, level %d, %d bits: %d bytes in parts of %d take %d", p.Takeover, p.Level, bits, len(m), size, n)
			if n > len(m)*3/4 && size >= 32 || n > len(m)*11/10 {
				t.Errorf("%+v: %d bytes in parts of %d take %d", p, len(m), size, n)
			}
			if kept := w.sender.history; (kept != nil) != w.d.Takeover || kept != nil && !bytes.HasSuffix(m, kept.B) {
				t.Error("the history is not the message's end")
			}
			if !w.d.Takeover {
				continue
			}
			if again, ok := w.sender.Compress(nil, m[len(m)-400:]); !ok || len(again) > 20 {
				t.Errorf("%+v: what was just said in parts of %d takes %d bytes again", p, size, len(again))
			} else {
				w.check(again, m[len(m)-400:], whole())
			}
		}
	}
}

// Parts that cannot shrink are stored: 5 bytes more each, and one for the end.
func TestRandomParts(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	w := newWire(t, Policy{}, full())
	for _, size := range []int{1, 2, 30, 127, 128, 5000, maxShort} {
		w.sender.Begin()
		var payload, m []byte
		for range 10 {
			part := corpus.Random(r, size)
			payload, m = w.sender.Write(payload, part, true), append(m, part...)
		}
		payload = w.sender.End(payload)
		w.check(payload, m, whole())
		if n := len(payload); n > len(m)+10*5+1 {
			t.Errorf("ten parts of %d take %d bytes", size, n)
		}
	}
}

// What was flushed can be inflated before the message ends.
func TestFlushedPartArrives(t *testing.T) {
	w := newWire(t, Policy{}, full())
	w.sender.Begin()
	part := w.sender.Write(nil, []byte("now, not later"), true)
	dst := make([]byte, 100)
	n, _, step, err := w.receiver.Inflate(dst, part, false)
	if step != NeedInput || err != nil || string(dst[:n]) != "now, not later" {
		t.Errorf("%q, %v, %v", dst[:n], step, err)
	}
	if k, _, step, err := w.receiver.Inflate(dst, w.sender.End(nil), true); k != 0 || step != Done || err != nil {
		t.Error(k, step, err)
	}
}

// Closing in the middle of a message gives its encoder and its history back; the sender starts afresh.
func TestCloseWithin(t *testing.T) {
	w := newWire(t, Policy{}, full())
	w.send(corpus.Named("json 1 KiB").Messages[0])
	w.sender.Begin()
	w.sender.Write(nil, []byte("unfinished"), false)
	w.sender.Rest() // not now
	if w.sender.history == nil || !w.sender.Streaming() {
		t.Error("Rest within a message")
	}
	w.sender.Close()
	if w.sender.history != nil || w.sender.encoder != nil || w.sender.Streaming() {
		t.Error("something is kept")
	}
	w.send(corpus.Named("json 1 KiB").Messages[1])
	w.sender.Rest()
	w.send(corpus.Named("json 1 KiB").Messages[2])
}

// Rest gives back what an idle connection knows. Its next message is what a new connection would send, and the one after
// refers to that.
func TestSenderRests(t *testing.T) {
	m := corpus.Named("json 1 KiB").Messages[0]
	for _, p := range []Policy{{}, {Level: 6}, {Takeover: OwnCompressor}} {
		w, fresh := newWire(t, p, full()), newWire(t, p, full())
		w.send(m)
		w.send(m)
		w.sender.Rest()
		if s := w.sender; s.history != nil || s.encoder != nil || s.pool.Stats().Out != 0 {
			t.Errorf("%+v: something is kept", p)
		}
		w.witness.out = nil // now a distance to what was before is an error
		alone, _ := w.sender.Compress(nil, m)
		want, _ := fresh.sender.Compress(nil, m)
		if !bytes.Equal(alone, want) {
			t.Errorf("%+v: %d bytes after a rest, %d of a new connection", p, len(alone), len(want))
		}
		w.check(alone, m, whole())
		again, _ := w.sender.Compress(nil, m)
		if len(again) > len(alone)/5 {
			t.Errorf("%+v: %d bytes and the same once more %d: no history has begun", p, len(alone), len(again))
		}
		w.check(again, m, whole())
	}
}

// Messages in parts are compressed whatever MinSize says, in short parts too.
func TestPartsHaveNoMinimum(t *testing.T) {
	m := corpus.Named("json 1 KiB").Messages[0]
	for _, p := range []Policy{{MinSize: 5000}, {MinSize: 5000, Level: 6}, {MinSize: 5000, Takeover: OwnCompressor}} {
		w := newWire(t, p, full())
		if w.send(m) {
			t.Fatal("the minimum is not kept")
		}
		for _, size := range []int{128, 500, len(m)} {
			for _, flush := range []bool{false, true} {
				w.sender.Rest()
				w.sender.Begin()
				var payload []byte
				for rest := m; len(rest) > 0; rest = rest[min(size, len(rest)):] {
					payload = w.sender.Write(payload, rest[:min(size, len(rest))], flush)
				}
				payload = w.sender.End(payload)
				if w.check(payload, m, whole()); len(payload) > len(m)*2/3 {
					t.Errorf("%+v: %d bytes in parts of %d, flushed %v, take %d", p, len(m), size, flush, len(payload))
				}
			}
		}
	}
}

func TestMisuse(t *testing.T) {
	w := newWire(t, Policy{}, full())
	mustPanic(t, msgIdle, func() { w.sender.Write(nil, nil, false) })
	mustPanic(t, msgIdle, func() { w.sender.End(nil) })
	w.sender.Begin()
	mustPanic(t, msgStreaming, func() { w.sender.Begin() })
	mustPanic(t, msgStreaming, func() { w.sender.Compress(nil, []byte("x")) })
	mustPanic(t, msgStreaming, func() { w.sender.Sent([]byte("x")) })
}

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		if r := recover(); r != want {
			t.Errorf("panic %v, want %q", r, want)
		}
	}()
	f()
}

// What a connection's own compressor, or a message in parts, adds to what cannot shrink is within what the documents say.
func TestOwnGrowth(t *testing.T) {
	if testing.Short() {
		t.Skip("the same bytes everywhere")
	}
	r := rand.New(rand.NewPCG(8, 10))
	for level := 1; level <= maxLevel; level++ {
		for _, bits := range []uint8{8, 15} {
			own := newWire(t, Policy{Takeover: OwnCompressor, Level: level, MinSize: 1}, Direction{bits, true})
			parts := newWire(t, Policy{Level: level}, Direction{bits, true})
			for _, n := range []int{1, 100, 1000, 32 << 10, 100_000, 1 << 20} {
				m := corpus.Random(r, n)
				most := n + (n+32<<10-1)>>15*5 + 16
				payload, _ := own.sender.Compress(nil, m)
				if own.check(payload, m, whole()); len(payload) > most {
					t.Errorf("level %d, %d bits: %d bytes become %d, at most %d are said", level, bits, n, len(payload), most)
				}
				parts.sender.Begin()
				payload = parts.sender.End(parts.sender.Write(nil, m, false))
				if parts.check(payload, m, whole()); len(payload) > most {
					t.Errorf("level %d, %d bits, in parts: %d bytes become %d, at most %d are said", level, bits, n, len(payload), most)
				}
			}
		}
	}
}
