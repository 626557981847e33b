package bench

import (
	"testing"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/mask"
)

// BenchmarkMask sets masking beside gobwas's cipher and beside what memory allows, Go's copy. The data starts one byte
// off any alignment, as payloads do.
func BenchmarkMask(b *testing.B) {
	for _, size := range []int{16, 128, 1 << 10, 16 << 10, 4 << 20} {
		src, dst := make([]byte, size+1)[1:], make([]byte, size+1)[1:]
		key := mask.Key(maskingKey)
		measure := func(name string, f func()) {
			b.Run("by="+name+"/size="+sizeName(size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					f()
				}
			})
		}
		measure("XOR", func() { mask.XOR(src, key) })
		measure("gobwas", func() { ws.Cipher(src, maskingKey, 0) })
		measure("Copy", func() { mask.Copy(dst, src, key) })
		measure("copy", func() { copy(dst, src) })
	}
}
