//go:build !purego

package mask

import "golang.org/x/sys/cpu"

//go:generate env GOWORK=off go run -C _asm . -out ../kernel_amd64.s

// The levels of the amd64 kernels. Every level does up to 127 bytes with SSE2:
// wider registers gain nothing there. The assembly compares active with avx2.
const (
	sse2 uint8 = iota
	avx2
	avx512
)

// levels says what each level is called and whether this machine has it. The
// flags of x/sys/cpu include the operating system's consent (XCR0).
//
// AVX-512 also asks for VBMI2, not because a kernel uses it, but because the
// processors without it (Skylake-X to Cooper Lake) lower their clock for
// milliseconds when 512-bit registers are touched: the rest of the program
// would pay for what masking gains.
var levels = [...]struct {
	name   string
	usable bool
}{
	sse2:   {"sse2", true}, // part of amd64
	avx2:   {"avx2", cpu.X86.HasAVX2},
	avx512: {"avx512", hasAVX512 && cpu.X86.HasAVX2}, // shorter ones are AVX2's
}

var hasAVX512 = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VBMI2

// active is the level in use. Only tests change it after start-up.
var active = best()

func best() uint8 {
	level := sse2
	for l := range levels {
		if levels[l].usable {
			level = uint8(l)
		}
	}
	return level
}

func implementation() string { return levels[active].name }
