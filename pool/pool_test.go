package pool

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

var _ io.Writer = (*Buffer)(nil)

// mustPanic runs f, which must panic with a text that begins with message, and returns the text.
func mustPanic(t *testing.T, message string, f func()) (text string) {
	t.Helper()
	defer func() {
		t.Helper()
		text, _ = recover().(string)
		if !strings.HasPrefix(text, message) {
			t.Errorf("panic %q, want %q", text, message)
		}
	}()
	f()
	t.Errorf("no panic, want %q", message)
	return ""
}

// mustBeHome fails if p has anything out.
func mustBeHome(t *testing.T, p *Pool) {
	t.Helper()
	st := p.Stats()
	if st.Out != 0 || st.OutBytes != 0 || st.LargeOut != 0 || st.LargeBytes != 0 {
		t.Errorf("not everything came back: %+v", st)
	}
	if leaks := p.Leaks(); leaks != nil {
		t.Errorf("leaks: %v", leaks)
	}
}

func TestClassesAreTheSmallestThatFit(t *testing.T) {
	for n := 0; n <= SmallMax; n++ {
		c := classOf(n)
		if classSize(c) < n || c > 0 && classSize(c-1) >= n {
			t.Fatalf("classOf(%d) = %d of %d bytes", n, c, classSize(c))
		}
	}
	for _, n := range []int{SmallMax + 1, 2 * SmallMax, 2*SmallMax + 1, 1 << 30, MaxSize} {
		if c := classOf(n); c != classLarge {
			t.Errorf("classOf(%d) = %d, want large", n, c)
		}
	}
}

func TestGetHasTheCapacityAskedFor(t *testing.T) {
	p := New()
	for shift := range 24 {
		for _, n := range []int{1<<shift - 1, 1 << shift, 1<<shift + 1} {
			b := p.Get(n)
			if len(b.B) != 0 || cap(b.B) < n || b.Refs() != 1 || !b.Exclusive() {
				t.Errorf("Get(%d): len %d, cap %d, refs %d", n, len(b.B), cap(b.B), b.Refs())
			}
			if n > 256 && n <= SmallMax && (cap(b.B) >= 2*n || cap(b.B) >= n+64<<10) {
				t.Errorf("Get(%d) wastes too much: cap %d", n, cap(b.B))
			}
			full := b.B[:cap(b.B)]
			full[0], full[n-min(n, 1)], full[len(full)-1] = 1, 2, 3
			b.Release()
		}
	}
	mustBeHome(t, p)
}

func TestGetRefusesImpossibleSizes(t *testing.T) {
	p := New()
	sizes := []int{-1, math.MinInt}
	if math.MaxInt > MaxSize {
		tooLarge := MaxSize // a variable: the constant would not compile where int has 32 bits
		sizes = append(sizes, tooLarge+1, math.MaxInt)
	}
	for _, n := range sizes {
		mustPanic(t, msgSize, func() { p.Get(n) })
	}
	mustBeHome(t, p)
}

func TestReferencesKeepTheBuffer(t *testing.T) {
	p := New()
	b := p.Get(10)
	b.Append([]byte("content"))
	b.Retain()
	b.Retain()
	for refs := int32(3); refs > 0; refs-- {
		if b.Refs() != refs || b.Exclusive() != (refs == 1) || string(b.B) != "content" {
			t.Fatalf("refs %d (want %d), exclusive %v, %q", b.Refs(), refs, b.Exclusive(), b.B)
		}
		if st := p.Stats(); st.Out != 1 {
			t.Fatalf("out %d with %d references", st.Out, refs)
		}
		b.Release()
	}
	if b.B != nil {
		t.Error("a released buffer still shows its content")
	}
	mustBeHome(t, p)
}

func TestMisusePanics(t *testing.T) {
	for _, n := range []int{1, SmallMax + 1} {
		p := New()
		b := p.Get(n)
		b.Retain()
		mustPanic(t, msgShared, func() { b.Grow(1) })
		mustPanic(t, msgShared, func() { b.Append(nil) })
		b.Release()
		mustPanic(t, msgSize, func() { b.Grow(-1) })
		mustPanic(t, msgSize, func() { b.Grow(math.MinInt) })
		mustPanic(t, msgSize, func() { b.Append(b.B); b.B = b.B[:1]; b.Grow(MaxSize) })
		mustPanic(t, msgSize, func() { b.Grow(math.MaxInt) })
		b.Release()
		mustPanic(t, msgTwice, b.Release)
		b.refs = 0
		mustPanic(t, msgRetain, b.Retain)
		b.refs = 0
		mustPanic(t, msgReleased, func() { b.Grow(0) })
		mustBeHome(t, p)
	}
}

