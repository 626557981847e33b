package deflate

// bitWriter writes DEFLATE by hand: what no compressor makes.
type bitWriter struct {
	bytes []byte
	used  int
}

// write packs bits as RFC 1951 3.1.1 says.
func (b *bitWriter) write(v, n int) {
	for ; n > 0; n-- {
		if b.used%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.used/8] |= byte(v&1) << (b.used % 8)
		v >>= 1
		b.used++
	}
}

// code writes a Huffman code, whose first bit is the highest (RFC 1951 3.1.1).
func (b *bitWriter) code(v, n int) {
	for n--; n >= 0; n-- {
		b.write(v>>n, 1)
	}
}

// beginFinal begins a block that is final, so that what follows it begins at a byte (RFC 7692 7.2.3.4).
func (b *bitWriter) beginFinal(kind int) {
	b.write(1, 1)
	b.write(kind, 2)
}

const (
	fixedBlock   = 1
	dynamicBlock = 2
)

// fixed writes symbols in the fixed code, 286 and 287 too (RFC 1951 3.2.6).
func (b *bitWriter) fixed(symbols ...int) {
	for _, s := range symbols {
		switch {
		case s < 144:
			b.code(0b00110000+s, 8)
		case s < 256:
			b.code(0b110010000+s-144, 9)
		case s < 280:
			b.code(s-256, 7)
		default:
			b.code(0b11000000+s-280, 8)
		}
	}
}

// lengthThree is the symbol of a match of three bytes.
const lengthThree = 257

// matchThree writes a match of three bytes in the fixed code.
func (b *bitWriter) matchThree(distance int) {
	b.fixed(lengthThree)
	s := len(distanceBase) - 1
	for distanceBase[s] > distance {
		s--
	}
	b.code(s, 5)
	b.write(distance-distanceBase[s], max(0, s/2-1))
}

// counts begins a dynamic block: how many code lengths there are, and the code that they are written in, given by the
// lengths of its own codes (RFC 1951 3.2.7).
func (b *bitWriter) counts(literals, distances int, lengthCode []int) {
	b.beginFinal(dynamicBlock)
	b.write(literals-257, 5)
	b.write(distances-1, 5)
	b.write(lengthSymbols-4, 4)
	for _, s := range lengthOrder {
		b.write(lengthCode[s], 3)
	}
}

// plainLengths is a code of four bits for each of 0 to 12, which is the symbol itself, and for the repetitions.
var plainLengths = []int{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 0, 0, 0, 4, 4, 4}

// The repetitions in plainLengths.
const (
	codeRepeatLast = 13 + iota
	codeRepeatZero
	codeRepeatZeros
)

// lengths writes code lengths in plainLengths.
func (b *bitWriter) lengths(all []int) {
	for _, n := range all {
		b.code(n, 4)
	}
}

// repetition writes one in plainLengths.
func (b *bitWriter) repetition(code, value, bits int) {
	b.code(code, 4)
	b.write(value, bits)
}

// dynamic begins a dynamic block with two codes.
func (b *bitWriter) dynamic(literals, distances []int) {
	b.counts(len(literals), len(distances), plainLengths)
	b.lengths(literals)
	b.lengths(distances)
}

// of is n code lengths: zeros but for those given.
func of(n int, given map[int]int) []int {
	all := make([]int, n)
	for s, length := range given {
		all[s] = length
	}
	return all
}

// chain is the code of all lengths up to longest, one of each but two of the last: the symbols from 0 on, and the end.
func chain(longest int) []int {
	all := make([]int, endOfBlock+1)
	for s := range longest {
		all[s] = s + 1
	}
	all[endOfBlock] = longest
	return all
}

// storedBlock is p as a final block.
func storedBlock(p []byte) []byte {
	var b bitWriter
	b.beginFinal(0)
	b.write(0, 5)
	b.write(len(p), 16)
	b.write(^len(p), 16)
	return append(b.bytes, p...)
}
