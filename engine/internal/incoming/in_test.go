package incoming

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// sample is a stream with everything in it that a connection may bring, the longest kinds excepted.
func sample(deflates bool) (b []byte) {
	text := "Zürich, 東京, 🐟 and the rest"
	b = append(b, frame(0x81, []byte(text))...)
	b = append(b, frame(0x82, nil)...)
	b = append(b, frame(0x82, bytes.Repeat([]byte{7}, 126))...)
	b = append(b, frame(0x01, []byte(text[:2]))...) // inside a code point
	b = append(b, frame(0x89, []byte("ping"))...)
	b = append(b, frame(0x00, nil)...)
	b = append(b, frame(0x8a, nil)...)
	b = append(b, frame(0x80, []byte(text[2:]))...)
	if deflates {
		var z squeezer
		b = append(b, frame(0xc1, z.message([]byte(text)))...)
		wire := z.message([]byte(strings.Repeat(text, 20)))
		b = append(b, frame(0x42, wire[:3])...)
		b = append(b, frame(0x89, bytes.Repeat([]byte{'p'}, 125))...)
		b = append(b, frame(0x00, wire[3:])...)
		b = append(b, frame(0x80, nil)...)
		b = append(b, frame(0xc1, z.message(nil))...)
	}
	return append(b, frame(0x88, []byte{0x03, 0xe8, 'b', 'y', 'e'})...)
}

// verdict is what the twin says of a stream, for a rig as it is now.
func verdict(r *rig, stream []byte) *twin {
	w := &twin{client: r.lane.Role == codec.RoleClient, deflates: r.in.agreed != deflate.Agreement{}, chunks: r.chunks, lim: r.lim, discard: r.discard}
	w.run(stream)
	return w
}

// demand compares what came with what the twin says of the stream.
func (r *rig) demand(w *twin) {
	r.t.Helper()
	if w.compressed && !w.all && w.code == 1009 && len(r.got) >= len(w.got) && slices.Equal(r.got[:len(w.got)], w.got) {
		return // with the room full, only the end of the message tells whether there is more
	}
	if w.torn && r.code == 0 && len(r.got) > len(w.got) && slices.Equal(r.got[:len(w.got)], w.got) {
		return // bits that begin no block may be left (package deflate says which): compress/flate does not tell them from a block
	}
	if r.code != w.code || !slices.Equal(r.got, w.got) {
		r.t.Fatalf("%.40q, code %d; the twin: %.40q, code %d", r.got, r.code, w.got, w.code)
	}
	// How much of a compressed message comes before a mistake depends on the steps.
	if r.chunks && r.part != w.part && !(w.compressed && w.code != 0 && strings.HasPrefix(w.part, r.part)) {
		r.t.Fatalf("%.300q of a message came; the twin: %.300q", r.part, w.part)
	}
}

// TestEveryCut: wherever a stream is cut, and byte by byte, the same comes of it.
func TestEveryCut(t *testing.T) {
	for _, deflates := range []bool{false, true} {
		for _, chunks := range []bool{false, true} {
			stream := sample(deflates)
			check := func(reads ...[]byte) {
				t.Helper()
				r := newRig(t, deflates, chunks)
				for _, b := range reads {
					r.feed(b)
				}
				r.demand(verdict(r, stream))
				if !r.in.Idle() || r.in.InMessage() {
					t.Fatal("not idle")
				}
			}
			for cut := range len(stream) {
				check(stream[:cut], stream[cut:])
				check(stream[:cut/2], stream[cut/2:cut], stream[cut:])
			}
			check(slices.Collect(slices.Chunk(stream, 1))...)
		}
	}
}

