package deflate

import (
	"encoding/binary"
	"math/bits"
	"sync"
)

// shortEncoder compresses one short message, with a history, into one DEFLATE block. It is ours because what most
// WebSocket messages are is what general compressors are bad at (klauspost/compress 1.20.3, level 1, beside it in
// TestBars):
//
//   - Under 128 bytes they are stored or only Huffman-coded there, without a look at the history: 88 bytes of JSON stay
//     88, and become 36 here.
//   - A dictionary is compressed again for every message; here it is only looked at, one byte in three. 1 KiB of JSON
//     with 2 KiB of history: 249 bytes in 6.0 microseconds here, 256 bytes in 12.5 there.
//   - 40 % of the time for such a message goes into making Huffman codes there, 15 % here.
//
// So level 1 is this encoder while messages are short; everything else is klauspost's.
type shortEncoder struct {
	text  [maxHistoryText + maxShort + wordMargin]byte // the history, then the message
	heads [1 << headBits]uint32                        // where four bytes were seen last, plus base
	base  uint32                                       // beyond all positions that earlier messages left in heads

	tokens [maxShort]uint32
	count  int
	block  block
}

const (
	// maxShort is the longest message that is compressed this way. At 8 KiB of JSON both ways cost the same, and
	// klauspost's makes 2 % less of it; HTML is even at 12 KiB.
	maxShort = 8 << 10
	// maxHistoryText is the most history that is looked at.
	maxHistoryText = 8 << 10
	// wordMargin lets eight bytes be read at any position.
	wordMargin = 8

	// headBits: 32 KiB of heads. With half of that 4 KiB take 5 % longer, as other positions overwrite the ones wanted.
	headBits = 13
	// minMatch: a match of 4 bytes saves next to nothing once its distance is said. Looking for 5 made 1 KiB of JSON
	// 3 % shorter and 5 % faster.
	minMatch = 5
	// primeStep: positions of the history from one that is entered to the next. Matches are extended backwards, so that
	// a repetition of 7 bytes is always found. Entering all made 1 KiB of JSON 1 % shorter and 20 % slower.
	primeStep = 3
	// enterStep: the same within matches.
	enterStep = 2
	// skipAfter: how many literals in a row make the search step wider by one; text that does not repeat is passed fast.
	skipAfter = 5
)

// A token is a literal, or tokenMatch and a length less 3 from bit 16 on, and a distance less 1.
const (
	tokenMatch  = 1 << 31
	tokenLength = 16
	baseMatch   = 3
)

var shortEncoders = sync.Pool{New: func() any { return &shortEncoder{base: maxHistoryText + maxShort} }}

// compressShort appends p, compressed, to dst, if it becomes shorter. It ends as RFC 7692 7.2.1 has a payload end.
func compressShort(dst, p, history []byte, windowBits uint8) ([]byte, bool) {
	e := shortEncoders.Get().(*shortEncoder)
	if len(history) > maxHistoryText {
		history = history[len(history)-maxHistoryText:]
	}
	from := copy(e.text[:], history)
	end := from + copy(e.text[from:], p)
	e.count = 0
	e.block.reset()
	e.prime(from)
	e.search(from, end, 1<<windowBits)
	out, ok := dst, false
	if !e.block.looksRandom(len(p)) {
		out, ok = e.block.append(dst, e.tokens[:e.count], len(p)-1)
	}
	shortEncoders.Put(e)
	return out, ok
}

// prime enters the history.
func (e *shortEncoder) prime(end int) {
	e.advanceBase()
	for i := 0; i+wordMargin <= end; i += primeStep {
		e.heads[headOf(binary.LittleEndian.Uint64(e.text[i:]))] = e.base + uint32(i)
	}
}

// advanceBase puts what earlier messages left in heads out of reach.
func (e *shortEncoder) advanceBase() {
	if e.base > 1<<31 {
		clear(e.heads[:])
		e.base = 0
	}
	e.base += maxHistoryText + maxShort
}

func headOf(next uint64) uint64 { return next << 24 * 889523592379 >> (64 - headBits) }

// search makes tokens of text[from:end]: greedy, with no distance over window.
func (e *shortEncoder) search(from, end, window int) {
	text := &e.text
	literals, i := from, from
	for i+wordMargin <= end {
		next := binary.LittleEndian.Uint64(text[i:])
		head := &e.heads[headOf(next)]
		at := int(min(*head-e.base, uint32(i))) // i, if it is an earlier message's
		*head = e.base + uint32(i)
		if at == i || i-at > window || (binary.LittleEndian.Uint64(text[at:])^next)<<24 != 0 {
			i += 1 + (i-literals)>>skipAfter
			continue
		}
		n := minMatch + e.sameBytes(at+minMatch, i+minMatch, end)
		for i > literals && at > 0 && text[i-1] == text[at-1] {
			i--
			at--
			n++
		}
		e.literals(text[literals:i])
		e.match(n, i-at)
		e.enter(i+2, i+n)
		i += n
		literals = i
	}
	e.literals(text[literals:end])
}

// sameBytes counts how many bytes from a and from b on are alike, before end.
func (e *shortEncoder) sameBytes(a, b, end int) int {
	n := 0
	for b+n+wordMargin <= end {
		if d := binary.LittleEndian.Uint64(e.text[a+n:]) ^ binary.LittleEndian.Uint64(e.text[b+n:]); d != 0 {
			return n + bits.TrailingZeros64(d)>>3
		}
		n += 8
	}
	for b+n < end && e.text[a+n] == e.text[b+n] {
		n++
	}
	return n
}

// enter enters some positions that a match has covered.
func (e *shortEncoder) enter(i, end int) {
	for ; i < end; i += enterStep {
		e.heads[headOf(binary.LittleEndian.Uint64(e.text[i:]))] = e.base + uint32(i)
	}
}

func (e *shortEncoder) literals(b []byte) {
	to := e.tokens[e.count : e.count+len(b)]
	for i, c := range b {
		to[i] = uint32(c)
		e.block.literalCount[c]++
	}
	e.count += len(b)
}

// match adds a match of n bytes, as two or more where it is longer than one can be.
func (e *shortEncoder) match(n, distance int) {
	d := uint32(distance - 1)
	code := distanceCode(d)
	for n > 0 {
		k := min(n, maxMatch)
		if n-k > 0 && n-k < baseMatch {
			k -= baseMatch
		}
		e.tokens[e.count] = tokenMatch | uint32(k-baseMatch)<<tokenLength | d
		e.count++
		e.block.literalCount[lengthCodes[k-baseMatch]]++
		e.block.distanceCount[code]++
		n -= k
	}
}
