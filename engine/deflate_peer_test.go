package engine

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// flatePeer is a client with permessage-deflate out of the standard library's compress/flate,
// and frames made here: with package deflate, or codec, it shares no mistake.
//
// One goroutine may send while another receives. The methods with an error may be called
// from any of them; the others fail the test, and belong to its own.
type flatePeer struct {
	*attacker
	t      testing.TB
	answer string // the response's Sec-WebSocket-Extensions

	agreed bool
	server flateContext // what the server's messages may refer to
	client flateContext // what ours do

	sending sync.Mutex // frames of say, ping and their like do not mix
	squeeze squeezer
	window  []byte // the end of what the server's compressed messages inflated to
	pings   int    // from the server
	pongs   []string
}

// flateContext is one direction's part of the agreement.
type flateContext struct {
	bits     int
	takeover bool
}

// dialFlate opens a connection with this value of Sec-WebSocket-Extensions ("": none), and
// further header lines.
func dialFlate(t testing.TB, s *Server, offer string, lines ...string) *flatePeer {
	t.Helper()
	return dialFlateAt(t, s.Addr().Network(), s.Addr().String(), "/echo", offer, lines...)
}

func dialFlateAt(t testing.TB, network, addr, path, offer string, lines ...string) *flatePeer {
	t.Helper()
	return flateOver(t, knock(t, network, addr), path, offer, lines...)
}

// flateOver opens a connection over a transport that nobody has used yet.
func flateOver(t testing.TB, a *attacker, path, offer string, lines ...string) *flatePeer {
	t.Helper()
	p := &flatePeer{attacker: a, t: t}
	if offer != "" {
		lines = append([]string{"Sec-WebSocket-Extensions: " + offer}, lines...)
	}
	p.attacker.say(t, requestFor(path, lines...))
	p.opened()
	return p
}

// opened reads the response and takes over what it agrees to.
func (p *flatePeer) opened() {
	p.t.Helper()
	r, err := http.ReadResponse(p.r, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatal("no 101: ", r, err)
	}
	if n := len(r.Header.Values("Sec-WebSocket-Extensions")); n > 1 {
		p.t.Fatal("extensions in so many headers:", n)
	}
	p.answer = r.Header.Get("Sec-WebSocket-Extensions")
	p.server, p.client = flateContext{15, true}, flateContext{15, true}
	if p.answer != "" {
		p.agreed = true
		p.agree()
	}
	p.squeeze = squeezer{flateContext: p.client, level: 6}
}

func (p *flatePeer) agree() {
	p.t.Helper()
	seen := map[string]bool{}
	for i, field := range strings.Split(p.answer, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		if (name == "permessage-deflate") != (i == 0) || seen[name] {
			p.t.Fatalf("the server answers %q", p.answer)
		}
		seen[name] = true
		bits, err := strconv.Atoi(value)
		if isWindow := strings.HasSuffix(name, "_bits"); isWindow != (err == nil && bits >= 8 && bits <= 15 && value == strconv.Itoa(bits)) {
			p.t.Fatalf("the server answers %q", p.answer)
		}
		switch name {
		case "permessage-deflate":
		case "server_no_context_takeover":
			p.server.takeover = false
		case "client_no_context_takeover":
			p.client.takeover = false
		case "server_max_window_bits":
			p.server.bits = bits
		case "client_max_window_bits":
			p.client.bits = bits
		default:
			p.t.Fatalf("the server answers %q", p.answer)
		}
	}
}

// frame writes one masked frame, whatever it says. Any goroutine.
func (p *flatePeer) frame(first byte, payload []byte) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	_, err := p.Write(maskedFrame(first, payload))
	return err
}

// The bits of a frame's first byte.
const (
	finBit  = 0x80
	rsv1Bit = 0x40
)

// say sends one compressed message in one frame.
func (p *flatePeer) say(op Opcode, payload []byte) error {
	return p.frame(finBit|rsv1Bit|byte(op), p.squeeze.message(payload))
}

// sayPlain sends one message as it is, which has no part in the history.
func (p *flatePeer) sayPlain(op Opcode, payload []byte) error {
	return p.frame(finBit|byte(op), payload)
}

