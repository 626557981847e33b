package deflate

import "encoding/binary"

const (
	maxMatch = 258
	// A literal/length symbol with its extra bits and a distance with its own: 15+5 and 15+13.
	pairBits = 48
	// fastRoom is how much dst must have left for symbolsFast: three literals, the longest match, and what a copy by
	// words writes beyond its end.
	fastRoom = 3 + maxMatch + 8
)

// symbols decodes a block's symbols: the fast way while input and room are ample, then one by one.
func (f *inflater) symbols(p *passage) (Step, Error) {
	for {
		if len(p.src)-p.in >= 8 && len(p.dst)-p.out >= fastRoom {
			if err := f.symbolsFast(p); err != 0 || f.state != inSymbols {
				return 0, err
			}
		}
		if step, err := f.symbol(p); step != 0 || err != 0 || f.state != inSymbols {
			return step, err
		}
	}
}

// symbol decodes one literal, or a length and its distance, or the end of the block. Nothing is used up before all of
// it is there, so that no state is needed for the middle of a symbol.
func (f *inflater) symbol(p *passage) (Step, Error) {
	f.need(p, pairBits)
	held, count := f.held, f.count
	e, n := lookup(f.literals, f.literalWidth, held)
	if count < max(n, 1) {
		return NeedInput, 0
	}
	switch {
	case e&entryLiteral != 0:
		if p.out == len(p.dst) {
			return NeedRoom, 0
		}
		p.dst[p.out] = byte(e >> entryBase)
		p.out++
		f.take(n)
		return 0, 0
	case e&entryEnd != 0:
		f.take(n)
		f.endBlock()
		return 0, 0
	case e&entrySpecial != 0:
		return 0, ErrSymbol
	}
	length := extent(e, n, held)
	held >>= n
	count -= n
	e, k := lookup(f.distances, f.distanceWidth, held)
	if count < max(k, 1) {
		return NeedInput, 0
	}
	if e&entrySpecial != 0 {
		return 0, ErrSymbol
	}
	distance := extent(e, k, held)
	if err := p.reaches(distance); err != 0 {
		return 0, err
	}
	f.held, f.count = held>>k, count-k
	f.left, f.dist = length, distance
	return f.match(p), 0
}

// lookup finds the symbol that the next bits stand for, and how many of them it takes, its extra bits included.
func lookup(table []uint32, width int, held uint64) (e uint32, n uint) {
	e = table[held&(1<<width-1)]
	if e&entryLink == 0 {
		return e, uint(e & entryTotalMask)
	}
	first := uint(e & entryTotalMask)
	held >>= first
	e = table[uint64(e>>entryBase)+held&(1<<(e>>entryCode&entryCodeMask)-1)]
	// Seen from the first level the code is longer; extent wants that.
	e += uint32(first) * (1<<entryCode | 1)
	return e, uint(e & entryTotalMask)
}

// extent is a length or distance: the base and the extra bits, which follow the code.
func extent(e uint32, n uint, held uint64) int {
	extra := held & (1<<n - 1) >> (e >> entryCode & entryCodeMask)
	return int(e>>entryBase&entryBaseMask) + int(extra)
}

// reaches checks a distance against what there is and against the agreed window, which counts even where there is more.
func (p *passage) reaches(distance int) Error {
	if distance > int(p.window.limit) {
		return ErrWindow
	}
	if distance > p.out+int(p.window.have) {
		return ErrDistance
	}
	return 0
}

// match copies what is left of a match, as far as there is room: first from the window, then from dst itself.
func (f *inflater) match(p *passage) Step {
	reach := f.dist // or a multiple of it, once what is copied repeats
	for f.left > 0 {
		if p.out == len(p.dst) {
			f.state = inMatch
			return NeedRoom
		}
		to := p.dst[p.out:min(len(p.dst), p.out+f.left)]
		n := 0
		if back := f.dist - p.out; back > 0 {
			n = min(len(to), back)
			p.window.read(to[:n], back)
		} else {
			n = copy(to, p.dst[p.out-reach:p.out]) // at most reach bytes: a longer match repeats them
			reach += n
		}
		p.out += n
		f.left -= n
	}
	f.state = inSymbols
	return 0
}

