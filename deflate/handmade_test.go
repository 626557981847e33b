package deflate

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// flushes say nothing. Behind a block they are the input ahead of its end that the fast path wants.
func flushes() []byte { return bytes.Repeat(unhex("00 00 00 ff ff"), 3) }

// handmade is a final block, what it inflates to before it ends or breaks, and how it breaks.
type handmade struct {
	what  string
	block func(b *bitWriter)
	want  string
	err   error
}

// Blocks broken in one place: refused for that and nothing else, on the fast path and on the slow one. What a lenient
// reading would make of each is a whole block. Between them stand those that are as near, and right.
func TestHandmadeBlocks(t *testing.T) {
	for _, cases := range [][]handmade{codeLengthBlocks(), literalBlocks(), distanceBlocks(), repetitionBlocks(), symbolBlocks()} {
		for _, c := range cases {
			var b bitWriter
			c.block(&b)
			payload := append(b.bytes, flushes()...)
			for _, cut := range []cutting{whole(), {r: rand.New(rand.NewPCG(1, 1)), room: 50}, {r: rand.New(rand.NewPCG(1, 2)), input: 1, room: 1}} {
				got, err := receive(newReceiver(t, full()), payload, cut)
				if !errors.Is(err, c.err) || string(got) != c.want {
					t.Errorf("%s, room %d: %q, %v; want %q, %v", c.what, cut.room, got, err, c.want, c.err)
				}
			}
			o := obvious{}
			if _, err := o.inflateMessage(payload); (err != nil) != (c.err != nil) {
				t.Errorf("%s: the obvious decoder says %v", c.what, err)
			}
		}
	}
}

// codeLengthBlocks: the numbers of code lengths, and the code for them.
func codeLengthBlocks() []handmade {
	sized := func(literals, distances int) func(b *bitWriter) {
		return func(b *bitWriter) {
			b.dynamic(of(literals, map[int]int{'a': 1, endOfBlock: 1}), of(distances, map[int]int{0: 1}))
			b.code(0b01, 2)
		}
	}
	// Lengths 0 and 1 have codes, and with them a block is written that has nothing but its end.
	empty := func(lengthCode map[int]int, zero, one, width int) func(b *bitWriter) {
		return func(b *bitWriter) {
			b.counts(257, 1, of(lengthSymbols, lengthCode))
			for range endOfBlock {
				b.code(zero, width)
			}
			b.code(one, 2)
			b.code(zero, width)
			b.code(0, 1)
		}
	}
	return []handmade{
		{"fewest", sized(257, 1), "a", nil},
		{"most", sized(286, 30), "a", nil},
		{"287 literals", sized(287, 1), "", ErrCodeLengths},
		{"288 literals", sized(288, 1), "", ErrCodeLengths},
		{"31 distances", sized(257, 31), "", ErrCodeLengths},
		{"32 distances", sized(257, 32), "", ErrCodeLengths},
		{"a complete code for the lengths", empty(map[int]int{0: 1, 1: 2, 2: 2}, 0b0, 0b10, 1), "", nil},
		{"too many codes for the lengths", empty(map[int]int{0: 1, 1: 2, 2: 2, 3: 2}, 0b0, 0b10, 1), "", ErrCodeLengths},
		{"too few codes for the lengths", empty(map[int]int{0: 2, 1: 2, 2: 2}, 0b00, 0b01, 2), "", ErrCodeLengths},
		{"one code for the lengths", func(b *bitWriter) { b.counts(257, 1, of(lengthSymbols, map[int]int{0: 1})) }, "", ErrCodeLengths},
	}
}