// sayCut sends one compressed message whose frames end at these offsets of its compressed
// form (those beyond it end nothing), with a ping before each frame but the first.
func (p *flatePeer) sayCut(op Opcode, payload []byte, at ...int) error {
	return p.sayFrames(op, cutAt(p.squeeze.message(payload), at...), true)
}

// sayParts sends one compressed message, each part in a frame of its own that can be
// inflated when it arrives.
func (p *flatePeer) sayParts(op Opcode, parts ...[]byte) error {
	return p.sayFrames(op, p.squeeze.parts(parts...), false)
}

func (p *flatePeer) sayFrames(op Opcode, payloads [][]byte, pings bool) error {
	for i, b := range payloads {
		first := byte(0)
		if i == 0 {
			first = rsv1Bit | byte(op)
		} else if pings {
			if err := p.frame(finBit|9, []byte(strconv.Itoa(i))); err != nil {
				return err
			}
		}
		if i == len(payloads)-1 {
			first |= finBit
		}
		if err := p.frame(first, b); err != nil {
			return err
		}
	}
	return nil
}

func cutAt(b []byte, at ...int) (parts [][]byte) {
	from := 0
	for _, to := range at {
		if to = min(to, len(b)); to >= from {
			parts = append(parts, b[from:to])
			from = to
		}
	}
	return append(parts, b[from:])
}

// sends is say that must succeed.
func (p *flatePeer) sends(op Opcode, payload []byte) {
	p.t.Helper()
	if err := p.say(op, payload); err != nil {
		p.t.Fatal("the client's write:", err)
	}
}

// sayClose sends a Close frame.
func (p *flatePeer) sayClose(code int, reason string) {
	p.t.Helper()
	if err := p.frame(finBit|8, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)); err != nil {
		p.t.Fatal("the client's write:", err)
	}
}

// flateFrame is one frame of the server's.
type flateFrame struct {
	op        Opcode
	fin, rsv1 bool
	payload   []byte
}

// hearFrame reads one frame, and refuses what no server may send.
func (p *flatePeer) hearFrame() (f flateFrame, err error) {
	var h [2]byte
	if _, err := io.ReadFull(p.r, h[:]); err != nil {
		return f, err
	}
	n := uint64(h[1] & 0x7f)
	if more := map[uint64]int{126: 2, 127: 8}[n]; more != 0 {
		var b [8]byte
		if _, err := io.ReadFull(p.r, b[8-more:]); err != nil {
			return f, err
		}
		n = binary.BigEndian.Uint64(b[:])
		if n < 126 || more == 8 && n < 1<<16 {
			return f, fmt.Errorf("a length of %d in %d bytes", n, more)
		}
	}
	f = flateFrame{op: Opcode(h[0] & 15), fin: h[0]&finBit != 0, rsv1: h[0]&rsv1Bit != 0}
	switch {
	case h[0]&0x30 != 0, h[1]&0x80 != 0, n > 1<<31, f.op > 2 && f.op < 8, f.op > 10:
		err = fmt.Errorf("a server sent the header % x", h)
	case f.rsv1 && !p.agreed:
		err = errors.New("RSV1, and nothing was agreed on")
	case f.rsv1 && f.op != OpText && f.op != OpBinary:
		err = fmt.Errorf("RSV1 on opcode %d", f.op)
	case f.op >= 8 && (!f.fin || n > 125):
		err = fmt.Errorf("a control frame in parts, or of %d bytes", n)
	}
	if err != nil {
		return f, err
	}
	f.payload = make([]byte, n)
	_, err = io.ReadFull(p.r, f.payload)
	return f, err
}

// flateMessage is what the server sent as one message.
type flateMessage struct {
	op         Opcode
	payload    []byte
	compressed bool
	frames     int
	wire       int // bytes of the frames' payloads
}

// errClosing is a Close frame in place of a message.
type errClosing struct {
	code   int
	reason string
}

func (e errClosing) Error() string { return fmt.Sprintf("Close %d %q", e.code, e.reason) }

