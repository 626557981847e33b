package deflate

import "sync"

// Step says why an inflater stopped.
type Step uint8

const (
	// NeedInput: all input is consumed and the message goes on.
	NeedInput Step = iota + 1
	// NeedRoom: the next thing in the stream is a byte for which dst has no room.
	NeedRoom
	// Yielded: the call did as much work as one call may; there is more to do with the same arguments.
	Yielded
	// Done: the message ended.
	Done
)

// blocksPerCall is how many blocks one call begins before it yields. Output is bounded by dst, but blocks without
// output are not: an empty dynamic block is 12 bytes of input and about a microsecond of work, or 168 bytes and four of
// them, so that 1 MiB would hold a loop for 25 ms. 64 are a quarter of a millisecond at most.
const blocksPerCall = 64

// inflater decodes one DEFLATE stream (RFC 1951), any number of bytes at a time. It is one connection's only while a
// message is under way, so what has to outlive a message is in the window.
//
// It is ours, not klauspost's, for four reasons, all measured or proved in tests: a reader that pulls from an io.Reader
// cannot stop in the middle of a block without a goroutine; it copies up to 32 KiB of window in and as much out for
// every message, where this one reads distances from the connection's ring and the caller's buffer; it cannot check a
// distance against the agreed window; and it takes 1.8 times as long for 1 KiB of JSON, 1.4 times for long HTML (TestBars).
type inflater struct {
	held  uint64 // bits of the stream taken from src and not used yet, the next one lowest
	count uint   // how many

	state  blockState
	blocks int // left of this call's
	left   int // of a stored block: bytes; of a match: bytes to copy
	dist   int // of that match

	literals, distances         []uint32 // tables of the block at hand
	literalWidth, distanceWidth int      // bits that index their first levels

	header  dynamicHeader
	huffman huffman

	literalTable  [literalEntries]uint32
	distanceTable [distanceEntries]uint32
}

// blockState is where in a block the stream stands. Each names what comes next.
type blockState uint8

const (
	atHeader  blockState = iota // a block's three bits; between blocks
	atLength                    // LEN and NLEN of a stored block
	inStored                    // a stored block's bytes
	atCounts                    // HLIT, HDIST and HCLEN of a dynamic block
	inLengths                   // the code lengths of the code for the code lengths
	inCodes                     // the code lengths
	inSymbols                   // literals, lengths and distances
	inMatch                     // the rest of a match that dst had no room for
)

var inflaters = sync.Pool{New: func() any { return new(inflater) }}

// passage is one call's input and output.
type passage struct {
	src    []byte
	in     int // consumed of src
	dst    []byte
	out    int // written of dst
	window *window
}

// begin makes the inflater ready for a message, which begins at a byte boundary and with a block (RFC 7692 7.2.2).
func (f *inflater) begin() { f.held, f.count, f.state = 0, 0, atHeader }

// run decodes until something is missing.
func (f *inflater) run(p *passage) (Step, Error) {
	f.blocks = blocksPerCall
	for {
		step, err := f.step(p)
		if step != 0 || err != 0 {
			return step, err
		}
	}
}

// step does what the state asks for. It returns zeros when the state has changed.
func (f *inflater) step(p *passage) (Step, Error) {
	switch f.state {
	case atHeader:
		return f.blockHeader(p)
	case atLength:
		return f.storedLength(p)
	case inStored:
		return f.stored(p)
	case atCounts:
		return f.counts(p)
	case inLengths:
		return f.lengthCode(p)
	case inCodes:
		return f.codeLengths(p)
	case inMatch:
		return f.match(p), 0
	}
	return f.symbols(p)
}

// need makes n bits available, n at most 56.
func (f *inflater) need(p *passage, n uint) bool {
	for f.count < n {
		if p.in == len(p.src) {
			return false
		}
		f.held |= uint64(p.src[p.in]) << (f.count & 63)
		f.count += 8
		p.in++
	}
	return true
}

// take uses n available bits.
func (f *inflater) take(n uint) uint32 {
	v := uint32(f.held) & (1<<n - 1)
	f.held >>= n
	f.count -= n
	return v
}

// align drops the bits up to the next byte boundary.
func (f *inflater) align() { f.take(f.count & 7) }

// blockHeader reads BFINAL and BTYPE (RFC 1951 3.2.3). A final block ends a DEFLATE stream but not the message:
// whatever follows begins at the next byte (RFC 7692 7.2.1), which is where endBlock has put us.
func (f *inflater) blockHeader(p *passage) (Step, Error) {
	if f.blocks == 0 {
		return Yielded, 0
	}
	if !f.need(p, 3) {
		return NeedInput, 0
	}
	f.blocks--
	f.header.final = f.take(1) != 0
	switch f.take(2) {
	case 0:
		f.align()
		f.state = atLength
	case 1:
		f.literals, f.literalWidth = fixedLiterals[:], 9
		f.distances, f.distanceWidth = fixedDistances[:], 5
		f.state = inSymbols
	case 2:
		f.state = atCounts
	default:
		return 0, ErrBlockType
	}
	return 0, 0
}

func (f *inflater) endBlock() {
	if f.header.final {
		f.align()
	}
	f.state = atHeader
}

func (f *inflater) storedLength(p *passage) (Step, Error) {
	if !f.need(p, 32) {
		return NeedInput, 0
	}
	n, complement := f.take(16), f.take(16)
	if n != complement^0xffff {
		return 0, ErrStoredSize
	}
	f.left = int(n)
	f.state = inStored
	return 0, 0
}

func (f *inflater) stored(p *passage) (Step, Error) {
	for f.left > 0 && f.count > 0 && p.out < len(p.dst) { // whole bytes: the block began at a boundary
		p.dst[p.out] = byte(f.take(8))
		p.out++
		f.left--
	}
	if f.left > 0 && f.count == 0 {
		n := min(f.left, len(p.src)-p.in)
		n = copy(p.dst[p.out:], p.src[p.in:p.in+n])
		p.in += n
		p.out += n
		f.left -= n
	}
	switch {
	case f.left == 0:
		f.endBlock()
		return 0, 0
	case p.out == len(p.dst):
		return NeedRoom, 0
	}
	return NeedInput, 0
}

// whole reports whether the stream stands where a message may end. RFC 7692 7.2.2 has the receiver append the octets
// 00 00 ff ff that the sender has removed. Where they complete the empty stored block that the sender has to end with,
// they need not be decoded. Where the last block has ended and no empty one begins, its sender has forgotten that one
// (an empty payload, or a final block without the octet that RFC 7692 7.2.3.4 adds), and nothing is missing from the
// data.
func (f *inflater) whole() bool {
	return f.state == atHeader || f.state == atLength && f.count == 0
}

// appendedTail is what the sender removed (RFC 7692 7.2.1, step 2).
var appendedTail = [4]byte{0x00, 0x00, 0xff, 0xff}
