//go:build !purego

package codec

import "golang.org/x/sys/cpu"

// utf8Kernel is a way to do utf8Quick.
type utf8Kernel uint8

const (
	utf8Plain utf8Kernel = iota // no kernel, only Go
	utf8SSE41
	utf8AVX2
	utf8AVX512
)

// utf8Chosen is the best kernel of this machine. Only tests change it.
var utf8Chosen = utf8Best()

// utf8Best wants VBMI for AVX-512 not only because that kernel uses it: it rules
// out the processors that lower their clock for 512-bit registers.
func utf8Best() utf8Kernel {
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VBMI && cpu.X86.HasBMI2:
		return utf8AVX512
	case cpu.X86.HasAVX2:
		return utf8AVX2
	case cpu.X86.HasSSSE3 && cpu.X86.HasSSE41:
		return utf8SSE41
	}
	return utf8Plain
}

// utf8Quick returns the length of a front of p that is valid and ends where a
// code point ends: all of p if all of p is, else less than a kernel's block, or
// two, short of the longest. p is more than 16 bytes.
//
// The kernels look at each byte together with the three before it. That proves
// all of what they accept but for the last code point, which can be cut short or
// be an impossible lead byte, as only the next byte would tell. What they refuse
// is a whole block, and where in it is for the caller to find.
func utf8Quick(p []byte) int {
	n := len(p)
	if n <= utf8ShortMax && utf8ShortASCII(p) {
		return n
	}
	fine := 0
	switch utf8Chosen {
	case utf8AVX512:
		fine = utf8PrefixAVX512(&p[0], utf8KernelLen(n, 64))
	case utf8AVX2:
		fine = utf8PrefixAVX2(&p[0], utf8KernelLen(n, 32))
	case utf8SSE41:
		fine = utf8PrefixSSE41(&p[0], utf8KernelLen(n, 16))
	}
	if fine == n && p[n-1] < 0xC0 && p[n-2] < 0xE0 && p[n-3] < 0xF0 {
		return n
	}
	return utf8LastLead(p, fine)
}

// utf8KernelLen is n, but for the two lengths that a kernel cannot take: it ends
// with a block that overlaps the one before, and looks three bytes behind it.
func utf8KernelLen(n, width int) int {
	if n == width+1 || n == width+2 {
		return width
	}
	return n
}

// utf8LastLead returns the index of the lead byte among the three bytes before
// p[end], the only ones that can belong to a code point which goes on at end.
// Without one there, a code point ends at end.
func utf8LastLead(p []byte, end int) int {
	for i := end - 1; i >= 0 && i >= end-3; i-- {
		if p[i] >= 0xC0 {
			return i
		}
	}
	return end
}
