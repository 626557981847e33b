package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// sse is the kernel for SSE4.1: blocks of 16 bytes.
type sse struct {
	tables
	c constants
}

func (k *sse) loadConstants() {
	k.c = k.tables.load(k.c, XMM, func(m Mem, r reg.VecVirtual) { MOVOU(m, r) })
}

func (k *sse) finish() {}

func (k *sse) jumpBeyondASCII(m Mem, n int, label LabelRef) {
	any := k.load(m)
	for i := 1; i < n; i++ {
		POR(k.load(m.Offset(16*i)), any)
	}
	k.highBits(any)
	JNZ(label)
}

func (k *sse) jumpIfASCII(label LabelRef, blocks ...reg.VecVirtual) {
	k.highBits(sseOr(blocks))
	JZ(label)
}

func (k *sse) highBits(block reg.VecVirtual) {
	bits := GP32()
	PMOVMSKB(block, bits)
	TESTL(bits, bits)
}

func (k *sse) jumpIfBroken(label LabelRef, errors ...reg.VecVirtual) {
	any := sseOr(errors)
	PTEST(any, any)
	JNZ(label)
}

func (k *sse) checkAlone(block reg.VecVirtual) (errors reg.VecVirtual) {
	var before [4]reg.VecVirtual
	for i := 1; i <= 3; i++ {
		before[i] = sseCopy(block)
		PSLLDQ(U8(i), before[i])
	}
	return k.errors(block, before[1], before[2], before[3])
}

func (k *sse) check(m Mem) (block, errors reg.VecVirtual) {
	block = k.load(m)
	errors = k.errors(sseCopy(block), k.load(m.Offset(-1)), k.load(m.Offset(-2)), k.load(m.Offset(-3)))
	return block, errors
}

// errors consumes its operands: the block, and the same as 1, 2, 3 bytes before.
func (k *sse) errors(block, one, two, three reg.VecVirtual) reg.VecVirtual {
	low := sseCopy(one)
	broken := k.lookUp(k.c.high, k.highNibbles(one))
	PAND(k.c.nibble, low)
	PAND(k.lookUp(k.c.low, low), broken)
	PAND(k.lookUp(k.c.next, k.highNibbles(block)), broken)

	PAVGB(k.c.third, two)
	PAVGB(k.c.fourth, three)
	POR(two, three)
	PAND(k.c.bit, three)
	PXOR(three, broken)
	return broken
}

func (k *sse) highNibbles(x reg.VecVirtual) reg.VecVirtual {
	PSRLW(U8(4), x)
	PAND(k.c.nibble, x)
	return x
}

func (k *sse) lookUp(table, nibbles reg.VecVirtual) reg.VecVirtual {
	r := sseCopy(table)
	PSHUFB(nibbles, r)
	return r
}

func (k *sse) load(m Mem) reg.VecVirtual {
	r := XMM()
	MOVOU(m, r)
	return r
}

func sseCopy(x reg.VecVirtual) reg.VecVirtual {
	r := XMM()
	MOVOU(x, r)
	return r
}

func sseOr(x []reg.VecVirtual) reg.VecVirtual {
	any := sseCopy(x[0])
	for _, r := range x[1:] {
		POR(r, any)
	}
	return any
}
