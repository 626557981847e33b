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

// wide does any n >= 6*v.bytes: a head, aligned stores from the first boundary
// after it, some vectors a turn, and the last four to eight vectors in one go,
// overlapping as n asks. Aligned stores never straddle two cache lines, which
// doubles the speed from about 1 KiB.
//
// Prefetching gained nothing from 4 KiB to 1 MiB and cost 10 % up to 32 KiB.
// Stores past the caches were not tried: who masks reads or sends next.
//
// What two vectors cover is loaded for both before it is stored for one, and
// soon before: a tail loaded at the start would, when a buffer is masked twice
// in a row, wait for the last store of the call before, and all work with it.
func wide(v vector, j job) {
	b := v.bytes
	key, head, first := v.register(), v.register(), v.register()
	at, from, limit := GP64(), GP64(), GP64()

	v.broadcast(j.key, key)
	v.loadXor(Mem{Base: j.src}, key, head)
	LEAQ(Mem{Base: j.dst, Index: j.n, Scale: 1, Disp: -8 * b}, limit)

	Comment("The first boundary after dst, and the key that belongs there.")
	LEAQ(Mem{Base: j.dst, Disp: b}, at)
	ANDQ(I8(-b), at)
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

	v.loadXor(Mem{Base: from}, key, first)
	v.store(head, Mem{Base: j.dst})
	v.store(first, Mem{Base: at})
	advance(b, at, from)
	loop(v, j.n, at, from, limit, key)
	lastEight(v, j, at, from, limit, key)
	v.leave()
	RET()
}

// farMin is the length in bytes from which the data comes from beyond L2, and
// small turns stream better: 10 % at 4 MiB. Below, they cost 5 %.
const farMin = 1 << 20

// loop goes on while more than eight vectors are left.
func loop(v vector, n, at, from, limit GPVirtual, key VecVirtual) {
	near, far, end := v.name+"Near", v.name+"Far", v.name+"Ends"
	CMPQ(at, limit)
	JAE(LabelRef(end))
	CMPQ(n, U32(farMin))
	JAE(LabelRef(far))
	turns(v, near, 4, at, from, limit, key)
	JMP(LabelRef(end))
	turns(v, far, 2, at, from, limit, key)
	Label(end)
}

// turns does vectors at a time; at most four, or less than lastEight needs
// might be left.
func turns(v vector, label string, vectors int, at, from, limit GPVirtual, key VecVirtual) {
	var off []int
	for i := range vectors {
		off = append(off, i*v.bytes)
	}
	Label(label)
	v.run(front(at, off...), front(from, off...), key)
	advance(vectors*v.bytes, at, from)
	CMPQ(at, limit)
	JB(LabelRef(label))
}

func advance(n int, at, from GPVirtual) {
	ADDQ(I32(n), at)
	if from != at {
		ADDQ(I32(n), from)
	}
}

// lastEight does four vectors at at and four that end with the job, of which
// some may be the same.
func lastEight(v vector, j job, at, from, limit GPVirtual, key VecVirtual) {
	b, next, tail := v.bytes, v.register(), v.registers(4)
	v.broadcast(j.next, next)
	for i := range tail {
		v.loadXor(back(j.src, j.n, (4-i)*b)[0], next, tail[i])
	}
	v.run(front(at, 0, b, 2*b, 3*b), front(from, 0, b, 2*b, 3*b), key)
	for i := range tail {
		v.store(tail[i], Mem{Base: limit, Disp: (4 + i) * b})
	}
}

// dispatch branches to the code of the level in use. It is a load and a
// branch that always goes the same way.
func dispatch(whenSSE2, whenAVX512 string) {
	level := NewDataAddr(Symbol{Name: "·active"}, 0)
	CMPB(level, Imm(1))
	JB(LabelRef(whenSSE2))
	JA(LabelRef(whenAVX512))
}
