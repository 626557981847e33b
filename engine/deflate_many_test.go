package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// Many at a time, rest, and the end of a server.

// 64 goroutines send in every way there is: the order of compression is the order on the
// wire, or the client's window would not be ours, and each one's messages are in its order.
func TestDeflateFromManyGoroutines(t *testing.T) {
	const senders = 64
	each := unraced(40, 8)
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.OwnCompressor} {
			_, p, c := pair(t, m, Options{Deflate: &deflate.Policy{Takeover: takeover}}, justDeflate)
			var all sync.WaitGroup
			for sender := range senders {
				all.Go(func() {
					r := rand.New(rand.NewPCG(uint64(sender), 1))
					for i := range each {
						n := r.IntN(2000)
						if i == each/2 && sender%16 == 0 {
							n = outgoing.SliceBytes + r.IntN(200_000)
						}
						payload := signed(sender, i, kinds[r.IntN(len(kinds))].make(r, n))
						if err := sendSomehow(c, r.IntN(6), payload); err != nil {
							t.Error(err)
						}
					}
				})
			}
			next := make([]int, senders)
			for range senders * each {
				got, err := p.hear()
				if err != nil {
					t.Fatal(err)
				}
				sender, i := checkSigned(t, got.payload)
				if i != next[sender] {
					t.Fatalf("message %d of sender %d, not %d", i, sender, next[sender])
				}
				next[sender]++
			}
			all.Wait()
			settledAt0(t, c)
		}
	})
}

// signed is a payload that says who sent it, which of its messages it is, and whether it is whole.
func signed(sender, i int, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(sender))
	b = binary.BigEndian.AppendUint32(b, uint32(i))
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	return append(b, payload...)
}

func checkSigned(t *testing.T, b []byte) (sender, i int) {
	t.Helper()
	if len(b) < 12 || int(binary.BigEndian.Uint32(b[8:])) != len(b)-12 {
		t.Fatalf("a message of %d bytes: % x", len(b), b[:min(len(b), 12)])
	}
	return int(binary.BigEndian.Uint32(b)), int(binary.BigEndian.Uint32(b[4:]))
}

// sendSomehow sends in one of the ways that there are, and waits until it was sent.
func sendSomehow(c *Conn, way int, payload []byte) error {
	switch way {
	case 0:
		return c.Send(OpBinary, payload, NoCompress)
	case 1:
		b := c.loop.engine.pool.Get(len(payload))
		b.B = append(b.B, payload...)
		return c.SendOwned(OpBinary, b)
	case 2:
		p, err := Prepare(OpBinary, payload)
		return errors.Join(err, c.SendPrepared(p))
	case 3:
		sent := make(chan error, 1)
		if err := c.Post(func(c *Conn) { sent <- c.SendBinary(payload) }); err != nil {
			return err
		}
		return <-sent
	case 4: // another's writer may be open
		w := c.NewWriter(OpBinary)
		_, err := w.Write(payload)
		if err == ErrInvalidState {
			break
		}
		return errors.Join(err, w.Close())
	}
	return c.SendBinary(payload)
}

// Echo and pushes at a time: both directions of one connection are on different goroutines.
func TestDeflateBothWaysAtOnce(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		_, p, c := flateEcho(t, m, Options{})
		const n = 100
		r := rand.New(rand.NewPCG(2, 1))
		echo, push := signed(1, 0, records(r, 1500)), signed(2, 0, records(r, 1500))
		var all sync.WaitGroup
		all.Go(func() {
			for range n {
				if err := p.say(OpBinary, echo); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range n {
				if err := c.SendBinary(push); err != nil {
					t.Error(err)
				}
			}
		})
		for range 2 * n {
			got, err := p.hear()
			if err != nil {
				t.Fatal(err)
			}
			sender, _ := checkSigned(t, got.payload)
			if !bytes.Equal(got.payload, [][]byte{nil, echo, push}[sender]) {
				t.Fatal("not what was sent")
			}
		}
		all.Wait()
	})
}