// TestEveryCutOfAMistake: a mistake is answered the same wherever the stream is cut, and as early as it can be seen.
func TestEveryCutOfAMistake(t *testing.T) {
	long := func(first byte, n uint64) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{first, 0xff}, n), 1, 2, 3, 4)
	}
	const limit = 4096
	for name, k := range map[string]struct {
		say  []byte
		code int
	}{
		"reserved opcode":          {frame(0x83, nil), 1002},
		"RSV2":                     {frame(0xa1, nil), 1002},
		"RSV1 on a ping":           {frame(0xc9, nil), 1002},
		"RSV1 on a continuation":   {append(frame(0x01, nil), frame(0xc0, nil)...), 1002},
		"a continuation of none":   {frame(0x80, nil), 1002},
		"a message inside another": {append(frame(0x01, nil), frame(0x81, nil)...), 1002},
		"not masked":               {[]byte{0x81, 0}, 1002},
		"a ping in fragments":      {frame(0x09, nil), 1002},
		"a ping of 126 bytes":      {frame(0x89, make([]byte, 126)), 1002},
		"a length that is padded":  {[]byte{0x82, 0xfe, 0, 125}, 1002},
		"a long one":               {long(0x82, 65535)[:10], 1002},
		"a length's top bit":       {long(0x82, 1<<63)[:10], 1002},
		"too large":                {long(0x82, 1<<16), 1009},
		"too large in parts":       {append(frame(0x02, []byte{1}), long(0x80, 1<<16)...), 1009},
		"too large on the wire":    {long(0xc2, 16*limit+1025), 1009},
		"no text":                  {frame(0x81, []byte("a\xff")), 1007},
		"no text in parts":         {append(frame(0x01, []byte("\xed")), frame(0x00, []byte{0xa0})...), 1007},
		"half a code point":        {append(frame(0x01, []byte("\xed")), frame(0x80, nil)...), 1007},
		"no text inflated":         {frame(0xc1, (&squeezer{}).message([]byte("a\xff"))), 1007},
		"too large inflated":       {frame(0xc2, (&squeezer{}).message(make([]byte, limit+1))), 1009},
		"no deflate":               {frame(0xc2, []byte{7}), 1007},
		"deflate that breaks off":  {frame(0xc2, []byte{0xf2, 0x48}), 1007},
	} {
		t.Run(name, func(t *testing.T) {
			for cut := range len(k.say) {
				for _, chunks := range []bool{false, true} {
					r := newRig(t, true, chunks)
					r.lim.MaxMessageSize = limit
					r.feed(k.say[:cut])
					if r.code != 0 && cut < min(2, len(k.say)) {
						t.Fatalf("refused after %d bytes", cut)
					}
					r.feed(k.say[cut:])
					if r.code != k.code {
						t.Fatalf("cut at %d: code %d", cut, r.code)
					}
					r.demand(verdict(r, k.say))
				}
			}
		})
	}
}

// TestFragmentLimit: as many frames as MaxFragments are a message, one more is 1008.
func TestFragmentLimit(t *testing.T) {
	for _, most := range []int{1, 2, 7} {
		for extra := range 2 {
			r := newRig(t, false, false)
			r.lim.MaxFragments = most
			n := most + extra
			for i := range n {
				first := byte(0)
				if i == 0 {
					first = 2
				}
				if i == n-1 {
					first |= 0x80
				}
				r.feed(frame(first, []byte{byte(i)}))
			}
			if want := extra * 1008; r.code != want {
				t.Errorf("%d frames of %d: code %d", n, most, r.code)
			}
		}
	}
}

// TestLimitsMayChange: each frame goes by the limits of its call.
func TestLimitsMayChange(t *testing.T) {
	r := newRig(t, false, false)
	r.lim.MaxMessageSize = 10
	r.feed(frame(0x82, make([]byte, 10)))
	r.lim.MaxMessageSize = 11
	r.feed(frame(0x82, make([]byte, 11)))
	r.lim.MaxMessageSize = 10
	r.feed(frame(0x82, make([]byte, 11)))
	if len(r.got) != 2 || r.code != 1009 {
		t.Errorf("%d messages, code %d", len(r.got), r.code)
	}
}

// TestWholeIsAView: a whole message is a view of what was read, unmasked there, by Whole and by Next alike; what Whole
// does not take it leaves as it was.
func TestWholeIsAView(t *testing.T) {
	for _, n := range []int{2, 125, 126, 65535, 65536} {
		for _, straight := range []bool{true, false} {
			r := newRig(t, false, false)
			b := frame(0x82, bytes.Repeat([]byte{9}, n))
			var data []byte
			var used int
			if straight {
				_, data, used = r.in.Whole(b, &r.lim)
			}
			if used == 0 {
				var e Event
				used, _ = r.in.Next(b, &r.lim, &e)
				if data = e.Data; e.Held != nil {
					t.Fatalf("%d bytes were assembled", n)
				}
			}
			if used != len(b) || len(data) != n || unsafe.SliceData(data) != &b[len(b)-n] || data[0] != 9 {
				t.Errorf("%d bytes: %d used, %d delivered", n, used, len(data))
			}
		}
	}
}

