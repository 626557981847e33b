package pool

import (
	"fmt"
	"testing"
	"time"
)

func sizeName(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

func BenchmarkGetRelease(b *testing.B) {
	p := New()
	for c := range uint8(classCount) {
		b.Run(sizeName(classSize(c)), func(b *testing.B) {
			for b.Loop() {
				p.Get(classSize(c)).Release()
			}
		})
	}
	for _, n := range []int{2 << 20, 8 << 20, 16 << 20} {
		b.Run(sizeName(n), func(b *testing.B) {
			for b.Loop() {
				p.Get(n).Release()
			}
		})
	}
}

func BenchmarkGetReleaseParallel(b *testing.B) {
	p := New()
	for _, n := range []int{256, 4 << 10, 64 << 10} {
		b.Run(sizeName(n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p.Get(n).Release()
				}
			})
		})
	}
}

// A message that arrives in pieces: the memory comes from another class each time.
func BenchmarkGrowThroughClasses(b *testing.B) {
	p := New()
	piece := make([]byte, 4096)
	for b.Loop() {
		m := p.Get(0)
		for range 16 {
			m.Append(piece)
		}
		m.Release()
	}
}

// Messages written whole, so that page faults count. 2 and 8 MiB find a kept mapping.
func BenchmarkFill(b *testing.B) {
	p := New()
	piece := make([]byte, 256<<10)
	for _, n := range []int{1 << 20, 2 << 20, 8 << 20, 16 << 20, 64 << 20} {
		b.Run(sizeName(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				m := p.Get(n)
				for len(m.B) < n {
					m.Append(piece)
				}
				m.Release()
			}
		})
	}
}

// Appending 64 MiB, and reaching 1 GiB with only a page of each step written:
// what matters is the worst single Grow, for it holds a loop.
func BenchmarkWorstGrow(b *testing.B) {
	p := New()
	piece := make([]byte, 256<<10)
	b.Run("64MiB", func(b *testing.B) {
		var worst time.Duration
		for b.Loop() {
			m := p.Get(0)
			for len(m.B) < 64<<20 {
				worst = max(worst, timeGrow(m, len(piece)))
				m.Append(piece)
			}
			m.Release()
		}
		b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
	})
	b.Run("1GiB-lazy", func(b *testing.B) {
		var worst time.Duration
		for b.Loop() {
			m := p.Get(0)
			for len(m.B) < 1<<30 {
				worst = max(worst, timeGrow(m, 1<<20))
				m.B = m.B[:len(m.B)+1<<20]
				m.B[len(m.B)-1] = 1
			}
			m.Release()
		}
		b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
	})
}

// The worst Release of a large buffer that was written whole.
func BenchmarkWorstRelease(b *testing.B) {
	p := New()
	for _, n := range []int{8 << 20, 64 << 20, 512 << 20} {
		b.Run(sizeName(n), func(b *testing.B) {
			var worst time.Duration
			for b.Loop() {
				m := p.Get(n)
				for i := 0; i < n; i += 4096 {
					m.B[:n][i] = 1
				}
				start := time.Now()
				m.Release()
				worst = max(worst, time.Since(start))
				Trim()
			}
			b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
		})
	}
}

func timeGrow(m *Buffer, n int) time.Duration {
	start := time.Now()
	m.Grow(n)
	return time.Since(start)
}

func BenchmarkStats(b *testing.B) {
	p := New()
	for b.Loop() {
		p.Stats()
	}
}
