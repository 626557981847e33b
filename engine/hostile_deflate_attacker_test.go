package engine

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

// What attacks permessage-deflate is made by hand or by the standard library's compress/flate, not by package deflate:
// the two must not agree on one mistake.

// deflateOn is permessage-deflate under the default policy.
func deflateOn() *deflate.Policy { return &deflate.Policy{} }

// offering is the header line of an offer.
func offering(offer string) string { return "Sec-WebSocket-Extensions: " + offer }

const anyDeflate = "permessage-deflate; client_max_window_bits"

// attackDeflate connects, and fails unless permessage-deflate is agreed on.
func attackDeflate(t testing.TB, s *Server, path, offer string) *attacker {
	t.Helper()
	a := knock(t, s.Addr().Network(), s.Addr().String())
	a.say(t, requestFor(path, offering(offer)))
	if r := a.expectStatus(t, 101); !strings.HasPrefix(r.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
		t.Fatalf("%q is answered %q", offer, r.Header.Get("Sec-WebSocket-Extensions"))
	}
	return a
}

// openDeflate begins a connection of a tape with permessage-deflate.
func (r *tapeRig) openDeflate(offer string) *Conn {
	r.t.Helper()
	r.connect()
	c := r.conn()
	r.feed([]byte(requestFor("/tape", offering(offer))))
	if c.ReadyState() != Open || c.Extensions() == "" {
		r.t.Fatalf("not open, or without permessage-deflate: %q", r.sys.out)
	}
	r.seen = len(r.sys.out)
	return c
}

// meteredTape is a tape whose clock goes on with each look at it, so that turns end, and which notes at each how much
// memory the engine's buffers take.
type meteredTape struct {
	*tape
	s        *Server
	step     time.Duration
	outBytes int64 // the most there was
}

func (m *meteredTape) Now() time.Duration {
	m.now += m.step
	m.outBytes = max(m.outBytes, m.s.Stats().Buffers.OutBytes)
	return m.now
}

func (r *tapeRig) meter(step time.Duration) *meteredTape {
	m := &meteredTape{tape: r.sys, s: r.s, step: step}
	r.l.sys = m
	return m
}

// bitWriter packs bits as RFC 1951 3.1.1 says.
type bitWriter struct {
	bytes []byte
	used  int
}

// number writes the n lowest bits of v, the lowest first.
func (b *bitWriter) number(v, n int) {
	for ; n > 0; n-- {
		if b.used%8 == 0 {
			b.bytes = append(b.bytes, 0)
		}
		b.bytes[b.used/8] |= byte(v&1) << (b.used % 8)
		v >>= 1
		b.used++
	}
}

// code writes a Huffman code of n bits, its first bit first.
func (b *bitWriter) code(v, n int) { b.number(int(bits.Reverse32(uint32(v))>>(32-n)), n) }

func (b *bitWriter) align() { b.used = 8 * len(b.bytes) }

// lengthOrder is RFC 1951 3.2.7's.
var lengthOrder = [...]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// lengthCode writes the header of a dynamic block up to the code of its code lengths.
func (b *bitWriter) lengthCode(final, literals, distances int, lengths map[int]int) {
	b.number(final, 1)
	b.number(2, 2)
	b.number(literals-257, 5)
	b.number(distances-1, 5)
	b.number(len(lengthOrder)-4, 4)
	for _, s := range lengthOrder {
		b.number(lengths[s], 3)
	}
}

// bombCodes begins a dynamic block in which 0 0 repeats the last byte 258 times, 10 is a byte and 11 the end.
func (b *bitWriter) bombCodes(of byte) {
	b.lengthCode(0, 286, 1, map[int]int{18: 1, 1: 2, 2: 2}) // their codes are 0, 10 and 11
	zeros := func(n int) {
		for n >= 11 {
			k := min(n, 138)
			b.code(0, 1)
			b.number(k-11, 7)
			n -= k
		}
	}
	one, two := func() { b.code(2, 2) }, func() { b.code(3, 2) }
	if of < 11 || of > 244 {
		panic("runs of fewer than 11 zeros are not made here")
	}
	zeros(int(of))
	two()
	zeros(255 - int(of))
	two()
	zeros(28)
	one() // 285: a length of 258
	one() // a distance of 1
}

// bomb is n bytes of one letter at 2 bits for 258 of them, as the payload of a message: flushed, without the flush's
// last four octets.
func bomb(n int) []byte { return bombOf('a', n) }

func bombOf(letter byte, n int) []byte {
	var b bitWriter
	b.bombCodes(letter)
	if n > 0 {
		b.code(2, 2)
		n--
	}
	matches := n / 258
	for ; matches > 0 && b.used%8 != 0; matches-- {
		b.number(0, 2)
	}
	if matches > 0 {
		b.bytes = append(b.bytes, make([]byte, matches/4)...)
		b.align()
		b.number(0, 2*(matches%4))
	}
	for range n % 258 {
		b.code(2, 2)
	}
	b.code(3, 2)
	b.number(0, 3)
	return b.bytes
}

// unfinished is the same stream without its end: it may go on in another fragment.
func unfinished(n int) []byte {
	var b bitWriter
	b.bombCodes('a')
	b.code(2, 2)
	b.align()
	return append(b.bytes, make([]byte, n/258/4)...)
}

