package engine

import (
	"fmt"
	"math/rand/v2"
)

// The kinds of payload that compression tells apart.

// records is n bytes of JSON, which shrinks to a fifth or so.
func records(r *rand.Rand, n int) []byte {
	words := [...]string{"gannet", "cormorant", "shag", "booby", "frigatebird", "tropicbird", "pelican", "darter"}
	var b []byte
	for len(b) < n {
		b = fmt.Appendf(b, `{"id":%d,"name":"%s","depth":%d.%d,"caught":%t},`,
			r.Uint32N(1_000_000), words[r.IntN(len(words))], r.IntN(30), r.IntN(10), r.IntN(2) == 0)
	}
	return b[:n]
}

// noise is n bytes that do not shrink.
func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// letters is n bytes of one letter, which shrink to nothing.
func letters(_ *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'g'
	}
	return b
}

// accents is up to n bytes of text whose characters have one to four bytes.
func accents(r *rand.Rand, n int) []byte {
	all := []rune("aeé€𝄞ñ-¥漢字😀 ")
	var b []byte
	for len(b)+4 <= n {
		b = append(b, string(all[r.IntN(len(all))])...)
	}
	return b
}

// half is noise behind records: it begins to shrink, and then does not.
func half(r *rand.Rand, n int) []byte { return append(records(r, n/2), noise(r, n-n/2)...) }

// unraced is n, or less under the race detector, which makes a client of compress/flate ten
// times as slow.
func unraced(n, less int) int {
	if raceEnabled {
		return less
	}
	return n
}

// kind is one of them; text tells whether it is UTF-8.
type kind struct {
	name string
	make func(r *rand.Rand, n int) []byte
	text bool
}

var kinds = []kind{
	{"records", records, true}, {"noise", noise, false}, {"letters", letters, true},
	{"accents", accents, true}, {"half noise", half, false},
}

func (k kind) op() Opcode {
	if k.text {
		return OpText
	}
	return OpBinary
}
