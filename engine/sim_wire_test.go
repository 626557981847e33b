package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// wireEvents hears of what the engine sent.
type wireEvents interface {
	onHead(head string)
	onFrame(op Opcode, fin, rsv1 bool, n uint64)
	onData(p []byte) // inflated
	onMessageEnd()
	onControl(op Opcode, p []byte)
	onIllegal(what string)
}

// wireScanner reads the engine's stream, a server's or a client's, in whatever pieces it comes: the HTTP head, then
// frames. It is written anew and shares nothing with package codec, nor package deflate, so that
// they do not agree on the same mistake.
type wireScanner struct {
	to      wireEvents
	client  bool // its frames are masked
	mask    simMask
	skims   bool // it does not inflate: onData says nothing of compressed messages
	opened  bool
	refused bool   // what follows is not frames
	head    []byte // of the response, then of the frame under way
	inFrame bool
	op      Opcode
	fin     bool
	left    uint64
	control []byte
	inside  bool // of a fragmented message

	agreed     *simAgreement // permessage-deflate was
	inflater   *simInflater
	compressed bool   // the message under way is
	packed     []byte // what came of the frame under way, of such a message
}

func (s *wireScanner) feed(b []byte) {
	for len(b) > 0 {
		switch {
		case s.refused:
			return
		case !s.opened:
			s.head, b = append(s.head, b[0]), b[1:]
			if strings.HasSuffix(string(s.head[max(0, len(s.head)-4):]), "\r\n\r\n") {
				head := string(s.head)
				s.opened, s.head = true, s.head[:0]
				if !s.client {
					s.refused = head[9:12] != "101"
					s.agree(parseSimAgreement(head, "server", "client"))
				}
				s.to.onHead(head)
			}
		case !s.inFrame:
			s.head, b = append(s.head, b[0]), b[1:]
			s.tryHeader()
		default:
			n := int(min(s.left, uint64(len(b))))
			s.take(s.mask.off(b[:n]))
			b = b[n:]
		}
	}
}

// agree notes what the answer says of permessage-deflate.
func (s *wireScanner) agree(a *simAgreement) {
	if s.agreed = a; a != nil {
		s.inflater = a.inflater()
	}
}

// simMask is what a client's frames are masked with (RFC 6455 5.3).
type simMask struct {
	key    [4]byte
	at     int // of the payload
	same   int // how many frames in a row had this key
	masked bool
	plain  []byte
}

// next begins a frame with this key. It reports false for one that nobody would have chosen.
func (k *simMask) next(key []byte) (fresh bool) {
	if k.at, k.masked = 0, true; [4]byte(key) != k.key {
		k.same = 0
	}
	k.key = [4]byte(key)
	k.same++
	return k.same < 3 && k.key != [4]byte{}
}

// off is a part of the payload without its mask. It is the scanner's until the next one.
func (k *simMask) off(p []byte) []byte {
	if !k.masked {
		return p
	}
	k.plain = append(k.plain[:0], p...)
	for i := range k.plain {
		k.plain[i] ^= k.key[k.at&3]
		k.at++
	}
	return k.plain
}

