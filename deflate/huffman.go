package deflate

import (
	"encoding/binary"
	"math/bits"
)

// A table entry says what the next bits of the stream mean:
//
//	bits  0-7   how many bits the symbol takes in all, its extra bits included
//	bits  8-11  how many of them are the code itself
//	bits 12-15  what is not a literal, a length or a distance: see the flags
//	bits 16-30  the literal, or the base of the length or distance
//	bit  31     a literal
//
// A code longer than the first level has an entry there that leads to a second one: bits 16-30 are where that begins,
// bits 8-11 how many bits index it, bits 0-7 how many were used to get there.
const (
	entryLiteral = 1 << 31
	entrySpecial = 1 << 15 // one of the three below
	entryLink    = 1 << 14
	entryEnd     = 1 << 13
	entryInvalid = entrySpecial // neither link nor end

	entryBase      = 16
	entryBaseMask  = 0x7fff
	entryCode      = 8
	entryCodeMask  = 15
	entryTotalMask = 63 // of the low byte: a code of 15 bits and 13 extra ones are 28
)

const (
	maxCodeBits = 15

	literalSymbols  = 288 // 286 and 287 take part in the fixed code and mean nothing (RFC 1951 3.2.6)
	distanceSymbols = 32  // 30 and 31 likewise
	lengthSymbols   = 19  // of the code that the code lengths are written in
	endOfBlock      = 256

	// First levels: measured on messages of 1 KiB, where making the tables costs as much as using them. Of 9, 10 and 11
	// bits for literals 10 was fastest.
	literalBits  = 10
	distanceBits = 8
	lengthBits   = 7 // no second level: these codes have at most 7 bits

	// The most entries that any complete code needs with these first levels: 1,334 and 402 as counted by zlib's
	// enough.c; an incomplete code has one symbol. grow refuses a code that would pass the end all the same.
	literalEntries  = 1334
	distanceEntries = 402
	lengthEntries   = 1 << lengthBits
)

// What the symbols mean, as entries without the lengths of their codes.
var (
	literalMeaning  = makeLiteralMeaning()
	distanceMeaning = makeDistanceMeaning()
	lengthMeaning   = makeLengthMeaning()
)

// RFC 1951 3.2.5: symbols 257-285 are lengths 3-258.
func makeLiteralMeaning() (t [literalSymbols]uint32) {
	for s := range endOfBlock {
		t[s] = entryLiteral | uint32(s)<<entryBase
	}
	t[endOfBlock] = entrySpecial | entryEnd
	base := uint32(3)
	for s := endOfBlock + 1; s < 285; s++ {
		extra := uint32(max(0, (s-261)/4))
		t[s] = base<<entryBase | extra
		base += 1 << extra
	}
	t[285] = 258 << entryBase
	t[286], t[287] = entryInvalid, entryInvalid
	return t
}

// RFC 1951 3.2.5: symbols 0-29 are distances 1-32768.
func makeDistanceMeaning() (t [distanceSymbols]uint32) {
	base := uint32(1)
	for s := range 30 {
		extra := uint32(max(0, s/2-1))
		t[s] = base<<entryBase | extra
		base += 1 << extra
	}
	t[30], t[31] = entryInvalid, entryInvalid
	return t
}

func makeLengthMeaning() (t [lengthSymbols]uint32) {
	for s := range t {
		t[s] = entryLiteral | uint32(s)<<entryBase
	}
	return t
}

// The fixed code of block type 1 (RFC 1951 3.2.6).
var fixedLiterals, fixedDistances = makeFixedTables()

func makeFixedTables() (literals, distances [512]uint32) {
	var lengths [literalSymbols]uint8
	for s := range lengths {
		switch {
		case s < 144:
			lengths[s] = 8
		case s < 256:
			lengths[s] = 9
		case s < 280:
			lengths[s] = 7
		default:
			lengths[s] = 8
		}
	}
	var h huffman
	h.build(literals[:], 9, lengths[:], literalMeaning[:])
	for s := range distanceSymbols {
		lengths[s] = 5
	}
	h.build(distances[:], 5, lengths[:distanceSymbols], distanceMeaning[:])
	return literals, distances
}

// huffman makes decoding tables; what it holds is scratch.
type huffman struct {
	count  [maxCodeBits + 1]uint16 // how many symbols have a code of that many bits
	next   [maxCodeBits + 1]uint16 // where in sorted the next of them goes
	sorted [literalSymbols]uint16  // the symbols by length of code, then by number
	all    [literalSymbols]uint16  // room for used
	used   []uint16                // symbols that have a code, above usedSymbol, and its length
}

// usedSymbol: 9 bits of symbol above 4 of length, which is at most 15.
const usedSymbol = 4

