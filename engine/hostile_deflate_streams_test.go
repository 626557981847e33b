package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// brokenStream is the payload of a compressed message that is none, and what it is answered with.
type brokenStream struct {
	name    string
	payload []byte
	code    int
	why     deflate.Error
}

// fixedMatch is a fixed block of some bytes and a match of 3 bytes at a distance.
func fixedMatch(literals string, distance int) []byte {
	var b bitWriter
	b.number(0, 1)
	b.number(1, 2)
	for _, c := range []byte(literals) { // ASCII: 8 bits from 0x30 on
		b.code(0x30+int(c), 8)
	}
	b.code(1, 7) // 257: a length of 3
	symbol, base, extra := 0, 1, 0
	for symbol < 29 && distance >= base+1<<extra {
		base += 1 << extra
		symbol++
		extra = max(0, symbol/2-1)
	}
	b.code(symbol, 5)
	b.number(distance-base, extra)
	b.code(0, 7) // the end
	b.number(0, 3)
	return b.bytes
}

func brokenStreams() []brokenStream {
	bits := func(f func(b *bitWriter)) []byte {
		var b bitWriter
		f(&b)
		return append(b.bytes, make([]byte, 40)...)
	}
	return []brokenStream{
		{"reserved block type", []byte{0x06}, 1007, deflate.ErrBlockType},
		{"reserved block type, final", []byte{0x07, 1, 2, 3}, 1007, deflate.ErrBlockType},
		{"reserved block type behind a good block", append(stored("fine"), 0x06), 1007, deflate.ErrBlockType},
		{"garbage", bytes.Repeat([]byte{0xff}, 1000), 1007, deflate.ErrBlockType},
		{"plain text with RSV1", []byte("Hello, this is not compressed at all."), 1007, 0},
		{"stored length mismatch", []byte{0, 5, 0, 5, 0, 'h', 'e', 'l', 'l', 'o'}, 1007, deflate.ErrStoredSize},
		{"stored length mismatch by a bit", []byte{0, 5, 0, 0xfa, 0x7f, 'h', 'e', 'l', 'l', 'o'}, 1007, deflate.ErrStoredSize},
		{"stored block cut off", stored("hello")[:8], 1007, 0},
		{"287 literals", bits(func(b *bitWriter) { b.number(4, 3); b.number(30, 5) }), 1007, deflate.ErrCodeLengths},
		{"31 distances", bits(func(b *bitWriter) { b.number(4, 3); b.number(0, 5); b.number(30, 5) }), 1007, deflate.ErrCodeLengths},
		{"no code for the lengths", bits(func(b *bitWriter) { b.lengthCode(0, 257, 1, nil) }), 1007, deflate.ErrCodeLengths},
		{"too many codes of one bit", bits(func(b *bitWriter) { b.lengthCode(0, 257, 1, map[int]int{1: 1, 2: 1, 3: 1}) }), 1007, deflate.ErrCodeLengths},
		{"too few codes", bits(func(b *bitWriter) { b.lengthCode(0, 257, 1, map[int]int{1: 2, 2: 2}) }), 1007, deflate.ErrCodeLengths},
		{"a repetition of nothing", bits(func(b *bitWriter) {
			b.lengthCode(0, 257, 1, map[int]int{16: 1, 1: 1})
			b.code(1, 1)
		}), 1007, deflate.ErrCodeLengths},
		{"a repetition past the end", bits(func(b *bitWriter) {
			b.lengthCode(0, 257, 1, map[int]int{18: 1, 1: 1})
			b.code(1, 1)
			b.number(127, 7)
			b.code(1, 1)
			b.number(127, 7)
		}), 1007, deflate.ErrCodeLengths},
		{"no end of block", bits(func(b *bitWriter) {
			b.lengthCode(0, 257, 1, map[int]int{18: 1, 1: 1})
			b.code(0, 1)
			b.code(1, 1)
			b.number(127, 7)
			b.code(1, 1)
			b.number(108, 7)
		}), 1007, deflate.ErrCodeLengths},
		{"length symbol 286", bits(func(b *bitWriter) { b.number(2, 3); b.code(0xc6, 8) }), 1007, deflate.ErrSymbol},
		{"distance symbol 30", bits(func(b *bitWriter) { b.number(2, 3); b.code(0x91, 8); b.code(1, 7); b.code(30, 5) }), 1007, deflate.ErrSymbol},
		{"distance before the start", fixedMatch("", 1), 1007, deflate.ErrDistance},
		{"distance before the start by one", fixedMatch("abc", 4), 1007, deflate.ErrDistance},
		{"distance of 32 KiB into nothing", fixedMatch("abc", 32768), 1007, deflate.ErrDistance},
		{"text that is no UTF-8", squeezed([]byte("caf\xe9 au lait"), nil), 1007, 0},
		{"text that ends inside a code point", squeezed([]byte("caf\xc3"), nil), 1007, 0},
	}
}

