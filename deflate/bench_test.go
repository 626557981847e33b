package deflate

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/flate"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/pool"
)

func pairFor(tb testing.TB, p Policy, offer string) (Sender, Receiver) {
	tb.Helper()
	x, err := New(p)
	if err != nil {
		tb.Fatal(err)
	}
	a, ok := x.Negotiate([][]byte{[]byte(offer)})
	if !ok {
		tb.Fatal("declined: " + offer)
	}
	mem := pool.New()
	return x.Sender(a, mem), x.Receiver(a, mem)
}

func BenchmarkCompressJSON1KiB(b *testing.B) {
	messages := corpus.Named("json 1 KiB").Messages
	for _, offer := range []string{"permessage-deflate", "permessage-deflate; server_no_context_takeover"} {
		b.Run(offer, func(b *testing.B) {
			s, _ := pairFor(b, Policy{}, offer)
			dst := make([]byte, 0, 4096)
			n := 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				out, _ := s.Compress(dst, messages[i%len(messages)])
				n += len(out)
			}
			b.ReportMetric(float64(n)/float64(b.N), "B/msg")
		})
	}
}

func BenchmarkInflateJSON1KiB(b *testing.B) {
	messages := corpus.Named("json 1 KiB").Messages
	for _, offer := range []string{"permessage-deflate", "permessage-deflate; client_no_context_takeover"} {
		b.Run(offer, func(b *testing.B) {
			s, r := pairFor(b, Policy{}, "permessage-deflate; server_no_context_takeover")
			_, r = pairFor(b, Policy{}, offer)
			var sent [][]byte
			for _, m := range messages {
				out, _ := s.Compress(nil, m)
				sent = append(sent, out)
			}
			dst := make([]byte, 4096)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, _, step, err := r.Inflate(dst, sent[i%len(sent)], true); step != Done || err != nil {
					b.Fatal(step, err)
				}
			}
		})
	}
	b.Run("klauspost", func(b *testing.B) {
		s, _ := pairFor(b, Policy{}, "permessage-deflate; server_no_context_takeover")
		var sent [][]byte
		for _, m := range messages {
			out, _ := s.Compress(nil, m)
			sent = append(sent, append(out, 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff))
		}
		dst := make([]byte, 4096)
		z := flate.NewReader(nil)
		var in bytes.Reader
		for i := 0; b.Loop(); i++ {
			in.Reset(sent[i%len(sent)])
			z.(flate.Resetter).Reset(&in, nil)
			n := 0
			for {
				k, err := z.Read(dst[n:])
				n += k
				if err == io.EOF {
					break
				}
			}
		}
	})
}