// build fills table for the code whose code lengths are given (RFC 1951 3.2.2) and returns how many bits index its
// first level: firstBits, or fewer when no code is that long. It returns false for lengths that make no code: more
// codes than fit, or fewer than would use every bit pattern. As zlib has it, a code of one symbol with one bit is let
// through, and so is a code of none: whatever leads to no symbol is an invalid entry.
func (h *huffman) build(table []uint32, firstBits int, lengths []uint8, meaning []uint32) (int, bool) {
	longest, ok := h.sort(lengths)
	if !ok {
		return 0, false
	}
	table[0] = entryInvalid
	if longest == 0 {
		return 0, true
	}
	firstBits = min(firstBits, longest)
	code, at := uint32(0), 0 // the code is kept with its first bit lowest, as the stream has it
	for n := 1; n <= firstBits; n++ {
		// A code of fewer bits repeats in every doubling of the table.
		copy(table[1<<(n-1):1<<n], table[:1<<(n-1)])
		for range h.count[n] {
			s := h.sorted[at]
			at++
			table[code] = meaning[s] + uint32(n)*(1<<entryCode|1)
			code = nextCode(code, n)
		}
	}
	return firstBits, longest == firstBits || h.grow(table, firstBits, longest, code, at, meaning)
}

// grow adds the second level, for codes of more than firstBits bits.
func (h *huffman) grow(table []uint32, firstBits, longest int, code uint32, at int, meaning []uint32) bool {
	end := 1 << firstBits // where the next part of the second level begins
	prefix, start, size := uint32(1<<31), 0, 0
	for n := firstBits + 1; n <= longest; n++ {
		for left := h.count[n]; left > 0; left-- {
			if code&(1<<firstBits-1) != prefix {
				prefix = code & (1<<firstBits - 1)
				width := h.width(n, left, firstBits, longest)
				start, size = end, 1<<width
				end += size
				if end > len(table) {
					return false
				}
				table[prefix] = entrySpecial | entryLink | uint32(start)<<entryBase | uint32(width)<<entryCode | uint32(firstBits)
			}
			e := meaning[h.sorted[at]] + uint32(n-firstBits)*(1<<entryCode|1)
			at++
			for i := int(code >> firstBits); i < size; i += 1 << (n - firstBits) {
				table[start+i] = e
			}
			code = nextCode(code, n)
		}
	}
	return true
}

// width is how many bits the part of the second level needs that begins with a code of n bits, of which left remain:
// enough for all codes with the same prefix, which is when they use every bit pattern after it.
func (h *huffman) width(n int, left uint16, firstBits, longest int) int {
	width := n - firstBits
	used := int(left)
	for used < 1<<width && firstBits+width < longest {
		width++
		used = used<<1 + int(h.count[firstBits+width])
	}
	return width
}

// nextCode is the code after code among those of n bits, first bit lowest.
func nextCode(code uint32, n int) uint32 {
	zeros := code ^ (1<<n - 1)
	if zeros == 0 {
		return code // it was the last
	}
	top := uint32(1) << (bits.Len32(zeros) - 1)
	return code&(top-1) | top
}

// sort orders the symbols by their codes and checks the lengths.
func (h *huffman) sort(lengths []uint8) (longest int, ok bool) {
	h.list(lengths)
	h.count = [maxCodeBits + 1]uint16{}
	for _, u := range h.used {
		h.count[u&maxCodeBits]++
	}
	room := 1 // unused bit patterns, in units of the length at hand
	sum := uint16(0)
	for n := 1; n <= maxCodeBits; n++ {
		h.next[n] = sum
		sum += h.count[n]
		room = room<<1 - int(h.count[n])
		if room < 0 {
			return 0, false
		}
		if h.count[n] != 0 {
			longest = n
		}
	}
	if room > 0 && longest > 1 {
		return 0, false
	}
	for _, u := range h.used {
		n := u & maxCodeBits
		h.sorted[h.next[n]] = u >> usedSymbol
		h.next[n]++
	}
	return longest, true
}

// list finds the symbols that have a code. A block of a short message uses a third of all, in groups: eight zeros are
// passed at once, which makes this twice as fast as looking at each.
func (h *huffman) list(lengths []uint8) {
	used := h.all[:0]
	s := 0
	for ; s+8 <= len(lengths); s += 8 {
		word := binary.LittleEndian.Uint64(lengths[s:])
		for word != 0 {
			k := bits.TrailingZeros64(word) >> 3
			used = append(used, uint16(s+k)<<usedSymbol|uint16(word>>(8*k))&0xff)
			word &^= 0xff << (8 * k)
		}
	}
	for ; s < len(lengths); s++ {
		if lengths[s] != 0 {
			used = append(used, uint16(s)<<usedSymbol|uint16(lengths[s]))
		}
	}
	h.used = used
}
