package deflate

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/bench/corpus"
)

// What is stored for a while takes its own bytes, and what follows refers to it as if it had been compressed.
func TestStore(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	for _, p := range []Policy{{}, {Takeover: NoTakeover}, {Level: 6}, {Takeover: OwnCompressor}} {
		for _, bits := range []uint8{8, 15} {
			w := newWire(t, p, Direction{bits, p.Takeover != NoTakeover})
			for range unraced(3, 1) {
				m := corpus.Orders(r, 400_000)
				w.sender.Begin()
				payload := w.sender.Write(nil, m[:130_000], false)
				before := len(payload)
				payload = w.sender.Store(payload, m[130_000:300_000])
				if n := len(payload) - before; (n > 170_000) != (p.Takeover != OwnCompressor) || n > 170_000+90<<10 {
					t.Errorf("%+v: 170,000 bytes and what was pending are stored in %d", p, n)
				}
				before = len(payload)
				payload = w.sender.Write(payload, m[299_900:300_000], true)
				if n := len(payload) - before; bits == 15 && p.Takeover != OwnCompressor && n > 30 {
					t.Errorf("%+v: what was just stored takes %d bytes", p, n)
				}
				payload = w.sender.Write(payload, m[300_000:], false)
				payload = w.sender.End(w.sender.Store(payload, nil))
				w.check(payload, bytes.Join([][]byte{m[:300_000], m[299_900:]}, nil), whole())
				w.send(m[len(m)-1000:])
			}
		}
	}
	w := newWire(t, Policy{}, full())
	mustPanic(t, msgIdle, func() { w.sender.Store(nil, []byte("x")) })
}

// What is held between the parts of a message is counted, and given back however the message ends.
func TestHeldCompressors(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	part := corpus.Orders(r, 20_000)
	before := HeldCompressors()
	for name, end := range map[string]func(s *Sender){
		"End": func(s *Sender) { s.End(nil) }, "Park": func(s *Sender) { s.Park(nil) }, "Close": func(s *Sender) { s.Close() },
		"Store": func(s *Sender) { s.Store(nil, part) },
	} {
		w := newWire(t, Policy{Level: 3}, full())
		w.sender.Begin()
		for range 2 {
			w.sender.Write(nil, part, true)
			if n := HeldCompressors() - before; n != 1 || !w.sender.HoldsCompressor() {
				t.Errorf("%s: %d are held", name, n)
			}
		}
		if end(w.sender); HeldCompressors() != before {
			t.Errorf("%s: %d are held", name, HeldCompressors()-before)
		}
	}
}
