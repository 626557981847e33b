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
	// loadConstants fills the registers that the checks need.
	loadConstants()
	// check checks the block at m, which has at least three bytes before it,
	// checkAlone a block with nothing before it.
	check(m Mem) (block, errors reg.VecVirtual)
	checkAlone(block reg.VecVirtual) (errors reg.VecVirtual)
	load(m Mem) (block reg.VecVirtual)
	// jumpIfBroken jumps to label if there is an error, jumpIfASCII if all
	// blocks are ASCII.
	jumpIfBroken(label LabelRef, errors ...reg.VecVirtual)
	jumpIfASCII(label LabelRef, blocks ...reg.VecVirtual)
	// finish leaves the registers as Go wants them.
	finish()
}

// shortKernel is a kernel that can take a text of less than a block.
type shortKernel interface {
	kernel
	// loadShort loads n bytes at p, 0 < n < width, with zeros around them.
	loadShort(p, n reg.GPVirtual) (block reg.VecVirtual)
	// within drops the errors in the zeros, which may follow a lead byte.
	within(errors reg.VecVirtual) reg.VecVirtual
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
	least := f.width
	if _, ok := f.k.(shortKernel); ok {
		least = 1
	}
	Doc(fmt.Sprintf("utf8Prefix%s says how many of the n bytes at p need no second look.", f.name),
		fmt.Sprintf("n is at least %d, and neither %d nor %d.", least, f.width+1, f.width+2))
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

// short is the whole function for a text of less than a block.
func (f *function) short(k shortKernel) {
	n := f.end
	CMPQ(n, I32(f.width))
	JAE(LabelRef("first"))
	block := k.loadShort(f.at, n)
	ADDQ(n, f.at)
	k.jumpIfASCII(LabelRef("done"), block)
	k.loadConstants()
	errors := k.within(k.checkAlone(block))
	SUBQ(n, f.at)
	k.jumpIfBroken(LabelRef("done"), errors)
	ADDQ(n, f.at)
	JMP(LabelRef("done"))
	Label("first")
}

// first checks the only block that has no bytes before it.
func (f *function) first() {
	block := f.k.load(Mem{Base: f.at})
	f.k.jumpIfASCII(LabelRef("firstASCII"), block)
	f.k.loadConstants()
	f.k.jumpIfBroken(LabelRef("done"), f.k.checkAlone(block))
	ADDQ(I32(f.width), f.at)
	JMP(LabelRef("mixed2"))
	Label("firstASCII")
	ADDQ(I32(f.width), f.at)
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

// tail checks what is left, less than a block, as the end of a whole block which
// begins in what is already checked, three bytes or more into the text.
func (f *function) tail() {
	Label("tail")
	CMPQ(f.at, f.end)
	JE(LabelRef("done"))
	_, errors := f.k.check(Mem{Base: f.last1})
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
