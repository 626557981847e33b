package engine

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// One callback that sends more than MaxBufferedAmount to a peer that reads: what has to make way for the rest is not
// compressed on the loop, where others wait, and all of it arrives, in order.
func TestCallbackOverMaxBufferedAmount(t *testing.T) {
	for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.NoTakeover, deflate.OwnCompressor} {
		testCallbackOverMax(t, takeover)
	}
}

func testCallbackOverMax(t *testing.T, takeover deflate.Takeover) {
	r := rand.New(rand.NewPCG(31, uint64(takeover)))
	answers := [][]byte{records(r, 1<<20), records(r, 300<<10), records(r, 3000), records(r, 1<<20), records(r, 700<<10), records(r, 1<<20)}
	failure := make(chan error, 1)
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		var err error
		for i, answer := range answers {
			if i == 1 {
				w := c.NewWriter(OpBinary)
				for _, part := range [][]byte{answer[:200], answer[200:100_000], answer[100_000:]} {
					_, werr := w.Write(part)
					err = errors.Join(err, werr)
				}
				err = errors.Join(err, w.Close())
				continue
			}
			err = errors.Join(err, c.SendBinary(answer))
		}
		failure <- err
	}}, deflating(Options{Loops: 1, Deflate: &deflate.Policy{Takeover: takeover}, Limits: Limits{MaxBufferedAmount: 1<<20 + 1000}}))
	p := dialFlate(t, s, justDeflate)
	for range 2 {
		p.sends(OpText, []byte("go"))
		wire, payload := 0, 0
		for _, answer := range answers {
			got := p.wants(OpBinary, answer)
			wire, payload = wire+got.wire, payload+len(answer)
		}
		if err := <-failure; err != nil {
			t.Fatal(err)
		}
		t.Logf("takeover %d: %d bytes took %d", takeover, payload, wire)
		if hurried := wire > payload/2; hurried != (takeover != deflate.OwnCompressor) {
			t.Errorf("takeover %d: %d bytes took %d on the wire", takeover, payload, wire)
		}
	}
}

// Whoever reads all is not slow, from whichever goroutine more is sent than MaxBufferedAmount.
func TestSenderOverMaxBufferedAmount(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{Limits: Limits{MaxBufferedAmount: 1 << 20}})
	m.credit = 1 << 30
	r := rand.New(rand.NewPCG(32, 1))
	messages := [][]byte{records(r, 1<<20), records(r, 900<<10), records(r, 900<<10), records(r, 500)}
	for _, b := range messages {
		if err := c.SendBinary(b); err != nil {
			t.Fatal(err)
		}
		if n := c.BufferedAmount(); n > 2<<20 {
			t.Error(n, "bytes are buffered")
		}
	}
	for c.BufferedAmount() != 0 {
		l.OnWake()
	}
	p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
	for _, b := range messages {
		p.wants(OpBinary, b)
	}
}
