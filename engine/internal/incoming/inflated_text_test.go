package incoming

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// parts is one message in flushed pieces: each can be inflated when it has come.
func (z *squeezer) parts(pieces ...string) (all [][]byte) {
	for i, p := range pieces {
		b := z.message([]byte(p))
		if i < len(pieces)-1 {
			b = append(b, 0, 0, 0xff, 0xff)
		}
		all = append(all, b)
	}
	return all
}

// inFrames is a compressed message whose frames have these payloads.
func inFrames(op byte, payloads ...[]byte) (b []byte) {
	for i, p := range payloads {
		first := op | 0x40
		if i > 0 {
			first = 0
		}
		if i == len(payloads)-1 {
			first |= 0x80
		}
		b = append(b, frame(first, p)...)
	}
	return b
}

// TestFormsOfCompressedMessages: what a client's compressor may do besides (RFC 7692 7.2.3), in one frame, in two cut
// anywhere, and in reads of a byte.
func TestFormsOfCompressedMessages(t *testing.T) {
	forms := []struct{ wire, want string }{
		{"\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello"},                         // 7.2.3.1
		{"\xf2\x00\x11\x00\x00", "Hello"},                                 // 7.2.3.2: it refers to the one before
		{"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello"},         // 7.2.3.3: stored
		{"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"},                     // 7.2.3.4: BFINAL
		{"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"}, // 7.2.3.5: two blocks
		{"\x00", ""},                     // an empty one (7.2.3.6)
		{"\x00\x00\x00\xff\xff\x00", ""}, // flushed twice
		{"", ""},                         // nothing but the tail that was removed
		{"\x02\x00", ""},                 // a fixed block without content
		{"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00\x00\x00\xff\xff\x00", "Hello"}, // a flush within
	}
	for at := range 17 {
		for _, bytewise := range []bool{false, true} {
			r := newRig(t, true, false)
			for i, k := range forms {
				wire := []byte(k.wire)
				cut := min(at, len(wire))
				say := inFrames(1, wire[:cut], wire[cut:])
				if at == 16 {
					say = inFrames(1, wire)
				}
				if bytewise {
					for b := range slices.Chunk(say, 1) {
						r.feed(b)
					}
				} else {
					r.feed(say)
				}
				if len(r.got) != i+1 || r.got[i] != (occurrence{Message, 1, k.want}) {
					t.Fatalf("%d, cut at %d, bytewise %v: %q, code %d", i, cut, bytewise, r.got, r.code)
				}
			}
		}
	}
}

// TestBadCompressedMessages: what is no compressed message is 1007 (or 1002, where it breaks the agreement), wherever it is cut.
func TestBadCompressedMessages(t *testing.T) {
	for name, wire := range map[string]string{
		"reserved block": "\x06", "stored size": "\x00\x05\x00\x00\x00Hello", "cut short": "\xf2\x48\xcd",
		"distance before the first byte": "\x02\x13\x00\x00", "garbage": "\xff\xff\xff\xff\xff",
	} {
		for at := range len(wire) + 1 {
			r := newRig(t, true, false)
			r.feed(inFrames(2, []byte(wire[:at]), []byte(wire[at:])))
			if r.code != 1007 || len(r.got) != 0 {
				t.Errorf("%s, cut at %d: code %d, %q", name, at, r.code, r.got)
			}
		}
	}
	x, err := deflate.New(deflate.Policy{ReceiveWindowBits: 10})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, false, false)
	a, ok := x.Negotiate([][]byte{[]byte("permessage-deflate; client_max_window_bits")})
	if !ok {
		t.Fatal("no agreement")
	}
	r.lane.Deflate = x
	r.in.Begin(r.lane, r.chunks, a, nil)
	p := make([]byte, 2000)
	for i, rng := 0, rand.New(rand.NewPCG(2, 1)); i < len(p); i++ {
		p[i] = byte(rng.Uint32())
	}
	r.feed(inFrames(2, (&squeezer{}).message(append(p, p...)))) // it refers to further back than was agreed on
	if r.code != 1002 {
		t.Errorf("a window that is too large: code %d", r.code)
	}
}

