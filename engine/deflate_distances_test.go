package engine

import (
	"errors"
	"fmt"
)

// checkDistances reads a compressed message (RFC 1951) for its distances alone: none may
// reach beyond the window, nor before the first byte of what the peer keeps. compress/flate
// has a window of 32 KiB and would follow any.
func checkDistances(wire []byte, kept, window int) (err error) {
	d := &distances{src: append(append([]byte{}, wire...), 0, 0, 0xff, 0xff), kept: kept, window: window}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(distanceError)
			if !ok {
				panic(r)
			}
			err = e.error
		}
	}()
	for d.bit < 8*len(d.src) {
		if last := d.bits(1); last == 1 {
			return errors.New("a final block")
		}
		d.block(d.bits(2))
	}
	return nil
}

type distanceError struct{ error }

type distances struct {
	src    []byte
	bit    int
	kept   int // bytes before the message
	out    int // bytes of the message
	window int
}

func (d *distances) fail(format string, args ...any) {
	panic(distanceError{fmt.Errorf(format, args...)})
}

func (d *distances) bits(n int) (v int) {
	for i := range n {
		if d.bit >= 8*len(d.src) {
			d.fail("the stream ends in a block")
		}
		v |= int(d.src[d.bit/8]>>(d.bit%8)&1) << i
		d.bit++
	}
	return v
}

func (d *distances) block(kind int) {
	switch kind {
	case 0:
		d.bit = (d.bit + 7) / 8 * 8
		n := d.bits(16)
		if d.bits(16) != n^0xffff {
			d.fail("a stored block that contradicts itself")
		}
		d.bit += 8 * n
		d.out += n
	case 1:
		var l, s [288]int
		for i := range l {
			l[i] = 8
		}
		for i := 144; i < 256; i++ {
			l[i] = 9
		}
		for i := 256; i < 280; i++ {
			l[i] = 7
		}
		for i := range 30 {
			s[i] = 5
		}
		d.symbols(newPrefixCode(l[:]), newPrefixCode(s[:30]))
	case 2:
		d.symbols(d.codes())
	default:
		d.fail("a reserved block")
	}
}

// prefixCode is a canonical Huffman code (RFC 1951 3.2.2), decoded bit by bit.
type prefixCode map[[2]int]int // length and code to symbol

func newPrefixCode(lengths []int) prefixCode {
	p, code := prefixCode{}, 0
	for n := 1; n <= 15; n++ {
		for symbol, l := range lengths {
			if l == n {
				p[[2]int{n, code}] = symbol
				code++
			}
		}
		code <<= 1
	}
	return p
}

func (d *distances) symbol(p prefixCode) int {
	for code, n := 0, 1; n <= 15; n++ {
		code = code<<1 | d.bits(1)
		if s, ok := p[[2]int{n, code}]; ok {
			return s
		}
	}
	d.fail("no symbol has this code")
	return 0
}

// codes reads the two codes of a dynamic block (RFC 1951 3.2.7).
func (d *distances) codes() (literals, spans prefixCode) {
	nl, ns, nc := d.bits(5)+257, d.bits(5)+1, d.bits(4)+4
	order := [...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	var cl [19]int
	for _, at := range order[:nc] {
		cl[at] = d.bits(3)
	}
	code := newPrefixCode(cl[:])
	var all []int
	repeat := func(v, n int) {
		for range n {
			all = append(all, v)
		}
	}
	for len(all) < nl+ns {
		switch s := d.symbol(code); s {
		case 16:
			if len(all) == 0 {
				d.fail("nothing to repeat")
			}
			repeat(all[len(all)-1], 3+d.bits(2))
		case 17:
			repeat(0, 3+d.bits(3))
		case 18:
			repeat(0, 11+d.bits(7))
		default:
			repeat(s, 1)
		}
	}
	if len(all) != nl+ns {
		d.fail("too many code lengths")
	}
	return newPrefixCode(all[:nl]), newPrefixCode(all[nl:])
}

// symbols reads a block's literals and matches (RFC 1951 3.2.5).
func (d *distances) symbols(literals, spans prefixCode) {
	for {
		s := d.symbol(literals)
		switch {
		case s < 256:
			d.out++
			continue
		case s == 256:
			return
		case s > 285:
			d.fail("length symbol %d", s)
		}
		n := s - 254
		if s >= 265 && s < 285 {
			extra := (s - 261) / 4
			n = 3 + (4+(s-261)%4)<<extra + d.bits(extra)
		}
		if s == 285 {
			n = 258
		}
		span := d.symbol(spans) + 1
		if span > 4 {
			extra := (span - 3) / 2
			span = 1 + (2+(span-1)%2)<<extra + d.bits(extra)
		}
		if span > d.window || span > d.kept+d.out {
			d.fail("distance %d with a window of %d and %d bytes before", span, d.window, d.kept+d.out)
		}
		d.out += n
	}
}
