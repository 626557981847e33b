package codec

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"
)

// utf8Check holds every way to ask about p to the slow validator.
func utf8Check(t *testing.T, p []byte) {
	t.Helper()
	want := utf8Judge(p)
	if got := ValidUTF8(p); got != want.valid() {
		t.Fatalf("ValidUTF8 of %d bytes %+q: %v", len(p), p, got)
	}
	if got := utf8Prefix(p); got != want.whole {
		t.Fatalf("valid prefix of %d bytes %+q: %d, not %d", len(p), p, got, want.whole)
	}
	var v UTF8
	at, ok := v.Write(p)
	if at != want.at || ok != want.ok || v.Complete() != want.valid() {
		t.Fatalf("Write of %d bytes %+q: %d %v, complete %v; want %+v", len(p), p, at, ok, v.Complete(), want)
	}
}

// utf8CheckCuts writes p in the pieces that cuts ends, and holds the first
// failure and the end to the slow validator.
func utf8CheckCuts(t *testing.T, p []byte, want utf8Verdict, cuts ...int) {
	t.Helper()
	var v UTF8
	start := 0
	for _, end := range append(cuts, len(p)) {
		at, ok := v.Write(p[start:end])
		if failed := want.at < end && !want.ok; ok == failed {
			t.Fatalf("%+q cut at %d: piece to %d: %v", p, cuts, end, ok)
		}
		if start+at != min(want.at, end) {
			t.Fatalf("%+q cut at %d: piece to %d: fine to %d, not %d", p, cuts, end, start+at, want.at)
		}
		if !ok {
			return
		}
		start = end
	}
	if v.Complete() != want.valid() {
		t.Fatalf("%+q cut at %d: complete %v", p, cuts, v.Complete())
	}
}

func TestUTF8EveryShortSequence(t *testing.T) {
	for a := range 256 {
		utf8Check(t, []byte{byte(a)})
		for b := range 256 {
			utf8Check(t, []byte{byte(a), byte(b)})
			for _, c := range utf8AnyByte {
				p := [...]byte{byte(a), byte(b), c}
				if want := utf8.Valid(p[:]); ValidUTF8(p[:]) != want {
					t.Fatalf("%x: %v", p, !want)
				}
			}
		}
	}
}

// Every sequence of three across the border of two blocks, which is one for every
// width; in the middle of a text and at its end.
func TestUTF8EverySequenceAcrossBlocks(t *testing.T) {
	utf8EachKernel(t, func(t *testing.T) {
		front := utf8Filler(utf8Fillers[2], 62)
		p := []byte(front + "abc" + "漢12345678")
		s := p[len(front):][:3]
		for a := range 256 {
			for _, b := range utf8AnyByte {
				for _, c := range utf8AnyByte {
					s[0], s[1], s[2] = byte(a), b, c
					want := utf8.Valid(s)
					if ValidUTF8(p) != want || ValidUTF8(p[:len(front)+3]) != want {
						t.Fatalf("%x: %v %v", s, ValidUTF8(p), ValidUTF8(p[:len(front)+3]))
					}
				}
			}
		}
	})
}

// All sequences of four out of the bytes where some range of the ABNF begins or
// ends, alone and on both sides of the borders of blocks.
func TestUTF8EveryBoundaryOfFour(t *testing.T) {
	utf8EachKernel(t, func(t *testing.T) {
		p := []byte(strings.Repeat("é", 50))
		for _, a := range utf8Edges {
			for _, b := range utf8Edges {
				for _, c := range utf8AnyEdge {
					for _, d := range utf8AnyEdge {
						utf8CheckFour(t, p, [4]byte{a, b, c, d})
					}
				}
			}
		}
	})
}

func utf8CheckFour(t *testing.T, p []byte, s [4]byte) {
	t.Helper()
	want := utf8.Valid(s[:])
	if ValidUTF8(s[:]) != want {
		t.Fatalf("%x: %v", s, !want)
	}
	for _, at := range []int{2, 30, 62} {
		copy(p[at:], s[:])
		if ValidUTF8(p) != want {
			t.Fatalf("%x at %d: %v", s, at, !want)
		}
		copy(p[at:], "éé")
	}
}

