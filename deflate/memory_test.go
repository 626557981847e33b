package deflate

import (
	"testing"
	"time"
	"unsafe"

	"github.com/gannet-ws/gannet/bench/corpus"
)

// What the documents say of sizes.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(Receiver{}); n > 64 {
		t.Errorf("a Receiver is %d bytes", n)
	}
	if n := unsafe.Sizeof(Sender{}); n > 40 {
		t.Errorf("a Sender is %d bytes", n)
	}
	if n := unsafe.Sizeof(Agreement{}); n > 8 {
		t.Errorf("an Agreement is %d bytes", n)
	}
	if inflaterBytes > 11<<10 {
		t.Errorf("an inflater is %d bytes", inflaterBytes)
	}
}

// HistoryBytes is what a history takes at most, also where that is no power of two and so no class of the pool's. The
// policy says which one counts.
func TestHistoryBytes(t *testing.T) {
	for _, c := range []struct{ asked, counts int }{
		{256, 256}, {511, 256}, {512, 512}, {5000, 4096}, {9000, 8192}, {20000, 16384}, {32767, 16384}, {32768, 32768},
	} {
		w := newWire(t, Policy{HistoryBytes: c.asked}, full())
		if n := w.sender.extension.Policy().HistoryBytes; n != c.counts {
			t.Errorf("HistoryBytes %d: the policy says %d, want %d", c.asked, n, c.counts)
		}
		for _, m := range corpus.Named("json 16 KiB").Messages[:unraced(6, 4)] {
			w.send(m)
			if n := w.sender.pool.Stats().OutBytes; n > int64(c.asked)+1<<10 {
				t.Fatalf("HistoryBytes %d: %d are held", c.asked, n)
			}
		}
		if n := len(w.sender.history.B); n != c.counts {
			t.Errorf("HistoryBytes %d: the history is %d bytes, want %d", c.asked, n, c.counts)
		}
	}
}

// An idle connection's window rests compressed, and is whole again for the next message.
func TestRest(t *testing.T) {
	for _, bits := range []uint8{8, 10, 12, 15} {
		w := newWire(t, Policy{HistoryBytes: 32 << 10}, Direction{bits, true})
		for i, m := range corpus.Named("json 16 KiB").Messages[:unraced(24, 5)] {
			w.send(m)
			held := w.receiver.Held()
			from := time.Now()
			w.receiver.Rest()
			w.receiver.Rest()
			took := time.Since(from)
			rested := w.receiver.Held()
			if rested > held || held >= packFrom && rested > held/2 {
				t.Errorf("%d bits: %d bytes rest as %d", bits, held, rested)
			}
			if i == 3 {
				t.Logf("%d bits: %d bytes rest as %d, in %v", bits, held, rested, took)
			}
		}
	}
	w := newWire(t, Policy{}, full())
	w.send(corpus.Named("json 16 KiB").Messages[0])
	payload, _ := w.sender.Compress(nil, corpus.Named("json 16 KiB").Messages[1])
	if _, _, step, err := w.receiver.Inflate(make([]byte, 100), payload, true); step != NeedRoom || err != nil {
		t.Fatal(step, err)
	}
	held := w.receiver.Held()
	if w.receiver.Rest(); w.receiver.Held() != held || !w.receiver.InMessage() {
		t.Error("Rest within a message")
	}
}
