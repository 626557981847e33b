package bench

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gannet-ws/gannet/codec"
)

// BenchmarkUTF8 sets the check that every text message passes beside the standard library's.
func BenchmarkUTF8(b *testing.B) {
	texts := []struct{ name, sample string }{
		{"ascii", "the gannet dives from thirty metres. "},
		{"latin", "Basstölpel stürzen sich kopfüber ins Meer. "},
		{"cyrillic", "Олуши ныряют с высоты тридцать метров. "},
		{"japanese", "カツオドリは空から海へ飛び込む。"},
	}
	for _, text := range texts {
		for _, size := range []int{128, 1 << 10, 16 << 10} {
			p := []byte(strings.ToValidUTF8(strings.Repeat(text.sample, size/len(text.sample)+1)[:size], ""))
			run := func(name string, valid func([]byte) bool) {
				b.Run("by="+name+"/text="+text.name+"/size="+sizeName(size), func(b *testing.B) {
					b.SetBytes(int64(len(p)))
					for b.Loop() {
						if !valid(p) {
							b.Fatal("refused")
						}
					}
				})
			}
			run("gannet", codec.ValidUTF8)
			run("unicode", utf8.Valid)
		}
	}
}