// TestTextCutAcrossSteps: characters are cut by the inflater's steps, by frames, by reads and by all of them.
func TestTextCutAcrossSteps(t *testing.T) {
	for shift := range 4 { // the end of a step falls on every byte of a character
		text := strings.Repeat("x", shift) + strings.Repeat("𝄞", StepBytes/4*2+100)
		at := StepBytes + 1
		for _, chunks := range []bool{false, true} {
			r := newRig(t, true, chunks)
			var z squeezer
			whole := z.message([]byte(text))
			r.feed(inFrames(1, whole))
			r.feed(inFrames(1, z.parts(text[:shift+1], text[shift+1:at], text[at:at+2], text[at+2:])...))
			cut := z.message([]byte(text))
			for b := range slices.Chunk(inFrames(1, cut[:1], cut[1:3], nil, cut[3:min(40, len(cut))], cut[min(40, len(cut)):]), 1) {
				r.feed(b)
			}
			r.feed(inFrames(1, z.message([]byte("é")))) // and the next message begins anew
			want := []occurrence{{Message, 1, text}, {Message, 1, text}, {Message, 1, text}, {Message, 1, "é"}}
			if r.code != 0 || !slices.Equal(r.got, want) {
				t.Errorf("shift %d, chunks %v: code %d, %d messages", shift, chunks, r.code, len(r.got))
			}
		}
	}
}

// TestInvalidTextInside: 1007 at the first bad byte. Nothing behind it is waited for, and chunks up to it are delivered.
func TestInvalidTextInside(t *testing.T) {
	for i, text := range []string{
		"\xff", "a\xc3(", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf",
		strings.Repeat("é", StepBytes/2) + "\x80", strings.Repeat("long ", 100_000) + "\xfe",
	} {
		for _, chunks := range []bool{false, true} {
			r := newRig(t, true, chunks)
			p := (&squeezer{}).parts("good ", text, " and more")
			r.feed(bytes.Join([][]byte{frame(0x41, p[0]), frame(0, p[1])}, nil)) // the rest is never sent
			if r.code != 1007 || len(r.got) != 0 {
				t.Errorf("%d, chunks %v: code %d, %d messages", i, chunks, r.code, len(r.got))
			}
			if said := "good " + text; chunks && (!strings.HasPrefix(said, r.part) || len(r.part) == len(said)) {
				t.Errorf("%d: %d bytes came in chunks of %d", i, len(r.part), len(said))
			}
		}
	}
}

// TestTextThatEndsInside: text may not end inside a character, as a whole message or with its last frame; binary may.
func TestTextThatEndsInside(t *testing.T) {
	for i, pieces := range [][]string{{"a\xc3"}, {"a\xf0\x9d", "\x84"}, {strings.Repeat("a", 300_000) + "\xe2\x82"}} {
		for op, want := range map[byte]int{1: 1007, 2: 0} {
			r := newRig(t, true, false)
			r.feed(inFrames(op, (&squeezer{}).parts(pieces...)...))
			if r.code != want || want == 0 && (len(r.got) != 1 || r.got[0].data != strings.Join(pieces, "")) {
				t.Errorf("%d as opcode %d: code %d, %d messages", i, op, r.code, len(r.got))
			}
		}
	}
}

// TestMaxMessageSizeInflated: it is of what is inflated, to the byte, in one frame or many.
func TestMaxMessageSizeInflated(t *testing.T) {
	for _, limit := range []int{1, 2, 100, 4096, StepBytes, StepBytes + 1, 300_000} {
		for extra := range 2 {
			p := strings.Repeat("l", limit+extra)
			for i, pieces := range [][]string{{p}, {p[:len(p)/2], p[len(p)/2:], ""}} {
				r := newRig(t, true, false)
				r.lim.MaxMessageSize = int64(limit)
				r.feed(inFrames(2, (&squeezer{}).parts(pieces...)...))
				if r.code != extra*1009 || len(r.got) != 1-extra {
					t.Errorf("%d bytes of %d, way %d: code %d, %d messages", limit+extra, limit, i, r.code, len(r.got))
				}
			}
		}
	}
}