// TestDeflateBrokenStreams: each ends its connection with its code, nothing of it and nothing behind it is delivered,
// wherever its frames are cut.
func TestDeflateBrokenStreams(t *testing.T) {
	var ended CloseEvent
	messages := 0
	r := newTapeRig(t, Funcs{
		Message: func(*Conn, Message) { messages++ },
		Close:   func(_ *Conn, e CloseEvent) { ended = e },
	}, Options{Deflate: deflateOn()})
	behind := append(maskedFrame(0xc1, squeezed([]byte("never to be seen"), nil)), maskedFrame(0x81, []byte("nor this"))...)
	for _, k := range brokenStreams() {
		for n := 1; n <= len(k.payload)+1 && n < 60; n++ {
			messages = 0
			r.openDeflate(anyDeflate)
			r.feed(fragmentsOf(0xc1, k.payload, n), behind)
			if code := r.closeCode(); code != k.code || messages != 0 {
				t.Errorf("%s, in fragments of %d: Close %d, %d messages", k.name, n, code, messages)
			}
			r.feed(bytes.Clone(behind))
			r.end()
			if messages != 0 || k.why != 0 && !errors.Is(ended.Err, k.why) || closeCodeOf(ended.Err) != k.code {
				t.Errorf("%s: %d messages behind it, %+v", k.name, messages, ended)
			}
		}
	}
}

// TestDeflateDistances: of the agreed window every distance is taken, and none beyond it (1002), however much was sent.
func TestDeflateDistances(t *testing.T) {
	history := make([]byte, 70_000)
	for i := range history {
		history[i] = byte('a' + i*7919%25)
	}
	for bits := 8; bits <= 15; bits++ {
		var got []byte
		r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { got = append(got, m.Data...) }}, Options{Deflate: &deflate.Policy{ReceiveWindowBits: bits}})
		for _, more := range []int{0, 1} {
			c := r.openDeflate(anyDeflate)
			if want := fmt.Sprint("client_max_window_bits=", bits); bits < 15 && !strings.Contains(c.Extensions(), want) {
				t.Fatal(c.Extensions())
			}
			got = nil
			for p := history; len(p) > 0; p = p[min(len(p), 60_000):] {
				r.feed(maskedFrame(0xc1, append(stored(string(p[:min(len(p), 60_000)])), 0)))
			}
			r.feed(maskedFrame(0xc1, fixedMatch("", 1<<bits+more)))
			code := r.closeCode()
			back := len(history) - 1<<bits
			switch {
			case bits == 15 && more == 1: // cannot be written
			case more == 1 && (code != 1002 || len(got) != len(history)):
				t.Errorf("%d bits: a distance of 2^%d+1 is answered with Close %d", bits, bits, code)
			case more == 0 && (code != 0 || !bytes.Equal(got[len(history):], history[back:back+3])):
				t.Errorf("%d bits: Close %d, %d bytes", bits, code, len(got))
			}
			r.end()
		}
	}
}

// TestDeflateNoTakeover: where the peer gave its context up (client_no_context_takeover), there is nothing to refer to.
func TestDeflateNoTakeover(t *testing.T) {
	for name, o := range map[string]*deflate.Policy{"offered": {}, "asked for": {PeerNoTakeover: true}} {
		r := newTapeRig(t, Funcs{}, Options{Deflate: o})
		offer := "permessage-deflate"
		if name == "offered" {
			offer += "; client_no_context_takeover"
		}
		c := r.openDeflate(offer)
		if !strings.Contains(c.Extensions(), "client_no_context_takeover") {
			t.Error(name, c.Extensions())
		}
		r.feed(maskedFrame(0xc2, append(stored("hello"), 0)), maskedFrame(0xc2, fixedMatch("", 5)))
		if code := r.closeCode(); code != 1007 {
			t.Error(name, "Close", code)
		}
		r.end()
	}
}

