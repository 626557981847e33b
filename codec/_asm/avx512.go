package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avx512 is the kernel for AVX-512 with VBMI: blocks of 64 bytes. VPERMB looks
// only at the low six bits of an index, so a nibble table that is repeated four
// times needs no mask over the bits beside the nibble.
type avx512 struct {
	tables
	shifts [4]Mem // shifts[i]: indices that move a block up by i bytes
	c      constants
	valid  reg.OpmaskVirtual // the bytes that loadShort was asked for
}

// Truth tables for VPTERNLOGD's operands a (the destination), b, c.
const (
	andAll = 0x80 // a & b & c
	orAnd  = 0xA8 // (a | b) & c
)

func newAVX512(t tables) *avx512 {
	k := &avx512{tables: t}
	for i := 1; i <= 3; i++ {
		k.shifts[i] = indices("utf8Up"+string('0'+rune(i)), i)
	}
	return k
}

// indices is a block-wide table of each byte's place, less shift.
func indices(name string, shift int) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := 0; i < 64; i++ {
		DATA(i, U8((i-shift)&63))
	}
	return m
}

func (k *avx512) loadConstants() {
	k.c = k.tables.load(k.c, ZMM, func(m Mem, r reg.VecVirtual) { VBROADCASTI32X4(m, r) })
}

func (k *avx512) finish() { VZEROUPPER() }

func (k *avx512) jumpBeyondASCII(m Mem, n int, label LabelRef) {
	any := k.load(m)
	for i := 1; i < n; i++ {
		VPORQ(m.Offset(64*i), any, any)
	}
	k.highBits(any)
	JNZ(label)
}

func (k *avx512) jumpIfASCII(label LabelRef, blocks ...reg.VecVirtual) {
	k.highBits(avx512Or(blocks))
	JZ(label)
}

func (k *avx512) highBits(block reg.VecVirtual) {
	bits := K()
	VPMOVB2M(block, bits)
	KORTESTQ(bits, bits)
}

func (k *avx512) jumpIfBroken(label LabelRef, errors ...reg.VecVirtual) {
	any := avx512Or(errors)
	bits := K()
	VPTESTMB(any, any, bits)
	KORTESTQ(bits, bits)
	JNZ(label)
}

func (k *avx512) checkAlone(block reg.VecVirtual) (errors reg.VecVirtual) {
	var before [4]reg.VecVirtual
	above, mask := K(), GP64()
	MOVQ(I32(-1), mask)
	for i := 1; i <= 3; i++ {
		ADDQ(mask, mask)
		KMOVQ(mask, above)
		before[i] = k.load(k.shifts[i])
		VPERMB_Z(block, before[i], above, before[i])
	}
	return k.errors(block, before[1], before[2], before[3])
}

func (k *avx512) check(m Mem) (block, errors reg.VecVirtual) {
	block = k.load(m)
	return block, k.errors(block, k.load(m.Offset(-1)), m.Offset(-2), m.Offset(-3))
}

// errors takes the block, and the same as 1, 2, 3 bytes before.
func (k *avx512) errors(block, one reg.VecVirtual, two, three Op) reg.VecVirtual {
	broken, low, next := ZMM(), ZMM(), ZMM()
	VPSRLW(U8(4), one, broken)
	VPERMB(k.c.high, broken, broken)
	VPERMB(k.c.low, one, low)
	VPSRLW(U8(4), block, next)
	VPERMB(k.c.next, next, next)
	VPTERNLOGD(U8(andAll), low, next, broken)

	third, fourth := ZMM(), ZMM()
	VPAVGB(two, k.c.third, third)
	VPAVGB(three, k.c.fourth, fourth)
	VPTERNLOGD(U8(orAnd), k.c.bit, fourth, third)
	VPXORQ(third, broken, broken)
	return broken
}

// loadShort masks the load: what is masked out is not touched.
func (k *avx512) loadShort(p, n reg.GPVirtual) (block reg.VecVirtual) {
	block, k.valid = ZMM(), K()
	ones := GP64()
	MOVQ(I32(-1), ones)
	BZHIQ(n, ones, ones)
	KMOVQ(ones, k.valid)
	VMOVDQU8_Z(Mem{Base: p}, k.valid, block)
	return block
}

func (k *avx512) within(errors reg.VecVirtual) reg.VecVirtual {
	VMOVDQU8_Z(errors, k.valid, errors)
	return errors
}

func (k *avx512) load(m Mem) reg.VecVirtual {
	r := ZMM()
	VMOVDQU64(m, r)
	return r
}

func avx512Or(x []reg.VecVirtual) reg.VecVirtual {
	any := x[0]
	for _, r := range x[1:] {
		or := ZMM()
		VPORQ(r, any, or)
		any = or
	}
	return any
}
