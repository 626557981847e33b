package codec

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/gobwas/ws"
)

func TestHeadersAgreeWithGobwas(t *testing.T) {
	prefix := []byte("before")
	key := [4]byte{0xde, 0xad, 0xbe, 0xef}
	for _, n := range edgeLengths {
		for flags := range 64 {
			op, fin, rsv1 := Opcode(flags&15), flags&16 != 0, flags&32 != 0
			h := ws.Header{OpCode: op, Fin: fin, Rsv: ws.Rsv(rsv1, false, false), Length: int64(n)}
			plain := AppendHeader(bytes.Clone(prefix), op, fin, rsv1, n)
			if want := append(bytes.Clone(prefix), gobwasHeader(t, h)...); !bytes.Equal(plain, want) {
				t.Fatalf("AppendHeader %+v: %x, want %x", h, plain, want)
			}
			h.Masked, h.Mask = true, key
			masked := AppendMaskedHeader(bytes.Clone(prefix), op, fin, rsv1, n, key)
			if want := append(bytes.Clone(prefix), gobwasHeader(t, h)...); !bytes.Equal(masked, want) {
				t.Fatalf("AppendMaskedHeader %+v: %x, want %x", h, masked, want)
			}
		}
	}
}

func gobwasHeader(t *testing.T, h ws.Header) []byte {
	var b bytes.Buffer
	if err := ws.WriteHeader(&b, h); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPutHeaderBefore(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	for _, n := range edgeLengths {
		for at := MaxHeaderSize; at < 3*MaxHeaderSize; at++ {
			b := bytes.Repeat([]byte{0x5a}, 4*MaxHeaderSize)
			want := bytes.Clone(b)
			h := AppendHeader(nil, OpBinary, true, true, n)
			copy(want[at-len(h):], h)
			if start := PutHeaderBefore(b, at, OpBinary, true, true, n); start != at-len(h) || !bytes.Equal(b, want) {
				t.Fatalf("%d bytes at %d: start %d, %x; want %d, %x", n, at, start, b, at-len(h), want)
			}
			h = AppendMaskedHeader(nil, OpText, false, false, n, key)
			copy(want[at-len(h):], h)
			if start := PutMaskedHeaderBefore(b, at, OpText, false, false, n, key); start != at-len(h) || !bytes.Equal(b, want) {
				t.Fatalf("%d masked bytes at %d: start %d, %x; want %d, %x", n, at, start, b, at-len(h), want)
			}
		}
	}
	// The least room there can be: the header fills all of b.
	if start := PutHeaderBefore(make([]byte, 2), 2, OpText, true, false, 125); start != 0 {
		t.Errorf("a header that just fits starts at %d", start)
	}
}

func TestAppendFrameAgreesWithGobwas(t *testing.T) {
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	for _, n := range []int{0, 1, 125, 126, 1000, 65535, 65536, 100_000} {
		payload := countingBytes(n)
		f := ws.NewFrame(OpBinary, true, payload)
		want := ws.MustCompileFrame(f)
		if got := AppendFrame(nil, OpBinary, true, false, payload); !bytes.Equal(got, want) {
			t.Errorf("AppendFrame of %d bytes differs from gobwas", n)
		}
		want = ws.MustCompileFrame(ws.MaskFrameWith(f, key))
		if got := AppendMaskedFrame(nil, OpBinary, true, false, key, payload); !bytes.Equal(got, want) {
			t.Errorf("AppendMaskedFrame of %d bytes differs from gobwas", n)
		}
		if !bytes.Equal(payload, countingBytes(n)) {
			t.Errorf("a payload of %d bytes was changed", n)
		}
	}
}

// The room that HeaderSize promises is enough, and what is behind it stays as it was.
func TestAppendFrameStaysInItsRoom(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		for _, masked := range []bool{false, true} {
			size := HeaderSize(uint64(n), masked) + n
			buf := bytes.Repeat([]byte{0xee}, size+16)
			room := buf[:0:size]
			var out []byte
			if masked {
				out = AppendMaskedFrame(room, OpBinary, true, false, [4]byte{1, 2, 3, 4}, countingBytes(n))
			} else {
				out = AppendFrame(room, OpBinary, true, false, countingBytes(n))
			}
			if len(out) != size || &out[0] != &buf[0] {
				t.Errorf("%d bytes, masked %v: %d bytes in new memory", n, masked, len(out))
			}
			if !bytes.Equal(buf[size:], bytes.Repeat([]byte{0xee}, 16)) {
				t.Errorf("%d bytes, masked %v: wrote past its room", n, masked)
			}
		}
	}
}

