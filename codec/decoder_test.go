package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/gannet-ws/gannet/mask"
)

// run feeds stream to a decoder as a connection would, in reads whose sizes cut tells, and checks on the way every law
// that holds from piece to piece. It returns the frames it understood, how many bytes were used, and the decoder's error.
type run struct {
	t      *testing.T
	d      Decoder
	masked bool // use NextMasked

	frames []frame
	open   bool // the last frame is not finished
	used   int
	err    error
}

var beyond = bytes.Repeat([]byte{0xa5}, 512)

func (r *run) feed(stream []byte, cut func() int) {
	var tail []byte
	for len(stream) > 0 && r.err == nil {
		n := min(cut(), len(stream))
		// A buffer of its own for each read, with more behind it, as in a slab: what looks like the rest of the frame there
		// is not to be believed, or changed.
		b := slices.Concat(tail, stream[:n], beyond)
		end := len(b) - len(beyond)
		stream = stream[n:]
		tail = r.drain(b[:end])
		if !bytes.Equal(b[end:], beyond) {
			r.t.Fatal("wrote behind the bytes it was given")
		}
		if r.err == nil && len(tail) > MaxHeaderTail {
			r.t.Fatalf("%d bytes left over: %x", len(tail), tail)
		}
	}
}

// drain calls Next until it wants more.
func (r *run) drain(b []byte) (tail []byte) {
	for {
		was, whole, before := r.d, bytes.Clone(b), Piece{Length: 12345, Key: 6}
		p := before
		n, err := r.next(b, &p)
		if n == 0 {
			if p.Length != before.Length || p.Key != before.Key || p.Payload != nil || !bytes.Equal(b, whole) {
				r.t.Fatalf("nothing used, but the piece is %+v and the bytes %x", p, b)
			}
			r.err = err
			r.checkStop(was, b)
			return b
		}
		if err != nil {
			r.t.Fatalf("used %d bytes and failed: %v", n, err)
		}
		r.checkPiece(p, b[:n], whole[:n], was.Remaining())
		r.used += n
		b = b[n:]
	}
}

func (r *run) next(b []byte, p *Piece) (int, error) {
	if r.masked {
		return r.d.NextMasked(b, p)
	}
	return r.d.Next(b, p)
}

// checkStop: a decoder that used nothing is as it was, or has failed for good.
func (r *run) checkStop(was Decoder, b []byte) {
	if r.err == nil {
		if r.d != was {
			r.t.Fatalf("used nothing and went from %+v to %+v", was, r.d)
		}
		return
	}
	for range 2 {
		var p Piece
		if n, err := r.next(b, &p); n != 0 || err != r.err {
			r.t.Fatalf("after %v: %d, %v", r.err, n, err)
		}
	}
	if r.d.Remaining() != 0 || r.d.Idle() {
		r.t.Fatalf("after %v: %d remaining, idle %v", r.err, r.d.Remaining(), r.d.Idle())
	}
}

func (r *run) checkPiece(p Piece, used, before []byte, remainingBefore uint64) {
	if p.First == r.open {
		r.t.Fatalf("first %v with a frame open %v", p.First, r.open)
	}
	head := len(used) - len(p.Payload)
	if !p.First && head != 0 {
		r.t.Fatalf("%d bytes of header in the middle of a frame", head)
	}
	if !bytes.Equal(used[:head], before[:head]) {
		r.t.Fatalf("header %x became %x", before[:head], used[:head])
	}
	if cap(p.Payload) != len(p.Payload) || len(p.Payload) > 0 && &p.Payload[0] != &used[head] {
		r.t.Fatalf("payload is not the view that ends where the piece does")
	}
	if r.masked {
		if !bytes.Equal(used, before) {
			r.t.Fatalf("NextMasked changed %x to %x", before, used)
		}
		mask.XOR(p.Payload, p.Key)
	} else if p.Key != 0 {
		r.t.Fatalf("Next left key %x", p.Key)
	}
	r.addPiece(p)
	want := p.Length - uint64(len(r.frames[len(r.frames)-1].payload))
	if r.d.Remaining() != want || p.Last != (want == 0) || !p.First && remainingBefore != want+uint64(len(p.Payload)) {
		r.t.Fatalf("%d remaining after %d, last %v; want %d", r.d.Remaining(), remainingBefore, p.Last, want)
	}
}

