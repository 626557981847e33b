//go:build !race && !gannetdebug

// The race detector has pools forget at random, and a debug build notes who took a buffer.

package incoming

import (
	"bytes"
	"testing"
)

// TestNoMallocs: nothing is allocated for a message, however it comes.
func TestNoMallocs(t *testing.T) {
	payload := bytes.Repeat([]byte("some text "), 400)
	var z squeezer
	_ = z.message(payload)
	again := z.message(payload) // refers to the one before, as each that follows may
	for name, k := range map[string]struct {
		stream []byte
		cut    int
		chunks bool
	}{
		"whole":                  {frame(0x81, payload), 0, false},
		"cut in the header":      {frame(0x81, payload), 3, false},
		"cut in the payload":     {frame(0x81, payload), 2000, false},
		"fragments and a ping":   {bytes.Join([][]byte{frame(0x01, payload), frame(0x89, payload[:100]), frame(0x80, payload)}, nil), 4050, false},
		"a ping, cut":            {frame(0x89, payload[:100]), 50, false},
		"compressed":             {frame(0xc1, again), 10, false},
		"chunks":                 {frame(0x81, payload), 2000, true},
		"chunks of a compressed": {frame(0xc1, again), 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true, k.chunks)
			r.feed(frame(0xc1, (&squeezer{}).message(payload)))
			room := make([]byte, len(k.stream))
			events := 0
			pass := func(b []byte) {
				b = room[:copy(room, b)]
				for len(b) > 0 || r.in.More() {
					if _, _, n := r.in.Whole(b, &r.lim); n > 0 {
						events++
						b = b[n:]
						continue
					}
					var e Event
					n, err := r.in.Next(b, &r.lim, &e)
					if err != nil {
						t.Fatal(err)
					}
					b = b[n:]
					if e.Kind != Nothing {
						events++
					}
					if e.Held != nil {
						e.Held.Release()
					}
				}
			}
			if n := testing.AllocsPerRun(1000, func() {
				pass(k.stream[:k.cut])
				pass(k.stream[k.cut:])
			}); n != 0 || events < 1000 {
				t.Errorf("%v mallocs for %d events", n, events)
			}
		})
	}
}

// BenchmarkWhole is the straight path: messages that lie in what was read.
func BenchmarkWhole(b *testing.B) {
	r := newRig(b, false, false)
	one := frame(0x82, make([]byte, 128))
	stream := bytes.Repeat(one, 256)
	b.ReportAllocs()
	for b.Loop() {
		for p := stream; len(p) > 0; {
			_, _, n := r.in.Whole(p, &r.lim)
			if n == 0 {
				b.Fatal("not whole")
			}
			p = p[n:]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*256), "ns/msg")
}
