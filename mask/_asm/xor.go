package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const (
	// steps is how many bytes one turn of the middle sizes' loop does, at
	// every level; what is left of n is then below it.
	steps = 128

	// wideMin is the length in bytes from which wide beats the other loops.
	// Measured in place, on one buffer again and again and on others in turn.
	wideMin = 512

	// linesMin is the length from which lines beats wide. Below, masking one
	// buffer again and again waits for its masked stores: 3 ns at 512 bytes.
	// lines needs 512.
	linesMin = 768
)

// xorInPlace writes func xor(p *byte, n int, key, next uint32).
//
// Below wideMin it never lets two stores overlap in part. A load that needs
// bytes of two younger stores waits until both have left the store buffer
// (4 ns here), and in-place work is loaded again soon: by the next call, or by
// who reads the payload. So whole 16-byte blocks come first and the last 0 to
// 15 bytes are done as 8, 4, 2 and 1. Lengths of messages are hard to predict,
// so no branch depends on those four bits either: a branch for each cost 10 to
// 15 ns a call on lengths drawn at random.
func xorInPlace() {
	TEXT("xor", NOSPLIT, "func(p *byte, n int, key, next uint32)")
	n := Load(Param("n"), GP64()).(GPVirtual)
	CMPQ(n, Imm(4))
	JB(LabelRef("few"))
	j := job{
		n:    n,
		dst:  Load(Param("p"), GP64()).(GPVirtual),
		key:  Load(Param("key"), GP32()).(GPVirtual),
		next: Load(Param("next"), GP32()).(GPVirtual),
	}
	j.src = j.dst
	lanes := XMM()
	sse2.broadcast(j.key, lanes)
	CMPQ(n, Imm(16))
	JB(LabelRef("tail"))
	CMPQ(n, U32(steps))
	JAE(LabelRef("long"))

	Label("blocks")
	blocks(sse2, j, lanes)
	Label("tail")
	lastBytes(j, lanes)
	RET()

	Label("few")
	few(n)

	Label("long")
	long(j, lanes)
}

// blocks does the n/16 whole blocks of 16 <= n < 128 and moves dst behind
// them. Blocks may be done twice (with the same result: all are loaded first),
// never in part, so two branches are enough.
func blocks(v vector, j job, lanes VecVirtual) {
	p, whole := j.dst, GP64()
	inPlace := func(at []Mem) { v.run(at, at, lanes) }
	MOVL(j.n.As32(), whole.As32())
	ANDL(Imm(112), whole.As32())
	CMPL(whole.As32(), Imm(32))
	JA(LabelRef(v.name + "Above2"))
	inPlace(append(front(p, 0), back(p, whole, 16)...))
	JMP(LabelRef(v.name + "Blocks"))

	Label(v.name + "Above2")
	CMPL(whole.As32(), Imm(64))
	JA(LabelRef(v.name + "Above4"))
	inPlace(append(front(p, 0, 16), back(p, whole, 32, 16)...))
	JMP(LabelRef(v.name + "Blocks"))

	Label(v.name + "Above4")
	inPlace(append(front(p, 0, 16, 32, 48), back(p, whole, 48, 32, 16)...))
	Label(v.name + "Blocks")
	ADDQ(whole, p)
}

// blocksAVX2 does the whole blocks of n < 128 and moves dst behind them: 32
// bytes each, up to three, doing some twice rather than branching, then 16.
func blocksAVX2(j job, lanes VecVirtual) {
	whole, middle := GP64(), GP64()
	MOVL(j.n.As32(), whole.As32())
	ANDL(Imm(96), whole.As32())
	JEQ(LabelRef("halfBlock"))
	MOVL(whole.As32(), middle.As32())
	SHRL(Imm(1), middle.As32())
	ANDL(Imm(32), middle.As32())
	at := []Mem{
		{Base: j.dst},
		{Base: j.dst, Index: middle, Scale: 1},
		{Base: j.dst, Index: whole, Scale: 1, Disp: -32},
	}
	avx2.run(at, at, lanes)
	ADDQ(whole, j.dst)

	Label("halfBlock")
	TESTB(Imm(16), j.n.As8())
	JEQ(LabelRef("noHalfBlock"))
	avx.run(front(j.dst, 0), front(j.dst, 0), lanes.AsX().(VecVirtual))
	ADDQ(Imm(16), j.dst)
	Label("noHalfBlock")
}