func TestUTF8BadClassAtEveryOffset(t *testing.T) {
	utf8EachKernel(t, func(t *testing.T) {
		for _, filler := range utf8Fillers {
			for at := 0; at < 131; at += utf8Stride {
				front := utf8Filler(filler, at)
				for _, bad := range utf8Bad {
					utf8Check(t, []byte(front+bad.bytes))
					utf8Check(t, []byte(front+bad.bytes+filler[:12]))
					utf8Check(t, []byte(front+bad.bytes+filler))
				}
				for _, good := range utf8Good {
					utf8Check(t, []byte(front+good+filler[:12]))
					for cut := range len(good) {
						utf8Check(t, []byte(front+good[:cut]))
						utf8Check(t, []byte(front+good[:cut]+"a"))
					}
				}
			}
		}
	})
}

// HOSTILE.md, Text: every invalid class, cut at every byte by fragments and by
// reads, is refused at the first bad byte.
func TestUTF8BadClassCutAtEveryByte(t *testing.T) {
	utf8EachKernel(t, func(t *testing.T) {
		for _, filler := range utf8Fillers {
			for _, front := range []int{0, 3, 70} {
				for _, bad := range utf8Bad {
					p := []byte(utf8Filler(filler, front) + bad.bytes + filler[:36])
					want := utf8Judge(p)
					if want.ok {
						t.Fatalf("%s is valid: %+q", bad.class, p)
					}
					from := max(0, front-4)
					for first := from; first <= front+8; first++ {
						utf8CheckCuts(t, p, want, first)
						for second := first; second <= front+8; second++ {
							utf8CheckCuts(t, p, want, first, second)
						}
					}
				}
			}
		}
	})
}

func TestUTF8ByteByByte(t *testing.T) {
	utf8EachKernel(t, func(t *testing.T) {
		for _, text := range utf8Texts {
			p := utf8Sample(text.sample, 200)
			var v UTF8
			for i := range p {
				if at, ok := v.Write(p[i : i+1]); at != 1 || !ok {
					t.Fatalf("%s: byte %d: %d %v", text.kind, i, at, ok)
				}
				if v.Complete() != utf8.Valid(p[:i+1]) {
					t.Fatalf("%s: complete after %d bytes: %v", text.kind, i+1, v.Complete())
				}
			}
		}
	})
}

func TestUTF8EveryLengthAndCut(t *testing.T) {
	utf8EachKernel(t, func(t *testing.T) {
		for _, text := range utf8Texts {
			whole := utf8Sample(text.sample, 420)
			for n := range whole {
				p := whole[:n]
				utf8Check(t, p)
				want := utf8Judge(p)
				for cut := 0; cut <= n; cut += 1 + n/16 {
					utf8CheckCuts(t, p, want, cut)
				}
			}
		}
	})
}

func TestUTF8FailureLastsUntilReset(t *testing.T) {
	var v UTF8
	if at, ok := v.Write([]byte("ab\xE1\x80\xC0")); at != 4 || ok {
		t.Fatalf("%d %v", at, ok)
	}
	for _, p := range []string{"a", "", "\x80", strings.Repeat("a", 100)} {
		if at, ok := v.Write([]byte(p)); at != 0 || ok || v.Complete() {
			t.Errorf("Write(%q) after a failure: %d %v, complete %v", p, at, ok, v.Complete())
		}
	}
	v.Reset()
	if !v.Complete() {
		t.Error("an empty text is not complete")
	}
	if at, ok := v.Write([]byte("é")); at != 2 || !ok || !v.Complete() {
		t.Errorf("after Reset: %d %v, complete %v", at, ok, v.Complete())
	}
}

func TestUTF8StateIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(UTF8{}); size > 8 {
		t.Errorf("%d bytes in every connection", size)
	}
}

func TestUTF8AllocatesNothing(t *testing.T) {
	utf8EachKernel(t, func(t *testing.T) {
		var text [300]byte // on the stack, unless a kernel lets it escape
		copy(text[:], utf8Texts[3].sample)
		n := testing.AllocsPerRun(100, func() {
			var local [300]byte
			copy(local[:], text[:])
			var v UTF8
			v.Write(local[:100])
			v.Write(local[100:])
			if !v.Complete() || !ValidUTF8(local[:]) || !ValidUTF8(local[:21]) {
				panic("codec: sample text is not valid")
			}
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

func ExampleUTF8() {
	var text UTF8
	for _, fragment := range []string{"caf\xC3", "\xA9 \xED", "\xA0\x80"} {
		at, ok := text.Write([]byte(fragment))
		fmt.Println(at, ok, text.Complete())
	}
	// Output:
	// 4 true false
	// 3 true false
	// 0 false false
}
