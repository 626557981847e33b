package deflate

import (
	"errors"
	"fmt"
)

// obvious is RFC 1951 written down with no thought for speed: the other opinion in tests. It decodes whole blocks from
// input until that ends, and remembers the longest distance.
type obvious struct {
	in      []byte
	bit     int
	out     []byte // everything since the beginning of the stream, earlier messages included
	longest int    // distance
}

var (
	errShort = errors.New("input ends inside a block")
	errBad   = errors.New("not a DEFLATE stream")
)

// inflateMessage decodes one message's payload as RFC 7692 7.2.2 says, and returns what it adds.
func (o *obvious) inflateMessage(payload []byte) ([]byte, error) {
	from := len(o.out)
	o.in, o.bit = payload, 0
	for {
		if o.atEnd() {
			return o.out[from:], nil
		}
		if err := o.block(); err == nil {
			continue
		} else if err != errShort {
			return o.out[from:], err
		}
		break
	}
	// Once more with the octets that the sender has removed.
	o.out = o.out[:from]
	o.in, o.bit = append(append([]byte(nil), payload...), 0, 0, 0xff, 0xff), 0
	for !o.atEnd() {
		if err := o.block(); err != nil {
			return o.out[from:], err
		}
	}
	return o.out[from:], nil
}

// atEnd: fewer than three bits are left, so no block begins.
func (o *obvious) atEnd() bool { return 8*len(o.in)-o.bit < 3 }

func (o *obvious) bits(n int) int {
	v := 0
	for i := range n {
		if o.bit >= 8*len(o.in) {
			panic(errShort)
		}
		v |= int(o.in[o.bit/8]>>(o.bit%8)&1) << i
		o.bit++
	}
	return v
}

func (o *obvious) align() { o.bit = (o.bit + 7) / 8 * 8 }

func (o *obvious) block() (err error) {
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if err, ok = r.(error); !ok {
				panic(r)
			}
		}
	}()
	final := o.bits(1)
	switch o.bits(2) {
	case 0:
		o.align()
		n, not := o.bits(16), o.bits(16)
		if n^not != 0xffff {
			return errBad
		}
		for range n {
			o.out = append(o.out, byte(o.bits(8)))
		}
	case 1:
		o.symbols(fixedCode())
	case 2:
		o.symbols(o.dynamicCodes())
	default:
		return errBad
	}
	if final == 1 {
		o.align()
	}
	return nil
}

// code has symbol + 1 at each code, which is written as its bits with a 1 before them, and 0 where there is none.
type code struct {
	symbols [1 << 16]int16
	count   int
}

// makeCode is RFC 1951 3.2.2.
func makeCode(lengths []int) *code {
	c, next, used := new(code), 0, 0
	for n := 1; n <= 15; n++ {
		for s, l := range lengths {
			if l != n {
				continue
			}
			if used += 1 << (15 - n); used > 1<<15 {
				panic(errBad)
			}
			c.symbols[1<<n|next] = int16(s + 1)
			c.count++
			next++
		}
		next <<= 1
	}
	oneBit := c.count == 1 && used == 1<<14
	if used < 1<<15 && c.count != 0 && !oneBit {
		panic(errBad)
	}
	return c
}

func (o *obvious) symbol(c *code) int {
	v := 1
	for range 15 {
		v = v<<1 | o.bits(1)
		if s := c.symbols[v]; s != 0 {
			return int(s) - 1
		}
	}
	panic(errBad)
}

func fixedCode() (literals, distances *code) {
	var l [288]int
	for i := range l {
		l[i] = 8
		if i >= 144 && i < 256 {
			l[i] = 9
		} else if i >= 256 && i < 280 {
			l[i] = 7
		}
	}
	var d [32]int
	for i := range d {
		d[i] = 5
	}
	return makeCode(l[:]), makeCode(d[:])
}

func (o *obvious) dynamicCodes() (literals, distances *code) {
	nl, nd, nc := o.bits(5)+257, o.bits(5)+1, o.bits(4)+4
	if nl > 286 || nd > 30 {
		panic(errBad)
	}
	var first [19]int
	for _, s := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:nc] {
		first[s] = o.bits(3)
	}
	c := makeCode(first[:])
	if c.count < 2 {
		panic(errBad) // unlike the two others this code is complete
	}
	var all []int
	for len(all) < nl+nd {
		s := o.symbol(c)
		switch {
		case s < 16:
			all = append(all, s)
			continue
		case s == 16 && len(all) == 0:
			panic(errBad)
		}
		v, n := 0, 0
		switch s {
		case 16:
			v, n = all[len(all)-1], 3+o.bits(2)
		case 17:
			n = 3 + o.bits(3)
		case 18:
			n = 11 + o.bits(7)
		}
		for range n {
			all = append(all, v)
		}
	}
	if len(all) != nl+nd || all[256] == 0 {
		panic(errBad)
	}
	return makeCode(all[:nl]), makeCode(all[nl:])
}

func (o *obvious) symbols(literals, distances *code) {
	for {
		s := o.symbol(literals)
		switch {
		case s == 256:
			return
		case s < 256:
			o.out = append(o.out, byte(s))
			continue
		case s > 285:
			panic(errBad)
		}
		n := o.extent(s-257, lengthBase[:], 4)
		if s == 285 {
			n = 258
		}
		d := o.symbol(distances)
		if d > 29 {
			panic(errBad)
		}
		dist := o.extent(d, distanceBase[:], 2)
		if dist > len(o.out) {
			panic(fmt.Errorf("%w: distance", errBad))
		}
		o.longest = max(o.longest, dist)
		for range n {
			o.out = append(o.out, o.out[len(o.out)-dist])
		}
	}
}

// extent reads extra bits: per symbols have each number of them, from the second group on.
func (o *obvious) extent(s int, base []int, per int) int {
	if s == 28 && per == 4 {
		return 258
	}
	return base[s] + o.bits(max(0, s/per-1))
}

// RFC 1951 3.2.5, copied from its tables.
var (
	lengthBase   = [...]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	distanceBase = [...]int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
		4097, 6145, 8193, 12289, 16385, 24577}
)
