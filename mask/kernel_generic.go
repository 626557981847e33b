//go:build purego || !(amd64 || arm64)

package mask

import "unsafe"

func xor(p *byte, n int, key, _ uint32) {
	b := unsafe.Slice(p, n)
	generic(b, b, key)
}

func xorCopy(dst, src *byte, n int, key, _ uint32) {
	generic(unsafe.Slice(dst, n), unsafe.Slice(src, n), key)
}

func implementation() string { return "generic" }
