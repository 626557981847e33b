package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// A job is what a kernel works on. In place, src is the same register as dst.
type job struct {
	dst, src, n GPVirtual
	key         GPVirtual // for byte 0
	next        GPVirtual // for byte n, and so for every byte that is a multiple of 4 before the end
}

// front and back are the places off bytes after the start, and off bytes
// before the end.
func front(p Register, off ...int) []Mem {
	m := make([]Mem, len(off))
	for i, o := range off {
		m[i] = Mem{Base: p, Disp: o}
	}
	return m
}

func back(p, n Register, off ...int) []Mem {
	m := make([]Mem, len(off))
	for i, o := range off {
		m[i] = Mem{Base: p, Index: n, Scale: 1, Disp: -o}
	}
	return m
}

// wide does any n >= 4*v.bytes: a head of one vector, an aligned loop of four,
// a tail of four, overlapping as n asks. Head and tail are loaded before the
// loop and stored after it; the bytes that two of them cover get the same
// value twice. Aligned stores never straddle two cache lines, which doubles
// the speed from about 1 KiB.
func wide(v vector, j job) {
	head, tail := v.register(), v.registers(4)
	key, next := v.register(), v.register()
	at, from, limit := GP64(), GP64(), GP64()

	v.broadcast(j.key, key)
	v.broadcast(j.next, next)
	v.loadXor(Mem{Base: j.src}, key, head)
	for i, m := range back(j.src, j.n, 4*v.bytes, 3*v.bytes, 2*v.bytes, v.bytes) {
		v.loadXor(m, next, tail[i])
	}
	LEAQ(Mem{Base: j.dst, Index: j.n, Scale: 1, Disp: -4 * v.bytes}, limit)

	Comment("The first boundary after dst, and the key that belongs there.")
	LEAQ(Mem{Base: j.dst, Disp: v.bytes}, at)
	ANDQ(I8(-v.bytes), at)
	MOVQ(at, RCX)
	SUBQ(j.dst, RCX)
	if j.src != j.dst {
		LEAQ(Mem{Base: j.src, Index: RCX, Scale: 1}, from)
	} else {
		from = at
	}
	SHLL(Imm(3), ECX)
	RORL(CL, j.key.As32())
	v.broadcast(j.key, key)

	loop(v, at, from, limit, key)

	v.store(head, Mem{Base: j.dst})
	for i := range tail {
		v.store(tail[i], Mem{Base: limit, Disp: i * v.bytes})
	}
	v.leave()
	RET()
}

func loop(v vector, at, from, limit GPVirtual, key VecVirtual) {
	top, end := v.name+"Loop", v.name+"Ends"
	CMPQ(at, limit)
	JAE(LabelRef(end))
	Label(top)
	b := v.bytes
	v.run(front(at, 0, b, 2*b, 3*b), front(from, 0, b, 2*b, 3*b), key)
	ADDQ(I32(4*b), at)
	if from != at {
		ADDQ(I32(4*b), from)
	}
	CMPQ(at, limit)
	JB(LabelRef(top))
	Label(end)
}

// dispatch branches to the code of the level in use. It is a load and a
// branch that always goes the same way.
func dispatch(whenSSE2, whenAVX512 string) {
	level := NewDataAddr(Symbol{Name: "·active"}, 0)
	CMPB(level, Imm(1))
	JB(LabelRef(whenSSE2))
	JA(LabelRef(whenAVX512))
}
