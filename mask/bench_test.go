package mask

import (
	"fmt"
	"testing"

	"github.com/gobwas/ws"
)

// benchmarkLengths are those of pings, chat lines, the largest payload of a
// 2-byte header, and what fills L1, L2 and more.
var benchmarkLengths = []int{0, 8, 16, 64, 125, 128, 256, 1 << 10, 16 << 10, 4 << 20}

func each(b *testing.B, run func(b *testing.B, dst, src []byte)) {
	for _, align := range []int{0, 3} {
		for _, n := range benchmarkLengths {
			b.Run(fmt.Sprintf("%d+%d", n, align), func(b *testing.B) {
				c := newCourse(n, n, align, 1)
				b.SetBytes(int64(n))
				run(b, c.dst[:n], c.src[:n])
			})
		}
	}
}

// BenchmarkXOR and the three after it have names in common, for benchstat:
// length+alignment. TestBars compares them side by side.
func BenchmarkXOR(b *testing.B) {
	each(b, func(b *testing.B, dst, _ []byte) {
		for b.Loop() {
			XOR(dst, 0x04030201)
		}
	})
}

func BenchmarkCopy(b *testing.B) {
	each(b, func(b *testing.B, dst, src []byte) {
		for b.Loop() {
			Copy(dst, src, 0x04030201)
		}
	})
}

func BenchmarkGobwasCipher(b *testing.B) {
	each(b, func(b *testing.B, dst, _ []byte) {
		for b.Loop() {
			ws.Cipher(dst, [4]byte{1, 2, 3, 4}, 0)
		}
	})
}

func BenchmarkBuiltinCopy(b *testing.B) {
	each(b, func(b *testing.B, dst, src []byte) {
		for b.Loop() {
			copy(dst, src)
		}
	})
}