func (r *run) addPiece(p Piece) {
	if p.First {
		r.frames = append(r.frames, frame{op: p.Opcode, fin: p.Fin, rsv1: p.RSV1, length: p.Length})
	}
	f := &r.frames[len(r.frames)-1]
	if f.op != p.Opcode || f.fin != p.Fin || f.rsv1 != p.RSV1 || f.length != p.Length {
		r.t.Fatalf("piece %+v belongs to another frame than %+v", p, f)
	}
	f.payload = append(f.payload, p.Payload...)
	r.open = !p.Last
}

// compare runs stream through decoder and twin, and holds what they understood against each other.
func compare(t *testing.T, client, deflate, masked bool, stream []byte, cut func() int) {
	t.Helper()
	slow := newTwin(client, deflate)
	for _, c := range stream {
		slow.feed(c)
	}
	fast := run{t: t, masked: masked}
	fast.d.Reset(roleOf(client), deflate)
	fast.feed(stream, cut)

	if (fast.err != nil) != (slow.failedAt >= 0) {
		t.Fatalf("stream %x: %v; twin failed at %d", stream, fast.err, slow.failedAt)
	}
	if !slices.EqualFunc(fast.frames, slow.frames, sameFrame) {
		t.Fatalf("stream %x:\n%+v\ntwin:\n%+v", stream, fast.frames, slow.frames)
	}
	if fast.err == nil {
		idle := slow.left == 0 && !slow.inMessage
		if fast.d.Remaining() != slow.left || fast.d.InMessage() != slow.inMessage || fast.d.Idle() != idle {
			t.Fatalf("stream %x: ends as %+v, twin as %+v", stream, fast.d, slow)
		}
		return
	}
	if fast.used != slow.failedAt {
		t.Fatalf("stream %x: failed at %d, twin at %d", stream, fast.used, slow.failedAt)
	}
	var e Error
	if !errors.As(fast.err, &e) || e.Code() != 1002 {
		t.Fatalf("stream %x: %v owes no 1002", stream, fast.err)
	}
	if lengths := e == ErrLengthNotMinimal || e == ErrLengthRange; lengths != (slow.lengthErr != 0) || lengths && e != slow.lengthErr {
		t.Fatalf("stream %x: %v, twin %v", stream, e, slow.lengthErr)
	}
}

func sameFrame(a, b frame) bool {
	return a.op == b.op && a.fin == b.fin && a.rsv1 == b.rsv1 && a.length == b.length && bytes.Equal(a.payload, b.payload)
}

func roleOf(client bool) Role {
	if client {
		return RoleClient
	}
	return RoleServer
}

// sampleStream has every kind of frame and every width of length, as a peer with deflate may send it.
func sampleStream(masked bool) []byte {
	var b []byte
	add := func(op Opcode, fin, rsv1 bool, n int) {
		if masked {
			key := [4]byte{byte(n), 0x81, byte(len(b)), 0xf3}
			b = AppendMaskedFrame(b, op, fin, rsv1, key, countingBytes(n))
		} else {
			b = AppendFrame(b, op, fin, rsv1, countingBytes(n))
		}
	}
	add(OpText, true, false, 5)
	add(OpPing, true, false, 0)
	add(OpBinary, false, true, 3)
	add(OpPong, true, false, 125)
	add(OpContinuation, false, false, 0)
	add(OpContinuation, true, false, 126)
	add(OpText, true, true, 0)
	add(OpText, false, false, 1)
	add(OpContinuation, true, false, 2)
	add(OpClose, true, false, 2)
	return b
}

func TestEveryCutOfAStream(t *testing.T) {
	for _, client := range []bool{false, true} {
		stream := sampleStream(!client)
		for _, masked := range []bool{false, true} {
			for first := 1; first <= len(stream); first++ {
				cuts := []int{first, len(stream)}
				compare(t, client, true, masked, stream, func() int {
					n := cuts[0]
					cuts = cuts[1:]
					return n
				})
			}
			for size := 1; size <= 20; size++ {
				compare(t, client, true, masked, stream, func() int { return size })
			}
		}
	}
}

