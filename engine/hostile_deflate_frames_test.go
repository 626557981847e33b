package engine

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gannet-ws/gannet/engine/internal/incoming"
)

// TestDeflateRSV1: RSV1 says that a message is compressed, on the first frame of a data message of a connection that
// agreed on it (RFC 7692 6.1, 6.2), and is an error (1002) everywhere else.
func TestDeflateRSV1(t *testing.T) {
	text := squeezed([]byte("hello, hello, hello"), nil)
	begun, plain := maskedFrame(0x41, text), maskedFrame(0x01, []byte("hello"))
	type attack struct {
		name   string
		agreed bool
		say    []byte
	}
	all := []attack{
		{"without agreement", false, maskedFrame(0xc1, text)},
		{"without agreement, empty", false, maskedFrame(0xc2, nil)},
		{"without agreement, a fragment", false, begun},
		{"on a continuation of a compressed message", true, append(bytes.Clone(begun), maskedFrame(0xc0, nil)...)},
		{"on a continuation that is not the last", true, append(bytes.Clone(begun), maskedFrame(0x40, text)...)},
		{"on a continuation of another message", true, append(bytes.Clone(plain), maskedFrame(0xc0, text)...)},
		{"on a continuation of nothing", true, maskedFrame(0xc0, text)},
		{"with RSV2", true, maskedFrame(0xe1, text)},
		{"with RSV3", true, maskedFrame(0xd2, text)},
		{"on a reserved opcode", true, maskedFrame(0xc3, text)},
		{"unmasked", true, append([]byte{0xc1, byte(len(text))}, text...)},
	}
	for op, what := range map[byte]string{8: "Close", 9: "ping", 10: "pong"} {
		all = append(all, attack{"on " + what, true, maskedFrame(0xc0|op, nil)},
			attack{"on " + what + " inside a compressed message", true, append(bytes.Clone(begun), maskedFrame(0xc0|op, []byte{3, 232})...)},
			attack{"on a fragmented " + what, true, maskedFrame(0x40|op, nil)})
	}
	messages := 0
	r := newTapeRig(t, Funcs{Message: func(*Conn, Message) { messages++ }}, Options{Deflate: deflateOn()})
	for _, k := range all {
		for cut := range len(k.say) + 1 {
			messages = 0
			if k.agreed {
				r.openDeflate(anyDeflate)
			} else {
				r.open()
			}
			r.feed(bytes.Clone(k.say[:cut]), bytes.Clone(k.say[cut:]), maskedFrame(0x81, []byte("behind")))
			if code := r.closeCode(); code != 1002 || messages != 0 {
				t.Errorf("%s, cut at %d: Close %d, %d messages", k.name, cut, code, messages)
			}
			r.end()
		}
	}
}

// TestDeflateLengths: a compressed message may take more bytes on the wire than MaxMessageSize, but not any number: what
// no sender needs is answered at the header (1009), and nothing is allocated for it.
func TestDeflateLengths(t *testing.T) {
	most := (&incoming.Limits{MaxMessageSize: hostileLimit}).MaxWire()
	begun := func(n uint64) []byte { return append(maskedFrame(0x42, []byte{2}), frameHead(0x80, n)...) }
	for _, k := range []announcement{
		{"top bit set", longHead(0xc2, 1<<63), 1002},
		{"all bits set", longHead(0xc2, 1<<64-1), 1002},
		{"2^63-1", longHead(0xc2, 1<<63-1), 1009},
		{"2^62", longHead(0xc2, 1<<62), 1009},
		{"2^32+5: wraps to 5 in 32 bits", longHead(0xc2, 1<<32+5), 1009},
		{"2^31", longHead(0xc1, 1<<31), 1009},
		{"the most", longHead(0xc2, most), 0},
		{"the most and one", longHead(0xc2, most+1), 1009},
		{"the most and one, of a fragment", longHead(0x42, most+1), 1009},
		{"a sum of the most", begun(most - 1), 0},
		{"a sum of the most and one", begun(most), 1009},
		{"a sum over int64", begun(1<<63 - 1), 1009},
		{"the limit and one", frameHead(0xc2, hostileLimit+1), 0},
		{"125 in 64 bits", longHead(0xc2, 125), 1002},
		{"65535 in 64 bits", longHead(0xc2, 65535), 1002},
		{"125 in 16 bits", []byte{0xc2, 0xfe, 0, 125}, 1002},
	} {
		r := newTapeRig(t, Funcs{}, Options{Deflate: deflateOn(), Limits: Limits{MaxMessageSize: hostileLimit}})
		r.openDeflate(anyDeflate)
		before := r.s.Stats().Buffers.Gets
		r.feed(k.say)
		if code := r.closeCode(); code != k.code {
			t.Errorf("%s: Close %d, want %d", k.name, code, k.code)
		}
		if n := r.s.Stats().Buffers.Gets - before; n != 0 {
			t.Errorf("%s: took %d buffers", k.name, n)
		}
		r.end()
	}
}