// hear reads one message, inflated. Pings and pongs on the way are noted; a Close frame is
// an errClosing.
func (p *flatePeer) hear() (m flateMessage, err error) {
	var wire []byte
	for {
		f, err := p.hearFrame()
		if err != nil {
			return m, err
		}
		if f.op >= 8 {
			if err := p.control(f); err != nil {
				return m, err
			}
			continue
		}
		if (f.op == 0) != (m.frames > 0) {
			return m, fmt.Errorf("opcode %d as frame %d of a message", f.op, m.frames)
		}
		if f.op != 0 {
			m.op, m.compressed = f.op, f.rsv1
		}
		m.frames++
		wire = append(wire, f.payload...)
		if f.fin {
			return p.whole(m, wire)
		}
	}
}

func (p *flatePeer) control(f flateFrame) error {
	switch f.op {
	case 9:
		p.pings++
	case 10:
		p.pongs = append(p.pongs, string(f.payload))
	case 8:
		if len(f.payload) < 2 {
			return errClosing{code: 1005}
		}
		return errClosing{int(binary.BigEndian.Uint16(f.payload)), string(f.payload[2:])}
	}
	return nil
}

// whole makes a message of its frames' payloads.
func (p *flatePeer) whole(m flateMessage, wire []byte) (_ flateMessage, err error) {
	m.wire, m.payload = len(wire), wire
	if m.compressed {
		if m.payload, err = p.inflate(wire); err != nil {
			return m, err
		}
	}
	if m.op == OpText && !utf8.Valid(m.payload) {
		return m, errors.New("text that is no UTF-8")
	}
	return m, nil
}

// inflate undoes RFC 7692 7.2.1 for a whole message, with no more of a window than was
// agreed on, and keeps what the next message may refer to.
func (p *flatePeer) inflate(wire []byte) ([]byte, error) {
	if p.server.bits < 15 {
		if err := checkDistances(wire, len(p.window), 1<<p.server.bits); err != nil {
			return nil, err
		}
	}
	tail := "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff" // what was removed, and a last block
	src := bytes.NewReader(append(bytes.Clone(wire), tail...))
	out, err := io.ReadAll(flate.NewReaderDict(src, p.window))
	if err != nil || src.Len() != 0 {
		return out, fmt.Errorf("what the server compressed: %w, %d bytes unread", err, src.Len())
	}
	if p.server.takeover {
		p.window = lastBytes(append(p.window, out...), 1<<p.server.bits)
	}
	return out, nil
}

// inflateSoFar is as much as can be inflated of a message that is not whole: all that its
// sender has flushed.
func (p *flatePeer) inflateSoFar(wire []byte) ([]byte, error) {
	out, err := io.ReadAll(flate.NewReaderDict(bytes.NewReader(wire), p.window))
	if err == io.ErrUnexpectedEOF {
		err = nil
	}
	return out, err
}

func lastBytes(b []byte, n int) []byte { return bytes.Clone(b[max(0, len(b)-n):]) }

// hears is hear that must succeed.
func (p *flatePeer) hears() flateMessage {
	p.t.Helper()
	m, err := p.hear()
	if err != nil {
		p.t.Fatal("the client's read:", err)
	}
	return m
}

// wants reads this message.
func (p *flatePeer) wants(op Opcode, payload []byte) flateMessage {
	p.t.Helper()
	m := p.hears()
	if m.op != op || !bytes.Equal(m.payload, payload) {
		p.t.Fatalf("got %d bytes of opcode %d: %.60q, want %d of %d: %.60q", len(m.payload), m.op, m.payload, len(payload), op, payload)
	}
	return m
}

// wantsClose reads a Close frame, no message before it, and the stream's end behind it
// unless the server waits for our answer.
func (p *flatePeer) wantsClose(code int) {
	p.t.Helper()
	m, err := p.hear()
	var e errClosing
	if !errors.As(err, &e) || e.code != code {
		p.t.Fatalf("got %d bytes and %v, want Close %d", len(m.payload), err, code)
	}
}

