//go:build (amd64 || arm64) && !purego

package mask

// The door (XOR, Copy) has checked the arguments: n bytes at each pointer are
// ours, next is key rotated by n. Pointers are not touched when n is 0.

//go:noescape
func xor(p *byte, n int, key, next uint32)

//go:noescape
func xorCopy(dst, src *byte, n int, key, next uint32)
