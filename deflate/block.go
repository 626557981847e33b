package deflate

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// block is one DEFLATE block in the making: how often each symbol occurs, then the codes for them.
type block struct {
	literalCount  [286]uint16
	distanceCount [30]uint16

	literals  [286]symbolCode
	distances [30]symbolCode
	lengths   lengthSequence
	codes     codeMaker
}

// symbolCode is a Huffman code, first bit lowest, with its number of bits from bit 16 on; 0 for a symbol without one.
type symbolCode uint32

const (
	symbolWidth = 16
	maxWidth    = maxCodeBits
)

func (c symbolCode) width() uint  { return uint(c >> symbolWidth) }
func (c symbolCode) bits() uint64 { return uint64(c & (1<<symbolWidth - 1)) }

// fewTokens: with fewer, codes of their own do not pay for being described.
const fewTokens = 48

func (b *block) reset() {
	b.literalCount = [286]uint16{}
	b.distanceCount = [30]uint16{}
}

// append writes the block and the empty one that ends a message, without its last four octets, in at most room bytes.
func (b *block) append(dst []byte, tokens []uint32, room int) ([]byte, bool) {
	b.literalCount[endOfBlock] = 1
	extra := b.extraBits()
	fixed := 3 + extra + b.size(&fixedLiteralCodes, &fixedDistanceCodes)
	size, literals, distances := fixed, &fixedLiteralCodes, &fixedDistanceCodes
	if len(tokens) >= fewTokens {
		b.makeCodes()
		if own := 3 + extra + b.lengths.size() + b.size(&b.literals, &b.distances); own < fixed {
			size, literals, distances = own, &b.literals, &b.distances
		}
	}
	octets := (size + 3 + 7) / 8 // three bits begin the empty block
	if octets > room {
		return dst, false
	}
	from := len(dst)
	dst = slices.Grow(dst, octets+wordMargin)[:from+octets+wordMargin]
	w := bitSink{to: dst, at: from}
	if literals == &fixedLiteralCodes {
		w.write(0b010, 3)
	} else {
		w.write(0b100, 3)
		b.lengths.writeTo(&w)
	}
	writeTokens(&w, tokens, literals, distances)
	w.write(0, 3)
	return dst[:w.finish()], true
}

// looksRandom says early of n bytes that they are not worth the rest of the work: hardly any is part of a match, and two
// literals drawn at random are the same with a probability of less than 1 in 200 (uniform bytes: 1 in 256), so that their
// codes take at least 7.6 bits each.
func (b *block) looksRandom(n int) bool {
	literals, pairs := 0, 0
	for _, c := range b.literalCount[:endOfBlock] {
		literals += int(c)
		pairs += int(c) * (int(c) - 1)
	}
	return literals > n-n>>4 && literals > 256 && pairs*200 < literals*(literals-1)
}

// extraBits is how many bits follow the codes of lengths and distances.
func (b *block) extraBits() (n int) {
	for i, count := range b.literalCount[endOfBlock+1:] {
		n += int(count) * int(lengthExtra[i])
	}
	for i, count := range b.distanceCount {
		n += int(count) * max(0, i/2-1)
	}
	return n
}

// size is how many bits the codes of all tokens take.
func (b *block) size(literals *[286]symbolCode, distances *[30]symbolCode) (n int) {
	for s, count := range b.literalCount {
		n += int(count) * int(literals[s].width())
	}
	for s, count := range b.distanceCount {
		n += int(count) * int(distances[s].width())
	}
	return n
}

func (b *block) makeCodes() {
	l := &b.lengths
	n := b.codes.make(b.literals[:], b.literalCount[:], maxWidth)
	l.literals = max(n, endOfBlock+1)
	l.all = l.literals + max(1, b.codes.make(b.distances[:], b.distanceCount[:], maxWidth))
	l.set(b.literals[:l.literals], b.distances[:l.all-l.literals], &b.codes)
}

