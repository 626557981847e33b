package codec

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/gobwas/ws"
)

// Lengths on both sides of every change of encoding.
var edgeLengths = []uint64{0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 62, MaxPayload}

func TestParseHeaderAgreesWithGobwas(t *testing.T) {
	for _, n := range edgeLengths {
		for flags := range 256 * 2 {
			h := leadingHeader(byte(flags), byte(flags>>1)&maskBit)
			h.Length = int64(n)
			if h.Masked {
				h.Mask = [4]byte{1, 2, 3, 4}
			}
			var wire bytes.Buffer
			if err := ws.WriteHeader(&wire, h); err != nil {
				t.Fatal(err)
			}
			b := wire.Bytes()
			if HeaderSize(n, h.Masked) != len(b) {
				t.Fatalf("HeaderSize(%d, %v) = %d, on the wire %d", n, h.Masked, HeaderSize(n, h.Masked), len(b))
			}
			got, size, err := ParseHeader(append(b, 0xaa, 0xaa))
			if err != nil || size != len(b) || got != h {
				t.Fatalf("ParseHeader(%x) = %+v, %d, %v; want %+v, %d", b, got, size, err, h, len(b))
			}
			for cut := range b {
				if got, size, err := ParseHeader(b[:cut]); err != nil || size != 0 || got != (Header{}) {
					t.Fatalf("ParseHeader(%x), which is cut: %+v, %d, %v", b[:cut], got, size, err)
				}
			}
		}
	}
}

func TestSixteenBitLengths(t *testing.T) {
	for n := range 1 << 16 {
		b := []byte{0x82, 126, byte(n >> 8), byte(n)}
		h, size, err := ParseHeader(b)
		switch {
		case n < 126 && (err != ErrLengthNotMinimal || size != 0):
			t.Fatalf("%d in 16 bits: %+v, %d, %v", n, h, size, err)
		case n >= 126 && (err != nil || size != 4 || h.Length != int64(n)):
			t.Fatalf("%d in 16 bits: %+v, %d, %v", n, h, size, err)
		}
	}
}

func TestSixtyFourBitLengths(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		want error
	}{
		{0, ErrLengthNotMinimal},
		{125, ErrLengthNotMinimal},
		{126, ErrLengthNotMinimal},
		{65535, ErrLengthNotMinimal},
		{65536, nil},
		{1 << 62, nil},
		{1<<63 - 1, nil},
		{1 << 63, ErrLengthRange},
		{1<<63 + 1, ErrLengthRange},
		{1<<64 - 1, ErrLengthRange},
	} {
		// The key is missing: a length is judged as soon as it is there.
		b := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, c.n)
		if _, size, err := ParseHeader(b); err != c.want || size != 0 {
			t.Errorf("%d in 64 bits: size %d, %v; want %v", c.n, size, err, c.want)
		}
		if c.want != nil {
			continue
		}
		h, size, err := ParseHeader(append(b, 9, 8, 7, 6))
		if err != nil || size != 14 || uint64(h.Length) != c.n || h.Mask != [4]byte{9, 8, 7, 6} {
			t.Errorf("%d in 64 bits: %+v, %d, %v", c.n, h, size, err)
		}
	}
}
