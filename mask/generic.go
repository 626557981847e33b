package mask

import "encoding/binary"

// generic is every kernel's twin in Go: dst[i] = src[i] ^ key byte i, for
// slices of one length that are disjoint or the same.
func generic(dst, src []byte, key uint32) {
	dst = dst[:len(src)]
	k := uint64(key)<<32 | uint64(key)
	for len(src) >= 32 {
		a := binary.LittleEndian.Uint64(src) ^ k
		b := binary.LittleEndian.Uint64(src[8:]) ^ k
		c := binary.LittleEndian.Uint64(src[16:]) ^ k
		d := binary.LittleEndian.Uint64(src[24:]) ^ k
		binary.LittleEndian.PutUint64(dst, a)
		binary.LittleEndian.PutUint64(dst[8:], b)
		binary.LittleEndian.PutUint64(dst[16:], c)
		binary.LittleEndian.PutUint64(dst[24:], d)
		dst, src = dst[32:], src[32:]
	}
	for len(src) >= 8 {
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src)^k)
		dst, src = dst[8:], src[8:]
	}
	genericTail(dst, src, key)
}

// genericTail does at most seven bytes.
func genericTail(dst, src []byte, key uint32) {
	if len(src) >= 4 {
		binary.LittleEndian.PutUint32(dst, binary.LittleEndian.Uint32(src)^key)
		dst, src = dst[4:], src[4:]
	}
	dst = dst[:len(src)]
	for i := range src {
		dst[i] = src[i] ^ byte(key)
		key >>= 8
	}
}
