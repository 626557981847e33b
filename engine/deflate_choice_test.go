package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/pool"
)

// Which messages are compressed, and in which form.

// pair is a server in this mode that does nothing, a client of it and their connection.
func pair(t *testing.T, m mode, o Options, offer string) (*Server, *flatePeer, *Conn) {
	t.Helper()
	h, conns := noteOpen(Funcs{})
	s := m.start(t, h, deflating(o))
	p := dialFlate(t, s, offer)
	return s, p, receive(t, conns, "OnOpen")
}

func TestMinSize(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, k := range []struct{ policy, least int }{{0, deflate.DefaultMinSize}, {1, 8}, {100, 100}, {5000, 5000}} {
			_, p, c := pair(t, m, Options{Deflate: &deflate.Policy{MinSize: k.policy}}, justDeflate)
			for _, n := range []int{0, 1, k.least - 1, k.least, k.least + 1, 10_000} {
				for _, send := range []func([]byte) error{
					func(b []byte) error { return c.SendBinary(b) },
					func(b []byte) error { return c.SendPrepared(prepared(t, OpBinary, b)) },
				} {
					payload := letters(nil, n)
					if err := send(payload); err != nil {
						t.Fatal(err)
					}
					if got := p.wants(OpBinary, payload); got.compressed != (n >= k.least) && (k.policy != 1 || n > k.least || n == 0) {
						t.Errorf("MinSize %d: %d bytes, compressed: %v", k.policy, n, got.compressed)
					}
				}
			}
		}
	})
}

// NoCompress is for one message, which is no history either.
func TestNoCompress(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s, p, c := pair(t, m, Options{}, justDeflate)
		for i := range 6 {
			var opts []SendOption
			if i%2 == 1 {
				opts = append(opts, NoCompress)
			}
			for _, payload := range [][]byte{lotsOfText, bytes.Repeat(lotsOfText, 400)} {
				if err := c.Send(OpText, payload, opts...); err != nil {
					t.Fatal(err)
				}
				if got := p.wants(OpText, payload); got.compressed != (i%2 == 0) {
					t.Errorf("message %d of %d bytes, compressed: %v", i, len(payload), got.compressed)
				}
			}
		}
		within(t, timeoutOf(5), "counted", func() bool { return s.Stats().MessagesOut == 12 })
		if d := s.Stats().Deflate; d.MessagesOut != 6 || d.BytesOut != uint64(3*401*len(lotsOfText)) {
			t.Errorf("%+v", d)
		}
	})
}

// Options.Compress is asked for each message from MinSize on, in whatever way it is sent,
// and a panic of its is a no.
func TestCompressHook(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		type question struct {
			op   Opcode
			size int
		}
		asked := make(chan question, 100)
		s, p, c := pair(t, m, Options{Logger: quietLogger, Compress: func(op Opcode, size int) bool {
			asked <- question{op, size}
			if size == 1000 {
				panic("as planned")
			}
			return op == OpText
		}}, justDeflate)
		write := func(op Opcode, b []byte) error {
			w := c.NewWriter(op)
			_, err := w.Write(b)
			return errors.Join(err, w.Close())
		}
		own := func(op Opcode, b []byte) error {
			o := c.loop.engine.pool.Get(len(b))
			o.B = append(o.B, b...)
			return c.SendOwned(op, o)
		}
		prep := func(op Opcode, b []byte) error { return c.SendPrepared(prepared(t, op, b)) }
		plain := func(op Opcode, b []byte) error { return c.Send(op, b) }
		asIs := func(op Opcode, b []byte) error { return c.Send(op, b, NoCompress) }
		for i, k := range []struct {
			op    Opcode
			size  int
			send  func(Opcode, []byte) error
			asked int // 0: not at all
			yes   bool
		}{
			{OpText, 500, plain, 500, true}, {OpBinary, 500, plain, 500, false}, {OpText, 1000, plain, 1000, false},
			{OpText, 10, plain, 0, false}, {OpText, 500, asIs, 0, false}, {OpText, 500, own, 500, true},
			{OpBinary, 500, own, 500, false}, {OpText, 500, prep, 500, true}, {OpText, 1000, prep, 1000, false},
			{OpText, 500, write, -1, true}, {OpBinary, 500, write, -1, false}, {OpText, 10, write, -1, true},
			{OpText, 300_000, plain, 300_000, true}, {OpBinary, 300_000, own, 300_000, false},
		} {
			payload := letters(nil, k.size)
			if err := k.send(k.op, payload); err != nil {
				t.Fatal(i, err)
			}
			if got := p.wants(k.op, payload); got.compressed != k.yes {
				t.Errorf("%d: compressed: %v", i, got.compressed)
			}
			if k.asked != 0 {
				if q := receive(t, asked, "the question"); q != (question{k.op, k.asked}) {
					t.Errorf("%d: asked about %+v", i, q)
				}
			}
			if len(asked) != 0 {
				t.Errorf("%d: asked about %+v as well", i, <-asked)
			}
		}
		if n := s.Stats().Panics; n != 2 || c.ReadyState() != Open {
			t.Error(n, "panics,", c.ReadyState())
		}
	})
}