// costlyBlock is a dynamic block of no bytes that takes long to read: each of 286 symbols has a code, and many of those
// are long.
func costlyBlock() []byte {
	var b bitWriter
	lengths := map[int]int{} // 0 to 15 have four bits each, so that the code for n is n
	for n := range 16 {
		lengths[n] = 4
	}
	b.lengthCode(1, 286, 30, lengths)
	// A symbol of one bit, the end, and 256 of nine would be complete; five of those are split further.
	all := bytes.Repeat([]byte{9}, 251)
	all = append(all, bytes.Repeat([]byte{10, 11, 12, 13, 14, 15, 15}, 4)...)
	all = append(all, 10, 11, 12, 13, 14, 14)
	all = append(all[:256:256], append([]byte{1}, all[256:]...)...)
	all = append(all, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15) // distances
	all = append(all, make([]byte, 286+30-len(all))...)
	for _, n := range all {
		b.code(int(n), 4)
	}
	b.code(0, 1)
	return b.bytes
}

// leastBlock is the shortest dynamic block: codes for nothing but the end, and the end.
func leastBlock() []byte {
	var b bitWriter
	b.lengthCode(1, 257, 1, map[int]int{18: 1, 1: 1})
	b.code(1, 1)
	b.number(138-11, 7)
	b.code(1, 1)
	b.number(256-138-11, 7)
	b.code(0, 1) // 256 has one bit
	b.code(0, 1) // and so has a distance of 1
	b.code(0, 1)
	return b.bytes
}

// stored is a stored block that is not the last.
func stored(p string) []byte {
	n := uint16(len(p))
	return append(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16([]byte{0}, n), ^n), p...)
}

// squeezed is p as one message of compress/flate, which may follow others whose last 32 KiB are history.
func squeezed(p, history []byte) []byte {
	var b bytes.Buffer
	z, err := flate.NewWriterDict(&b, 6, history)
	if err == nil {
		_, err = z.Write(p)
	}
	if err == nil {
		err = z.Flush()
	}
	if err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// expanded is what one message's payload stands for, by compress/flate.
func expanded(p, history []byte) ([]byte, error) {
	tail := []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}
	return io.ReadAll(flate.NewReaderDict(io.MultiReader(bytes.NewReader(p), bytes.NewReader(tail)), history))
}

// listener reads the messages of a server that compresses, and keeps the window.
type deflateEar struct {
	window []byte
	wire   int // payload bytes of the last message as they came
}

// hear reads one message, or a Close frame, whole.
func (e *deflateEar) hear(r io.Reader) (op byte, p []byte, err error) {
	compressed := false
	e.wire = 0
	for {
		h, err := readServerFrame(r)
		if err != nil {
			return 0, nil, err
		}
		if h.op&8 != 0 {
			if h.op == 8 {
				return h.op, h.payload, nil
			}
			continue
		}
		if h.op != 0 {
			op, compressed = h.op, h.rsv1
		}
		p = append(p, h.payload...)
		e.wire += len(h.payload)
		if h.fin {
			break
		}
	}
	if compressed {
		if p, err = expanded(p, e.window); err != nil {
			return 0, nil, err
		}
		e.window = append(e.window, p...)
		e.window = e.window[max(0, len(e.window)-32<<10):]
	}
	return op, p, nil
}

type serverFrame struct {
	heard
	rsv1 bool
}

// readServerFrame reads one frame, which may be compressed.
func readServerFrame(r io.Reader) (f serverFrame, err error) {
	var h [10]byte
	if _, err = io.ReadFull(r, h[:2]); err != nil {
		return f, err
	}
	n := uint64(h[1])
	switch n {
	case 126:
		_, err = io.ReadFull(r, h[2:4])
		n = uint64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		_, err = io.ReadFull(r, h[2:10])
		n = binary.BigEndian.Uint64(h[2:])
	}
	if err != nil {
		return f, err
	}
	f.op, f.fin, f.rsv1 = h[0]&15, h[0]&0x80 != 0, h[0]&0x40 != 0
	if h[0]&0x30 != 0 || f.rsv1 && f.op != 1 && f.op != 2 || n > 1<<31 {
		return f, fmt.Errorf("a server sent the header % x", h)
	}
	f.payload = make([]byte, n)
	_, err = io.ReadFull(r, f.payload)
	return f, err
}

// expectDeflateClose reads up to the Close frame, compressed messages included.
func (a *attacker) expectDeflateClose(t testing.TB, code int) {
	t.Helper()
	for {
		f, err := readServerFrame(a.r)
		if err != nil {
			t.Fatalf("wanted Close %d, got %v", code, err)
		}
		if f.op == 8 {
			if got := int(binary.BigEndian.Uint16(f.payload)); got != code {
				t.Fatalf("Close %d, want %d", got, code)
			}
			return
		}
	}
}

// The two libraries, and what is made by hand, mean the same.
func TestDeflateAttacksAreWhatTheyClaim(t *testing.T) {
	for _, n := range []int{0, 1, 2, 258, 259, 260, 1000, 100_000} {
		if got, err := expanded(bomb(n), nil); err != nil || string(got) != strings.Repeat("a", n) {
			t.Errorf("a bomb of %d bytes is %d: %v", n, len(got), err)
		}
	}
	if k := len(bomb(64 << 20)); k > 66_000 {
		t.Errorf("64 MiB take %d bytes", k)
	}
	for name, p := range map[string][]byte{"costly": costlyBlock(), "least": leastBlock(), "stored": stored("")} {
		if got, err := expanded(append(bytes.Repeat(p, 3), 0), nil); err != nil || len(got) != 0 {
			t.Errorf("an empty block, %s, is %d bytes: %v", name, len(got), err)
		}
	}
}
