//go:build !purego

package codec

import "golang.org/x/sys/cpu"

// utf8Kernel is a way to do utf8Prefix.
type utf8Kernel uint8

const (
	utf8Plain utf8Kernel = iota // no kernel, only Go
	utf8SSE41
	utf8AVX2
	utf8AVX512
)

// utf8KernelMin is the length from which a kernel pays for its call.
const utf8KernelMin = 16

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

// utf8ByKernel returns the length of a front of p, at least utf8KernelMin bytes,
// that is valid and ends where a code point ends: all of p if all of p is, else
// up to a few bytes before the block in which something is wrong.
//
// The kernels look at each byte together with the three before it. That proves
// all of what they accept but for the last code point, which can be cut short or
// be an impossible lead byte, and there only the next byte would tell.
func utf8ByKernel(p []byte) int {
	n := len(p)
	fine := 0
	switch {
	case utf8Chosen == utf8AVX512:
		fine = utf8PrefixAVX512(&p[0], n)
	case utf8Chosen == utf8AVX2 && n >= 35:
		fine = utf8PrefixAVX2(&p[0], n)
	case utf8Chosen == utf8SSE41 && n >= 19:
		fine = utf8PrefixSSE41(&p[0], n)
	default:
		return 0
	}
	if fine == n && p[n-1] < 0xC0 && p[n-2] < 0xE0 && p[n-3] < 0xF0 {
		return n
	}
	return utf8LastLead(p, fine)
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
