package main

import (
	"strings"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The range check of Keiser and Lemire ("Validating UTF-8 in less than one
// instruction per byte", 2021). Everything that RFC 3629 forbids, but for the
// number of continuation bytes after a three- or four-byte lead, shows in three
// nibbles: the high and the low one of a byte and the high one of the byte that
// follows. A rule is three sets of nibbles, written as hexadecimal digits; a
// pair of bytes breaks it if each of its nibbles is in its set. Eight rules,
// eight bits: a table maps a nibble to the rules that it satisfies, and the AND
// of three look-ups is the rules that a pair breaks.
//
// A lead byte that is impossible alone (C0, C1, F5-FF) shows only with the byte
// that follows, and so not at the end of a text: the Go half looks there.
type rule struct{ high, low, next string }

const (
	anyNibble    = "0123456789ABCDEF"
	ascii        = "01234567"
	continuation = "89AB"
	lead         = "CDEF"
)

var rules = [8]rule{
	{lead, anyNibble, ascii + lead},         // a lead byte and nothing after it
	{ascii, anyNibble, continuation},        // a continuation of nothing
	{"C", "01", continuation},               // overlong: below U+0080 in two bytes
	{"E", "0", "89"},                        // overlong: below U+0800 in three
	{"E", "D", "AB"},                        // a surrogate, U+D800-DFFF
	{"F", "056789ABCDEF", "8"},              // overlong (F0) or above U+13FFFF (F5-FF)
	{"F", "456789ABCDEF", "9AB"},            // above U+10FFFF
	{continuation, anyNibble, continuation}, // right only as a third or fourth byte
}

// thirdOrFourth is the bit of the last rule. The kernels flip it where a lead
// byte two or three before asks for this continuation byte, so that it stays set
// where one is missing or one is too many.
const thirdOrFourth = 0x80

// A byte averaged (rounding up) with one of these has its high bit set if it is
// a lead of at least three, or of four, bytes: (E0 + 1F + 1) / 2 = 80. PAVGB
// commutes, so the byte may be the memory operand, which the usual saturating
// subtraction does not allow.
const (
	atLeastE0 = 0x1F
	atLeastF0 = 0x0F
)

// tables holds the three nibble tables and the byte constants, as data.
type tables struct {
	high, low, next            Mem // 16 bytes each; a wide register repeats them
	nibble, third, fourth, bit Mem
}

func makeTables() tables {
	const prefix = "utf8"
	return tables{
		high:   global(prefix+"High", nibbleTable(func(r rule) string { return r.high })),
		low:    global(prefix+"Low", nibbleTable(func(r rule) string { return r.low })),
		next:   global(prefix+"Next", nibbleTable(func(r rule) string { return r.next })),
		nibble: global(prefix+"Nibble", repeat(0x0F)),
		third:  global(prefix+"Third", repeat(atLeastE0)),
		fourth: global(prefix+"Fourth", repeat(atLeastF0)),
		bit:    global(prefix+"Bit", repeat(thirdOrFourth)),
	}
}

func nibbleTable(set func(rule) string) (t [16]byte) {
	for bit, r := range rules {
		for n, digit := range anyNibble {
			if strings.ContainsRune(set(r), digit) {
				t[n] |= 1 << bit
			}
		}
	}
	return t
}

func repeat(b byte) (t [16]byte) {
	for i := range t {
		t[i] = b
	}
	return t
}

func global(name string, b [16]byte) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := 0; i < 16; i += 8 {
		var w uint64
		for j := 7; j >= 0; j-- {
			w = w<<8 | uint64(b[i+j])
		}
		DATA(i, U64(w))
	}
	return m
}

// constants are the tables in registers, as wide as the kernel's.
type constants struct {
	high, low, next            reg.VecVirtual
	nibble, third, fourth, bit reg.VecVirtual
}

// load fills the registers of c with load, and makes those of a zero c first.
// Several paths of a kernel load them, so they must agree on the registers.
func (t tables) load(c constants, register func() reg.VecVirtual, load func(Mem, reg.VecVirtual)) constants {
	for _, l := range []struct {
		from Mem
		to   *reg.VecVirtual
	}{{t.high, &c.high}, {t.low, &c.low}, {t.next, &c.next}, {t.nibble, &c.nibble},
		{t.third, &c.third}, {t.fourth, &c.fourth}, {t.bit, &c.bit}} {
		if *l.to == nil {
			*l.to = register()
		}
		load(l.from, *l.to)
	}
	return c
}