// A frame for which there is no room costs what slices.Grow costs for the whole frame (one allocation; two when the race
// detector builds it), not one for the header and another for the payload.
func TestAppendFrameGrowsOnce(t *testing.T) {
	payload := countingBytes(5000)
	want := testing.AllocsPerRun(100, func() { grown = slices.Grow([]byte(nil), HeaderSize(5000, true)+5000) })
	for name, encode := range map[string]func() []byte{
		"plain":  func() []byte { return AppendFrame(nil, OpBinary, true, false, payload) },
		"masked": func() []byte { return AppendMaskedFrame(nil, OpBinary, true, false, [4]byte{1, 2, 3, 4}, payload) },
	} {
		if n := testing.AllocsPerRun(100, func() { grown = encode() }); n != want {
			t.Errorf("%s: %v allocations, want %v", name, n, want)
		}
	}
}

var grown []byte // keeps the frames above on the heap

func TestEncoderPanics(t *testing.T) {
	for _, c := range []struct {
		want string
		f    func()
	}{
		{"codec: payload length over MaxPayload", func() { AppendHeader(nil, OpText, true, false, 1<<63) }},
		{"codec: payload length over MaxPayload", func() { AppendMaskedHeader(nil, OpText, true, false, 1<<63, [4]byte{}) }},
		{"codec: opcode over 15", func() { AppendHeader(nil, 16, true, false, 0) }},
		{"codec: no room for a header in front of the payload", func() { PutHeaderBefore(make([]byte, 9), 1, OpText, true, false, 0) }},
		{"codec: no room for a header in front of the payload", func() { PutHeaderBefore(make([]byte, 9), 10, OpText, true, false, 0) }},
		{"codec: no room for a header in front of the payload", func() { PutMaskedHeaderBefore(make([]byte, 9), 5, OpText, true, false, 0, [4]byte{}) }},
	} {
		mustPanic(t, c.want, c.f)
	}
}

func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := fmt.Sprint(recover()); got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}()
	f()
}

func countingBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// What the encoder writes, the decoder reads.
func FuzzRoundTrip(f *testing.F) {
	f.Add(byte(1), true, false, true, uint32(0x01020304), []byte("hello"))
	f.Add(byte(2), false, true, false, uint32(0), []byte{})
	f.Add(byte(9), true, false, true, uint32(0xffffffff), countingBytes(125))
	f.Add(byte(0), true, false, true, uint32(7), countingBytes(126))
	f.Add(byte(2), true, true, true, uint32(1<<31), countingBytes(70_000))
	f.Fuzz(func(t *testing.T, op byte, fin, rsv1, masked bool, key uint32, payload []byte) {
		k := [4]byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)}
		var d Decoder
		var wire []byte
		if masked {
			d.Reset(RoleServer, true)
			wire = AppendMaskedFrame(nil, Opcode(op&15), fin, rsv1, k, payload)
		} else {
			d.Reset(RoleClient, true)
			wire = AppendFrame(nil, Opcode(op&15), fin, rsv1, payload)
		}
		if len(wire) != HeaderSize(uint64(len(payload)), masked)+len(payload) {
			t.Fatalf("%d bytes on the wire for %d", len(wire), len(payload))
		}
		d.state = d.state.after(OpText, op&15 != 0) // a continuation needs something to continue
		h := Header{OpCode: Opcode(op & 15), Fin: fin, Masked: masked, Rsv: ws.Rsv(rsv1, false, false), Length: int64(len(payload))}
		legal := CheckHeader(h, d.state)
		var p Piece
		n, err := d.Next(wire, &p)
		if err != legal {
			t.Fatalf("decoder says %v, CheckHeader %v", err, legal)
		}
		if err != nil {
			return
		}
		if n != len(wire) || !p.First || !p.Last || p.Opcode != h.OpCode || p.Fin != fin || p.RSV1 != rsv1 ||
			p.Length != uint64(len(payload)) || !bytes.Equal(p.Payload, payload) {
			t.Fatalf("wrote %+v, read %d of %d bytes as %+v", h, n, len(wire), p)
		}
	})
}

func BenchmarkAppendHeader(b *testing.B) {
	for _, n := range []uint64{125, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("plain/%d", n), func(b *testing.B) {
			buf := make([]byte, 0, MaxHeaderSize)
			for b.Loop() {
				AppendHeader(buf, OpBinary, true, false, n)
			}
		})
		b.Run(fmt.Sprintf("masked/%d", n), func(b *testing.B) {
			buf := make([]byte, 0, MaxHeaderSize)
			for b.Loop() {
				AppendMaskedHeader(buf, OpBinary, true, false, n, [4]byte{1, 2, 3, 4})
			}
		})
		b.Run(fmt.Sprintf("before/%d", n), func(b *testing.B) {
			buf := make([]byte, MaxHeaderSize)
			for b.Loop() {
				PutHeaderBefore(buf, MaxHeaderSize, OpBinary, true, false, n)
			}
		})
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	for _, n := range []int{128, 16 << 10} {
		payload := countingBytes(n)
		buf := make([]byte, 0, MaxHeaderSize+n)
		b.Run(fmt.Sprintf("plain/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				AppendFrame(buf, OpBinary, true, false, payload)
			}
		})
		b.Run(fmt.Sprintf("masked/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				AppendMaskedFrame(buf, OpBinary, true, false, [4]byte{1, 2, 3, 4}, payload)
			}
		})
	}
}
