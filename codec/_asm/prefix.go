package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// kernel is an instruction set's way to do the steps of prefix. A block is one
// register's width of the text; errors is a register with a bit set wherever
// the block breaks a rule.
type kernel interface {
	// jumpBeyondASCII jumps to label if one of n blocks at m is not ASCII.
	jumpBeyondASCII(m Mem, n int, label LabelRef)
	// loadConstants fills the registers that check needs.
	loadConstants()
	// checkFirst checks the block at m with nothing before it, check one with
	// at least three bytes before it.
	checkFirst(m Mem) (errors reg.VecVirtual)
	check(m Mem) (block, errors reg.VecVirtual)
	// jumpIfBroken jumps to label if there is an error, jumpIfASCII if all
	// blocks are ASCII.
	jumpIfBroken(label LabelRef, errors ...reg.VecVirtual)
	jumpIfASCII(label LabelRef, blocks ...reg.VecVirtual)
	// finish leaves the registers as Go wants them.
	finish()
}

// shortKernel is a kernel that can load less than a block without touching what
// lies beyond: it needs no text of a minimal length.
type shortKernel interface {
	kernel
	// mask prepares checkMasked for n bytes, 0 < n <= width.
	mask(n reg.GPVirtual)
	// checkMaskedFirst and checkMasked are checkFirst and check of those bytes.
	checkMaskedFirst(m Mem) (errors reg.VecVirtual)
	checkMasked(m Mem) (errors reg.VecVirtual)
}

// prefix writes the function that skips the valid front of a text. ASCII is
// skipped four blocks at a time; the first other byte turns to the mixed loop,
// which checks two blocks at a time and goes back on two of plain ASCII. The
// bytes before a block are loaded again, one, two and three bytes lower, which
// costs less than to shuffle them out of two registers: loads have ports of
// their own.
func prefix(name string, width int, k kernel) {
	f := function{k: k, width: width, name: name}
	TEXT("utf8Prefix"+name, NOSPLIT, "func(p *byte, n int) int")
	Pragma("noescape")
	f.doc()
	f.load()
	f.first()
	f.ascii()
	f.mixed()
	f.tail()
	f.ret()
}

type function struct {
	k     kernel
	name  string
	width int

	start, at, end      reg.GPVirtual // pointers into the text
	last4, last2, last1 reg.GPVirtual // where the last 4, 2, 1 whole blocks begin
}

func (f *function) doc() {
	least := fmt.Sprintf("n must be at least %d.", f.width+3)
	if _, ok := f.k.(shortKernel); ok {
		least = "n must be at least 1."
	}
	Doc("utf8Prefix" + f.name + " is utf8Prefix for the n bytes at p. " + least)
}

func (f *function) load() {
	f.start, f.at, f.end = GP64(), GP64(), GP64()
	Load(Param("p"), f.start)
	Load(Param("n"), f.end)
	MOVQ(f.start, f.at)
	if k, ok := f.k.(shortKernel); ok {
		f.short(k)
	}
	ADDQ(f.start, f.end)
	f.last4, f.last2, f.last1 = f.last(4), f.last(2), f.last(1)
}

func (f *function) last(blocks int) reg.GPVirtual {
	r := GP64()
	LEAQ(Mem{Base: f.end, Disp: -blocks * f.width}, r)
	return r
}

// short is the whole function for a text of less than a block: no loop, no
// branch on what it holds.
func (f *function) short(k shortKernel) {
	n := f.end
	CMPQ(n, I32(f.width))
	JAE(LabelRef("first"))
	k.loadConstants()
	k.mask(n)
	errors := k.checkMaskedFirst(Mem{Base: f.at})
	ADDQ(n, f.at)
	k.jumpIfBroken(LabelRef("shortBroken"), errors)
	f.ret()
	Label("shortBroken")
	MOVQ(f.start, f.at)
	f.ret()
	Label("first")
}

// first checks the only block that has no bytes before it.
func (f *function) first() {
	f.k.jumpBeyondASCII(Mem{Base: f.at}, 1, LabelRef("firstMixed"))
	ADDQ(I32(f.width), f.at)
	JMP(LabelRef("ascii4"))

	Label("firstMixed")
	f.k.loadConstants()
	f.k.jumpIfBroken(LabelRef("done"), f.k.checkFirst(Mem{Base: f.at}))
	ADDQ(I32(f.width), f.at)
	JMP(LabelRef("mixed2"))
}

// ascii skips blocks of plain ASCII, and the rest of the text if that is ASCII
// too, by the last whole block, which begins in what is already checked.
func (f *function) ascii() {
	f.asciiLoop("ascii4", 4, f.last4, "ascii1")
	f.asciiLoop("ascii1", 1, f.last1, "asciiTail")
	Label("asciiTail")
	CMPQ(f.at, f.end)
	JE(LabelRef("done"))
	f.k.jumpBeyondASCII(Mem{Base: f.last1}, 1, LabelRef("mixed"))
	MOVQ(f.end, f.at)
	JMP(LabelRef("done"))
}

// asciiLoop skips blocks while they are ASCII, and goes on at next when at is
// beyond last.
func (f *function) asciiLoop(label string, blocks int, last reg.GPVirtual, next string) {
	Label(label)
	CMPQ(f.at, last)
	JA(LabelRef(next))
	f.k.jumpBeyondASCII(Mem{Base: f.at}, blocks, LabelRef("mixed"))
	ADDQ(I32(blocks*f.width), f.at)
	JMP(LabelRef(label))
}

// mixed checks whole blocks of anything.
func (f *function) mixed() {
	Label("mixed")
	f.k.loadConstants()
	Label("mixed2")
	CMPQ(f.at, f.last2)
	JA(LabelRef("mixed1"))
	b0, e0 := f.k.check(Mem{Base: f.at})
	b1, e1 := f.k.check(Mem{Base: f.at, Disp: f.width})
	f.k.jumpIfBroken(LabelRef("done"), e0, e1)
	ADDQ(I32(2*f.width), f.at)
	f.k.jumpIfASCII(LabelRef("ascii4"), b0, b1)
	JMP(LabelRef("mixed2"))

	Label("mixed1")
	CMPQ(f.at, f.last1)
	JA(LabelRef("tail"))
	_, e := f.k.check(Mem{Base: f.at})
	f.k.jumpIfBroken(LabelRef("done"), e)
	ADDQ(I32(f.width), f.at)
}

// tail checks what is left, less than a block: as the end of a whole block that
// begins in what is already checked, or masked.
func (f *function) tail() {
	Label("tail")
	CMPQ(f.at, f.end)
	JE(LabelRef("done"))
	var errors reg.VecVirtual
	if k, ok := f.k.(shortKernel); ok {
		n := GP64()
		MOVQ(f.end, n)
		SUBQ(f.at, n)
		k.mask(n)
		errors = k.checkMasked(Mem{Base: f.at})
	} else {
		_, errors = f.k.check(Mem{Base: f.last1})
	}
	f.k.jumpIfBroken(LabelRef("done"), errors)
	MOVQ(f.end, f.at)
	Label("done")
}

func (f *function) ret() {
	n := GP64()
	MOVQ(f.at, n)
	SUBQ(f.start, n)
	f.k.finish()
	Store(n, ReturnIndex(0))
	RET()
}
