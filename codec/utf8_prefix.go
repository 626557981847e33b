package codec

import (
	"encoding/binary"
	"math/bits"
)

const utf8HighBits = 0x8080808080808080

// utf8Prefix returns the length of the longest front of p that is valid and ends
// where a code point ends. p begins where one begins.
//
// The last bytes of p are taken here, up to eight in one register with zeros
// above them, which are ASCII and continue nothing.
func utf8Prefix(p []byte) int {
	var w uint64
	n, i := len(p), 0
	switch {
	case n > 8:
		if i = utf8PrefixWords(p); n-i >= 8 {
			return i
		}
		w = binary.LittleEndian.Uint64(p[n-8:]) >> (64 - (n-i)*8)
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

// utf8PrefixWords is utf8Prefix for more than eight bytes, but may stop at a
// code point within the last seven.
//
// A kernel, where there is one, takes all but short texts and leaves the block
// that it stumbled on. The rest is done in plain Go, ASCII by the word and any
// other code point as one little-endian word.
func utf8PrefixWords(p []byte) int {
	n := len(p)
	q := p[:n:n]
	switch {
	case n <= 16:
		if (binary.LittleEndian.Uint64(q)|binary.LittleEndian.Uint64(q[n-8:]))&utf8HighBits == 0 {
			return n
		}
	case n <= 32:
		if (binary.LittleEndian.Uint64(q)|binary.LittleEndian.Uint64(q[8:])|
			binary.LittleEndian.Uint64(q[n-16:])|binary.LittleEndian.Uint64(q[n-8:]))&utf8HighBits == 0 {
			return n
		}
	case n <= 64:
		if utf8ASCII32(q) && utf8ASCII32(q[n-32:]) {
			return n
		}
	}
	if n >= utf8KernelMin && utf8Chosen != utf8Plain {
		i := utf8ByKernel(p)
		if i == n {
			return n
		}
		q = q[i:]
	}
	for len(q) >= 8 {
		w := binary.LittleEndian.Uint64(q)
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
	return n - len(q)
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
