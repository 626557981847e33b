//go:build gannetdebug

package mask

import "unsafe"

const overlapChecked = true

// checkOverlap panics if the len(src) bytes at dst and src share some bytes
// but do not start together.
func checkOverlap(dst, src []byte) {
	d := uintptr(unsafe.Pointer(unsafe.SliceData(dst)))
	s := uintptr(unsafe.Pointer(unsafe.SliceData(src)))
	n := uintptr(len(src))
	if d != s && d < s+n && s < d+n {
		panic("mask: Copy: dst and src overlap but do not start together")
	}
}
