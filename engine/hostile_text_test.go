package engine

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// Every class of what is not UTF-8, wherever frames and reads cut it, is a case of package incoming's own tests. Here: what
// comes of it on connections.

// badTexts end with their first bad byte (RFC 3629 section 4).
var badTexts = map[string]string{
	"lone continuation": "\x80", "overlong": "aä€😀\xc0", "surrogate": "\xed\xa0", "over U+10FFFF": "x\xf4\x90", "no follower": "\xe2x", "FF": "😀\xff",
}

// TestInvalidTextOverTheSocket: refused before the frame is complete, in one frame and in fragments.
func TestInvalidTextOverTheSocket(t *testing.T) {
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{})
	besideInnocent(t, s, func() {
		ends.reset()
		for name, text := range badTexts {
			for cut := range 2 {
				path := fmt.Sprintf("/%x-%d", text, cut)
				a := attackAt(t, s, path)
				op := byte(0x81)
				if cut > 0 {
					a.say(t, string(maskedFrame(0x01, []byte(text[:1]))))
					op = 0x80
				}
				if rest := text[cut:]; len(text) > cut {
					// 1 MiB is announced, of which the last byte sent is the bad one.
					a.say(t, string(frameHead(op, 1<<20)), string(masked([]byte(rest))))
				}
				a.expectClose(t, 1007)
				if e := ends.one(t, path); closeCodeOf(e.Err) != 1007 || !errors.Is(e.Err, ErrInvalidUTF8) {
					t.Errorf("%s: %+v", name, e)
				}
			}
		}
	})
}

// TestInvalidTextDeepInside: the first bad byte of a message that is read straight into
// its buffer is found when it comes, not when the message is whole.
func TestInvalidTextDeepInside(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		var got []byte
		h := Funcs{Message: func(*Conn, Message) { t.Error("delivered") }}
		if chunked {
			h.Chunk = func(_ *Conn, k Chunk) {
				got = append(got, k.Data...)
				if k.Last {
					t.Error("delivered as whole")
				}
			}
		}
		r := newTapeRig(t, h, Options{})
		for _, at := range []int{63, 1<<20 + 1} {
			got = nil
			text := bytes.Repeat([]byte("ä"), 1<<20)
			text[at] = 0xff
			say := append(frameHead(0x81, uint64(len(text))), masked(text)...)
			head := len(say) - len(text)
			r.open()
			for k := 0; k <= head+at; k += 50_000 {
				r.feed(say[k:min(k+50_000, head+at+1)])
			}
			if code := r.closeCode(); code != 1007 {
				t.Errorf("bad byte at %d: Close %d", at, code)
			}
			if chunked && !bytes.Equal(got, text[:at]) {
				t.Errorf("bad byte at %d: %d bytes delivered", at, len(got))
			}
			r.end()
		}
	}
}

// TestValidTextCutAnywhere is the other half: a character that frames and reads cut is none that is refused.
func TestValidTextCutAnywhere(t *testing.T) {
	var got []byte
	r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { got = append(got, m.Data...) }}, Options{})
	const text = "\ufeffaä€😀"
	for i := range len(text) + 1 {
		stream := append(maskedFrame(0x01, []byte(text[:i])), maskedFrame(0x80, []byte(text[i:]))...)
		for cut := range stream {
			got = nil
			r.open()
			r.feed(stream[:cut], stream[cut:])
			if code := r.closeCode(); code != 0 || string(got) != text {
				t.Fatalf("cut after %d bytes, and at %d: Close %d, got %q", i, cut, code, got)
			}
			r.end()
		}
	}
}
