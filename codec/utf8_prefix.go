package codec

import (
	"encoding/binary"
	"math/bits"
)

const (
	utf8HighBits = 0x8080808080808080 // of the eight bytes in a word
	utf8ShortMax = 128                // up to which utf8ShortASCII is worth its while
)

// utf8Prefix returns the length of the longest front of p that is valid and ends
// where a code point ends. p begins where one begins.
//
// It is one long function because a call costs as much as a short text. What is
// not settled at once goes by the code point: as one little-endian word while
// more than eight bytes are left (> and not >=, as a slice that is never empty
// needs no check when it shrinks), then the rest in one register, with zeros
// above it, which are ASCII and continue nothing.
func utf8Prefix(p []byte) int {
	var w uint64
	n, i := len(p), 0
	switch {
	case n > 8:
		if n > 16 {
			i = utf8Quick(p)
		} else if (binary.LittleEndian.Uint64(p)|binary.LittleEndian.Uint64(p[n-8:]))&utf8HighBits == 0 {
			i = n
		}
		if i == n {
			return n
		}
		q := p[i:n:n]
		for len(q) > 8 {
			w = binary.LittleEndian.Uint64(q)
			c := uint32(w)
			switch {
			case c&0x80 == 0:
				if high := w & utf8HighBits; high != 0 {
					q = q[bits.TrailingZeros64(high)/8:]
					continue
				}
				q = q[8:]
				for len(q) > 32 && utf8ASCII32(q) {
					q = q[32:]
				}
			case c&0xC0E0 == 0x80C0 && c&0x1E != 0: // 110xxxxx 10xxxxxx, not overlong
				q = q[2:]
			case c&0xC0C0F0 == 0x8080E0 && utf8Three(c):
				q = q[3:]
			case c&0xC0C0C0F8 == 0x808080F0 && utf8Four(c):
				q = q[4:]
			default:
				return n - len(q)
			}
		}
		i = n - len(q)
		w = binary.LittleEndian.Uint64(p[n-8:]) >> ((64 - len(q)*8) & 63)
	case n >= 4: // two words that may overlap; where they do, they agree
		w = uint64(binary.LittleEndian.Uint32(p)) | uint64(binary.LittleEndian.Uint32(p[n-4:]))<<((n*8-32)&63)
	case n == 3:
		w = uint64(binary.LittleEndian.Uint16(p)) | uint64(p[2])<<16
	case n == 2:
		w = uint64(binary.LittleEndian.Uint16(p))
	case n == 1:
		w = uint64(p[0])
	}
	for w&utf8HighBits != 0 {
		c := uint32(w)
		switch {
		case c&0x80 == 0:
			skip := bits.TrailingZeros64(w&utf8HighBits) &^ 7
			w, i = w>>(skip&63), i+skip/8
		case c&0xC0E0 == 0x80C0 && c&0x1E != 0:
			w, i = w>>16, i+2
		case c&0xC0C0F0 == 0x8080E0 && utf8Three(c):
			w, i = w>>24, i+3
		case c&0xC0C0C0F8 == 0x808080F0 && utf8Four(c):
			w, i = w>>32, i+4
		default:
			return i
		}
	}
	return n
}

// utf8ShortASCII reports whether p, 16 to utf8ShortMax bytes, is ASCII. Its loads
// overlap at the end of p. So far a kernel does not pay for its call.
func utf8ShortASCII(p []byte) bool {
	n := len(p)
	if n > 32 {
		return utf8ASCII32(p) && utf8ASCII32s(p[32:]) && utf8ASCII32(p[n-32:])
	}
	return (binary.LittleEndian.Uint64(p)|binary.LittleEndian.Uint64(p[8:])|
		binary.LittleEndian.Uint64(p[n-16:])|binary.LittleEndian.Uint64(p[n-8:]))&utf8HighBits == 0
}

// utf8ASCII32s reports whether p is ASCII, but for its last 32 bytes at most.
func utf8ASCII32s(p []byte) bool {
	for len(p) > 32 {
		if !utf8ASCII32(p) {
			return false
		}
		p = p[32:]
	}
	return true
}

// utf8ASCII32 reports whether 32 bytes are ASCII.
func utf8ASCII32(q []byte) bool {
	return (binary.LittleEndian.Uint64(q)|binary.LittleEndian.Uint64(q[8:])|
		binary.LittleEndian.Uint64(q[16:])|binary.LittleEndian.Uint64(q[24:]))&utf8HighBits == 0
}

// utf8Three tells an overlong form and a surrogate among words of the pattern
// 1110xxxx 10xxxxxx 10xxxxxx by the top five payload bits, which are 0 in the
// one and 1B in the other.
func utf8Three(w uint32) bool { w &= 0x200F; return w != 0 && w != 0x200D }

// utf8Four tells an overlong form and a value too large among words of the
// pattern 11110xxx 10xxxxxx 10xxxxxx 10xxxxxx by the top five payload bits, the
// plane, which is 1 to 16 in what is valid.
func utf8Four(w uint32) bool { return (w&7<<2|w>>12&3)-1 < 16 }
