package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avx2 is the kernel for AVX2: blocks of 32 bytes.
type avx2 struct {
	tables
	c constants
}

func (k *avx2) loadConstants() {
	k.c = k.tables.load(k.c, YMM, func(m Mem, r reg.VecVirtual) { VBROADCASTI128(m, r) })
}

func (k *avx2) finish() { VZEROUPPER() }

func (k *avx2) jumpBeyondASCII(m Mem, n int, label LabelRef) {
	any := avx2Load(m)
	for i := 1; i < n; i++ {
		VPOR(m.Offset(32*i), any, any)
	}
	k.highBits(any)
	JNZ(label)
}

func (k *avx2) jumpIfASCII(label LabelRef, blocks ...reg.VecVirtual) {
	k.highBits(avx2Or(blocks))
	JZ(label)
}

func (k *avx2) highBits(block reg.VecVirtual) {
	bits := GP32()
	VPMOVMSKB(block, bits)
	TESTL(bits, bits)
}

func (k *avx2) jumpIfBroken(label LabelRef, errors ...reg.VecVirtual) {
	any := avx2Or(errors)
	VPTEST(any, any)
	JNZ(label)
}

func (k *avx2) checkFirst(m Mem) (errors reg.VecVirtual) {
	block := avx2Load(m)
	below := YMM() // zero, and the block's lower half: 16 bytes before the block
	VPERM2I128(U8(0x08), block, block, below)
	var before [4]reg.VecVirtual
	for i := 1; i <= 3; i++ {
		before[i] = YMM()
		VPALIGNR(U8(16-i), below, block, before[i])
	}
	return k.errors(block, before[1], before[2], before[3])
}

func (k *avx2) check(m Mem) (block, errors reg.VecVirtual) {
	block = avx2Load(m)
	return block, k.errors(block, avx2Load(m.Offset(-1)), m.Offset(-2), m.Offset(-3))
}

// errors takes the block, and the same as 1, 2, 3 bytes before.
func (k *avx2) errors(block, one reg.VecVirtual, two, three Op) reg.VecVirtual {
	low, broken, r, s := YMM(), YMM(), YMM(), YMM()
	VPSHUFB(k.highNibbles(one), k.c.high, broken)
	VPAND(k.c.nibble, one, low)
	VPSHUFB(low, k.c.low, r)
	VPAND(r, broken, broken)
	VPSHUFB(k.highNibbles(block), k.c.next, s)
	VPAND(s, broken, broken)

	third, fourth := YMM(), YMM()
	VPAVGB(two, k.c.third, third)
	VPAVGB(three, k.c.fourth, fourth)
	VPOR(third, fourth, third)
	VPAND(k.c.bit, third, third)
	VPXOR(third, broken, broken)
	return broken
}

func (k *avx2) highNibbles(x reg.VecVirtual) reg.VecVirtual {
	r := YMM()
	VPSRLW(U8(4), x, r)
	VPAND(k.c.nibble, r, r)
	return r
}

func avx2Load(m Mem) reg.VecVirtual {
	r := YMM()
	VMOVDQU(m, r)
	return r
}

func avx2Or(x []reg.VecVirtual) reg.VecVirtual {
	any := x[0]
	for _, r := range x[1:] {
		or := YMM()
		VPOR(r, any, or)
		any = or
	}
	return any
}
