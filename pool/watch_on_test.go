//go:build gannetdebug

package pool

import (
	"runtime"
	"strings"
	"sync"
	"testing"
)

// The functions below take and give up buffers under names to look for in stacks.

//go:noinline
func takenHere(p *Pool, n int) *Buffer { return p.Get(n) }

//go:noinline
func retainedHere(b *Buffer) { b.Retain() }

//go:noinline
func releasedHere(b *Buffer) { b.Release() }

//go:noinline
func releasedAgainHere(b *Buffer) { b.Release() }

//go:noinline
func grownHere(b *Buffer, n int) { b.Grow(n) }

func wantNames(t *testing.T, text string, names ...string) {
	t.Helper()
	for _, name := range names {
		if !strings.Contains(text, "."+name) {
			t.Errorf("%s is not named in\n%s", name, text)
		}
	}
}

func TestSecondReleaseNamesBoth(t *testing.T) {
	p := New()
	for _, n := range []int{100, 3 << 20} {
		b := takenHere(p, n)
		retainedHere(b)
		b.Release()
		releasedHere(b)
		p.Get(n).Release() // even when the memory has been in use again
		text := mustPanic(t, msgTwice, func() { releasedAgainHere(b) })
		wantNames(t, text, "takenHere", "retainedHere", "releasedHere", "releasedAgainHere")
	}
	mustBeHome(t, p)
}

func TestRetainAfterReleaseNamesBoth(t *testing.T) {
	b := takenHere(New(), 100)
	releasedHere(b)
	wantNames(t, mustPanic(t, msgRetain, func() { retainedHere(b) }), "takenHere", "releasedHere", "retainedHere")
}

func TestGrowAfterReleaseNamesBoth(t *testing.T) {
	b := takenHere(New(), 100)
	releasedHere(b)
	wantNames(t, mustPanic(t, msgReleased, func() { grownHere(b, 1) }), "takenHere", "releasedHere", "grownHere")
}

func TestReleasedMemoryIsPoisoned(t *testing.T) {
	b := New().Get(100)
	b.Append([]byte("secret"))
	stale := b.B[:cap(b.B)]
	b.Release()
	for i, c := range stale {
		if c != poisonByte {
			t.Fatalf("byte %d is %#x", i, c)
		}
	}
}

func TestNewMemoryIsPoisoned(t *testing.T) {
	p := New()
	for range 3 * gravesPerClass { // more than rest in graves
		b := p.Get(SmallMax)
		defer b.Release()
		if full := b.B[:cap(b.B)]; full[len(full)/2] != poisonByte || full[len(full)-1] != poisonByte {
			t.Fatal("memory that nobody has written does not show it")
		}
	}
}

func TestWriteAfterReleaseIsFoundAtTheNextGet(t *testing.T) {
	p := New()
	emptyGraves()
	for c := range uint8(classCount) {
		size := classSize(c)
		for _, at := range []int{0, size / 2, size - 1} {
			b := takenHere(p, size)
			stale := b.B[:size]
			releasedHere(b)
			stale[at]++
			text := mustPanic(t, msgWritten, func() { p.Get(size) })
			wantNames(t, text, "takenHere", "releasedHere")
			p.Get(size).Release() // and only once
		}
	}
	mustBeHome(t, p)
}

func TestWriteAfterReleaseIsFoundByLeaks(t *testing.T) {
	p := New()
	b := takenHere(p, 1000)
	stale := b.B[:1]
	releasedHere(b)
	stale[0] = 'x'
	wantNames(t, mustPanic(t, msgWritten, func() { p.Leaks() }), "takenHere", "releasedHere")
	mustBeHome(t, p)
}

// A slice from before Grow is as stale as one of a released buffer.
func TestWriteAfterGrowIsFound(t *testing.T) {
	p := New()
	b := takenHere(p, 1000)
	b.Append([]byte("x"))
	stale := b.B
	grownHere(b, 5000)
	stale[0] = 'y'
	wantNames(t, mustPanic(t, msgWritten, func() { p.Leaks() }), "takenHere", "grownHere")
	if string(b.B) != "x" {
		t.Errorf("content %q", b.B)
	}
	b.Release()
	mustBeHome(t, p)
}

func TestLeaksAreListedInOrder(t *testing.T) {
	p := New()
	a := takenHere(p, 1000)
	p.Get(10).Release()
	b := p.Get(10)
	retainedHere(b)
	b.Release()
	b.Grow(2 << 20)
	leaks := p.Leaks()
	if len(leaks) != 2 || leaks[0].Bytes != 1024 || leaks[0].Refs != 1 || leaks[1].Bytes < 2<<20 {
		t.Fatalf("%+v", leaks)
	}
	wantNames(t, leaks[0].Stack, "takenHere", "TestLeaksAreListedInOrder")
	wantNames(t, leaks[1].Stack, "retainedHere", "TestLeaksAreListedInOrder")
	if strings.Contains(leaks[1].Stack, "takenHere") {
		t.Errorf("a record was not renewed:\n%s", leaks[1].Stack)
	}
	if others := New().Leaks(); others != nil {
		t.Errorf("another pool lists %v", others)
	}
	a.Release()
	b.Release()
	mustBeHome(t, p)
}

func TestGravesAreBounded(t *testing.T) {
	p := New()
	var held []*Buffer
	for range 3 * gravesPerClass {
		held = append(held, p.Get(2000))
	}
	for _, b := range held {
		b.Release()
	}
	watchLock.Lock()
	defer watchLock.Unlock()
	if n := len(graves[classOf(2000)]); n != gravesPerClass {
		t.Errorf("%d graves", n)
	}
}

// Everybody releases the same buffer once too often: one of them is told, whichever it is.
func TestOneOfManyReleasesIsTooMany(t *testing.T) {
	const holders = 8
	b := New().Get(100)
	for range holders - 2 {
		b.Retain()
	}
	var told sync.Map
	var releasing sync.WaitGroup
	for i := range holders {
		releasing.Go(func() {
			defer func() {
				if text, ok := recover().(string); ok {
					told.Store(i, text)
				}
			}()
			runtime.Gosched()
			b.Release()
		})
	}
	releasing.Wait()
	count := 0
	told.Range(func(_, text any) bool {
		count++
		return strings.HasPrefix(text.(string), msgTwice)
	})
	if count != 1 {
		t.Errorf("%d of %d releases were refused, want 1", count, holders)
	}
}

// emptyGraves lets the next buffer released be the next one inspected.
func emptyGraves() {
	for c := range uint8(classCount) {
		for m := exhume(c); m != nil; m = exhume(c) {
			putMemory(c, m)
		}
	}
}
