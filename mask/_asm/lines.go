package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// lines is wide for AVX-512 in place: n >= 512 bytes, a cache line at a time, always
// aligned. The lines at both ends belong to others too: there, masks keep loads
// and stores to our bytes, and as a line holds at least one of them it lies in
// a page that we may touch. Against wide's unaligned ends this is 10 % faster
// at 16 KiB and 20 % where the last vector straddles two pages.
func lines(j job) {
	const line = 64
	v, key := avx512, avx512.register()
	at, last := GP64(), GP64()

	Comment("The line that dst lies in, and the key as it is at its start.")
	MOVQ(j.dst, RCX)
	MOVQ(j.dst, at)
	ANDQ(I8(-line), at)
	ours := GP64()
	MOVQ(I32(-1), ours)
	SHLQ(CL, ours)
	SHLL(Imm(3), ECX)
	ROLL(CL, j.key.As32())
	v.broadcast(j.key, key)
	partOfLine(at, ours, key)
	ADDQ(I8(line), at)

	end, limit := GP64(), GP64()
	LEAQ(Mem{Base: j.dst, Index: j.n, Scale: 1}, end)
	MOVQ(end, last)
	ANDQ(I8(-line), last)
	LEAQ(Mem{Base: last, Disp: -8 * line}, limit)
	loop(v, j.n, at, at, limit, key)

	Comment("Four to eight lines, some of them perhaps twice.")
	m := append(front(at, 0, line, 2*line, 3*line), front(last, -4*line, -3*line, -2*line, -line)...)
	v.run(m, m, key)

	MOVQ(end, RCX)
	NEGQ(RCX)
	ANDL(Imm(line-1), ECX)
	JEQ(LabelRef("linesDone")) // a store without a lane would cost 100 ns
	ours = GP64()
	MOVQ(I32(-1), ours)
	SHRQ(CL, ours)
	partOfLine(last, ours, key)
	Label("linesDone")
	v.leave()
	RET()
}

func partOfLine(at, ours GPVirtual, key VecVirtual) {
	k, part := K(), ZMM()
	KMOVQ(ours, k)
	VMOVDQU8_Z(Mem{Base: at}, k, part)
	VPXORD(key, part, part)
	VMOVDQU8(part, k, Mem{Base: at})
}