// A hook may use the connection: no lock is held.
func TestCompressHookUsesTheConnection(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		var conn atomic.Pointer[Conn]
		s, p, c := pair(t, m, Options{Compress: func(op Opcode, size int) bool {
			if c := conn.Load(); c != nil && op == OpBinary {
				_ = c.BufferedAmount()
				_ = c.SendText(string(lotsOfText))
			}
			return true
		}}, justDeflate)
		conn.Store(c)
		if err := c.SendBinary(lotsOfText); err != nil {
			t.Fatal(err)
		}
		p.wants(OpText, lotsOfText)
		p.wants(OpBinary, lotsOfText)
		within(t, timeoutOf(5), "counted", func() bool { return s.Stats().Deflate.MessagesOut == 2 })
	})
}

// What would grow is sent as it is, and what is then said again is compressed without it.
func TestWhatGrowsIsSentAsItIs(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.NoTakeover} {
			_, p, c := pair(t, m, Options{Deflate: &deflate.Policy{Takeover: takeover, MinSize: 1}}, justDeflate)
			r := rand.New(rand.NewPCG(1, 1))
			for _, n := range []int{1, 2, 3, 10, 63, 64, 65, 1000, 8 << 10, 8<<10 + 1, 64 << 10, outgoing.SliceBytes, outgoing.SliceBytes + 1, unraced(1<<20, 1<<18)} {
				for _, send := range []func([]byte) error{
					func(b []byte) error { return c.SendBinary(b) },
					func(b []byte) error { return c.SendPrepared(prepared(t, OpBinary, b)) },
				} {
					payload := noise(r, n)
					if err := send(payload); err != nil {
						t.Fatal(err)
					}
					if got := p.wants(OpBinary, payload); got.compressed || got.wire != n || got.frames != 1 {
						t.Errorf("%d bytes of noise: %d in %d frames, compressed: %v", n, got.wire, got.frames, got.compressed)
					}
					if err := c.SendText(string(lotsOfText)); err != nil {
						t.Fatal(err)
					}
					if !p.wants(OpText, lotsOfText).compressed {
						t.Error("text behind noise is not compressed")
					}
				}
			}
		}
	})
}

// SendOwned of all sizes: the buffer is nobody else's afterwards, and none is lost.
func TestSendOwnedDeflated(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s, p, c := pair(t, m, Options{}, justDeflate)
		r := rand.New(rand.NewPCG(2, 1))
		for _, n := range []int{0, 10, 64, 5000, outgoing.SliceBytes, outgoing.SliceBytes + 1, unraced(1<<20, 1<<18)} {
			for _, k := range kinds {
				payload := k.make(r, n)
				b := c.loop.engine.pool.Get(n)
				b.B = append(b.B, payload...)
				if err := c.SendOwned(k.op(), b); err != nil {
					t.Fatal(err)
				}
				p.wants(k.op(), payload)
			}
		}
		settledAt0(t, c)
		within(t, timeoutOf(5), "no buffer but the history is out", func() bool { return s.Stats().Buffers.Out <= 1 })
	})
}

// A prepared message goes to every kind of agreement, compressed once for each window, and
// what each connection says before and after is right.
func TestPreparedToAllAgreements(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.NoTakeover, deflate.OwnCompressor} {
			t.Run(fmt.Sprint(takeover), func(t *testing.T) { testPreparedToAll(t, m, takeover) })
		}
	})
}