// A frame of 65,536 bytes and one of 70,000, whole, halved, and with every cut inside the header.
func TestLongFrames(t *testing.T) {
	for _, n := range []int{65535, 65536, 70_000} {
		stream := AppendMaskedFrame(nil, OpBinary, true, false, [4]byte{1, 2, 3, 4}, countingBytes(n))
		stream = AppendMaskedFrame(stream, OpText, true, false, [4]byte{5, 6, 7, 8}, []byte("after"))
		for _, first := range []int{1, 2, 3, 9, 10, 11, 13, 14, 15, n / 2, n + 13, n + 14, n + 20, len(stream)} {
			cuts := []int{first, len(stream)}
			compare(t, false, false, first%2 == 0, stream, func() int {
				c := cuts[0]
				cuts = cuts[1:]
				return c
			})
		}
	}
}

// The 4,096 cases again, now as bytes through the decoder: by the fast path (the frame is whole and others follow) and
// by the slow one (nothing follows its first two bytes).
func TestDecoderHoldsEveryHeaderToTheRules(t *testing.T) {
	for c := range everyHeaderCase {
		for _, field := range []byte{0, 1, 125, 126, 127} {
			var d Decoder
			d.Reset(roleOf(c.client), c.deflated)
			if c.inMessage {
				d.mustOpenMessage(t, c.client)
			}
			b1, want := field, c.mayArrive() && (c.op < 8 || field <= 125)
			if c.masked {
				b1 |= 0x80
			}
			frame := append([]byte{c.firstByte(), b1}, make([]byte, 300)...)
			frame[2] = 1 // a length field of 126 is followed by 256, which is all there; one of 127 by 2^56

			short, whole := d, d
			var p Piece
			if _, err := whole.Next(frame, &p); (err == nil) != want {
				t.Fatalf("%v, length field %d, in one read: %v", c, field, err)
			}
			if _, err := short.Next(frame[:2:2], &p); (err == nil) != want {
				t.Fatalf("%v, length field %d, two bytes: %v", c, field, err)
			}
		}
	}
}

func (d *Decoder) mustOpenMessage(t *testing.T, client bool) {
	first := []byte{0x01, 0x80, 0, 0, 0, 0}
	if client {
		first = []byte{0x01, 0x00}
	}
	var p Piece
	if n, err := d.Next(first, &p); n != len(first) || err != nil || !d.InMessage() {
		t.Fatalf("opening a message: %d, %v", n, err)
	}
}

// A length is refused when its field is complete, before key and payload, and counts for nothing until then.
func TestRefusedLengths(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"16 bits for 125", []byte{0x82, 0xfe, 0, 125}, ErrLengthNotMinimal},
		{"16 bits for 0", []byte{0x82, 0xfe, 0, 0}, ErrLengthNotMinimal},
		{"64 bits for 65535", []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, ErrLengthNotMinimal},
		{"64 bits for 0", []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0}, ErrLengthNotMinimal},
		{"2^63", []byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, ErrLengthRange},
		{"2^64-1", []byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, ErrLengthRange},
		{"a ping of 126", []byte{0x89, 0xfe}, ErrControlLength},
		{"a ping of 64 bits", []byte{0x89, 0xff}, ErrControlLength},
	} {
		for _, behind := range []int{0, 1, 4, 5, 200} {
			var d Decoder
			var p Piece
			last := len(c.bytes) - 1
			if n, err := d.Next(c.bytes[:last:last], &p); n != 0 || err != nil {
				t.Errorf("%s, one byte short: %d, %v", c.name, n, err)
			}
			if n, err := d.Next(append(bytes.Clone(c.bytes), make([]byte, behind)...), &p); n != 0 || err != c.want {
				t.Errorf("%s with %d bytes behind it: %d, %v; want %v", c.name, behind, n, err, c.want)
			}
		}
	}
}

// The longest declared length there is gives a first piece at once, and only that many bytes are ever counted.
func TestDeclaredLengthComesWithTheHeader(t *testing.T) {
	var d Decoder
	var p Piece
	header := AppendMaskedHeader(nil, OpBinary, true, false, MaxPayload, [4]byte{1, 2, 3, 4})
	n, err := d.Next(header, &p)
	if n != len(header) || err != nil || !p.First || p.Last || len(p.Payload) != 0 || p.Length != MaxPayload {
		t.Fatalf("%d, %v, %+v", n, err, p)
	}
	if d.Remaining() != MaxPayload || d.Idle() {
		t.Errorf("%d remaining, idle %v", d.Remaining(), d.Idle())
	}
	if n, err = d.Next(make([]byte, 100), &p); n != 100 || err != nil || p.First || p.Last || d.Remaining() != MaxPayload-100 {
		t.Errorf("%d, %v, %+v, %d remaining", n, err, p, d.Remaining())
	}
}

