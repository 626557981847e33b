package pool

import (
	"testing"
	"unsafe"
)

func TestStatsFollowEveryStep(t *testing.T) {
	p := New()
	check := func(step string, want Stats) {
		t.Helper()
		got := p.Stats()
		got.Misses = 0 // depends on what the process did before; see TestMissesAreCounted
		if got != want {
			t.Errorf("%s: %+v, want %+v", step, got, want)
		}
	}
	a := p.Get(1000)
	check("Get(1000)", Stats{Out: 1, OutBytes: 1024, Gets: 1})
	b := p.Get(1 << 20)
	check("Get(1 MiB)", Stats{Out: 2, OutBytes: 1024 + 1<<20, Gets: 2})
	a.Grow(3000)
	check("Grow to 4 KiB", Stats{Out: 2, OutBytes: 4096 + 1<<20, Gets: 2, Grows: 1})
	a.Grow(4096)
	check("Grow with room", Stats{Out: 2, OutBytes: 4096 + 1<<20, Gets: 2, Grows: 1})
	b.Grow(9 << 20)
	large := int64(cap(b.B))
	check("Grow to large", Stats{Out: 2, OutBytes: 4096 + large, LargeOut: 1, LargeBytes: large, Gets: 2, Grows: 2})
	b.Grow(int(large) + 1)
	large = int64(cap(b.B))
	check("Grow of large", Stats{Out: 2, OutBytes: 4096 + large, LargeOut: 1, LargeBytes: large, Gets: 2, Grows: 3})
	b.Retain()
	b.Release()
	check("Retain, Release", Stats{Out: 2, OutBytes: 4096 + large, LargeOut: 1, LargeBytes: large, Gets: 2, Grows: 3})
	b.Release()
	check("Release of large", Stats{Out: 1, OutBytes: 4096, Gets: 2, Grows: 3})
	a.Release()
	check("Release", Stats{Gets: 2, Grows: 3})
}

func TestPoolsCountApart(t *testing.T) {
	p, q := New(), New()
	a := p.Get(10)
	if st := q.Stats(); st != (Stats{}) {
		t.Errorf("another pool counted: %+v", st)
	}
	a.Release()
	b := q.Get(10) // most likely the same memory
	if st := p.Stats(); st.Out != 0 || st.Gets != 1 {
		t.Errorf("first pool: %+v", st)
	}
	if st := q.Stats(); st.Out != 1 || st.Gets != 1 {
		t.Errorf("second pool: %+v", st)
	}
	b.Release()
	mustBeHome(t, p)
	mustBeHome(t, q)
}

// Buffers held together cannot be recycled from each other, so the second
// hundred must come from the system, and holding fewer later must not.
func TestMissesAreCounted(t *testing.T) {
	p := New()
	const size, count = 300 << 10, 100
	var held []*Buffer
	for range count {
		held = append(held, p.Get(size))
	}
	first := p.Stats().Misses
	for range count {
		held = append(held, p.Get(size))
	}
	if got := p.Stats().Misses - first; first > count || got > count || first+got < count {
		t.Errorf("%d misses, then %d", first, got)
	}
	for _, b := range held {
		b.Release()
	}
	mustBeHome(t, p)
}

func TestCountersDoNotShareCacheLines(t *testing.T) {
	if size := unsafe.Sizeof(shard{}); size%64 != 0 {
		t.Errorf("a shard has %d bytes", size)
	}
	if size := unsafe.Sizeof(counter{}); size%64 != 0 {
		t.Errorf("a counter has %d bytes", size)
	}
}
