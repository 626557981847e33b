package codec

import (
	"fmt"
	"testing"
	"unicode/utf8"
)

// BenchmarkUTF8 compares ValidUTF8 and Write with unicode/utf8 by kind and length.
func BenchmarkUTF8(b *testing.B) {
	for _, text := range utf8Texts {
		for _, n := range []int{16, 64, 128, 1 << 10, 16 << 10, 1 << 20} {
			p := utf8Sample(text.sample, n)
			name := fmt.Sprintf("%s/%d/", text.kind, n)
			b.Run(name+"std", func(b *testing.B) {
				b.SetBytes(int64(len(p)))
				for b.Loop() {
					utf8.Valid(p)
				}
			})
			b.Run(name+"ours", func(b *testing.B) {
				b.SetBytes(int64(len(p)))
				for b.Loop() {
					ValidUTF8(p)
				}
			})
			b.Run(name+"write", func(b *testing.B) {
				var v UTF8
				b.SetBytes(int64(len(p)))
				for b.Loop() {
					v.Write(p)
				}
			})
		}
	}
}