// TestDeflateTruncatedAnywhere: a message cut off after any byte ends its connection, unless what is left is whole.
func TestDeflateTruncatedAnywhere(t *testing.T) {
	text := strings.Repeat("a truncated block, ", 5) + "and again: a truncated block of another kind 0123456789"
	streams := map[string][]byte{
		"dynamic": squeezed([]byte(strings.Repeat(text, 20)), nil), "fixed": squeezed([]byte("abcabcabc"), nil),
		"stored": append(stored(text), 0), "bomb": bomb(1000),
		"two messages in one": append(append(squeezed([]byte(text), nil), 0, 0, 0xff, 0xff), squeezed([]byte(text[:40]), nil)...),
	}
	for name, p := range streams {
		got := [][]byte{}
		r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { got = append(got, bytes.Clone(m.Data)) }}, Options{Deflate: deflateOn()})
		whole, err := expanded(p, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		taken := 0
		for cut := range len(p) {
			got = got[:0]
			r.openDeflate(anyDeflate)
			r.feed(maskedFrame(0xc1, p[:cut]), maskedFrame(0x81, []byte("next")))
			switch code := r.closeCode(); {
			case code == 0 && len(got) == 2 && bytes.HasPrefix(whole, got[0]): // it ended between two blocks
				taken++
			case code == 1007 && len(got) == 0:
			default:
				t.Errorf("%s, cut at %d: Close %d, %d messages", name, cut, code, len(got))
			}
			r.end()
		}
		if taken > 4 {
			t.Errorf("%s: %d of %d cuts were taken for whole", name, taken, len(p))
		}
	}
}

// TestDeflateExamplesOfTheRFC: RFC 7692 7.2.3, and the empty messages around it, each as the first message of a
// connection and twice, in one frame and in fragments.
func TestDeflateExamplesOfTheRFC(t *testing.T) {
	hello := []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}
	for name, k := range map[string]struct {
		payload []byte
		want    string
	}{
		"7.2.3.1 one block":                         {hello, "Hello"},
		"7.2.3.3 no compression":                    {[]byte{0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}, "Hello"},
		"7.2.3.4 BFINAL set":                        {[]byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, "Hello"},
		"BFINAL set, without the octet behind it":   {[]byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, "Hello"},
		"7.2.3.5 two blocks":                        {[]byte{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}, "Hello"},
		"7.2.3.6 an empty message":                  {[]byte{0x00}, ""},
		"an empty payload":                          {nil, ""},
		"a flush and nothing else":                  {[]byte{0x00, 0x00, 0x00, 0xff, 0xff, 0x00}, ""},
		"an empty fixed block":                      {[]byte{0x02, 0x00}, ""},
		"a final empty fixed block":                 {[]byte{0x03, 0x00}, ""},
		"the flush's octets left in place":          {append(bytes.Clone(hello), 0, 0, 0xff, 0xff), "Hello"},
		"a final block, and blocks behind it":       {append([]byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, hello...), "HelloHello"},
		"a final stored block, and a block":         {append([]byte{0x01, 0x02, 0x00, 0xfd, 0xff, 'o', 'k'}, hello...), "okHello"},
		"a final block, its octet, and more blocks": {append([]byte{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0, 0, 0, 0xff, 0xff}, hello...), "HelloHello"},
		"blocks without a flush at their end":       {append(stored("He"), stored("llo")...), "Hello"},
	} {
		var got []string
		r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { got = append(got, string(m.Data)) }}, Options{Deflate: deflateOn()})
		for n := 1; n <= len(k.payload)+1; n++ {
			got = nil
			r.openDeflate(anyDeflate)
			say := fragmentsOf(0xc1, k.payload, n)
			r.feed(say, bytes.Clone(say), maskedFrame(0x81, []byte("next")))
			if code := r.closeCode(); code != 0 || len(got) != 3 || got[0] != k.want || got[1] != k.want || got[2] != "next" {
				t.Errorf("%s, in fragments of %d: Close %d, %q", name, n, code, got)
			}
			r.end()
		}
	}
	// 7.2.3.2: the second message refers to the first.
	var got []string
	r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { got = append(got, string(m.Data)) }}, Options{Deflate: deflateOn()})
	r.openDeflate(anyDeflate)
	r.feed(maskedFrame(0xc1, hello), maskedFrame(0xc1, []byte{0xf2, 0x00, 0x11, 0x00, 0x00}))
	if code := r.closeCode(); code != 0 || len(got) != 2 || got[1] != "Hello" {
		t.Errorf("Close %d, %q", code, got)
	}
	r.end()
}
