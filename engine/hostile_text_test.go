package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// invalidText is every class of what is not UTF-8 (RFC 3629 section 4), each where it is
// first, last, and between other characters of one to four bytes.
func invalidText() map[string][]byte {
	bad := map[string]string{
		"lone continuation":              "\x80",
		"lone last continuation":         "\xbf",
		"C0 overlong NUL":                "\xc0\x80",
		"C0 overlong slash":              "\xc0\xaf",
		"C1 overlong":                    "\xc1\xbf",
		"E0 overlong":                    "\xe0\x80\xaf",
		"E0 overlong, the last":          "\xe0\x9f\xbf",
		"F0 overlong":                    "\xf0\x80\x80\xaf",
		"F0 overlong, the last":          "\xf0\x8f\xbf\xbf",
		"first surrogate":                "\xed\xa0\x80",
		"last surrogate":                 "\xed\xbf\xbf",
		"a pair of surrogates":           "\xed\xa0\xbd\xed\xb8\x80",
		"U+110000":                       "\xf4\x90\x80\x80",
		"F5":                             "\xf5\x80\x80\x80",
		"F7":                             "\xf7\xbf\xbf\xbf",
		"five bytes":                     "\xf8\x88\x80\x80\x80",
		"six bytes":                      "\xfc\x84\x80\x80\x80\x80",
		"FE":                             "\xfe",
		"FF":                             "\xff",
		"two bytes, one follows":         "\xc3x",
		"three bytes, none follows":      "\xe2x",
		"three bytes, one follows":       "\xe2\x82x",
		"four bytes, none follows":       "\xf0x",
		"four bytes, two follow":         "\xf0\x9f\x98x",
		"a lead in place of a follower":  "\xe2\xe2\x82\xac",
		"one follower too many":          "\xc3\xa4\xa4",
		"cut after one byte of two":      "\xc3",
		"cut after one byte of three":    "\xe2",
		"cut after two bytes of three":   "\xe2\x82",
		"cut after one byte of four":     "\xf0",
		"cut after three bytes of four":  "\xf0\x9f\x98",
		"cut with the least of leads E0": "\xe0\xa0",
	}
	all := map[string][]byte{}
	for name, b := range bad {
		all[name] = []byte(b)
		all[name+", behind others"] = []byte("aä€😀" + b)
		if !strings.HasPrefix(name, "cut") {
			all[name+", in front of others"] = []byte(b + "aä€😀")
			all[name+", between others"] = []byte("😀€äa" + b + "aä€😀")
		}
	}
	return all
}

// firstBad is the index of the first byte after which no continuation makes p valid, or
// len(p) if there is one: then only the end of the message makes it invalid. It asks the
// standard library about every way to go on.
func firstBad(p []byte) int {
	ways := [][]byte{nil}
	edges := []byte{0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf}
	for i := range 3 {
		for _, w := range slices.Clone(ways) {
			if len(w) == i {
				for _, e := range edges {
					ways = append(ways, append(bytes.Clone(w), e))
				}
			}
		}
	}
	for n := 1; n <= len(p); n++ {
		if !slices.ContainsFunc(ways, func(w []byte) bool { return utf8.Valid(append(bytes.Clone(p[:n]), w...)) }) {
			return n - 1
		}
	}
	return len(p)
}

// inFragments is p as one message of two fragments cut at i (one frame for i < 0), and
// the offset in that stream behind payload byte n.
func inFragments(p []byte, i, n int) (stream []byte, end int) {
	if i < 0 {
		frame := maskedFrame(0x81, p)
		return frame, len(frame) - len(p) + n
	}
	first := maskedFrame(0x01, p[:i])
	second := maskedFrame(0x80, p[i:])
	if n <= i {
		return append(first, second...), len(first) - i + n
	}
	return append(first, second...), len(first) + len(second) - len(p) + n
}