// literalBlocks: codes for literals and lengths. "a" is the first code, and the end the last.
func literalBlocks() []handmade {
	code := func(lengths []int, symbols, bits int) func(b *bitWriter) {
		return func(b *bitWriter) {
			b.dynamic(lengths, of(1, map[int]int{0: 1}))
			b.code(symbols, bits)
		}
	}
	tooLong := chain(12)
	tooLong[200] = 12
	return []handmade{
		{"codes of one bit: one too many", code(of(257, map[int]int{'a': 1, 'b': 1, endOfBlock: 1}), 0b01, 2), "", ErrCodeLengths},
		{"codes of two bits: one too many", code(of(257, map[int]int{'a': 1, 'b': 2, 'c': 2, endOfBlock: 2}), 0b011, 3), "", ErrCodeLengths},
		{"codes of two bits: one too few", code(of(257, map[int]int{'a': 2, 'b': 2, endOfBlock: 2}), 0b0010, 4), "", ErrCodeLengths},
		{"every length up to 12", code(chain(12), 0b111111111110_111111111111, 24), "\x0b", nil},
		{"every length up to 12: one too many", code(tooLong, 0b111111111110_111111111111, 24), "", ErrCodeLengths},
		{"one code of two bits", code(of(257, map[int]int{endOfBlock: 2}), 0, 2), "", ErrCodeLengths},
		{"one code of one bit", code(of(257, map[int]int{endOfBlock: 1}), 0, 1), "", nil},
		{"the bit pattern that one code does not use", code(of(257, map[int]int{endOfBlock: 1}), 1, 1), "", ErrSymbol},
		{"no end of the block", code(of(257, map[int]int{'a': 1, 'b': 1}), 0, 1), "", ErrCodeLengths},
		{"no code at all", code(of(257, nil), 0, 1), "", ErrCodeLengths},
	}
}

// distanceBlocks: codes for distances, which a block may do without.
func distanceBlocks() []handmade {
	code := func(distances map[int]int, symbols, bits int) func(b *bitWriter) {
		return func(b *bitWriter) {
			b.dynamic(of(258, map[int]int{'a': 1, endOfBlock: 2, lengthThree: 2}), of(4, distances))
			b.code(symbols, bits)
		}
	}
	const a, aMatch, end, endBits = 0b0_10, 0b0_11, 0b10, 2
	// aMatch with a distance of one bit, then the end.
	matched := func(distance int) int { return (aMatch<<1|distance)<<endBits | end }
	return []handmade{
		{"no distance", code(nil, a, 3), "a", nil},
		{"no distance, and a match", code(nil, matched(0), 6), "a", ErrSymbol},
		{"one distance", code(map[int]int{0: 1}, matched(0), 6), "aaaa", nil},
		{"the bit pattern that one distance does not use", code(map[int]int{0: 1}, matched(1), 6), "a", ErrSymbol},
		{"one distance of two bits", code(map[int]int{0: 2}, a, 3), "", ErrCodeLengths},
		{"distances of one bit: one too many", code(map[int]int{0: 1, 1: 1, 2: 1}, a, 3), "", ErrCodeLengths},
		{"distances of two bits: one too few", code(map[int]int{0: 2, 1: 2, 2: 2}, a, 3), "", ErrCodeLengths},
		{"distances of two bits: one too many", code(map[int]int{0: 1, 1: 2, 2: 2, 3: 2}, a, 3), "", ErrCodeLengths},
	}
}