// tryHeader begins a frame if its header is whole.
func (s *wireScanner) tryHeader() {
	if len(s.head) < 2 {
		return
	}
	n, size := uint64(s.head[1]&0x7f), 2
	switch n {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	header := size
	if s.client {
		size += 4
	}
	if len(s.head) < size {
		return
	}
	switch header {
	case 4:
		n = uint64(binary.BigEndian.Uint16(s.head[2:]))
	case 10:
		n = binary.BigEndian.Uint64(s.head[2:])
	}
	if s.client && !s.mask.next(s.head[header:]) {
		s.to.onIllegal(fmt.Sprintf("the masking key % x, %d times", s.mask.key, s.mask.same))
	}
	s.op, s.fin, s.left, s.inFrame = Opcode(s.head[0]&15), s.head[0]&0x80 != 0, n, true
	rsv1 := s.head[0]&0x40 != 0 && s.agreed != nil && (s.op == OpText || s.op == OpBinary)
	if s.head[0]&0x70 != 0 && !rsv1 || s.head[0]&0x30 != 0 || (s.head[1]&0x80 != 0) != s.client {
		s.to.onIllegal(fmt.Sprintf("a frame header % x", s.head))
	}
	s.head = s.head[:0]
	s.begin(n, rsv1)
	if s.left == 0 {
		s.end()
	}
}

func (s *wireScanner) begin(n uint64, rsv1 bool) {
	switch {
	case s.op >= OpClose:
		s.control = s.control[:0]
		if !s.fin || n > 125 {
			s.to.onIllegal("an oversized or fragmented control frame")
		}
		return
	case (s.op == 0) != s.inside:
		s.to.onIllegal(fmt.Sprintf("opcode %d; inside a message: %v", s.op, s.inside))
	}
	s.inside = !s.fin
	if s.op != 0 {
		s.compressed = rsv1
	}
	s.to.onFrame(s.op, s.fin, rsv1, n)
}

func (s *wireScanner) take(p []byte) {
	s.left -= uint64(len(p))
	switch {
	case s.op >= OpClose:
		s.control = append(s.control, p...)
	case !s.compressed:
		s.to.onData(p)
	case !s.skims:
		s.packed = append(s.packed, p...)
	}
	if s.left == 0 {
		s.end()
	}
}

func (s *wireScanner) end() {
	s.inFrame = false
	if s.op < OpClose && s.compressed && !s.skims {
		s.inflate()
	}
	switch {
	case s.op >= OpClose:
		s.to.onControl(s.op, s.control)
	case s.fin:
		s.to.onMessageEnd()
	}
}

// inflate takes a whole frame of a compressed message.
func (s *wireScanner) inflate() {
	plain, err := s.inflater.feed(s.packed, s.fin)
	s.packed = s.packed[:0]
	if err != nil {
		s.to.onIllegal(fmt.Sprintf("a compressed message with %v", err))
		return
	}
	s.to.onData(plain)
}

// digest is a message as the laws know it.
type digest struct {
	op  Opcode
	n   int
	crc uint32
}

func digestOf(op Opcode, p []byte) digest {
	return digest{op, len(p), crc32.ChecksumIEEE(p)}
}

func (d *digest) add(p []byte) {
	d.n += len(p)
	d.crc = crc32.Update(d.crc, crc32.IEEETable, p)
}

// materials are what random payloads are cut from. phrases says the same again and again, so
// that a compressed message refers to those before it.
var materials = func() (m struct{ text, binary, phrases []byte }) {
	r := rand.New(rand.NewPCG(1, 2))
	for len(m.text) < 512<<10 {
		m.text = utf8.AppendRune(m.text, []rune("abcdefghij klmnopé€漢😀")[r.IntN(22)%len([]rune("abcdefghij klmnopé€漢😀"))])
		m.binary = append(m.binary, byte(r.Uint32()), byte(r.Uint32()))
	}
	var phrases [60][]byte
	for i := range phrases {
		at := r.IntN(len(m.text) - 100)
		phrases[i] = bytes.ToValidUTF8(m.text[at:at+8+r.IntN(60)], nil)
	}
	for len(m.phrases) < 512<<10 {
		m.phrases = append(m.phrases, phrases[r.IntN(len(phrases))]...)
		m.phrases = strconv.AppendInt(m.phrases, int64(r.IntN(1000)), 10)
	}
	return m
}()

// randomSize prefers small messages, and the sizes where the engine changes its ways.
func randomSize(r *rand.Rand) int {
	switch k := r.IntN(100); {
	case k < 45:
		return r.IntN(126)
	case k < 70:
		return r.IntN(outgoing.DirectBytes + 16)
	case k < 90:
		return r.IntN(outgoing.CorkBytes + 16)
	case k < 97:
		return r.IntN(72 << 10)
	default:
		return r.IntN(200 << 10)
	}
}

// randomPayload is a message; the caller must not change it.
func randomPayload(r *rand.Rand, n int) (Opcode, []byte) {
	switch r.IntN(4) {
	case 0:
		at := r.IntN(len(materials.binary) - n)
		return OpBinary, materials.binary[at : at+n : at+n]
	case 1:
		return OpText, cutText(r, materials.text, n)
	}
	return OpBinary - Opcode(r.IntN(2)), cutText(r, materials.phrases, n)
}

// cutText is about n bytes of text, which end no code point early.
func cutText(r *rand.Rand, text []byte, n int) []byte {
	from := r.IntN(len(text) - n - 8)
	for !utf8.RuneStart(text[from]) {
		from++
	}
	to := from + n
	for !utf8.RuneStart(text[to]) {
		to++
	}
	return text[from:to:to]
}
