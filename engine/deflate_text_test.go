package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/incoming"
)

// What is inflated: chunks, text, limits, errors. Package incoming's own tests have the cases and their cuts; here each kind
// goes over a connection.

// chunked collects what OnChunk is given.
type chunked struct {
	t     *testing.T
	heard chan flateMessage
	under flateMessage

	longest int
}

func (k *chunked) OnOpen(*Conn)              {}
func (k *chunked) OnMessage(*Conn, Message)  { k.t.Error("OnMessage, and there is an OnChunk") }
func (k *chunked) OnClose(*Conn, CloseEvent) {}
func (k *chunked) OnChunk(_ *Conn, c Chunk) {
	if c.First != (k.under.frames == 0) || !c.Last && len(c.Data) == 0 || !c.First && c.Op != k.under.op {
		k.t.Errorf("chunk %d: %+v", k.under.frames, c)
	}
	k.longest = max(k.longest, len(c.Data))
	k.under.op = c.Op
	k.under.frames++
	k.under.payload = append(k.under.payload, c.Data...)
	if c.Last {
		k.under.wire = k.longest
		k.heard <- k.under
		k.under, k.longest = flateMessage{}, 0
	}
}

func TestChunksAreInflated(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		k := &chunked{t: t, heard: make(chan flateMessage, 1)}
		s := m.start(t, k, deflating(Options{}))
		p := dialFlate(t, s, justDeflate)
		p.squeeze.level = 1
		r := rand.New(rand.NewPCG(1, 1))
		ways := map[string]func(Opcode, []byte) error{
			"whole": p.say,
			"plain": p.sayPlain,
			"cut":   func(op Opcode, b []byte) error { return p.sayCut(op, b, 0, 1, len(b)/3, len(b)/2, len(b)/2) },
			"parts": func(op Opcode, b []byte) error { return p.sayParts(op, b[:len(b)/2], nil, b[len(b)/2:], nil) },
		}
		for _, n := range []int{0, 100, incoming.StepBytes + 1} {
			for _, kind := range kinds {
				for name, say := range ways {
					payload := kind.make(r, n)
					if err := say(kind.op(), payload); err != nil {
						t.Fatal(err)
					}
					got := receive(t, k.heard, "the message")
					if got.op != kind.op() || !bytes.Equal(got.payload, payload) {
						t.Fatalf("%d bytes of %s, %s: %d of op %d", n, kind.name, name, len(got.payload), got.op)
					}
					if name != "plain" && got.wire > incoming.StepBytes {
						t.Errorf("%s came in a chunk of %d bytes", kind.name, got.wire)
					}
				}
			}
		}
	})
}

// A part that can be inflated is delivered before the message's next frame comes.
func TestChunksComeAsTheyCan(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		heard := make(chan string, 10)
		s := m.start(t, &teller{heard}, deflating(Options{}))
		p := dialFlate(t, s, justDeflate)
		for i, part := range p.squeeze.parts([]byte("first, "), []byte("second, "), []byte("last")) {
			first := []byte{rsv1Bit | 1, 0, finBit}[i]
			if err := p.frame(first, part); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, heard, "a chunk"); got != []string{"first, ", "second, ", "last"}[i] {
				t.Errorf("chunk %d: %q", i, got)
			}
		}
	})
}

type teller struct{ heard chan string }

func (h *teller) OnOpen(*Conn)              {}
func (h *teller) OnMessage(*Conn, Message)  {}
func (h *teller) OnClose(*Conn, CloseEvent) {}
func (h *teller) OnChunk(_ *Conn, c Chunk)  { h.heard <- string(c.Data) }

// Text whose characters are cut by the inflater's steps, by frames and by both.
func TestTextCutAcrossSteps(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		_, p, _ := flateEcho(t, m, Options{})
		p.squeeze.level = 1
		text := []byte("x" + strings.Repeat("𝄞", incoming.StepBytes/4*2+100))
		p.echoes(OpText, text)
		if err := p.sayCut(OpText, text, 1, 2, 3, 40, 41); err != nil {
			t.Fatal(err)
		}
		p.wants(OpText, text)
		at := incoming.StepBytes + 1
		if err := p.sayParts(OpText, text[:2], text[2:at], text[at:at+2], text[at+2:]); err != nil {
			t.Fatal(err)
		}
		p.wants(OpText, text)
		p.echoes(OpText, []byte("é")) // and the next message begins anew
	})
}