func TestGrowKeepsContentAcrossEveryClass(t *testing.T) {
	p := New()
	b := p.Get(1)
	var want byte
	for len(b.B) < 5<<20 {
		b.Grow(cap(b.B) - len(b.B) + 1)
		for i := len(b.B); i < cap(b.B); i++ {
			b.B = append(b.B, want)
			want++
		}
		for i, c := range b.B {
			if c != byte(i) {
				t.Fatalf("capacity %d: byte %d is %d", cap(b.B), i, c)
			}
		}
	}
	b.Release()
	mustBeHome(t, p)
}

func TestGrowSkipsToTheClassThatFits(t *testing.T) {
	p := New()
	b := p.Get(1)
	b.Append([]byte("abc"))
	b.Grow(100_000)
	if cap(b.B) != 128<<10 || string(b.B) != "abc" {
		t.Errorf("cap %d, %q", cap(b.B), b.B)
	}
	if st := p.Stats(); st.Grows != 1 || st.Gets != 1 || st.OutBytes != 128<<10 {
		t.Errorf("%+v", st)
	}
	b.Release()
	mustBeHome(t, p)
}

func TestGrowDoublesWithinWhatIsNeeded(t *testing.T) {
	p := New()
	for _, c := range []struct{ have, add, most, want int }{
		{1000, 100, MaxSize, 2 << 10},
		{64 << 10, 1, MaxSize, 128 << 10},
		{100_000, 40_000, MaxSize, 256 << 10},
		{512 << 10, 1, 700_000, 704 << 10},
		{512 << 10, 1, 512 << 10, 576 << 10}, // what must fit comes first
		{512 << 10, 500 << 10, 1, 1 << 20},
		{900 << 10, 50 << 10, MaxSize, 1 << 20}, // twice that is no class
		{200, 900, 500, 2 << 10},
	} {
		b := p.Get(c.have)
		b.B = b.B[:cap(b.B)]
		b.GrowWithin(c.add, c.most)
		if cap(b.B) != c.want {
			t.Errorf("%+v: capacity %d", c, cap(b.B))
		}
		b.Release()
	}
	mustBeHome(t, p)
}

// B may be shortened, consumed from its front, or pointed elsewhere: Grow keeps
// what B shows, and Release returns the memory the buffer came with.
func TestResliced(t *testing.T) {
	for _, n := range []int{256, SmallMax, 2 << 20, 12 << 20} {
		p := New()
		b := p.Get(n)
		size := cap(b.B)
		b.B = b.B[:size]
		copy(b.B[size-4:], "tail")
		b.B = b.B[size-4:]
		b.Grow(n)
		if string(b.B) != "tail" || cap(b.B) < n+4 {
			t.Errorf("from the front: %q, cap %d", b.B, cap(b.B))
		}
		b.B = []byte("foreign")
		b.Append([]byte(" bytes"))
		if string(b.B) != "foreign bytes" {
			t.Errorf("foreign: %q", b.B)
		}
		b.B = nil
		b.Release()
		mustBeHome(t, p)
		again := p.Get(n)
		if len(again.B) != 0 || cap(again.B) < n {
			t.Errorf("after it, Get(%d) has cap %d", n, cap(again.B))
		}
		again.Release()
	}
}

func TestWrite(t *testing.T) {
	p := New()
	b := p.Get(0)
	defer b.Release()
	if n, err := io.WriteString(b, strings.Repeat("x", 1000)); n != 1000 || err != nil || len(b.B) != 1000 {
		t.Errorf("%d, %v, len %d", n, err, len(b.B))
	}
}

func TestWriteRefusesToPassMaxSize(t *testing.T) {
	p := New()
	b := p.Get(MaxSize)
	b.B = b.B[:MaxSize-1]
	if n, err := b.Write([]byte("xy")); n != 0 || !errors.Is(err, ErrTooLarge) || len(b.B) != MaxSize-1 {
		t.Errorf("%d, %v, len %d", n, err, len(b.B))
	}
	if n, err := b.Write([]byte("x")); n != 1 || err != nil || len(b.B) != MaxSize {
		t.Errorf("%d, %v, len %d", n, err, len(b.B))
	}
	mustPanic(t, msgSize, func() { b.Grow(1) })
	b.Release()
	mustBeHome(t, p)
}

func TestDefault(t *testing.T) {
	before := Default.Stats()
	b := Get(5)
	if out := Default.Stats().Out - before.Out; out != 1 {
		t.Errorf("%d out of Default after Get", out)
	}
	b.Release()
	if out := Default.Stats().Out - before.Out; out != 0 {
		t.Errorf("%d out of Default after Release", out)
	}
}
