// Package mask masks and unmasks WebSocket payloads (RFC 6455 5.3): byte i of
// a payload is xored with byte i mod 4 of the frame's masking key.
//
// XOR works in place, Copy writes the result elsewhere, both at any length,
// alignment and position in the key. Both return the key for the byte after
// the last, so a payload may be masked in pieces as it arrives:
//
//	key := mask.Key(header.Mask)
//	for piece := range pieces {
//		key = mask.XOR(piece, key)
//	}
//
// The work is done by AVX-512, AVX2 or SSE2 on amd64 and by NEON on arm64,
// chosen once at start-up (see Implementation), and by Go elsewhere and under
// the build tag purego. Nothing here allocates, blocks, or keeps a slice;
// every function may be called from any goroutine.
package mask

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// Key returns the four masking-key bytes, in the order they have on the wire,
// as the word that XOR and Copy take: k[0] is its lowest byte, whatever the
// byte order of the machine.
func Key(k [4]byte) uint32 { return binary.LittleEndian.Uint32(k[:]) }

// Rotate returns key as it is n bytes further in the stream. Only n mod 4
// matters; a negative n goes back.
func Rotate(key uint32, n int) uint32 {
	// Eight bits a byte; RotateLeft32 takes the count mod 32 whatever its sign.
	return bits.RotateLeft32(key, -8*n)
}

// XOR xors b with key, in place: byte i with byte(key >> (8 * (i & 3))). It
// returns key rotated by len(b), ready for the next piece of the payload.
//
// No byte outside b is written, nor read, so neighbouring parts of a buffer
// may be used by other goroutines meanwhile.
func XOR(b []byte, key uint32) uint32 {
	// Rotate, written out: XOR is inlined only if it stays this small, and its
	// callers mask little at a time.
	next := bits.RotateLeft32(key, -8*len(b))
	xor(unsafe.SliceData(b), len(b), key, next)
	return next
}

// Copy stores src xored with key in dst, as copy and then XOR would, in one
// pass: dst[i] = src[i] ^ byte(key >> (8 * (i & 3))). It returns key rotated
// by len(src). src is not changed; dst behind len(src) is not touched.
//
// dst and src must be disjoint or start at the same byte; what an overlap of
// any other kind leaves in dst is undefined. A build with the tag gannetdebug
// panics on one. Copy panics if dst is shorter than src.
func Copy(dst, src []byte, key uint32) uint32 {
	if len(dst) < len(src) {
		panic("mask: Copy: dst is shorter than src")
	}
	if overlapChecked {
		checkOverlap(dst, src)
	}
	next := Rotate(key, len(src))
	xorCopy(unsafe.SliceData(dst), unsafe.SliceData(src), len(src), key, next)
	return next
}

// Implementation names what does the work on this machine: "avx512", "avx2",
// "sse2", "neon" or "generic". It is for logs and benchmarks.
func Implementation() string { return implementation() }