// Invalid text ends the connection (1007) at the first bad byte: nothing behind it is waited
// for, and chunks up to it are delivered.
func TestInvalidTextInside(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		bad := []string{"a\xc3(", strings.Repeat("é", incoming.StepBytes/2) + "\x80"}
		for _, chunks := range []bool{false, true} {
			for i, text := range bad {
				t.Run(fmt.Sprint(i, " ", chunks), func(t *testing.T) {
					d := newDiary(t)
					noted := d.handler(Funcs{Message: func(*Conn, Message) { t.Error("delivered") }})
					var h Handler = noted
					if chunks {
						h = &chunkedDiary{Funcs: noted, t: t, said: "good " + text}
					}
					s := m.start(t, h, deflating(Options{}))
					p := dialFlate(t, s, justDeflate)
					p.squeeze.level = 1
					parts := p.squeeze.parts([]byte("good "), []byte(text), []byte(" and more"))
					for i := range 2 { // the rest is never sent
						if err := p.frame([]byte{rsv1Bit | 1, 0}[i], parts[i]); err != nil {
							t.Fatal(err)
						}
					}
					p.wantsClose(1007)
					if e := d.end(); e.WasClean || !errors.Is(e.Err, ErrInvalidUTF8) {
						t.Errorf("%+v", e)
					}
				})
			}
		}
	})
}

// chunkedDiary is a diary's handler with an OnChunk, which hears of said what is valid.
type chunkedDiary struct {
	Funcs
	t     *testing.T
	said  string
	heard []byte
}

func (d *chunkedDiary) OnChunk(_ *Conn, k Chunk) {
	d.heard = append(d.heard, k.Data...)
	if k.Last || !strings.HasPrefix(d.said, string(d.heard)) || len(d.heard) == len(d.said) {
		d.t.Errorf("%.60q after %d bytes, last: %v", k.Data, len(d.heard), k.Last)
	}
}

// Text that ends inside a character, as a whole message or its last frame.
func TestTextThatEndsInside(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, say := range []func(p *flatePeer) error{
			func(p *flatePeer) error { return p.sayParts(OpText, []byte("a\xf0\x9d"), []byte("\x84")) },
		} {
			_, p, _ := flateEcho(t, m, Options{})
			if err := say(p); err != nil {
				t.Fatal(err)
			}
			p.wantsClose(1007)
		}
		_, p, _ := flateEcho(t, m, Options{}) // binary may be anything
		p.echoes(OpBinary, []byte("a\xc3"))
	})
}

// MaxMessageSize is of what is inflated, to the byte, in one frame or many.
func TestMaxMessageSizeInflated(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, limit := range []int{100, incoming.StepBytes + 1} {
			d := newDiary(t)
			s := m.start(t, d.handler(echoHandler), deflating(Options{Limits: Limits{MaxMessageSize: int64(limit)}}))
			for i, say := range []func(p *flatePeer, b []byte) error{
				func(p *flatePeer, b []byte) error { return p.say(OpBinary, b) },
				func(p *flatePeer, b []byte) error { return p.sayParts(OpBinary, b[:len(b)/2], b[len(b)/2:], nil) },
			} {
				p := dialFlate(t, s, justDeflate)
				for range 2 {
					if err := say(p, letters(nil, limit)); err != nil {
						t.Fatal(err)
					}
					p.wants(OpBinary, letters(nil, limit))
				}
				if err := say(p, letters(nil, limit+1)); err != nil {
					t.Fatal(err)
				}
				p.wantsClose(1009)
				if e := d.end(); !errors.Is(e.Err, ErrTooLarge) {
					t.Errorf("limit %d, way %d: %+v", limit, i, e)
				}
			}
		}
	})
}

// What a client's compressor may do besides (RFC 7692 7.2.3): empty messages, blocks that
// are stored or final, and a context that forgets.
func TestFormsOfCompressedMessages(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		_, p, _ := flateEcho(t, m, Options{})
		for i, k := range []struct {
			wire string
			want string
		}{
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
		} {
			if err := p.sayFrames(OpText, cutAt([]byte(k.wire), len(k.wire)/2), true); err != nil {
				t.Fatal(err)
			}
			if got, err := p.hear(); err != nil || string(got.payload) != k.want {
				t.Fatalf("%d: %q, %v", i, got.payload, err)
			}
		}
		p.squeeze.forget()
		p.echoes(OpText, lotsOfText)
	})
}

// What is no compressed message ends its connection and no other.
func TestBadCompressedMessages(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s, innocent, _ := flateEcho(t, m, Options{Deflate: &deflate.Policy{ReceiveWindowBits: 10}})
		for _, k := range []struct {
			name, wire string
			code       int
		}{
			{"reserved block", "\x06", 1007},
			{"cut short", "\xf2\x48\xcd", 1007},
		} {
			for _, at := range []int{0, len(k.wire) / 2} {
				p := dialFlate(t, s, "permessage-deflate; client_max_window_bits")
				if err := p.sayFrames(OpBinary, cutAt([]byte(k.wire), at), false); err != nil {
					t.Fatal(err)
				}
				m, err := p.hear()
				var e errClosing
				if !errors.As(err, &e) || e.code != k.code {
					t.Errorf("%s: %d bytes, %v", k.name, len(m.payload), err)
				}
				innocent.echoes(OpText, lotsOfText)
			}
		}
		p := dialFlate(t, s, "permessage-deflate; client_max_window_bits")
		p.squeeze.bits = 15 // though less was agreed on
		text := noise(rand.New(rand.NewPCG(2, 1)), 2000)
		if err := p.say(OpBinary, append(text, text...)); err != nil {
			t.Fatal(err)
		}
		p.wantsClose(1002)
	})
}
