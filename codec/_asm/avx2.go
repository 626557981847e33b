package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// avx2 is the kernel for AVX2: blocks of 32 bytes.
type avx2 struct {
	tables
	window Mem // 32 bytes of 00, of FF, of 00
	c      constants
	valid  reg.VecVirtual // FF at the bytes that loadShort was asked for
}

func newAVX2(t tables) *avx2 {
	window := GLOBL("utf8Window", RODATA|NOPTR)
	for i := 0; i < 96; i += 8 {
		var w uint64
		if i/32 == 1 {
			w = 1<<64 - 1
		}
		DATA(i, U64(w))
	}
	return &avx2{tables: t, window: window}
}

func (k *avx2) loadConstants() {
	k.c = k.tables.load(k.c, YMM, func(m Mem, r reg.VecVirtual) { VBROADCASTI128(m, r) })
}

func (k *avx2) finish() { VZEROUPPER() }

func (k *avx2) jumpBeyondASCII(m Mem, n int, label LabelRef) {
	any := k.load(m)
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

func (k *avx2) checkAlone(block reg.VecVirtual) (errors reg.VecVirtual) {
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
	block = k.load(m)
	return block, k.errors(block, k.load(m.Offset(-1)), m.Offset(-2), m.Offset(-3))
}

// loadShort loads 32 bytes, of which p may own only some: those that begin at p,
// or, where those would run into another page, those that end where the text
// ends. Either way every byte shares a page of 4 KiB, the smallest there is, with
// a byte of the text, so the load cannot fault.
func (k *avx2) loadShort(p, n reg.GPVirtual) (block reg.VecVirtual) {
	block, k.valid = YMM(), YMM()
	window, from := GP64(), GP64()
	LEAQ(k.window, window)
	MOVQ(p, from)
	ANDL(U32(4095), from.As32())
	CMPL(from.As32(), U32(4096-32))
	JA(LabelRef("shortAtPageEnd"))
	VMOVDQU(Mem{Base: p}, block)
	SUBQ(n, window)
	VMOVDQU(Mem{Base: window, Disp: 64}, k.valid)
	JMP(LabelRef("shortLoaded"))
	Label("shortAtPageEnd")
	VMOVDQU(Mem{Base: p, Index: n, Scale: 1, Disp: -32}, block)
	VMOVDQU(Mem{Base: window, Index: n, Scale: 1}, k.valid)
	Label("shortLoaded")
	VPAND(k.valid, block, block)
	return block
}

func (k *avx2) within(errors reg.VecVirtual) reg.VecVirtual {
	VPAND(k.valid, errors, errors)
	return errors
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

func (k *avx2) load(m Mem) reg.VecVirtual {
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