func TestResetForgetsAFailure(t *testing.T) {
	var d Decoder
	var p Piece
	if _, err := d.Next([]byte{0x83, 0x80}, &p); err != ErrReservedOpcode {
		t.Fatal(err)
	}
	d.Reset(RoleClient, true)
	if n, err := d.Next([]byte{0xc1, 0x01, 'x'}, &p); n != 3 || err != nil || string(p.Payload) != "x" || !p.RSV1 {
		t.Errorf("%d, %v, %+v", n, err, p)
	}
}

func TestDecoderSize(t *testing.T) {
	if size := unsafe.Sizeof(Decoder{}); size != 24 {
		t.Errorf("a Decoder has %d bytes; one is in every idle connection", size)
	}
}

// Streams that are mostly legal, with interleaved control frames, some of them damaged in one place, cut at random.
func TestRandomStreams(t *testing.T) {
	rng := rand.New(rand.NewPCG(6455, 7692))
	for range 4000 {
		client, deflate := rng.IntN(2) == 0, rng.IntN(2) == 0
		stream := randomStream(rng, client, deflate)
		if rng.IntN(2) == 0 {
			stream[rng.IntN(len(stream))] ^= 1 << rng.IntN(8)
		}
		most := 1 + rng.IntN(300)
		compare(t, client, deflate, rng.IntN(2) == 0, stream, func() int { return 1 + rng.IntN(most) })
	}
}

func randomStream(rng *rand.Rand, client, deflate bool) (b []byte) {
	inMessage := false
	for range 1 + rng.IntN(12) {
		op, fin, rsv1, n := Opcode(1+rng.IntN(2)), rng.IntN(2) == 0, deflate && rng.IntN(2) == 0, rng.IntN(300)
		switch {
		case rng.IntN(3) == 0:
			op, fin, rsv1, n = Opcode(8+rng.IntN(3)), true, false, n%126
		case inMessage:
			op, rsv1, inMessage = OpContinuation, false, !fin
		default:
			inMessage = !fin
		}
		if client {
			b = AppendFrame(b, op, fin, rsv1, countingBytes(n))
		} else {
			var key [4]byte
			binary.LittleEndian.PutUint32(key[:], rng.Uint32())
			b = AppendMaskedFrame(b, op, fin, rsv1, key, countingBytes(n))
		}
	}
	return b
}

// The input is the stream, the side, and the sizes of the reads that it comes in.
func FuzzDecoder(f *testing.F) {
	f.Add(sampleStream(true), byte(2), []byte{1})
	f.Add(sampleStream(false), byte(3), []byte{7, 1, 40})
	f.Add(sampleStream(true), byte(6), []byte{255})
	f.Add([]byte{0x82, 0xfe, 0, 125, 0, 0, 0, 0}, byte(0), []byte{3})
	f.Add([]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, byte(0), []byte{9, 1})
	f.Add([]byte{0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3}, byte(1), []byte{10, 1})
	f.Add([]byte{0x01, 0x00, 0x89, 0x00, 0x80, 0x00, 0x80, 0x00}, byte(1), []byte{2})
	f.Fuzz(func(t *testing.T, stream []byte, flags byte, cuts []byte) {
		i := 0
		compare(t, flags&1 != 0, flags&2 != 0, flags&4 != 0, stream, func() int {
			if len(cuts) == 0 {
				return len(stream)
			}
			n := int(cuts[i%len(cuts)])
			i++
			return max(n, 1)
		})
	})
}

// Zero means zero: the process's count of mallocs, not an average that is rounded down.
func TestDecoderDoesNotAllocate(t *testing.T) {
	const rounds = 10_000
	stream, illegal := sampleStream(true), []byte{0x83, 0x80, 0, 0, 0, 0, 0, 0}
	decode := func() (frames int) {
		var d Decoder
		d.Reset(RoleServer, true)
		var p Piece
		for b := stream; len(b) > 0; frames++ { // whole frames, masked again by every second round
			n, err := d.Next(b, &p)
			if n == 0 || err != nil {
				t.Fatal(n, err)
			}
			b = b[n:]
		}
		for b := stream; len(b) > 0; frames++ { // reads of at most 11 bytes
			n, err := d.NextMasked(b[:min(11, len(b))], &p)
			if n == 0 || err != nil {
				t.Fatal(n, err)
			}
			b = b[n:]
		}
		if _, err := d.Next(illegal, &p); err == nil {
			t.Fatal("a reserved opcode went through")
		}
		return frames
	}
	decode()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	frames := 0
	for range rounds {
		frames += decode()
	}
	runtime.ReadMemStats(&after)
	if frames < 100_000 {
		t.Fatalf("only %d pieces", frames)
	}
	if mallocs := after.Mallocs - before.Mallocs; float64(mallocs) > 0.001*float64(frames) {
		t.Errorf("%d mallocs for %d pieces", mallocs, frames)
	}
}

