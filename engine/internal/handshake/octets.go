package handshake

import (
	"encoding/binary"
	"math/bits"
)

// What an octet may be part of. One table, so that a check is one load and one test.
const (
	inToken     = 1 << iota // RFC 9110 5.6.2 tchar
	inTarget                // a request target, as far as Parse insists
	inRegName               // RFC 3986 3.2.2 reg-name, "%" left to its own check
	inLabel                 // one label of a DNS name, with the "_" that is seen in practice
	escapePath              // percent-encoded in a URL's path (URL Standard: path set)
	escapeQuery             // percent-encoded in a URL's query (URL Standard: special-query set)
	inHex
)

var octets = classify()

func classify() (t [256]uint8) {
	mark := func(class uint8, set string) {
		for i := range len(set) {
			t[set[i]] |= class
		}
	}
	const digits = "0123456789"
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	mark(inToken, digits+letters+"!#$%&'*+-.^_`|~")
	mark(inRegName, digits+letters+"-._~"+"!$&'()*+,;=")
	mark(inLabel, digits+letters+"-_")
	mark(inHex, digits+"abcdefABCDEF")
	mark(escapePath, "\"<>^`{}")
	mark(escapeQuery, "\"<>'")
	for c := range 256 {
		switch {
		case c >= 0x80:
			// RFC 3986 has no such octets in a URI, but curl sends them as typed and every
			// server takes them. They are encoded where a URL is made.
			t[c] |= inTarget | escapePath | escapeQuery
		case c > ' ' && c < 0x7f && c != '#':
			t[c] |= inTarget
		}
	}
	return t
}

func all(b []byte, class uint8) bool {
	for _, c := range b {
		if octets[c]&class == 0 {
			return false
		}
	}
	return true
}

func isToken(b []byte) bool { return len(b) > 0 && all(b, inToken) }

// valueEnd returns the index of the first octet at or after i that a field value cannot hold:
// a control character other than HTAB (RFC 9110 5.5), or len(b) if there is none.
func valueEnd(b []byte, i int) int {
	const (
		ones = 0x0101010101010101
		tops = 0x8080808080808080
	)
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		// The classic tests for a byte below 0x20 and for a byte equal to 0x7f. A borrow can
		// mark a byte wrongly only above one marked rightly, and the lowest mark is what counts.
		del := w ^ 0x7f*ones
		found := ((w-0x20*ones)&^w | (del-ones)&^del) & tops
		if found == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(found) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' && c != '\t' || c == 0x7f {
			return i
		}
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// trimOWS removes optional white space (RFC 9110 5.6.3) at both ends. The result is never nil
// unless b is: an empty value is not an absent one.
func trimOWS(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= lower(c) && lower(c) <= 'z' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// equalFold compares without ASCII case, and without the Unicode folding that would let a
// Kelvin sign pass for a k.
func equalFold[A, B []byte | string](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
