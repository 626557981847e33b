package codec

import (
	"testing"
	"unicode/utf8"
)

// FuzzUTF8 holds every implementation to unicode/utf8 and to the ABNF, with
// pieces as long as the bytes of cuts say, over and over.
func FuzzUTF8(f *testing.F) {
	for _, text := range utf8Texts {
		f.Add(utf8Sample(text.sample, 300), []byte{7, 64, 1, 3})
	}
	for _, bad := range utf8Bad {
		f.Add([]byte(utf8Filler(utf8Fillers[4], 77)+bad.bytes+utf8Fillers[2]), []byte{80, 1})
	}
	f.Fuzz(func(t *testing.T, p, cuts []byte) {
		want := utf8Judge(p)
		if want.valid() != utf8.Valid(p) {
			t.Fatalf("unicode/utf8 and the ABNF disagree on %+q", p)
		}
		for i := range utf8AllKernels() {
			utf8WithKernel(i, func() {
				utf8Check(t, p)
				utf8CheckCuts(t, p, want, utf8CutPoints(len(p), cuts)...)
			})
		}
	})
}

func utf8CutPoints(n int, lengths []byte) (cuts []int) {
	if len(lengths) == 0 {
		return nil
	}
	for at, i := 0, 0; i < 2*n; i++ { // a length of 0 is an empty piece
		at += int(lengths[i%len(lengths)])
		if at >= n {
			break
		}
		cuts = append(cuts, at)
	}
	return cuts
}
