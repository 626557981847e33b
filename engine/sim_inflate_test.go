package engine

import (
	"errors"
	"fmt"
	"math/bits"
)

// simInflater inflates what a server sends: RFC 1951 and RFC 7692 7.2.2 in the plainest way, on
// code of its own, block by block. It holds each distance against the window that was agreed on,
// which compress/flate would not.
type simInflater struct {
	window   int  // in bytes
	takeover bool // messages may refer to those before them

	plain []byte // what may be referred to, then the message under way
	over  bool   // it is whole
	bits  simBits
	codes [2]simCode
}

// simBits reads packed bits, RFC 1951 3.1.1. Past the end it is short, and gives zeros.
type simBits struct {
	p     []byte
	at    int // in bits
	short bool
}

var errSimShort = errors.New("the message ends inside a block")

// next17 are the next bits, and zeros: at least 17.
func (b *simBits) next17() (v int) {
	for i := range 3 {
		if at := b.at>>3 + i; at < len(b.p) {
			v |= int(b.p[at]) << (8 * i)
		}
	}
	return v >> (b.at & 7)
}

func (b *simBits) skip(n int) {
	b.at += n
	b.short = b.short || b.at > len(b.p)*8
}

func (b *simBits) take(n int) int {
	v := b.next17() & (1<<n - 1)
	b.skip(n)
	return v
}

// feed takes more of a message and returns what that completes, until the next call. With last it
// is the whole of it.
func (f *simInflater) feed(p []byte, last bool) (plain []byte, err error) {
	if f.over {
		f.next()
	}
	f.bits.p = append(f.bits.p, p...)
	if last {
		f.bits.p = append(f.bits.p, 0, 0, 0xff, 0xff)
	}
	had := len(f.plain)
	for len(f.bits.p)*8-f.bits.at >= 3 && err == nil {
		from, plain := f.bits.at, len(f.plain)
		if err = f.block(); err == errSimShort {
			f.bits.at, f.bits.short, f.plain = from, false, f.plain[:plain] // again when there is more
			break
		}
	}
	if err == errSimShort && !last {
		err = nil
	}
	f.over = last
	return f.plain[had:], err
}

// next begins a message.
func (f *simInflater) next() {
	f.bits = simBits{p: f.bits.p[:0]}
	if !f.takeover {
		f.plain = f.plain[:0]
	} else if over := len(f.plain) - f.window; over > 0 {
		f.plain = f.plain[:copy(f.plain, f.plain[over:])]
	}
	f.over = false
}

// block decodes one block, or all there is of it.
func (f *simInflater) block() error {
	b := &f.bits
	if b.take(1) != 0 {
		return errors.New("a final block, which we never make")
	}
	switch b.take(2) {
	case 0:
		return f.stored()
	case 1:
		return f.compressed(&simFixed[0], &simFixed[1])
	case 2:
		if err := f.readCodes(); err != nil {
			return err
		}
		return f.compressed(&f.codes[0], &f.codes[1])
	}
	return errors.New("a reserved block type")
}

func (f *simInflater) stored() error {
	b := &f.bits
	b.at = (b.at + 7) &^ 7
	n, not := b.take(16), b.take(16)
	if b.short || len(b.p)-b.at>>3 < n {
		return errSimShort
	}
	if n^not != 0xffff {
		return fmt.Errorf("a stored block of %d and not %d bytes", n, not)
	}
	f.plain = append(f.plain, b.p[b.at>>3:b.at>>3+n]...)
	b.at += n * 8
	return nil
}

// Tables of RFC 1951 3.2.5: what a symbol stands for at least, and how many bits add to it.
var (
	simLengthBase = [...]int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	simLengthBits = [...]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
)

