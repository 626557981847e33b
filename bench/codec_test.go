package bench

import (
	"testing"

	"github.com/gannet-ws/gannet/codec"
)

// slabSize is what an engine's loop reads at once.
const slabSize = 512 << 10

var maskingKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// BenchmarkDecode decodes a slab filled with a client's frames. Decoding unmasks in place, so every second iteration
// masks again: for the decoder both are the same work.
func BenchmarkDecode(b *testing.B) {
	for _, size := range payloadSizes {
		b.Run("size="+sizeName(size), func(b *testing.B) {
			frame := codec.AppendMaskedFrame(nil, codec.OpBinary, true, false, maskingKey, make([]byte, size))
			count := max(1, slabSize/len(frame))
			var slab []byte
			for range count {
				slab = append(slab, frame...)
			}
			b.SetBytes(int64(len(slab)))
			var d codec.Decoder
			for b.Loop() {
				if n := decodeAll(b, &d, slab); n != count {
					b.Fatalf("%d messages, want %d", n, count)
				}
			}
			perMessage(b, count)
		})
	}
}

// decodeAll returns how many messages ended in slab.
func decodeAll(b *testing.B, d *codec.Decoder, slab []byte) (messages int) {
	var p codec.Piece
	for len(slab) > 0 {
		n, err := d.Next(slab, &p)
		if err != nil || n == 0 {
			b.Fatalf("%d bytes left: %v", len(slab), err)
		}
		if p.Last && p.Fin {
			messages++
		}
		slab = slab[n:]
	}
	return messages
}

// BenchmarkEncode writes a server's frame: Append copies the payload, Before only writes the header in front of one
// that lies where it is wanted.
func BenchmarkEncode(b *testing.B) {
	for _, size := range payloadSizes {
		payload := make([]byte, size)
		dst := make([]byte, codec.MaxHeaderSize+size)
		b.Run("op=append/size="+sizeName(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				codec.AppendFrame(dst[:0], codec.OpBinary, true, false, payload)
			}
		})
		b.Run("op=masked/size="+sizeName(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				codec.AppendMaskedFrame(dst[:0], codec.OpBinary, true, false, maskingKey, payload)
			}
		})
		b.Run("op=before/size="+sizeName(size), func(b *testing.B) {
			for b.Loop() {
				codec.PutHeaderBefore(dst, codec.MaxHeaderSize, codec.OpBinary, true, false, uint64(size))
			}
		})
	}
}
