package incoming

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// script makes a stream of what the bytes of a fuzzer, or of a random source, ask for.
func script(rng *rand.Rand, deflates bool, frame func(byte, []byte) []byte) (b []byte) {
	var z squeezer
	text := func() []byte {
		p := []byte(strings.Repeat("añ→🐟 and so on ", 1+rng.IntN(1<<rng.IntN(8))))
		p = p[:rng.IntN(len(p)+1)]
		if rng.IntN(2) == 0 {
			p = bytes.ToValidUTF8(p, nil)
		}
		if len(p) > 0 && rng.IntN(20) == 0 {
			p[rng.IntN(len(p))] ^= byte(1 << rng.IntN(8))
		}
		return p
	}
	for range 1 + rng.IntN(8) {
		op, payload := byte(1+rng.IntN(2)), text()
		if deflates && rng.IntN(2) == 0 {
			if op |= 0x40; rng.IntN(30) == 0 {
				payload = append(z.message(payload), 7) // a reserved block
			} else {
				payload = z.message(payload)
			}
		}
		for {
			n := len(payload)
			if rng.IntN(2) == 0 {
				n = rng.IntN(n + 1)
			}
			last := n == len(payload) && rng.IntN(4) > 0
			if last {
				op |= 0x80
			}
			b = append(b, frame(op, payload[:n])...)
			if payload, op = payload[n:], 0; last {
				break
			}
			if rng.IntN(3) == 0 {
				b = append(b, frame(0x89+byte(rng.IntN(2)), make([]byte, rng.IntN(126)))...)
			}
		}
		if rng.IntN(40) == 0 {
			b[rng.IntN(len(b))] ^= byte(1 << rng.IntN(8)) // anything may be broken
		}
	}
	return b
}

// trial holds an In to the twin over one stream.
func trial(t testing.TB, seed uint64, stream []byte) {
	rng := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t, rng.IntN(3) > 0, rng.IntN(3) == 0)
	frames := frame
	if rng.IntN(4) == 0 {
		r.as(codec.RoleClient)
		frames = bare
	}
	if stream == nil {
		stream = script(rng, r.in.agreed != deflate.Agreement{}, frames)
	}
	r.whole, r.direct = rng.IntN(4) > 0, rng.IntN(2) == 0
	if rng.IntN(3) == 0 {
		r.lim = Limits{MaxMessageSize: 1 + rng.Int64N(1<<rng.IntN(14)), MaxFragments: 1 + rng.IntN(6)}
	}
	if !r.chunks && rng.IntN(3) == 0 {
		r.discard = 1 + rng.IntN(4)
	}
	w := verdict(r, stream)
	for _, read := range cuts(rng, stream) {
		r.feed(read)
	}
	r.demand(w)
}

func TestRandomStreams(t *testing.T) {
	for seed := range uint64(3000) {
		trial(t, seed, nil)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add(uint64(1), sample(false))
	f.Add(uint64(2), []byte{})
	f.Fuzz(func(t *testing.T, seed uint64, stream []byte) {
		if len(stream) == 0 {
			trial(t, seed, nil)
			return
		}
		for i := range stream { // compressed payloads are the scripts': here the twin's decoder stops at a last block
			if stream[i] >= 0xc1 && stream[i] <= 0xc2 {
				stream[i] &^= 0x40
			}
		}
		trial(t, seed, stream)
	})
}
