package deflate

// dynamicHeader is the part of a dynamic block's header that has been read (RFC 1951 3.2.7).
type dynamicHeader struct {
	final       bool // BFINAL
	lengthCodes uint8
	literals    uint16
	all         uint16 // literals + distances
	at          uint16 // the next length to be read
	lengthWidth int
	lengths     [literalSymbols + distanceSymbols]uint8
	lengthTable [lengthEntries]uint32
}

// lengthOrder is the order in which the lengths of the first code are sent.
var lengthOrder = [lengthSymbols]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (f *inflater) counts(p *passage) (Step, Error) {
	if !f.need(p, 14) {
		return NeedInput, 0
	}
	h := &f.header
	h.literals = uint16(f.take(5)) + 257
	h.all = h.literals + uint16(f.take(5)) + 1
	h.lengthCodes = uint8(f.take(4)) + 4
	if h.literals > 286 || h.all-h.literals > 30 { // the symbols beyond mean nothing
		return 0, ErrCodeLengths
	}
	h.at = 0
	clear(h.lengths[:lengthSymbols])
	f.state = inLengths
	return 0, 0
}

func (f *inflater) lengthCode(p *passage) (Step, Error) {
	h := &f.header
	for ; h.at < uint16(h.lengthCodes); h.at++ {
		if !f.need(p, 3) {
			return NeedInput, 0
		}
		h.lengths[lengthOrder[h.at]] = uint8(f.take(3))
	}
	width, ok := f.huffman.build(h.lengthTable[:], lengthBits, h.lengths[:lengthSymbols], lengthMeaning[:])
	// Unlike the two codes that follow, this one may not leave a bit pattern unused (as zlib has it).
	if !ok || width < 2 && f.huffman.count[1] != 2 {
		return 0, ErrCodeLengths
	}
	h.lengthWidth = width
	h.at = 0
	f.state = inCodes
	return 0, 0
}

// codeLengths reads the lengths of both codes, which are one sequence: a repetition may cross from one to the other.
func (f *inflater) codeLengths(p *passage) (Step, Error) {
	h := &f.header
	for h.at < h.all {
		f.need(p, lengthBits+7) // the last code of a message may have fewer bits after it
		e := h.lengthTable[f.held&(1<<h.lengthWidth-1)]
		n := uint(e & entryTotalMask)
		if f.count < max(n, 1) {
			return NeedInput, 0
		}
		if e&entrySpecial != 0 {
			return 0, ErrSymbol
		}
		symbol := uint8(e >> entryBase)
		if symbol < 16 {
			f.take(n)
			h.lengths[h.at] = symbol
			h.at++
			continue
		}
		if ok, err := f.repeat(symbol, n); !ok {
			return NeedInput, err
		}
	}
	return 0, f.makeTables()
}

// repeat reads symbol 16, 17 or 18, whose code has n bits: the length before, or zero, a number of times.
func (f *inflater) repeat(symbol uint8, n uint) (bool, Error) {
	h := &f.header
	value, times, extra := uint8(0), uint16(3), uint(3)
	switch symbol {
	case 16:
		if h.at == 0 {
			return false, ErrCodeLengths
		}
		value, extra = h.lengths[h.at-1], 2
	case 18:
		times, extra = 11, 7
	}
	if f.count < n+extra {
		return false, 0
	}
	f.take(n)
	times += uint16(f.take(extra))
	if h.at+times > h.all {
		return false, ErrCodeLengths
	}
	run := h.lengths[h.at : h.at+times]
	for i := range run {
		run[i] = value
	}
	h.at += times
	return true, 0
}

func (f *inflater) makeTables() Error {
	h := &f.header
	if h.lengths[endOfBlock] == 0 { // such a block could not end
		return ErrCodeLengths
	}
	var ok, okToo bool
	f.literals, f.distances = f.literalTable[:], f.distanceTable[:]
	f.literalWidth, ok = f.huffman.build(f.literals, literalBits, h.lengths[:h.literals], literalMeaning[:])
	f.distanceWidth, okToo = f.huffman.build(f.distances, distanceBits, h.lengths[h.literals:h.all], distanceMeaning[:])
	if !ok || !okToo {
		return ErrCodeLengths
	}
	f.state = inSymbols
	return 0
}