// A connection that was idle rests: it holds less memory, and the next messages in both
// directions are right, whatever they refer to.
func TestRestAndGoOn(t *testing.T) {
	for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.NoTakeover, deflate.OwnCompressor} {
		var heard [][]byte
		l, m, c := meteredDeflate(t, Funcs{Message: func(c *Conn, msg Message) {
			heard = append(heard, bytes.Clone(msg.Data))
			_ = c.Send(msg.Op, msg.Data)
		}}, Options{Deflate: &deflate.Policy{Takeover: takeover}, Limits: quietLimits()})
		m.credit = 64 << 20
		p := &flatePeer{t: t, agreed: true, server: flateContext{15, takeover != deflate.NoTakeover}}
		z := squeezer{flateContext: flateContext{15, true}, level: 6}
		r := rand.New(rand.NewPCG(3, uint64(takeover)))
		text := records(r, 4000)
		for round := range 6 {
			for _, payload := range [][]byte{text, noise(r, 1000), records(r, 3000), text[:2000]} {
				m.input = append(m.input, maskedFrame(finBit|rsv1Bit|2, z.message(payload))...)
				l.OnEvent(5, netio.Readable)
				l.OnWake()
				p.attacker = &attacker{r: newReaderOf(m.taken)}
				p.wants(OpBinary, payload)
				m.taken = nil
				if last := heard[len(heard)-1]; !bytes.Equal(last, payload) {
					t.Fatalf("round %d: %d bytes were heard of %d", round, len(last), len(payload))
				}
			}
			s := c.deflation.Load()
			busy := s.receiver.Held()
			for range round % 3 * 40 { // at most twice restAfter, a second at a time
				m.now += 2 * time.Second
				l.OnWake()
			}
			if rested := s.use.Load() == useNone; rested != (round%3 > 0) {
				t.Fatalf("round %d: rested: %v", round, rested)
			} else if held := s.receiver.Held(); rested && held > busy*2/3 {
				t.Errorf("round %d: %d bytes are held at rest, and %d before", round, held, busy)
			}
		}
		if c.ReadyState() != Open {
			t.Error(c.ReadyState())
		}
	}
}

// In the middle of messages nothing rests: neither a client's fragments nor a writer's.
func TestNoRestInAMessage(t *testing.T) {
	var heard []byte
	l, m, c := meteredDeflate(t, Funcs{Message: func(_ *Conn, msg Message) { heard = bytes.Clone(msg.Data) }}, Options{Limits: quietLimits()})
	m.credit = 1 << 20
	z := squeezer{flateContext: flateContext{15, true}, level: 6}
	p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}}
	r := rand.New(rand.NewPCG(4, 1))
	for range 3 {
		text := records(r, 3000)
		w := c.NewWriter(OpText)
		parts := z.parts(text[:1000], text[1000:2000], text[2000:])
		for i, first := range []byte{rsv1Bit | 1, 0, finBit} {
			m.input = append(m.input, maskedFrame(first, parts[i])...)
			l.OnEvent(5, netio.Readable)
			if _, err := w.Write(text[i*1000 : (i+1)*1000]); err != nil {
				t.Fatal(err)
			}
			for range 40 {
				m.now += 2 * time.Second
				l.OnWake()
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(heard, text) {
			t.Fatalf("%d bytes were heard", len(heard))
		}
		p.attacker = &attacker{r: newReaderOf(m.taken)}
		p.wants(OpText, text)
		m.taken = nil
	}
}

// Shutdown while long messages are compressed: they leave, then the Close frame.
func TestShutdownWhileCompressing(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		h, conns := noteOpen(Funcs{})
		s := m.start(t, h, deflating(Options{Loops: 2}))
		r := rand.New(rand.NewPCG(5, 1))
		long, text := records(r, 1<<20), records(r, 1000)
		var guests []*flatePeer
		for range unraced(6, 2) {
			guests = append(guests, dialFlate(t, s, justDeflate))
			c := receive(t, conns, "OnOpen")
			if err := errors.Join(c.SendBinary(long), c.SendBinary(text), c.SendBinary(long)); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(10))
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- s.Shutdown(ctx) }()
		for _, p := range guests {
			p.wants(OpBinary, long)
			p.wants(OpBinary, text)
			p.wants(OpBinary, long)
			p.wantsClose(1001)
			p.sayClose(1001, "")
			_ = p.Close()
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Server.Close in the middle of everything: nothing is left.
func TestCloseServerWhileCompressing(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s, p, c := flateEcho(t, m, Options{})
		p.squeeze.level = 1
		long := records(rand.New(rand.NewPCG(6, 1)), unraced(2<<20, 1<<20))
		wire := maskedFrame(rsv1Bit|2, p.squeeze.message(long))
		if err := errors.Join(c.SendBinary(long), c.SendBinary(long), p.say(OpBinary, long)); err != nil {
			t.Fatal(err)
		}
		p.try(wire[:len(wire)/2])
		w := c.NewWriter(OpText)
		_, _ = w.Write(lotsOfText)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if n := s.Stats().Buffers.Out; n != 0 {
			t.Error("buffers out:", n)
		}
		if n := s.Stats().Deflate.Conns; n != 0 {
			t.Error("connections:", n)
		}
	})
}
