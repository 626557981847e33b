package mask

import (
	"bytes"
	"testing"
)

// FuzzKernels holds every kernel against the byte-by-byte oracle. The input
// chooses the key, the alignments, and where the payload is cut.
func FuzzKernels(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x3d21fa37), uint8(0), uint16(2))
	f.Add(bytes.Repeat([]byte{0xa5}, 127), uint32(1), uint8(1), uint16(125))
	f.Add(bytes.Repeat([]byte{0x5a}, 511), uint32(0xff00ff00), uint8(63), uint16(130))
	f.Add(make([]byte, 1500), uint32(0x80000001), uint8(33), uint16(700))
	f.Fuzz(func(t *testing.T, payload []byte, key uint32, at uint8, cut uint16) {
		first := int(cut) % (len(payload) + 1)
		want := make([]byte, len(payload))
		oracle(want, payload, [4]byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)}, 0)
		for _, k := range allKernels(t) {
			room := alignedBytes(64 + len(payload))
			b := room[at&63:][:len(payload)]
			next := k.copy(b[:first], payload[:first], key)
			k.copy(b[first:], payload[first:], next)
			if !bytes.Equal(b, want) {
				t.Fatalf("%s Copy, cut at %d: %x, want %x", k.name, first, b, want)
			}
			next = k.xor(b[:first], key)
			k.xor(b[first:], next)
			if !bytes.Equal(b, payload) {
				t.Fatalf("%s XOR, cut at %d: %x, want %x", k.name, first, b, payload)
			}
		}
	})
}