// echoes sends a message and wants it back.
func (p *flatePeer) echoes(op Opcode, payload []byte) flateMessage {
	p.t.Helper()
	p.sends(op, payload)
	return p.wants(op, payload)
}

// squeezer compresses what the client sends.
type squeezer struct {
	flateContext
	level   int
	w       *flate.Writer
	out     bytes.Buffer
	history []byte // for windows of less than 32 KiB, which compress/flate does not know
}

// message is one compressed message.
func (z *squeezer) message(p []byte) []byte { return bytes.Join(z.parts(p), nil) }

// parts is one compressed message, of which each part can be inflated with those before it.
func (z *squeezer) parts(all ...[]byte) (out [][]byte) {
	if !z.takeover {
		z.forget()
	}
	for _, p := range all {
		z.out.Reset()
		if z.bits == 15 {
			z.wide(p)
		} else {
			z.narrow(p)
		}
		out = append(out, bytes.Clone(z.out.Bytes()))
	}
	last := len(out) - 1
	out[last] = bytes.TrimSuffix(out[last], []byte("\x00\x00\xff\xff"))
	return out
}

// forget begins a new context, which is a sender's right at any message (RFC 7692 7.1.1).
func (z *squeezer) forget() { z.w, z.history = nil, nil }

func (z *squeezer) wide(p []byte) {
	if z.w == nil {
		w, err := flate.NewWriter(&z.out, z.level)
		if err != nil {
			panic(err)
		}
		z.w = w
	}
	_, _ = z.w.Write(p)
	_ = z.w.Flush()
}

// narrow compresses in segments of half a window, each by a writer that has read the half
// before it: no distance is longer than both. (NewWriterDict would do that, but repeats its
// dictionary in front of what does not shrink.) What follows the 16th is not worth the time.
func (z *squeezer) narrow(p []byte) {
	half := 1 << (z.bits - 1)
	for i := 0; len(p) > 0 || i == 0; i++ {
		n, level := min(half, len(p)), z.level
		if i == 16 {
			n, level = len(p), flate.HuffmanOnly
		}
		mark := z.out.Len()
		w, err := flate.NewWriter(&z.out, level)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(z.history)
		_ = w.Flush()
		z.out.Truncate(mark)
		_, _ = w.Write(p[:n])
		_ = w.Flush()
		z.history = lastBytes(append(z.history, p[:n]...), half)
		p = p[n:]
	}
}

// The peer itself: what it sends it can receive, in any window.
func TestFlatePeer(t *testing.T) {
	p := &flatePeer{t: t, agreed: true}
	for bits := 8; bits <= 15; bits++ {
		for _, takeover := range []bool{true, false} {
			z := squeezer{flateContext: flateContext{bits, takeover}, level: 6}
			p.server, p.window = z.flateContext, nil
			short := 0
			for i, n := range []int{1, 1, 0, 30, 3} {
				text := []byte(strings.Repeat(fmt.Sprintf(`{"n":%d,"s":"some text"}`, i), n))
				wire := z.message(text)
				if got, err := p.inflate(wire); err != nil || !bytes.Equal(got, text) {
					t.Fatal(bits, takeover, i, err)
				}
				if i == 1 {
					short = len(wire)
				}
			}
			if (short < 20) != takeover {
				t.Errorf("%d bits, takeover %v: the second message took %d bytes", bits, takeover, short)
			}
		}
	}
}

// The check of distances can fail.
func TestCheckDistances(t *testing.T) {
	p := make([]byte, 1500)
	for i := range 500 {
		p[i] = byte(i*i>>3 ^ i)
	}
	copy(p[1000:], p[:500])
	z := squeezer{flateContext: flateContext{15, true}, level: 6}
	wire := z.message(p)
	for window, ok := range map[int]bool{256: false, 512: false, 1024: true, 1 << 15: true} {
		if err := checkDistances(wire, 0, window); (err == nil) != ok {
			t.Error(window, err)
		}
	}
	again := z.message(p)
	for kept, ok := range map[int]bool{0: false, 1500: true} {
		if err := checkDistances(again, kept, 1<<15); (err == nil) != ok {
			t.Error(kept, err)
		}
	}
}
