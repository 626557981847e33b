package incoming

import (
	"bytes"
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
		whole := frame(0x81, p)
		return whole, len(whole) - len(p) + n
	}
	first := frame(0x01, p[:i])
	second := frame(0x80, p[i:])
	if n <= i {
		return append(first, second...), len(first) - i + n
	}
	return append(first, second...), len(first) + len(second) - len(p) + n
}

// TestInvalidText: cut into fragments at every byte, and into reads at every byte besides: 1007 when the first bad byte has
// come and not before, and nothing is delivered.
func TestInvalidText(t *testing.T) {
	r := newRig(t, false, false)
	for name, p := range invalidText() {
		bad := firstBad(p)
		for i := -1; i <= len(p); i++ {
			stream, upTo := inFragments(p, i, min(bad+1, len(p)))
			if bad == len(p) { // the end of the message shows it
				upTo = len(stream)
			}
			for cut := range stream {
				r.refuses(t, name, stream, upTo, min(cut, upTo-1), upTo)
			}
			r.refuses(t, name, stream, upTo, slices.Collect(numbers(1, upTo))...) // each byte in a read of its own
		}
	}
}

// numbers are those from first to last.
func numbers(first, last int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := first; i <= last && yield(i); i++ {
		}
	}
}

// refuses begins anew and feeds reads of stream that end at the cuts. The message is refused with the byte in front of upTo,
// which is the last cut, and not before.
func (r *rig) refuses(t *testing.T, name string, stream []byte, upTo int, cuts ...int) {
	t.Helper()
	r.in.Release()
	r.begin(false)
	r.code, r.got = 0, nil
	last := 0
	for _, cut := range cuts {
		if r.code != 0 {
			t.Fatalf("%s: % x in reads that end at %v: code %d at byte %d, the first bad one is %d", name, stream, cuts, r.code, last-1, upTo-1)
		}
		r.feed(stream[last:cut])
		last = cut
	}
	if r.code != 1007 || len(r.got) != 0 {
		t.Fatalf("%s: % x in reads that end at %v: code %d, %v came", name, stream, cuts, r.code, r.got)
	}
}

// TestInvalidTextDeepInside: the first bad byte of a message that is read straight into its buffer is found when it comes, not
// when the message is whole; what is valid before it comes in chunks, where they are wanted.
func TestInvalidTextDeepInside(t *testing.T) {
	for _, chunks := range []bool{false, true} {
		for _, at := range []int{0, 1, 63, 64, 4095, 4096, 100_000, 1<<20 - 3} {
			r := newRig(t, false, chunks)
			text := bytes.Repeat([]byte("ä"), 1<<19)
			text[at] = 0xff
			say := frame(0x81, text)
			head := len(say) - len(text)
			for k := 0; k <= head+at; k += 50_000 {
				r.feed(say[k:min(k+50_000, head+at+1)])
			}
			if r.code != 1007 || len(r.got) != 0 {
				t.Errorf("bad byte at %d: code %d, %d messages", at, r.code, len(r.got))
			}
			if chunks && r.part != string(text[:at]) {
				t.Errorf("bad byte at %d: %d bytes came", at, len(r.part))
			}
		}
	}
}

// TestValidTextCutAnywhere is the other half: nothing that is UTF-8 is refused.
func TestValidTextCutAnywhere(t *testing.T) {
	for _, text := range []string{
		"", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0010ffff",
		"\ufeffaä€😀", "\ufdd0\ufffe\uffff\U0001fffe", "κόσμε", "日本語のテキスト",
	} {
		for i := -1; i <= len(text); i++ {
			stream, _ := inFragments([]byte(text), i, 0)
			for cut := range stream {
				r := newRig(t, false, false)
				r.feed(stream[:cut])
				r.feed(stream[cut:])
				if r.code != 0 || len(r.got) != 1 || r.got[0].data != text {
					t.Fatalf("%q in % x, cut at %d: code %d, got %q", text, stream, cut, r.code, r.got)
				}
			}
		}
	}
}
