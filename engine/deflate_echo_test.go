package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// Echoes of thousands of messages: both contexts, in every form that an agreement can take.

// chatter is what a client of these tests says, one message at a time, as it was made.
type chatter struct {
	r    *rand.Rand
	most int // bytes of a message
}

func (k *chatter) next() (op Opcode, payload []byte) {
	n := k.r.IntN(k.most)
	if k.r.IntN(3) > 0 {
		n = k.r.IntN(200)
	}
	kind := kinds[k.r.IntN(len(kinds))]
	return kind.op(), kind.make(k.r, n)
}

// say says it in one of the ways that there are.
func (k *chatter) say(p *flatePeer, op Opcode, payload []byte) error {
	switch k.r.IntN(6) {
	case 0:
		return p.sayPlain(op, payload)
	case 1:
		return p.sayCut(op, payload, 0, k.r.IntN(1+len(payload)), k.r.IntN(2+len(payload)))
	case 2:
		at := k.r.IntN(1 + len(payload))
		return p.sayParts(op, payload[:at], nil, payload[at:])
	case 3:
		p.squeeze.forget()
	}
	return p.say(op, payload)
}

// chat has n messages echoed, up to depth of them at a time.
func chat(t *testing.T, p *flatePeer, k *chatter, n, depth int) {
	t.Helper()
	type said struct {
		op      Opcode
		payload []byte
	}
	under := make(chan said, depth)
	failed := make(chan error, 1)
	go func() {
		defer close(under)
		for range n {
			op, payload := k.next()
			under <- said{op, payload}
			if err := k.say(p, op, payload); err != nil {
				failed <- err
				return
			}
		}
	}()
	i, compressed := 0, 0
	for s := range under {
		m, err := p.hear()
		if err != nil || m.op != s.op || !bytes.Equal(m.payload, s.payload) {
			t.Fatalf("message %d: %d bytes of op %d, not %d of %d: %v", i, len(m.payload), m.op, len(s.payload), s.op, err)
		}
		if m.compressed {
			compressed++
		}
		i++
	}
	select {
	case err := <-failed:
		t.Fatal("the client's write:", err)
	default:
	}
	if compressed < n/5 {
		t.Errorf("%d of %d messages came compressed", compressed, n)
	}
}

func TestDeflateEcho(t *testing.T) {
	policies := []struct {
		name string
		deflate.Policy
	}{
		{"shared", deflate.Policy{}},
		{"no takeover", deflate.Policy{Takeover: deflate.NoTakeover}},
		{"own", deflate.Policy{Takeover: deflate.OwnCompressor}},
		{"all sizes", deflate.Policy{MinSize: 1, HistoryBytes: 32 << 10}},
		{"nobody takes over", deflate.Policy{Takeover: deflate.NoTakeover, PeerNoTakeover: true}},
	}
	short, long := unraced(700, 80), unraced(12, 3)
	inEveryMode(t, func(t *testing.T, m mode) {
		for i, k := range policies {
			t.Run(k.name, func(t *testing.T) {
				s := m.start(t, echoHandler, Options{Deflate: &k.Policy})
				p := dialFlate(t, s, "permessage-deflate; client_max_window_bits")
				chat(t, p, &chatter{rand.New(rand.NewPCG(uint64(i), 1)), 8000}, short, 16)
				chat(t, p, &chatter{rand.New(rand.NewPCG(uint64(i), 2)), 300_000}, long, 4)
				within(t, timeoutOf(5), "all is counted", func() bool { // just after it can be read
					st := s.Stats()
					return st.MessagesIn == uint64(short+long) && st.MessagesOut == st.MessagesIn && st.Deflate.MessagesOut > 0 &&
						st.Deflate.BytesIn > st.Deflate.WireBytesIn && st.Deflate.BytesOut > st.Deflate.WireBytesOut
				})
			})
		}
	})
}

// Every window in each direction. The client checks every distance of what it gets.
func TestDeflateEchoWindows(t *testing.T) {
	for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.OwnCompressor, deflate.NoTakeover} {
		s := startServer(t, echoHandler, Options{Deflate: &deflate.Policy{Takeover: takeover}})
		for bits := 8; bits <= 15; bits++ {
			t.Run(fmt.Sprint(takeover, " ", bits), func(t *testing.T) {
				p := dialFlate(t, s, fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", bits, 23-bits))
				if p.server.bits != bits || p.client.bits != 23-bits {
					t.Fatalf("%q", p.answer)
				}
				r := rand.New(rand.NewPCG(uint64(bits), 3))
				chat(t, p, &chatter{r, 2000}, 40, 8)
				long := records(r, outgoing.SliceBytes+1000) // in slices, which know the window as well
				if err := p.sayPlain(OpText, long); err != nil {
					t.Fatal(err)
				}
				p.wants(OpText, long)
				chat(t, p, &chatter{r, 500}, 20, 8)
			})
		}
	}
}

// Windows that the server wants, and levels.
func TestDeflateEchoLevels(t *testing.T) {
	for level := 1; level <= 9; level++ {
		t.Run(fmt.Sprint(level), func(t *testing.T) {
			s := startServer(t, echoHandler, Options{Deflate: &deflate.Policy{
				Level: level, SendWindowBits: 8 + (3*level)%8, ReceiveWindowBits: 8 + (5*level)%8, HistoryBytes: 256 << (level % 8)}})
			p := dialFlate(t, s, "permessage-deflate; client_max_window_bits")
			chat(t, p, &chatter{rand.New(rand.NewPCG(uint64(level), 4)), 2000}, 40, 8)
		})
	}
}

// Context is taken over: a message costs less when it was said before. Without, it does not.
func TestTakeoverPays(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, offer := range []string{justDeflate, "permessage-deflate; server_no_context_takeover", "permessage-deflate; client_no_context_takeover"} {
			s := m.start(t, echoHandler, Options{Deflate: &deflate.Policy{}})
			p := dialFlate(t, s, offer)
			text := records(rand.New(rand.NewPCG(1, 1)), 1000)
			first, second := p.echoes(OpText, text).wire, p.echoes(OpText, text).wire
			if pays := second < first/3; pays != p.server.takeover {
				t.Errorf("%s: %d bytes, then %d", offer, first, second)
			}
			within(t, timeoutOf(5), "counted", func() bool { // a worker answers before the loop's turn is over, which counts
				d := s.Stats().Deflate
				return d.MessagesOut == 2 && d.MessagesIn == 2
			})
			d := s.Stats().Deflate
			if pays := d.WireBytesIn < uint64(first)*3/2; pays != p.client.takeover || d.BytesIn != 2000 || d.BytesOut != 2000 || d.WireBytesOut != uint64(first+second) {
				t.Errorf("%s: %+v", offer, d)
			}
		}
	})
}

// Several connections chat at a time: the compressors that they share keep nothing of another's.
func TestDeflateEchoSideBySide(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s := m.start(t, echoHandler, Options{Loops: 2, Deflate: &deflate.Policy{Level: 3}})
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				p := dialFlate(t, s, []string{justDeflate, "permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_no_context_takeover"}[i%3])
				chat(t, p, &chatter{rand.New(rand.NewPCG(uint64(i), 5)), 4000}, 60, 8)
			})
		}
	})
}
