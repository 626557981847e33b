//go:build !race && !gannetdebug

package dom

import (
	"context"
	"runtime"
	"testing"

	"github.com/gannet-ws/gannet/engine"
)

// pingPong sends a message there and back n times.
func pingPong(t testing.TB, a, b *Stream, n int) {
	ctx := context.Background()
	p, there, back := make([]byte, 128), make([]byte, 0, 256), make([]byte, 0, 256)
	for range n {
		if err := a.Write(ctx, engine.OpBinary, p); err != nil {
			t.Fatal(err)
		}
		_, got, err := b.ReadTo(ctx, there)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Write(ctx, engine.OpBinary, got); err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.ReadTo(ctx, back); err != nil {
			t.Fatal(err)
		}
	}
}

// Write and ReadTo allocate nothing.
func TestStreamMallocs(t *testing.T) {
	a, b := roads()[0].pair(t)
	const n = 20_000
	pingPong(t, a, b, n)
	each := 0.0
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		pingPong(t, a, b, n)
		runtime.ReadMemStats(&after)
		if each = float64(after.Mallocs-before.Mallocs) / (2 * n); each <= 0.005 {
			return
		}
	}
	t.Errorf("%.4f mallocs a message", each)
}

func BenchmarkStream(b *testing.B) {
	s, peer := roads()[0].pair(b)
	b.ReportAllocs()
	for b.Loop() {
		pingPong(b, s, peer, 1)
	}
}