func (f *simInflater) compressed(lengths, distances *simCode) error {
	b := &f.bits
	for {
		symbol := lengths.decode(b)
		switch {
		case b.short:
			return errSimShort
		case symbol < 0 || symbol > 285:
			return errors.New("a symbol that stands for nothing")
		case symbol < 256:
			f.plain = append(f.plain, byte(symbol))
			continue
		case symbol == 256:
			return nil
		}
		n := simLengthBase[symbol-257] + b.take(simLengthBits[symbol-257])
		distance := distances.decode(b)
		if !b.short && (distance < 0 || distance > 29) {
			return errors.New("a distance that stands for nothing")
		}
		if distance > 3 {
			extra := distance/2 - 1
			distance = (2+distance&1)<<extra + b.take(extra)
		}
		if distance++; b.short {
			return errSimShort
		}
		if distance > len(f.plain) || distance > f.window {
			return fmt.Errorf("a distance of %d; %d bytes came before, the window is %d", distance, len(f.plain), f.window)
		}
		for n > 0 { // what is copied may begin in what the copy makes
			k := min(n, distance)
			f.plain = append(f.plain, f.plain[len(f.plain)-distance:][:k]...)
			n -= k
		}
	}
}

// simCode is a Huffman code, RFC 1951 3.2.2: how many codes there are of each length, the
// symbols in the order of their codes, and what the next nine bits mean where that is enough.
type simCode struct {
	count  [16]int
	symbol [288]int
	quick  [512]uint16 // the symbol times 16, and the code's length; 0: that is longer
}

func makeSimCode(c *simCode, lengths []int) {
	*c = simCode{}
	var next [16]int
	for _, n := range lengths {
		c.count[n]++
	}
	c.count[0] = 0
	for n := 1; n < 15; n++ {
		next[n+1] = next[n] + c.count[n]
	}
	for symbol, n := range lengths {
		if n > 0 {
			c.symbol[next[n]] = symbol
			next[n]++
		}
	}
	code, index := 0, 0
	for n := 1; n <= 9; n++ {
		for _, symbol := range c.symbol[index : index+c.count[n]] {
			for i := int(bits.Reverse16(uint16(code)) >> (16 - n)); i < len(c.quick); i += 1 << n {
				c.quick[i] = uint16(symbol<<4 | n)
			}
			code++
		}
		index += c.count[n]
		code <<= 1
	}
}

// decode reads one symbol; -1 when there is none with these bits.
func (c *simCode) decode(b *simBits) int {
	bits := b.next17()
	if k := c.quick[bits%len(c.quick)]; k != 0 {
		b.skip(int(k % 16))
		return int(k / 16)
	}
	code, first, index := 0, 0, 0
	for n, count := range c.count {
		if code-first < count {
			b.skip(n)
			return c.symbol[index+code-first]
		}
		index += count
		first = (first + count) << 1
		code = code<<1 | bits>>n&1
	}
	return -1
}

// simFixed are the codes of RFC 1951 3.2.6.
var simFixed = func() (codes [2]simCode) {
	var lengths [288]int
	for i := range lengths {
		lengths[i] = [...]int{8, 9, 7, 8}[b2i(i >= 144)+b2i(i >= 256)+b2i(i >= 280)]
	}
	makeSimCode(&codes[0], lengths[:])
	for i := range 30 {
		lengths[i] = 5
	}
	makeSimCode(&codes[1], lengths[:30])
	return codes
}()

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// readCodes reads the codes of a dynamic block, RFC 1951 3.2.7.
func (f *simInflater) readCodes() error {
	b := &f.bits
	literals, distances := b.take(5)+257, b.take(5)+1
	var lengths [320]int
	for i := range b.take(4) + 4 {
		lengths[[...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[i]] = b.take(3)
	}
	var code simCode
	makeSimCode(&code, lengths[:19])
	for i := 0; i < literals+distances; {
		symbol, again, value := code.decode(b), 1, 0
		switch {
		case b.short:
			return errSimShort
		case symbol < 0 || symbol == 16 && i == 0:
			return errors.New("code lengths that make no code")
		case symbol < 16:
			value = symbol
		case symbol == 16:
			value, again = lengths[i-1], 3+b.take(2)
		case symbol == 17:
			again = 3 + b.take(3)
		case symbol == 18:
			again = 11 + b.take(7)
		}
		if i+again > literals+distances {
			return errors.New("more code lengths than there are codes")
		}
		for range again {
			lengths[i], i = value, i+1
		}
	}
	makeSimCode(&f.codes[0], lengths[:literals])
	makeSimCode(&f.codes[1], lengths[literals:literals+distances])
	return nil
}
