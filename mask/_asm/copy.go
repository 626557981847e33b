package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// xorCopy writes func xorCopy(dst, src *byte, n int, key, next uint32).
//
// What it stores is not what it loads, so overlapping tails cost nothing here
// (compare xorInPlace): the shape is that of a memmove. Everything that
// overlaps is loaded before the first store, which makes dst == src right too.
func xorCopy() {
	TEXT("xorCopy", NOSPLIT, "func(dst, src *byte, n int, key, next uint32)")
	Doc("xorCopy stores the n bytes at src, xored with key, at dst. next is key rotated by n.")
	j := job{
		dst:  Load(Param("dst"), GP64()).(GPVirtual),
		src:  Load(Param("src"), GP64()).(GPVirtual),
		n:    Load(Param("n"), GP64()).(GPVirtual),
		key:  Load(Param("key"), GP32()).(GPVirtual),
		next: Load(Param("next"), GP32()).(GPVirtual),
	}
	CMPQ(j.n, Imm(16))
	JB(LabelRef("below16"))
	CMPQ(j.n, U32(128))
	JA(LabelRef("long"))
	vectors(j)

	Label("below16")
	CMPQ(j.n, Imm(8))
	JB(LabelRef("below8"))
	pairOf8(j)

	Label("below8")
	CMPQ(j.n, Imm(4))
	JB(LabelRef("below4"))
	pairOf4(j)

	Label("below4")
	bytes3(j)

	Label("long")
	longCopy(j)
}

// vectors does 16 to 128 bytes: 16, 32 or 64 from the front and as many from
// the back.
func vectors(j job) {
	key, next := XMM(), XMM()
	sse2.broadcast(j.key, key)
	sse2.broadcast(j.next, next)
	CMPQ(j.n, Imm(32))
	JA(LabelRef("above32"))
	bothEnds(sse2, j, key, next, 16)
	Label("above32")
	CMPQ(j.n, Imm(64))
	JA(LabelRef("above64"))
	bothEnds(sse2, j, key, next, 16, 32)
	Label("above64")
	bothEnds(sse2, j, key, next, 16, 32, 48, 64)
}

func bothEnds(v vector, j job, key, next VecVirtual, end ...int) {
	head, tail := v.registers(len(end)), v.registers(len(end))
	for i, e := range end {
		v.loadXor(Mem{Base: j.src, Disp: e - v.bytes}, key, head[i])
		v.loadXor(back(j.src, j.n, e)[0], next, tail[i])
	}
	for i, e := range end {
		v.store(head[i], Mem{Base: j.dst, Disp: e - v.bytes})
		v.store(tail[i], back(j.dst, j.n, e)[0])
	}
	v.leave()
	RET()
}

func pairOf8(j job) {
	head, tail := GP64(), GP64()
	for _, end := range []struct{ key, to GPVirtual }{{j.key, head}, {j.next, tail}} {
		MOVL(end.key.As32(), end.to.As32())
		SHLQ(Imm(32), end.to)
		ORQ(end.key.As64(), end.to)
	}
	XORQ(Mem{Base: j.src}, head)
	XORQ(back(j.src, j.n, 8)[0], tail)
	MOVQ(head, Mem{Base: j.dst})
	MOVQ(tail, back(j.dst, j.n, 8)[0])
	RET()
}

func pairOf4(j job) {
	XORL(Mem{Base: j.src}, j.key.As32())
	XORL(back(j.src, j.n, 4)[0], j.next.As32())
	MOVL(j.key.As32(), Mem{Base: j.dst})
	MOVL(j.next.As32(), back(j.dst, j.n, 4)[0])
	RET()
}

// bytes3 does 0 to 3 bytes: the first, the last, and for 3 the middle one.
func bytes3(j job) {
	first, last := GP32(), GP32()
	CMPQ(j.n, Imm(2))
	JA(LabelRef("three"))
	JEQ(LabelRef("two"))
	TESTQ(j.n, j.n)
	JEQ(LabelRef("none"))
	MOVBLZX(Mem{Base: j.src}, first)
	XORL(j.key.As32(), first)
	MOVB(first.As8(), Mem{Base: j.dst})
	Label("none")
	RET()

	Label("three")
	MOVBLZX(Mem{Base: j.src, Disp: 2}, last)
	SHRL(Imm(24), j.next.As32())
	XORL(j.next.As32(), last)
	MOVB(last.As8(), Mem{Base: j.dst, Disp: 2})
	Label("two")
	MOVWLZX(Mem{Base: j.src}, first)
	XORL(j.key.As32(), first)
	MOVW(first.As16(), Mem{Base: j.dst})
	RET()
}

// longCopy does more than 128 bytes. 512-bit registers gain nothing below
// wideMin.
func longCopy(j job) {
	dispatch("longSSE2", "longAVX512")
	Label("longAVX2")
	CMPQ(j.n, U32(256))
	JA(LabelRef("wideAVX2"))
	key, next := avx2.register(), avx2.register()
	avx2.broadcast(j.key, key)
	avx2.broadcast(j.next, next)
	bothEnds(avx2, j, key, next, 32, 64, 96, 128)

	Label("wideAVX2")
	wide(avx2, j)
	Label("longAVX512")
	CMPQ(j.n, U32(wideMin))
	JB(LabelRef("longAVX2"))
	wide(avx512, j)
	Label("longSSE2")
	wide(sse2, j)
}