// BenchmarkDecode counts per frame. "xor" is the same unmasking without a decoder: the difference is the decoder's price.
func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct {
		name         string
		frames, size int
	}{
		{"1x1B", 1, 1}, // seven bytes: no eight to load
		{"16x128B", 16, 128},
		{"3900x128B", 3900, 128}, // as many as a slab of 512 KiB holds
		{"64x16KiB", 64, 16 << 10},
	} {
		var slab []byte
		for range c.frames {
			slab = AppendMaskedFrame(slab, OpBinary, true, false, [4]byte{1, 2, 3, 4}, countingBytes(c.size))
		}
		perFrame := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.frames), "ns/frame")
			b.SetBytes(int64(len(slab)))
		}
		b.Run(c.name+"/next", func(b *testing.B) {
			var d Decoder
			var p Piece
			for b.Loop() {
				for rest := slab; len(rest) > 0; {
					n, err := d.Next(rest, &p)
					if n == 0 || err != nil {
						b.Fatal(n, err)
					}
					rest = rest[n:]
				}
			}
			perFrame(b)
		})
		b.Run(c.name+"/masked", func(b *testing.B) {
			var d Decoder
			var p Piece
			for b.Loop() {
				for rest := slab; len(rest) > 0; {
					n, err := d.NextMasked(rest, &p)
					if n == 0 || err != nil {
						b.Fatal(n, err)
					}
					rest = rest[n:]
				}
			}
			perFrame(b)
		})
		b.Run(c.name+"/xor", func(b *testing.B) {
			header := len(slab)/c.frames - c.size
			for b.Loop() {
				for rest := slab; len(rest) > 0; rest = rest[header+c.size:] {
					mask.XOR(rest[header:header+c.size], 0x04030201)
				}
			}
			perFrame(b)
		})
	}
}

// TestWholeIsNextMasked: for every first byte, mask bit, state and length that makes a difference, with all of the frame
// there and a byte less, Whole is what NextMasked finds, or nothing.
func TestWholeIsNextMasked(t *testing.T) {
	taken := 0
	for i := range legalIndexMask + 1 {
		for _, n := range []int{0, 1, 2, 125, 126, 127, 300, 65535} {
			for missing := range 2 {
				b := gobwasHeader(t, Header{Fin: true, OpCode: OpBinary, Masked: i>>legalMaskShift&maskBit != 0, Mask: [4]byte{1, 2, 3, 4}, Length: int64(n)})
				b[0] = byte(i)
				b = append(b, bytes.Repeat([]byte{9}, n)...)
				b = b[:len(b)-missing]
				d := Decoder{state: State(i >> legalStateShift)}
				other := d
				op, payload, key, used := d.Whole(b)
				if d != other {
					t.Fatalf("%x changed the decoder", b[:2])
				}
				var p Piece
				want, err := other.NextMasked(b, &p)
				message := err == nil && want > 0 && p.First && p.Last && p.Fin && !p.RSV1 && (p.Opcode == OpText || p.Opcode == OpBinary)
				if used == 0 {
					if message && len(b) >= 8 {
						t.Fatalf("%x in state %b: not taken", b[:2], i>>legalStateShift)
					}
					continue
				}
				taken++
				if !message || used != want || op != p.Opcode || key != p.Key || !bytes.Equal(payload, p.Payload) || other != d || cap(payload) != len(payload) {
					t.Fatalf("%x in state %b: %d bytes, NextMasked %d, %+v", b[:2], i>>legalStateShift, used, want, p)
				}
			}
		}
	}
	if taken != 2*2*6+2*2*5 { // masked, and not: states, opcodes, lengths that leave 8 bytes
		t.Error(taken, "frames were taken")
	}
	inside := Decoder{remaining: 5}
	if _, _, _, n := inside.Whole(AppendMaskedFrame(nil, OpText, true, false, [4]byte{}, make([]byte, 20))); n != 0 {
		t.Error("taken inside a frame")
	}
}