// symbolsFast decodes symbols with as few checks as are safe, until input or room are short or the block ends. It reads
// the input by words, so at its end it gives back the whole bytes that it has not used.
func (f *inflater) symbolsFast(p *passage) (err Error) {
	src, dst, in, out, held, count := p.src, p.dst, p.in, p.out, f.held, f.count
	literals, distances := f.literals, f.distances
	literalMask, distanceMask := uint64(1)<<f.literalWidth-1, uint64(1)<<f.distanceWidth-1
	for len(src)-in >= 8 && len(dst)-out >= fastRoom {
		held, count, in = refilled(src, in, held, count)
		e := literals[held&literalMask]
		if e&entryLiteral != 0 {
			held, count = used(held, count, e)
			dst[out] = byte(e >> entryBase)
			out++
			e = literals[held&literalMask]
			if e&entryLiteral != 0 {
				held, count = used(held, count, e)
				dst[out] = byte(e >> entryBase)
				out++
				e = literals[held&literalMask]
			}
			if count < pairBits {
				continue
			}
		}
		if e&entryLink != 0 {
			e, held, count = linked(literals, e, held, count)
		}
		if e&entryLiteral != 0 {
			held, count = used(held, count, e)
			dst[out] = byte(e >> entryBase)
			out++
			continue
		}
		if e&entrySpecial != 0 {
			if e&entryEnd == 0 {
				err = ErrSymbol
				break
			}
			held, count = used(held, count, e)
			f.state = atHeader
			break
		}
		length := extent(e, uint(e&entryTotalMask), held)
		held, count = used(held, count, e)
		e = distances[held&distanceMask]
		if e&entryLink != 0 {
			e, held, count = linked(distances, e, held, count)
		}
		if e&entrySpecial != 0 {
			err = ErrSymbol
			break
		}
		distance := extent(e, uint(e&entryTotalMask), held)
		held, count = used(held, count, e)
		if distance > out || uint(distance) > uint(p.window.limit) {
			if out, err = f.matchBefore(p, out, length, distance); err != 0 {
				break
			}
			continue
		}
		copyMatch(dst, out, distance, length)
		out += length
	}
	f.leaveFast(p, in, out, held, count)
	return err
}

// used takes off the bits of what e stands for.
func used(held uint64, count uint, e uint32) (uint64, uint) {
	return held >> (e & entryTotalMask), count - uint(e&entryTotalMask)
}

// linked follows e, which stands for a code's first bits, to the second level of its table.
func linked(table []uint32, e uint32, held uint64, count uint) (uint32, uint64, uint) {
	held, count = used(held, count, e)
	return table[uint64(e>>entryBase)+held&(1<<(e>>entryCode&entryCodeMask)-1)], held, count
}

// refilled is held with 56 bits or more. The bits above count are the same that the next word brings again.
func refilled(src []byte, in int, held uint64, count uint) (uint64, uint, int) {
	held |= binary.LittleEndian.Uint64(src[in:]) << (count & 63)
	return held, count | 56, in + int((63-count)>>3)
}

// matchBefore copies a match that reaches back beyond dst, for all of which there is room.
func (f *inflater) matchBefore(p *passage, out, length, distance int) (int, Error) {
	p.out = out
	if err := p.reaches(distance); err != 0 {
		return out, err
	}
	f.left, f.dist = length, distance
	f.match(p)
	return p.out, 0
}

// leaveFast gives back the whole bytes that symbolsFast has read and not used.
func (f *inflater) leaveFast(p *passage, in, out int, held uint64, count uint) {
	unused := min(count>>3, uint(in-p.in))
	count -= unused << 3
	p.in, p.out = in-int(unused), out
	f.held, f.count = held&(1<<count-1), count
	if f.state == atHeader {
		f.endBlock()
	}
}

// copyMatch copies length bytes within dst from distance before out. It may write up to 8 bytes more, for which there
// is room, and which are written again.
func copyMatch(dst []byte, out, distance, length int) {
	if distance >= 8 {
		from, to := dst[out-distance:], dst[out:out+length+8]
		for i := 0; i < length; i += 8 {
			binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(from[i:]))
		}
		return
	}
	from, to := dst[out-distance:], dst[out:out+length]
	if length > 32 { // what is there is copied behind itself, twice as much each time
		for n := copy(to, from[:distance]); n < length; {
			n += copy(to[n:], to[:n])
		}
		return
	}
	for i := range to {
		to[i] = from[i]
	}
}
