package outgoing

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// nullSink takes all.
type nullSink struct{ bytes int }

func (s *nullSink) Write(_ int, p []byte) (int, error) {
	s.bytes += len(p)
	return len(p), nil
}

func (s *nullSink) Writev(_ int, v [][]byte) (total int, err error) {
	for _, p := range v {
		total += len(p)
	}
	s.bytes += total
	return total, nil
}

// null is an Out over a sink that takes all, and a corked call.
func null() (*Out, Call) {
	l := &Lane{Sink: new(nullSink), Full: errFull, Pool: pool.New(), Slice: SliceBytes, Places: MostCollecting}
	return new(Out), Call{Lane: l, Limits: &noLimits, ID: 5, Corked: true, Spare: new(Spare)}
}

// Nothing is allocated for a message in the steady state, whichever way it takes.
func TestNoMallocs(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it empties pools
	x, err := deflate.New(deflate.Policy{MinSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := x.Negotiate([][]byte{[]byte("permessage-deflate")})
	for name, send := range map[string]func(o *Out, k Call, p []byte){
		"straight":   func(o *Out, k Call, p []byte) { o.SendPlain(k.Spare, k.Limits, 0, codec.OpBinary, p) },
		"send":       func(o *Out, k Call, p []byte) { o.Send(k, &Message{Op: codec.OpBinary, P: p}) },
		"compressed": func(o *Out, k Call, p []byte) { o.Send(k, &Message{Op: codec.OpBinary, P: p, Compress: a}) },
		"ping":       func(o *Out, k Call, p []byte) { o.Ping(k, p[:10], false) },
		"uncorked": func(o *Out, k Call, p []byte) {
			k.Corked, k.Spare = false, nil
			o.Send(k, &Message{Op: codec.OpBinary, P: p})
		},
	} {
		o, k := null()
		k.Lane.Deflate = x
		p, tally := []byte(accounts(1000)), new(Tally)
		turn := func() {
			for range 50 {
				send(o, k, p)
			}
			if !o.FlushPlain(k.Lane, k.ID, k.Spare, tally) {
				o.Flush(k)
			}
		}
		turn()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 1000 {
			turn()
		}
		if runtime.ReadMemStats(&after); after.Mallocs-before.Mallocs > 50 && !raceEnabled {
			t.Errorf("%s: %d mallocs in 50000 messages", name, after.Mallocs-before.Mallocs)
		}
		if o.Buffered() != 0 || !o.Idle() {
			t.Error(name, o.Account())
		}
	}
}

// BenchmarkTurn is the way out of what one callback sends, without the lock.
func BenchmarkTurn(b *testing.B) {
	for _, n := range []struct {
		name        string
		size, depth int
	}{{"128B", 128, 1}, {"128Bx256", 128, 256}, {"16KiB", 16 << 10, 1}} {
		b.Run(n.name, func(b *testing.B) {
			o, k := null()
			p, tally := make([]byte, n.size), new(Tally)
			b.ReportAllocs()
			for b.Loop() {
				for range n.depth {
					if !o.SendPlain(k.Spare, k.Limits, 0, codec.OpBinary, p) {
						o.Send(k, &Message{Op: codec.OpBinary, P: p})
					}
				}
				if !o.FlushPlain(k.Lane, k.ID, k.Spare, tally) {
					o.Flush(k)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n.depth), "ns/msg")
		})
	}
}
