package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A vector is one register width with the instructions that serve it.
type vector struct {
	name  string
	bytes int // of one register
	vex   bool
}

var (
	sse2   = vector{name: "sse2", bytes: 16}
	avx    = vector{name: "avx", bytes: 16, vex: true}
	avx2   = vector{name: "avx2", bytes: 32, vex: true}
	avx512 = vector{name: "avx512", bytes: 64}
)

func (v vector) register() VecVirtual {
	switch v.bytes {
	case 16:
		return XMM()
	case 32:
		return YMM()
	default:
		return ZMM()
	}
}

func (v vector) registers(n int) []VecVirtual {
	r := make([]VecVirtual, n)
	for i := range r {
		r[i] = v.register()
	}
	return r
}

// broadcast copies the 32-bit key into every lane of to. Above SSE2 only VEX
// and EVEX encodings may appear between the first wide register and
// VZEROUPPER: one legacy instruction there cost 120 ns a call.
func (v vector) broadcast(key GP, to VecVirtual) {
	switch v.bytes {
	case 16:
		MOVD(key.As32(), to)
		PSHUFD(Imm(0), to, to)
	case 32:
		VMOVD(key.As32(), to.AsX())
		VPBROADCASTD(to.AsX(), to)
	default:
		VPBROADCASTD(key.As32(), to)
	}
}

// loadXor sets to = memory xor key, at any alignment.
func (v vector) loadXor(from Mem, key, to VecVirtual) {
	switch {
	case v.vex:
		VPXOR(from, key, to)
	case v.bytes == 64:
		VPXORD(from, key, to)
	default: // PXOR with a memory operand would demand alignment.
		MOVOU(from, to)
		PXOR(key, to)
	}
}

func (v vector) store(from VecVirtual, to Mem) {
	switch {
	case v.vex:
		VMOVDQU(from, to)
	case v.bytes == 64:
		VMOVDQU64(from, to)
	default:
		MOVOU(from, to)
	}
}

// leave ends the use of wide registers: dirty upper halves would slow every
// SSE instruction that follows and grow the state saved at a context switch.
// That is also why registers 16 to 31, which VZEROUPPER does not clean, are
// not used.
func (v vector) leave() {
	if v.bytes > 16 {
		VZEROUPPER()
	}
}

// run sets dst[i] = src[i] xor key, a vector each. All are loaded before the
// first is stored, so the places may overlap each other.
func (v vector) run(dst, src []Mem, key VecVirtual) {
	r := v.registers(len(src))
	for i := range src {
		v.loadXor(src[i], key, r[i])
	}
	for i := range dst {
		v.store(r[i], dst[i])
	}
}