// repetitionBlocks: repetitions of code lengths, up to the last and beyond it.
func repetitionBlocks() []handmade {
	// So many distances, of which first is the length of the first and the others are a repetition.
	ending := func(distances, first, code, value, bits int) func(b *bitWriter) {
		return func(b *bitWriter) {
			b.counts(257, distances, plainLengths)
			b.lengths(of(257, map[int]int{'a': 1, endOfBlock: 1}))
			b.lengths([]int{first})
			b.repetition(code, value, bits)
			b.code(0b01, 2)
		}
	}
	return []handmade{
		{"nothing to repeat", func(b *bitWriter) {
			b.counts(257, 1, plainLengths)
			b.repetition(codeRepeatLast, 0, 2)
			b.lengths(of(257, map[int]int{'a': 1, endOfBlock: 1})[3:])
			b.lengths([]int{1})
			b.code(0b01, 2)
		}, "", ErrCodeLengths},
		{"a length three times to the end", ending(4, 2, codeRepeatLast, 0, 2), "a", nil},
		{"a length six times beyond the end", ending(4, 0, codeRepeatLast, 3, 2), "", ErrCodeLengths},
		{"a length three times beyond the end", ending(3, 0, codeRepeatLast, 0, 2), "", ErrCodeLengths},
		{"three zeros to the end", ending(4, 1, codeRepeatZero, 0, 3), "a", nil},
		{"three zeros beyond the end", ending(3, 1, codeRepeatZero, 0, 3), "", ErrCodeLengths},
		{"eleven zeros to the end", ending(12, 1, codeRepeatZeros, 0, 7), "a", nil},
		{"eleven zeros beyond the end", ending(11, 1, codeRepeatZeros, 0, 7), "", ErrCodeLengths},
		{"138 zeros beyond the end", ending(30, 1, codeRepeatZeros, 127, 7), "", ErrCodeLengths},
		{"a length of one code that goes on in the other", func(b *bitWriter) {
			b.counts(257, 4, plainLengths)
			b.lengths(of(257, map[int]int{'a': 2, 'b': 2, 'c': 2, endOfBlock: 2}))
			b.repetition(codeRepeatLast, 1, 2)
			b.code(0b00_11, 4)
		}, "a", nil},
	}
}

// symbolBlocks: symbols of the fixed code that mean nothing.
func symbolBlocks() []handmade {
	literal := func(s int) func(b *bitWriter) {
		return func(b *bitWriter) {
			b.beginFinal(fixedBlock)
			b.fixed('a', s, endOfBlock)
		}
	}
	distance := func(s int) func(b *bitWriter) {
		return func(b *bitWriter) {
			b.beginFinal(fixedBlock)
			b.fixed('a', lengthThree)
			b.code(s, 5)
			b.write(0, 14) // as many extra bits as the next group of symbols would have
			b.fixed(endOfBlock)
		}
	}
	return []handmade{
		{"symbol 286", literal(286), "a", ErrSymbol},
		{"symbol 287", literal(287), "a", ErrSymbol},
		{"distance symbol 30", distance(30), "a", ErrSymbol},
		{"distance symbol 31", distance(31), "a", ErrSymbol},
	}
}

// What comes before an error is delivered, and no more input taken than a symbol needs, whether the output has room for
// all of it or for a little at a time.
func TestOutputBeforeError(t *testing.T) {
	const literals = 3000
	for _, c := range []struct {
		what   string
		broken func(b *bitWriter)
		err    error
	}{
		{"symbol 286", func(b *bitWriter) { b.fixed(286) }, ErrSymbol},
		{"distance symbol 30", func(b *bitWriter) { b.fixed(lengthThree); b.code(30, 5) }, ErrSymbol},
		{"a distance before the first byte", func(b *bitWriter) { b.matchThree(literals + 1) }, ErrDistance},
		{"a distance beyond the window", func(b *bitWriter) { b.matchThree(1<<15 - 1) }, ErrWindow},
	} {
		var b bitWriter
		b.beginFinal(fixedBlock)
		for range literals {
			b.fixed('a')
		}
		whole := b.used / 8
		c.broken(&b)
		for _, room := range []int{1 << 16, literals, 400, 100, 1} {
			r := newReceiver(t, Direction{14, true})
			got, rest := 0, append(bytes.Clone(b.bytes), make([]byte, 40)...)
			all := len(rest)
			var err error
			for dst := make([]byte, room); err == nil; {
				n, used, _, fault := r.Inflate(dst, rest, true)
				if !bytes.Equal(dst[:n], bytes.Repeat([]byte("a"), n)) {
					t.Errorf("%s, room %d: %q", c.what, room, dst[:n])
				}
				got, rest, err = got+n, rest[used:], fault
			}
			consumed := all - len(rest)
			if got != literals || err != c.err || consumed < whole || consumed > whole+8 {
				t.Errorf("%s, room %d: %d bytes from %d, %v; want %d from %d, %v", c.what, room, got, consumed, err, literals, whole, c.err)
			}
		}
	}
}