// lastBytes does the n%16 bytes at p without a branch: for a bit of n that is
// not set, the address becomes a place in our own argument slots, whose values
// are in registers by now.
func lastBytes(j job, lanes VecVirtual) {
	p, n, key, next := j.dst, j.n, j.key, j.next
	spare := GP64()
	LEAQ(NewParamAddr("n", 8), spare)
	at, eight := pick(8, p, n, spare), XMM()
	MOVQ(Mem{Base: at}, eight)
	PXOR(lanes, eight)
	MOVQ(eight, Mem{Base: at})

	spare = GP64()
	LEAQ(NewParamAddr("key", 16), spare)
	at = pick(4, p, n, spare)
	XORL(key, Mem{Base: at})

	spare, spare1 := GP64(), GP64()
	LEAQ(NewParamAddr("next", 20), spare)
	LEAQ(Mem{Base: spare, Disp: 2}, spare1)
	at = pick(2, p, n, spare)
	XORW(key.As16(), Mem{Base: at})

	Comment("The last byte of all is the one before next's first.")
	SHRL(Imm(24), next)
	TESTB(Imm(1), n.As8())
	CMOVQNE(p, spare1)
	XORB(next.As8(), Mem{Base: spare1})
}

// few does 0 to 3 bytes, where the work is less than lastBytes' set-up.
func few(n GPVirtual) {
	TESTL(n.As32(), n.As32())
	JEQ(LabelRef("none"))
	p := Load(Param("p"), GP64()).(GPVirtual)
	key := Load(Param("key"), GP32()).(GPVirtual)
	CMPL(n.As32(), Imm(2))
	JB(LabelRef("one"))
	XORW(key.As16(), Mem{Base: p})
	TESTB(Imm(1), n.As8())
	JEQ(LabelRef("none"))
	SHRL(Imm(16), key)
	XORB(key.As8(), Mem{Base: p, Disp: 2})
	Label("none")
	RET()

	Label("one")
	XORB(key.As8(), Mem{Base: p})
	RET()
}

// pick returns p and moves it on by size if n has that bit, else spare.
func pick(size uint64, p, n, spare GPVirtual) GPVirtual {
	bit := GP64()
	MOVL(n.As32(), bit.As32())
	ANDL(Imm(size), bit.As32())
	CMOVQNE(p, spare)
	ADDQ(bit, p)
	return spare
}

// long does n >= 128: in steps that are not aligned, going back for the last
// 127 bytes at most, or all of it by wide or lines. 512-bit registers gain
// nothing on the steps (measured), so both AVX levels take the same.
func long(j job, lanes VecVirtual) {
	CMPQ(j.n, U32(wideMin))
	JAE(LabelRef("wide"))
	dispatch("stepsSSE2", "stepsAVX2")
	Label("stepsAVX2")
	wider := avx2.register()
	avx2.broadcast(j.key, wider)
	stepping(avx2, j, wider)
	blocksAVX2(j, wider)
	avx2.leave()
	JMP(LabelRef("tail"))

	Label("stepsSSE2")
	stepping(sse2, j, lanes)
	CMPL(j.n.As32(), Imm(16))
	JAE(LabelRef("blocks"))
	JMP(LabelRef("tail"))

	Label("wide")
	dispatch("wideSSE2", "wideAVX512")
	Label("wideAVX2")
	wide(avx2, j)
	Label("wideAVX512")
	CMPQ(j.n, U32(linesMin))
	JB(LabelRef("wideAVX2"))
	lines(j)
	Label("wideSSE2")
	wide(sse2, j)
}

// stepping leaves less than steps bytes.
func stepping(v vector, j job, key VecVirtual) {
	var at []Mem
	for off := 0; off < steps; off += v.bytes {
		at = append(at, Mem{Base: j.dst, Disp: off})
	}
	count := GP32()
	MOVL(j.n.As32(), count)
	SHRL(Imm(7), count)
	Label(v.name + "Step")
	v.run(at, at, key)
	SUBQ(I8(-steps), j.dst)
	DECL(count)
	JNE(LabelRef(v.name + "Step"))
	ANDL(Imm(steps-1), j.n.As32())
}
