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

	// wideMin is the length in bytes from which wide beats the other loops,
	// and 512-bit registers beat 256-bit ones. Measured in place, on one
	// buffer again and again and on others in turn. wide needs 256.
	wideMin = 512
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
	Doc("xor xors the n bytes at p with key, in place. next is key rotated by n.")
	p := Load(Param("p"), GP64()).(GPVirtual)
	n := Load(Param("n"), GP64()).(GPVirtual)
	key := Load(Param("key"), GP32()).(GPVirtual)
	next := Load(Param("next"), GP32()).(GPVirtual)
	j := job{dst: p, src: p, n: n, key: key, next: next}

	CMPQ(n, Imm(4))
	JB(LabelRef("few"))
	CMPQ(n, Imm(16))
	JB(LabelRef("tail"))
	lanes := XMM()
	MOVD(key, lanes)
	PSHUFD(Imm(0), lanes, lanes)
	CMPQ(n, U32(steps))
	JAE(LabelRef("long"))

	Label("blocks")
	blocks(p, n, lanes)
	Label("tail")
	lastBytes(p, n, key, next)
	RET()

	Label("few")
	few(p, n, key, next)

	Label("long")
	long(j, lanes)
}

// blocks does the n/16 whole blocks of 16 <= n < 128 and moves p behind them.
// Blocks may be done twice (with the same result: all are loaded first), never
// in part, so three branches are enough.
func blocks(p, n GPVirtual, lanes VecVirtual) {
	whole := GP64()
	MOVL(n.As32(), whole.As32())
	ANDL(Imm(112), whole.As32())
	CMPL(whole.As32(), Imm(32))
	JA(LabelRef("above2"))
	inPlace(append(front(p, 0), back(p, whole, 16)...), lanes)
	ADDQ(whole, p)
	JMP(LabelRef("tail"))

	Label("above2")
	CMPL(whole.As32(), Imm(64))
	JA(LabelRef("above4"))
	inPlace(append(front(p, 0, 16), back(p, whole, 32, 16)...), lanes)
	ADDQ(whole, p)
	JMP(LabelRef("tail"))

	Label("above4")
	inPlace(append(front(p, 0, 16, 32, 48), back(p, whole, 48, 32, 16)...), lanes)
	ADDQ(whole, p)
}

func inPlace(at []Mem, key VecVirtual) { sse2.run(at, at, key) }

// lastBytes does the n%16 bytes at p without a branch: for a bit of n that is
// not set, the address becomes a place in our own argument slots, whose values
// are in registers by now.
func lastBytes(p, n, key, next GPVirtual) {
	doubled := GP64()
	MOVL(key, doubled.As32())
	SHLQ(Imm(32), doubled)
	ORQ(key.As64(), doubled)

	spare := GP64()
	LEAQ(NewParamAddr("n", 8), spare)
	at := pick(8, p, n, spare)
	XORQ(doubled, Mem{Base: at})

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
func few(p, n, key, next GPVirtual) {
	CMPL(n.As32(), Imm(1))
	JB(LabelRef("none"))
	JEQ(LabelRef("one"))
	XORW(key.As16(), Mem{Base: p})
	CMPL(n.As32(), Imm(2))
	JEQ(LabelRef("none"))
	SHRL(Imm(24), next)
	XORB(next.As8(), Mem{Base: p, Disp: 2})
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
// 127 bytes at most, or all of it by wide. 512-bit registers gain nothing
// below wideMin (measured), so both AVX levels take the same steps.
func long(j job, lanes VecVirtual) {
	CMPQ(j.n, U32(wideMin))
	JAE(LabelRef("wide"))
	dispatch("stepsSSE2", "stepsAVX2")
	Label("stepsAVX2")
	wider := avx2.register()
	avx2.broadcast(j.key, wider)
	stepping(avx2, j, wider)
	Label("stepsSSE2")
	stepping(sse2, j, lanes)

	Label("wide")
	dispatch("wideSSE2", "wideAVX512")
	wide(avx2, j)
	Label("wideAVX512")
	wide(avx512, j)
	Label("wideSSE2")
	wide(sse2, j)
}

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
	v.leave()
	ANDL(Imm(steps-1), j.n.As32())
	CMPL(j.n.As32(), Imm(16))
	JAE(LabelRef("blocks"))
	JMP(LabelRef("tail"))
}