// writeTokens writes the tokens and the end of the block.
func writeTokens(w *bitSink, tokens []uint32, literals *[286]symbolCode, distances *[30]symbolCode) {
	held, count, to, at := w.held, w.count, w.to, w.at
	for _, t := range tokens {
		if t < tokenMatch {
			c := literals[uint8(t)]
			held |= c.bits() << (count & 63)
			count += c.width()
		} else {
			// 15+5 and 15+13 bits, behind at most 7.
			n := uint8(t >> tokenLength)
			c := literals[lengthCodes[n]]
			held |= c.bits() << (count & 63)
			count += c.width()
			held |= uint64(lengthRest[n]) << (count & 63)
			count += uint(lengthExtra[lengthCodes[n]-endOfBlock-1])
			d := t & (1<<tokenLength - 1)
			code := distanceCode(d)
			c = distances[code]
			held |= c.bits() << (count & 63)
			count += c.width()
			extra := uint(max(0, int(code)/2-1))
			held |= uint64(d&(1<<extra-1)) << (count & 63)
			count += extra
		}
		if count >= 16 {
			binary.LittleEndian.PutUint64(to[at:], held)
			at += int(count >> 3)
			held >>= count &^ 7 & 63
			count &= 7
		}
	}
	w.held, w.count, w.at = held, count, at
	w.writeCode(literals[endOfBlock])
}

// bitSink writes bits, lowest first (RFC 1951 3.1.1). to has eight bytes more than are written.
type bitSink struct {
	held  uint64
	count uint
	to    []byte
	at    int
}

// write writes n bits, n at most 16.
func (w *bitSink) write(v uint64, n uint) {
	w.held |= v << (w.count & 63)
	w.count += n
	binary.LittleEndian.PutUint64(w.to[w.at:], w.held)
	w.at += int(w.count >> 3)
	w.held >>= w.count &^ 7 & 63
	w.count &= 7
}

func (w *bitSink) writeCode(c symbolCode) { w.write(c.bits(), c.width()) }

// finish pads with zeros to a byte and returns where the bytes end.
func (w *bitSink) finish() int {
	if w.count > 0 {
		w.at++
	}
	return w.at
}

// distanceCode is the code of a distance, given that less 1 (RFC 1951 3.2.5): two codes for each number of extra bits.
func distanceCode(d uint32) uint32 {
	if d < 4 {
		return d
	}
	n := uint32(bits.Len32(d)) - 1
	return 2*n + d>>(n-1)&1
}

var (
	// Of a length less 3: its symbol, and the value of its extra bits. Of its symbol less 257: how many those are.
	lengthCodes, lengthRest, lengthExtra = makeLengthCodes()

	fixedLiteralCodes  = makeFixedLiteralCodes()
	fixedDistanceCodes = makeFixedDistanceCodes()
)

func makeLengthCodes() (codes [256]uint16, rest [256]uint8, extra [29]uint8) {
	for s := endOfBlock + 1; s <= 285; s++ {
		m := literalMeaning[s]
		base, n := int(m>>entryBase&entryBaseMask), m&entryTotalMask
		extra[s-endOfBlock-1] = uint8(n)
		for i := range 1 << n {
			if length := base + i - baseMatch; length < len(codes) {
				codes[length], rest[length] = uint16(s), uint8(i) // 285 comes last, and takes 258 from 284
			}
		}
	}
	return codes, rest, extra
}

func makeFixedLiteralCodes() (to [286]symbolCode) {
	for s := range to {
		c, width := 0, uint(8) // RFC 1951 3.2.6
		switch {
		case s < 144:
			c = 0b00110000 + s
		case s < 256:
			c, width = 0b110010000+s-144, 9
		case s < 280:
			c, width = s-256, 7
		default:
			c = 0b11000000 + s - 280
		}
		to[s] = symbolCode(bits.Reverse16(uint16(c))>>(16-width)) | symbolCode(width)<<symbolWidth
	}
	return to
}

func makeFixedDistanceCodes() (to [30]symbolCode) {
	for s := range to {
		to[s] = symbolCode(bits.Reverse8(uint8(s))>>3) | 5<<symbolWidth
	}
	return to
}
