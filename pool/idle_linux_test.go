//go:build !gannetdebug

// The tag gannetdebug fences released mappings off instead of keeping them.

package pool

import (
	"testing"
	"time"
)

func TestKeptMappingsAreReused(t *testing.T) {
	Trim()
	p := New()
	p.Get(5 << 20).Release()
	first := p.Stats().Misses
	for _, n := range []int{5 << 20, 2 << 20, SmallMax + 1, 6 << 20} {
		b := p.Get(n)
		if cap(b.B) != 6<<20 {
			t.Errorf("Get(%d) has cap %d, want the kept 6 MiB", n, cap(b.B))
		}
		b.Release()
	}
	if again := p.Stats().Misses - first; again != 0 {
		t.Errorf("%d misses", again)
	}
	if b := p.Get(7 << 20); cap(b.B) != 8<<20 {
		t.Errorf("Get(7 MiB) has cap %d", cap(b.B))
	} else {
		b.Release()
	}
	if got := Mapped().Kept; got != 14<<20 {
		t.Errorf("%d bytes kept, want the two", got)
	}
	b := p.Get(2 << 20)
	if cap(b.B) != 6<<20 {
		t.Errorf("Get(2 MiB) has cap %d, want the smaller one that is kept", cap(b.B))
	}
	b.Release()
	Trim()
	mustBeHome(t, p)
}

func TestKeptMappingsAreBounded(t *testing.T) {
	Trim()
	p := New()
	mapped := Mapped()
	var held []*Buffer
	for i := range 60 {
		held = append(held, p.Get((i%5+1)*2<<20))
	}
	for _, b := range held {
		b.Release()
		if got := Mapped().Kept; got > keptTotal {
			t.Fatalf("%d bytes kept", got)
		}
	}
	if got := Mapped(); got.Out != mapped.Out || got.Kept < keptTotal-keptLargest {
		t.Errorf("%+v", got)
	}
	Trim()
	if got := Mapped(); got.Kept != 0 || got.Returning != 0 {
		t.Errorf("after Trim: %+v", got)
	}
	mustBeHome(t, p)
}

// What is used between two looks of the timer stays, and what is not goes.
func TestIdleMappingsGoAtTheSecondLook(t *testing.T) {
	Trim()
	p := New()
	a, b := p.Get(2<<20), p.Get(8<<20)
	a.Release()
	b.Release()
	returnIdle()
	p.Get(2 << 20).Release()
	returnIdle()
	if got := Mapped().Kept; got != 2<<20 {
		t.Errorf("%d bytes kept, want the one that was used", got)
	}
	returnIdle()
	if got := Mapped().Kept; got != 0 {
		t.Errorf("%d bytes kept", got)
	}
	mustBeHome(t, p)
}

func TestTheTimerGivesIdleMappingsBack(t *testing.T) {
	Trim()
	Default.Get(4 << 20).Release()
	deadline := time.Now().Add(5 * keptIdle)
	for Mapped().Kept != 0 {
		if time.Now().After(deadline) {
			t.Fatalf("still kept: %+v", Mapped())
		}
		time.Sleep(keptIdle / 20)
	}
}
