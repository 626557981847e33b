package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

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

// deflateEar reads the messages of a server that compresses, and keeps the window.
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