// TestMemoryFollowsWhatCame: two gigabytes that are announced cost what was received of them.
func TestMemoryFollowsWhatCame(t *testing.T) {
	r := newRig(t, false, false)
	r.lim.MaxMessageSize = 1<<31 - 1
	r.direct = false
	head := append(binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 1<<31-1), 0, 0, 0, 0)
	r.feed(head)
	for got := 0; got < 1<<20; {
		piece := make([]byte, 10_000)
		r.feed(piece)
		got += len(piece)
		if c := cap(r.in.msg.B); c > max(4*got, firstBytes) || r.in.Assembled() != int64(got) || r.in.Held() != int64(got) {
			t.Fatalf("%d bytes for %d; held %d", c, got, r.in.Held())
		}
	}
	if r.in.Idle() || !r.in.InMessage() || r.in.Direct() != 1<<31-1-1_050_000 {
		t.Error(r.in.Idle(), r.in.InMessage(), r.in.Direct())
	}
}

// capacity is that of a buffer for n bytes.
func capacity(n uint64) int {
	b := pool.Get(int(n))
	defer b.Release()
	return cap(b.B)
}

// TestCapacity: a message's buffer grows only when it is full, and then to twice what has come: up to what its frame declares,
// or, where more frames may follow, up to the limit.
func TestCapacity(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 3))
		r := newRig(t, false, false)
		r.direct = false
		most := 1 + rng.Uint64N(1<<(10+rng.IntN(10)))
		r.lim.MaxMessageSize = int64(most)
		have, size, room, within := uint64(0), uint64(0), 0, uint64(0)
		piece := func(b []byte, n, declared uint64) {
			if have == 0 && room == 0 {
				room = capacity(min(declared, max(firstBytes, 2*n)))
			}
			if have += n; have > uint64(room) {
				room = capacity(max(have, min(size, max(firstBytes, 2*have)), min(2*uint64(room), within)))
			}
			if r.feed(b); cap(r.in.msg.B) != room {
				t.Fatalf("seed %d: %d of %d bytes have room for %d, not %d", seed, have, size, cap(r.in.msg.B), room)
			}
		}
		for op := byte(2); size < most; op = 0 {
			n := most - size
			if rng.IntN(3) > 0 {
				n = rng.Uint64N(n + 1)
			}
			size, within = size+n, most
			if op == 2 {
				within = n
			}
			b := frame(op, make([]byte, n))
			head := len(b) - int(n)
			first := rng.Uint64N(n + 1)
			piece(b[:head+int(first)], first, n)
			for rest := b[head+int(first):]; len(rest) > 0; {
				k := rng.IntN(len(rest) + 1)
				if fits := room - int(have); fits > 0 && fits <= len(rest) && rng.IntN(2) == 0 {
					k = fits // full, to the last byte
				}
				piece(rest[:k], uint64(k), n)
				rest = rest[k:]
			}
		}
	}
}

// TestRoomLeavesNoSmallRest: what a read would leave of a frame is read with it, if it is little.
func TestRoomLeavesNoSmallRest(t *testing.T) {
	for _, k := range []struct{ size, most, room int }{
		{100_000, 60_000, 90_000}, // what is left after the first 10,000
		{100_000, 57_233, 90_000}, // the rest would be a byte less than smallRest
		{100_000, 57_232, 57_232},
		{100_000, 90_000, 90_000},
		{100_000, 1 << 20, 90_000},
	} {
		r := newRig(t, false, false)
		b := frame(0x82, make([]byte, k.size))
		head := len(b) - k.size
		r.feed(b[:head+10_000])
		r.in.msg.Grow(k.size) // else its capacity bounds the room
		if room := r.in.Room(k.most, &r.lim); len(room) != k.room {
			t.Errorf("%+v: room for %d", k, len(room))
		}
	}
}

