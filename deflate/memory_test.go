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

// An idle connection's window rests compressed, and is whole again for the next message.
func TestRest(t *testing.T) {
	for _, bits := range []uint8{8, 10, 12, 15} {
		w := newWire(t, Policy{HistoryBytes: 32 << 10}, Direction{bits, true})
		for i, m := range corpus.Named("json 16 KiB").Messages {
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
