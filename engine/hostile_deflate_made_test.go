package engine

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"math/bits"
)

// What attacks permessage-deflate is made by hand or by the standard library's compress/flate, not by package deflate:
// the two must not agree on one mistake.

// bitWriter packs bits as RFC 1951 3.1.1 says.
type bitWriter struct {
	bytes []byte
	used  int
}

// number writes the n lowest bits of v, the lowest first.
func (b *bitWriter) number(v, n int) {
	for ; n > 0; n-- {
		if b.used%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.used/8] |= byte(v&1) << (b.used % 8)
		v >>= 1
		b.used++
	}
}

// code writes a Huffman code of n bits, its first bit first.
func (b *bitWriter) code(v, n int) { b.number(int(bits.Reverse32(uint32(v))>>(32-n)), n) }

func (b *bitWriter) align() { b.used = 8 * len(b.bytes) }

// lengthOrder is RFC 1951 3.2.7's.
var lengthOrder = [...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthCode writes the header of a dynamic block up to the code of its code lengths.
func (b *bitWriter) lengthCode(final, literals, distances int, lengths map[int]int) {
	b.number(final, 1)
	b.number(2, 2)
	b.number(literals-257, 5)
	b.number(distances-1, 5)
	b.number(len(lengthOrder)-4, 4)
	for _, s := range lengthOrder {
		b.number(lengths[s], 3)
	}
}

// bombCodes begins a dynamic block in which 0 0 repeats the last byte 258 times, 10 is a byte and 11 the end.
func (b *bitWriter) bombCodes(of byte) {
	b.lengthCode(0, 286, 1, map[int]int{18: 1, 1: 2, 2: 2}) // their codes are 0, 10 and 11
	zeros := func(n int) {
		for n >= 11 {
			k := min(n, 138)
			b.code(0, 1)
			b.number(k-11, 7)
			n -= k
		}
	}
	one, two := func() { b.code(2, 2) }, func() { b.code(3, 2) }
	if of < 11 || of > 244 {
		panic("runs of fewer than 11 zeros are not made here")
	}
	zeros(int(of))
	two()
	zeros(255 - int(of))
	two()
	zeros(28)
	one() // 285: a length of 258
	one() // a distance of 1
}

// bomb is n bytes of one letter at 2 bits for 258 of them, as the payload of a message: flushed, without the flush's
// last four octets.
func bomb(n int) []byte { return bombOf('a', n) }

func bombOf(letter byte, n int) []byte {
	var b bitWriter
	b.bombCodes(letter)
	if n > 0 {
		b.code(2, 2)
		n--
	}
	matches := n / 258
	for ; matches > 0 && b.used%8 != 0; matches-- {
		b.number(0, 2)
	}
	if matches > 0 {
		b.bytes = append(b.bytes, make([]byte, matches/4)...)
		b.align()
		b.number(0, 2*(matches%4))
	}
	for range n % 258 {
		b.code(2, 2)
	}
	b.code(3, 2)
	b.number(0, 3)
	return b.bytes
}

// unfinished is the same stream without its end: it may go on in another fragment.
func unfinished(n int) []byte {
	var b bitWriter
	b.bombCodes('a')
	b.code(2, 2)
	b.align()
	return append(b.bytes, make([]byte, n/258/4)...)
}

// costlyBlock is a dynamic block of no bytes that takes long to read: each of 286 symbols has a code, and many of those
// are long.
func costlyBlock() []byte {
	var b bitWriter
	lengths := map[int]int{} // 0 to 15 have four bits each, so that the code for n is n
	for n := range 16 {
		lengths[n] = 4
	}
	b.lengthCode(1, 286, 30, lengths)
	// A symbol of one bit, the end, and 256 of nine would be complete; five of those are split further.
	all := bytes.Repeat([]byte{9}, 251)
	all = append(all, bytes.Repeat([]byte{10, 11, 12, 13, 14, 15, 15}, 4)...)
	all = append(all, 10, 11, 12, 13, 14, 14)
	all = append(all[:256:256], append([]byte{1}, all[256:]...)...)
	all = append(all, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15) // distances
	all = append(all, make([]byte, 286+30-len(all))...)
	for _, n := range all {
		b.code(int(n), 4)
	}
	b.code(0, 1)
	return b.bytes
}

// leastBlock is the shortest dynamic block: codes for nothing but the end, and the end.
func leastBlock() []byte {
	var b bitWriter
	b.lengthCode(1, 257, 1, map[int]int{18: 1, 1: 1})
	b.code(1, 1)
	b.number(138-11, 7)
	b.code(1, 1)
	b.number(256-138-11, 7)
	b.code(0, 1) // 256 has one bit
	b.code(0, 1) // and so has a distance of 1
	b.code(0, 1)
	return b.bytes
}

// stored is a stored block that is not the last.
func stored(p string) []byte {
	n := uint16(len(p))
	return append(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16([]byte{0}, n), ^n), p...)
}

// squeezed is p as one message of compress/flate, which may follow others whose last 32 KiB are history.
func squeezed(p, history []byte) []byte {
	var b bytes.Buffer
	z, err := flate.NewWriterDict(&b, 6, history)
	if err == nil {
		_, err = z.Write(p)
	}
	if err == nil {
		err = z.Flush()
	}
	if err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// expanded is what one message's payload stands for, by compress/flate.
func expanded(p, history []byte) ([]byte, error) {
	tail := []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}
	return io.ReadAll(flate.NewReaderDict(io.MultiReader(bytes.NewReader(p), bytes.NewReader(tail)), history))
}