// TestRoomFillsTheBuffer: the buffer grows only when it is full, though its last byte costs a read.
func TestRoomFillsTheBuffer(t *testing.T) {
	r := newRig(t, false, false)
	r.direct = false
	b := frame(0x82, make([]byte, 100_000))
	head := len(b) - 100_000
	r.feed(b[:head+4095]) // which have room for twice as many: 8192
	r.feed(b[head+4095 : head+8191])
	for _, want := range []int{1, 32<<10 - 8192} {
		room := r.in.Room(1<<20, &r.lim)
		if len(room) != want {
			t.Fatalf("room for %d, not %d", len(room), want)
		}
		var e Event
		if err := r.in.Filled(len(room), &e); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDirectReads: what is read to where Room says is the same message, and text is checked on the way.
func TestDirectReads(t *testing.T) {
	text := strings.Repeat("é", 300_000)
	for _, bad := range []bool{false, true} {
		r := newRig(t, false, false)
		payload := []byte(text)
		if bad {
			payload[400_000] = 0xff
		}
		b := frame(0x01, payload)
		for part := range slices.Chunk(append(b, frame(0x80, []byte("!"))...), 10_001) {
			r.feed(part)
		}
		if bad && r.code != 1007 || !bad && (len(r.got) != 1 || r.got[0].data != text+"!") {
			t.Errorf("bad %v: code %d, %d messages", bad, r.code, len(r.got))
		}
	}
}

// TestDiscard: from any event on data is dropped, and control frames and mistakes are not.
func TestDiscard(t *testing.T) {
	for _, deflates := range []bool{false, true} {
		stream := sample(deflates)
		for after := 1; after < 6; after++ {
			for cut := range len(stream) {
				r := newRig(t, deflates, false)
				r.discard = after
				r.feed(stream[:cut])
				r.feed(stream[cut:])
				r.demand(verdict(r, stream))
			}
		}
	}
	r := newRig(t, false, false)
	r.in.Discard()
	r.feed(frame(0x81, []byte("a\xff"))) // nobody gets it, nobody looks at it
	r.feed(frame(0x83, nil))
	if len(r.got) != 0 || r.code != 1002 {
		t.Errorf("%v, code %d", r.got, r.code)
	}
}

// TestBeginAgain: an idle In is anybody's.
func TestBeginAgain(t *testing.T) {
	r := newRig(t, true, false)
	var z squeezer
	first, second := z.message([]byte("the first message")), z.message([]byte("the first message and another"))
	r.feed(frame(0xc2, first))
	kept := r.in.Receiver()
	r.begin(false)
	r.feed(frame(0x82, []byte("somebody else's")))
	if kept == nil || r.in.Receiver() != nil {
		t.Fatal("the receiver does not go with its connection")
	}
	r.in.Begin(r.lane, r.chunks, wideOpen(t, r.lane.Deflate), kept)
	r.stream, r.used = nil, 0
	r.feed(frame(0xc2, second))
	if len(r.got) != 3 || r.got[2].data != "the first message and another" {
		t.Errorf("%q, code %d", r.got, r.code)
	}
}

// TestBeginAfterDiscard: what was dropped of one connection's message, a half code point of it, too, says nothing of another's.
func TestBeginAfterDiscard(t *testing.T) {
	r := newRig(t, false, false)
	r.feed(frame(0x01, []byte("z\xc3")))
	r.in.Discard()
	r.feed(frame(0x80, []byte("\xbcrich")))
	if !r.in.Idle() || len(r.got) != 0 {
		t.Fatal("not idle")
	}
	r.begin(false)
	r.feed(frame(0x01, []byte("somebody ")))
	r.feed(frame(0x80, []byte("else's")))
	if len(r.got) != 1 || r.got[0].data != "somebody else's" {
		t.Errorf("%q, code %d", r.got, r.code)
	}
}

// TestRelease: in every state all is given back (the rig counts), and the In is as new.
func TestRelease(t *testing.T) {
	stream := sample(true)
	for cut := range len(stream) {
		r := newRig(t, true, cut%2 == 0)
		r.feed(stream[:cut])
		r.in.Release()
		if r.in != (In{}) {
			t.Fatalf("cut at %d: %+v", cut, r.in)
		}
	}
}

// TestErrors: each knows its code and has a text.
func TestErrors(t *testing.T) {
	for e, code := range map[Error]int{ErrTooLarge: 1009, ErrFragments: 1008, ErrText: 1007} {
		if e.Code() != code || !strings.HasPrefix(e.Error(), "incoming: ") {
			t.Errorf("%v: %d", e, e.Code())
		}
	}
}

// TestSize: an unfinished message costs its connection this much besides its bytes.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(In{}); n > 304 {
		t.Errorf("an In is %d bytes", n)
	}
}