// TestInvalidTextCutByFragments at every byte, and then by reads at every byte: 1007 when
// the first bad byte has come and not before, and nothing is delivered.
func TestInvalidTextCutByFragments(t *testing.T) {
	r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { t.Errorf("delivered % x", m.Data) }}, Options{})
	cases, readStep := 0, 1
	if raceEnabled {
		readStep = 7
	}
	for name, p := range invalidText() {
		bad := firstBad(p)
		for i := -1; i <= len(p); i++ {
			stream, upTo := inFragments(p, i, min(bad+1, len(p)))
			for cut := 0; cut < len(stream); cut += readStep {
				r.checkInvalidText(name, stream, upTo, cut, bad < len(p))
				cases++
			}
		}
	}
	t.Log(cases, "ways to cut")
}

// checkInvalidText sends a message in reads that end at cut (or, if that is later, right
// before the byte that upTo ends with), at upTo and at the message's end. It must be
// refused at upTo if it failsFast, and else at the end.
func (r *tapeRig) checkInvalidText(name string, stream []byte, upTo, cut int, failsFast bool) {
	if !failsFast {
		upTo = len(stream)
	}
	cut = min(cut, upTo-1)
	r.open()
	r.feed(stream[:cut])
	if code := r.closeCode(); code != 0 {
		r.t.Fatalf("%s: % x: Close %d before byte %d, the first bad one", name, stream, code, upTo-1)
	}
	r.feed(stream[cut:upTo])
	if code := r.closeCode(); code != 1007 {
		r.t.Fatalf("%s: % x cut at %d: Close %d at byte %d", name, stream, cut, code, upTo-1)
	}
	r.feed(stream[upTo:])
	r.end()
}

// TestInvalidTextCutByReads: each byte in a read of its own.
func TestInvalidTextCutByReads(t *testing.T) {
	r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { t.Errorf("delivered % x", m.Data) }}, Options{})
	for name, p := range invalidText() {
		for i := -1; i <= len(p); i++ {
			stream, upTo := inFragments(p, i, min(firstBad(p)+1, len(p)))
			r.open()
			at := len(stream)
			for k := range stream {
				r.feed(stream[k : k+1])
				if code := r.closeCode(); code != 0 {
					at = k + 1
					if code != 1007 {
						t.Errorf("%s: Close %d", name, code)
					}
					break
				}
			}
			if firstBad(p) == len(p) {
				upTo = len(stream)
			}
			if at != upTo {
				t.Errorf("%s: % x refused at byte %d, want %d", name, stream, at, upTo)
			}
			r.end()
		}
	}
}

// TestInvalidTextOverTheSocket: a sample, refused before the frame is complete.
func TestInvalidTextOverTheSocket(t *testing.T) {
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{})
	besideInnocent(t, s, func() {
		i := 0
		for _, p := range invalidText() {
			if i++; i%7 != 0 {
				continue
			}
			bad := firstBad(p)
			if bad == len(p) {
				continue
			}
			a := attackAt(t, s, fmt.Sprintf("/%d", i))
			// 1 MiB is announced, of which the last byte sent is the bad one.
			a.say(t, string(frameHead(0x81, 1<<20)), string(masked(p[:bad+1])))
			a.expectClose(t, 1007)
			if e := ends.one(t, fmt.Sprintf("/%d", i)); closeCodeOf(e.Err) != 1007 {
				t.Errorf("%+v", e)
			}
		}
		ends.reset()
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
		for _, at := range []int{0, 1, 63, 64, 4095, 4096, 100_000, 1<<20 + 1} {
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

// TestValidTextCutAnywhere is the other half: nothing that is UTF-8 is refused.
func TestValidTextCutAnywhere(t *testing.T) {
	var got []byte
	r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { got = append(got, m.Data...) }}, Options{})
	for _, text := range []string{
		"", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff",
		"\ufeffaä€😀", "\ufdd0\ufffe\uffff\U0001fffe", "κόσμε", "日本語のテキスト",
	} {
		for i := -1; i <= len(text); i++ {
			stream, _ := inFragments([]byte(text), i, 0)
			for cut := range stream {
				got = nil
				r.open()
				r.feed(stream[:cut], stream[cut:])
				if code := r.closeCode(); code != 0 || string(got) != text {
					t.Fatalf("%q in % x, cut at %d: Close %d, got %q", text, stream, cut, code, got)
				}
				r.end()
			}
		}
	}
}