func testPreparedToAll(t *testing.T, m mode, takeover deflate.Takeover) {
	h, conns := noteOpen(echoHandler)
	s := m.start(t, h, Options{Loops: 2, Deflate: &deflate.Policy{Takeover: takeover}})
	var guests []*flatePeer
	var members []*Conn
	windows := map[int]bool{}
	for _, offer := range []string{"", justDeflate, "permessage-deflate; server_no_context_takeover",
		"permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9; server_no_context_takeover",
		"permessage-deflate; server_max_window_bits=12", justDeflate, "permessage-deflate; server_max_window_bits=8; client_no_context_takeover", ""} {
		p := dialFlate(t, s, offer)
		guests = append(guests, p)
		members = append(members, receive(t, conns, "OnOpen"))
		// An own compressor has read for good what it was given: it takes no ready-made message.
		if p.agreed && (takeover != deflate.OwnCompressor || !p.server.takeover) {
			windows[int(outgoing.SharedWindow(uint8(p.server.bits)))] = true
		}
	}
	r := rand.New(rand.NewPCG(3, uint64(takeover)))
	short := 100
	if takeover == deflate.OwnCompressor {
		short = 128 // its least
	}
	for round, n := range []int{500, 3000, 20_000, unraced(300_000, 100_000), short} {
		text := records(r, n)
		one := prepared(t, OpText, text)
		if round%2 == 0 {
			for _, c := range members {
				if err := c.SendPrepared(one); err != nil {
					t.Fatal(err)
				}
			}
		} else {
			s.Broadcast(one, nil)
		}
		for i, p := range guests {
			if got := p.wants(OpText, text); got.compressed != p.agreed || n > short && got.compressed && got.wire > n*2/3 {
				t.Errorf("guest %d: compressed: %v, %d bytes", i, got.compressed, got.wire)
			}
			if p.agreed {
				p.echoes(OpText, text[:n/2]) // of which the peer's window has seen all, and ours may have
				p.echoes(OpBinary, noise(r, 200))
				p.echoes(OpText, records(r, 700))
			}
		}
		made := map[int]int{}
		for _, f := range one.made.Forms() {
			made[int(f.WindowBits)]++
		}
		for bits, times := range made {
			if times != 1 || !windows[bits] {
				t.Errorf("compressed %d times for %d bits; the windows are %v", times, bits, windows)
			}
		}
		if len(made) < len(windows) {
			t.Errorf("compressed for %v, the windows are %v", made, windows)
		}
	}
}

// A prepared message that does not shrink leaves as it is, and is tried once.
func TestPreparedNoise(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s, p, c := pair(t, m, Options{}, justDeflate)
		one := prepared(t, OpBinary, noise(rand.New(rand.NewPCG(4, 1)), 10_000))
		for range 3 {
			if err := c.SendPrepared(one); err != nil {
				t.Fatal(err)
			}
			if got := p.wants(OpBinary, one.made.Payload()); got.compressed || got.frames != 1 {
				t.Error("compressed:", got.compressed, got.frames)
			}
		}
		if all := one.made.Forms(); len(all) != 1 || all[0].Size != 0 {
			t.Errorf("%d variants", len(all))
		}
		if d := s.Stats().Deflate; d.MessagesOut != 0 {
			t.Errorf("%+v", d)
		}
	})
}

// A connection that only gets broadcasts keeps no history, and one that has one keeps it right.
func TestPreparedAndHistory(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s, p, c := pair(t, m, Options{}, justDeflate)
		r := rand.New(rand.NewPCG(5, 1))
		for range 20 {
			text := records(r, 2000)
			if err := c.SendPrepared(prepared(t, OpText, text)); err != nil {
				t.Fatal(err)
			}
			p.wants(OpText, text)
		}
		settledAt0(t, c)
		if n := s.Stats().Buffers.Out; n != 0 {
			t.Error("buffers out:", n)
		}
		said := records(r, 2000)
		if err := c.Send(OpText, said); err != nil {
			t.Fatal(err)
		}
		p.wants(OpText, said)
		text := records(r, 2000)
		if err := errors.Join(c.SendPrepared(prepared(t, OpText, text)), c.Send(OpText, text)); err != nil {
			t.Fatal(err)
		}
		p.wants(OpText, text)
		if got := p.wants(OpText, text); got.wire > 100 { // what was prepared is history by now
			t.Error("said again it takes", got.wire)
		}
	})
}

// NoCompress is for every way to send.
func TestNoCompressEverywhere(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s, p, c := pair(t, m, Options{}, justDeflate)
		text := bytes.Repeat(lotsOfText, 3)
		own := pool.Get(len(text))
		own.B = append(own.B, text...)
		w := c.NewWriter(OpText, NoCompress)
		_, err := w.Write(text)
		err = errors.Join(err, w.Close(), c.Send(OpText, text, NoCompress), c.SendOwned(OpText, own, NoCompress),
			c.SendPrepared(prepared(t, OpText, text), NoCompress))
		plain, perr := Prepare(OpText, text, NoCompress)
		if err = errors.Join(err, perr, c.SendPrepared(plain)); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if got := p.wants(OpText, text); got.compressed {
				t.Error("it is compressed")
			}
		}
		s.Broadcast(plain, nil)
		if got := p.wants(OpText, text); got.compressed {
			t.Error("a broadcast is compressed")
		}
		if err := c.SendText(string(text)); err != nil {
			t.Fatal(err)
		}
		if got := p.wants(OpText, text); !got.compressed {
			t.Error("and what has no option is not")
		}
	})
}