// TestDeflateLongestFrame: under the highest MaxMessageSize, which is the default, a compressed frame of more than 2147483647
// bytes is refused at its header all the same.
func TestDeflateLongestFrame(t *testing.T) {
	begun := func(n uint64) []byte { return append(maskedFrame(0x42, []byte{2}), frameHead(0x80, n)...) }
	for _, k := range []announcement{
		{"the longest", longHead(0xc2, MaxMessage), 0},
		{"one byte more", longHead(0xc2, MaxMessage+1), 1009},
		{"one byte more, of a fragment", longHead(0x41, MaxMessage+1), 1009},
		{"2^34", longHead(0xc2, 1<<34), 1009},
		{"a continuation of one byte more", begun(MaxMessage + 1), 1009},
		{"a sum of one byte more", begun(MaxMessage), 0},
	} {
		r := newTapeRig(t, Funcs{}, Options{Deflate: deflateOn()})
		r.openDeflate(anyDeflate)
		before := r.s.Stats().Buffers.Gets
		r.feed(k.say)
		if code := r.closeCode(); code != k.code {
			t.Errorf("%s: Close %d, want %d", k.name, code, k.code)
		}
		if n := r.s.Stats().Buffers.Gets - before; n != 0 {
			t.Errorf("%s: took %d buffers", k.name, n)
		}
		r.end()
	}
}

// TestDeflateLengthsBesideInnocent: the same lies by the hundred cost nobody else anything.
func TestDeflateLengthsBesideInnocent(t *testing.T) {
	s := startServer(t, echoHandler, Options{Deflate: deflateOn(), Limits: Limits{MaxMessageSize: hostileLimit}})
	most := (&incoming.Limits{MaxMessageSize: hostileLimit}).MaxWire()
	besideInnocent(t, s, func() {
		for i := range 50 {
			for _, n := range []uint64{1 << 62, 1 << 31, most + 1} {
				a := attackDeflate(t, s, fmt.Sprint("/", i), anyDeflate)
				a.say(t, string(longHead(0xc2, n)), "and some bytes of it")
				a.expectClose(t, 1009)
			}
		}
	})
}

// TestDeflateMillionsOfEmptyFragments: as many as MaxFragments are one message, compressed or not, and one more is 1008.
func TestDeflateMillionsOfEmptyFragments(t *testing.T) {
	const most = 200_000
	messages, size := 0, 0
	r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { messages, size = messages+1, len(m.Data) }},
		Options{Deflate: deflateOn(), Limits: Limits{MaxFragments: most}})
	payload := squeezed([]byte("between empty fragments"), nil)
	for more, want := range map[int]int{0: 0, 1: 1008} {
		messages = 0
		r.openDeflate(anyDeflate)
		empty := bytes.Repeat(maskedFrame(0, nil), most/2-1+more)
		r.feed(maskedFrame(0x41, payload[:5]), bytes.Clone(empty), maskedFrame(0, payload[5:]), empty[:len(empty)-6*(more+1)], maskedFrame(0x80, nil))
		if code := r.closeCode(); code != want || messages != 1-more || messages == 1 && size != len("between empty fragments") {
			t.Errorf("%d fragments more: Close %d, %d messages", more, code, messages)
		}
		if b := r.s.Stats().Buffers.OutBytes; b > 64<<10 {
			t.Errorf("%d bytes of buffers", b)
		}
		r.end()
	}
}

// TestDeflateControlsBetweenFragments: they pass (RFC 6455 5.4), wherever the inflater has stopped.
func TestDeflateControlsBetweenFragments(t *testing.T) {
	text := bytes.Repeat([]byte("between the fragments "), 100)
	var got []byte
	pings := 0
	r := newTapeRig(t, Funcs{
		Message: func(_ *Conn, m Message) { got = bytes.Clone(m.Data) },
		Ping:    func(*Conn, []byte) { pings++ },
	}, Options{Deflate: deflateOn()})
	r.openDeflate(anyDeflate)
	payload := squeezed(text, nil)
	r.feed(maskedFrame(0x42, nil))
	for _, b := range payload {
		r.feed(maskedFrame(0x89, []byte("p")), maskedFrame(0, []byte{b}))
	}
	r.feed(maskedFrame(0x80, nil))
	if !bytes.Equal(got, text) || pings != len(payload) {
		t.Errorf("%d bytes, %d pings", len(got), pings)
	}
	r.end()
}
