package deflate

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/bench/corpus"
)

// FuzzInflate: anything as a payload, cut anywhere, in any window, gives what the obvious decoder gives or is refused
// as there; never more than asked for, never a panic.
func FuzzInflate(f *testing.F) {
	for _, s := range []string{"f2 48 cd c9 c9 07 00", "f3 48 cd c9 c9 07 00 00", "00 05 00 fa ff 48 65 6c 6c 6f 00", "f2 00 11 00 00"} {
		f.Add(unhex(s), uint64(1), uint8(15))
	}
	x, _ := New(Policy{Level: 6})
	for _, c := range corpus.All()[:3] {
		payload, _ := x.Compress(nil, c.Messages[0], 15)
		f.Add(payload, uint64(2), uint8(9))
	}
	f.Add(emptyDynamicBlock(), uint64(3), uint8(8))
	f.Fuzz(func(t *testing.T, payload []byte, seed uint64, bits uint8) {
		const limit = 1 << 16
		bits = minWindowBits + bits%8
		r := rand.New(rand.NewPCG(seed, 0))
		c := cutting{r: r, input: r.IntN(len(payload) + 2), room: 1 + r.IntN(2000), limit: limit}
		if seed%2 == 0 {
			c.input, c.room = 0, 0
		}
		receiver := newReceiver(t, Direction{bits, true})
		got, err := receive(receiver, payload, c)
		if len(got) > limit+1<<16 {
			t.Fatalf("%d bytes", len(got))
		}
		if receiver.Held() > 1<<bits+inflaterBytes {
			t.Fatalf("%d bytes held", receiver.Held())
		}
		var o obvious
		if len(got) > limit {
			return // too long: the caller's matter
		}
		want, wantErr := o.inflateMessage(payload)
		far := wantErr == nil && o.longest > 1<<bits
		if far {
			wantErr = ErrWindow
		}
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; the obvious decoder %d, %v (longest distance %d)", len(got), err, len(want), wantErr, o.longest)
		}
		if err != nil && !far && !bytes.HasPrefix(want, got) && err != ErrWindow {
			t.Fatalf("%v after bytes that were not sent", err)
		}
	})
}

// FuzzConnection: a random agreement, policy and sequence of messages, whole, streamed, broadcast and sent as they are,
// cut anywhere: all arrive, within the window.
func FuzzConnection(f *testing.F) {
	for seed := range uint64(48) {
		f.Add(seed, []byte(`{"some":"text","of":"the fuzzer's own"}`))
	}
	all := corpus.All()
	f.Fuzz(func(t *testing.T, seed uint64, own []byte) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := Policy{Level: 1 + r.IntN(6), HistoryBytes: 256 << r.IntN(8), MinSize: 1 + r.IntN(2)*63, Takeover: Takeover(r.IntN(3))}
		d := Direction{WindowBits: uint8(8 + r.IntN(8)), Takeover: p.Takeover != NoTakeover && r.IntN(4) > 0}
		w := newWire(t, p, d)
		for range 1 + r.IntN(12) {
			m := all[r.IntN(5)].Messages
			message := m[r.IntN(len(m))]
			message = message[:r.IntN(min(len(message), 5000)+1)]
			if r.IntN(3) == 0 {
				message = own
			}
			switch r.IntN(6) {
			case 0:
				w.stream(r, message)
			case 1:
				if payload, ok := w.sender.extension.Compress(nil, message, d.WindowBits); ok && w.sender.Sent(message) {
					w.check(payload, message, cutting{r: r, input: 300, room: 300})
				}
			case 2:
				w.receiver.Rest()
				w.send(message)
			case 3:
				if r.IntN(4) == 0 && p.Takeover != OwnCompressor {
					w.sender.Rest()
				}
				w.send(message)
			default:
				w.send(message)
			}
		}
	})
}
