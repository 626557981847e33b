package maskkey

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// TestKeys: keys of several goroutines do not repeat more than chance has it, and each of their bits is as often one as zero.
func TestKeys(t *testing.T) {
	const goroutines, each = 4, 1 << 15
	var all [goroutines][each][4]byte
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				all[g][i] = New()
			}
		})
	}
	wg.Wait()
	seen := map[[4]byte]int{}
	var ones [32]int
	for g := range all {
		for _, k := range all[g] {
			if seen[k]++; seen[k] > 3 {
				t.Fatalf("%x came %d times", k, seen[k])
			}
			for bit := range ones {
				ones[bit] += int(k[bit/8] >> (bit % 8) & 1)
			}
		}
	}
	if seen[[4]byte{}] != 0 {
		t.Error("a key of zeros")
	}
	const n = goroutines * each
	if len(seen) < n-20 { // 2 pairs are expected
		t.Errorf("%d different keys of %d", len(seen), n)
	}
	for bit, k := range ones { // ten standard deviations
		if k < n/2-1811 || k > n/2+1811 {
			t.Errorf("bit %d was one %d times of %d", bit, k, n)
		}
	}
}

// TestSources: each source has a seed of its own, of the system's, and makes what ChaCha8 makes of it, each key once. With 256 bits of
// seed that nobody saw, and a generator whose output does not tell its state, no key tells the next.
func TestSources(t *testing.T) {
	const sources, each = 200, 64
	seen := map[[2]uint32]bool{}
	for range sources {
		s := newSource()
		last := s.next()
		for range each {
			n := s.next()
			if pair := [2]uint32{last, n}; seen[pair] { // of 2^64 pairs
				t.Fatalf("two sources made %x", pair)
			} else {
				seen[pair] = true
			}
			last = n
		}
	}
	var seed [32]byte
	s, want := &source{rng: rand.NewChaCha8(seed)}, rand.NewChaCha8(seed)
	for range each {
		n := want.Uint64()
		if low, high := s.next(), s.next(); low != uint32(n) || high != uint32(n>>32) {
			t.Fatalf("%x and %x of %x", low, high, n)
		}
	}
}

// TestKeysAfterCollection: a collection empties the pool. The sources that come then do not begin where others began.
func TestKeysAfterCollection(t *testing.T) {
	seen := map[[8]byte]bool{}
	for range 50 {
		for range 2 { // a pool keeps what it has for one more
			runtime.GC()
		}
		var pair [8]byte
		a, b := New(), New()
		copy(pair[:4], a[:])
		copy(pair[4:], b[:])
		if seen[pair] {
			t.Fatalf("%x came twice", pair)
		}
		seen[pair] = true
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New()
	}
}
