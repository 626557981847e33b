package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// Long messages, which are compressed a slice a turn.

// deflating is o with permessage-deflate.
func deflating(o Options) Options {
	if o.Deflate == nil {
		o.Deflate = &deflate.Policy{}
	}
	return o
}

// flateEcho is an echo server in this mode and a client of it.
func flateEcho(t *testing.T, m mode, o Options) (*Server, *flatePeer, *Conn) {
	t.Helper()
	h, conns := noteOpen(echoHandler)
	s := m.start(t, h, deflating(o))
	p := dialFlate(t, s, justDeflate)
	return s, p, receive(t, conns, "OnOpen")
}

// settledAt0 waits until all has left, and the connection has no outbound any more.
func settledAt0(t *testing.T, c *Conn) {
	t.Helper()
	within(t, timeoutOf(10), "all has left", func() bool {
		c.mu.Lock()
		defer c.unlock()
		return c.out.Buffered() == 0 && c.out.Idle()
	})
}

func TestLongMessages(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.NoTakeover, deflate.OwnCompressor} {
			t.Run(fmt.Sprint(takeover), func(t *testing.T) {
				_, p, c := flateEcho(t, m, Options{Deflate: &deflate.Policy{Takeover: takeover}})
				p.squeeze.level = 1
				r := rand.New(rand.NewPCG(1, uint64(takeover)))
				sizes := []int{outgoing.SliceBytes - 1, outgoing.SliceBytes, outgoing.SliceBytes + 1, 2 * outgoing.SliceBytes, 2*outgoing.SliceBytes + 1, 1 << 20}
				if raceEnabled {
					sizes = []int{outgoing.SliceBytes, 2*outgoing.SliceBytes + 1}
				}
				for _, n := range sizes {
					for _, k := range kinds {
						payload := k.make(r, n)
						got := p.echoes(k.op(), payload)
						if got.wire > len(payload)+len(payload)/1000+100 {
							t.Errorf("%d bytes of %s took %d", n, k.name, got.wire)
						}
						if k.name == "noise" && takeover != deflate.OwnCompressor && got.compressed {
							t.Errorf("%d bytes of noise were sent compressed", n)
						}
						if k.name == "records" && got.wire > n/2 {
							t.Errorf("%d bytes of records took %d", n, got.wire)
						}
						if short := p.echoes(OpText, lotsOfText); !short.compressed { // the history is right
							t.Error("not compressed")
						}
					}
				}
				settledAt0(t, c)
			})
		}
	})
}

// A peer that wants no takeover gets noise as it is from an own compressor as well: nothing
// is to be remembered.
func TestLongNoiseWithoutTakeover(t *testing.T) {
	s := startServer(t, echoHandler, Options{Deflate: &deflate.Policy{Takeover: deflate.OwnCompressor}})
	p := dialFlate(t, s, "permessage-deflate; server_no_context_takeover")
	if m := p.echoes(OpBinary, noise(rand.New(rand.NewPCG(1, 2)), 1<<20)); m.compressed {
		t.Errorf("1 MiB of noise took %d bytes", m.wire)
	}
}

func TestVeryLongMessages(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		_, p, c := flateEcho(t, m, Options{})
		r := rand.New(rand.NewPCG(3, 4))
		mib := unraced(10, 2)
		p.squeeze.level = 1
		for name, payload := range map[string][]byte{"records": bytes.Repeat(records(r, 1<<18), 4*mib), "noise": noise(r, mib<<20), "letters": letters(r, mib<<20)} {
			sent := make(chan error, 1)
			go func() { sent <- p.say(OpBinary, payload) }()
			if got := p.wants(OpBinary, payload); got.compressed != (name != "noise") {
				t.Error(name, "compressed:", got.compressed)
			}
			if err := receive(t, sent, "the client's write"); err != nil {
				t.Error(err)
			}
		}
		settledAt0(t, c)
	})
}

// While a long message is compressed, for one frame or for fragments, other connections are served, and control frames pass.
func TestLongMessageKeepsNobodyWaiting(t *testing.T) {
	for _, most := range []int{0, -1} {
		t.Run(fmt.Sprint("FrameBytes ", most), func(t *testing.T) { testLongMessageKeepsNobodyWaiting(t, most) })
	}
}

func testLongMessageKeepsNobodyWaiting(t *testing.T, most int) {
	inEveryMode(t, func(t *testing.T, m mode) {
		h, conns := noteOpen(echoHandler)
		s := m.start(t, h, Options{Loops: 1, Deflate: &deflate.Policy{FrameBytes: most}})
		long := dialFlate(t, s, justDeflate)
		c := receive(t, conns, "OnOpen")
		other := dialFlate(t, s, justDeflate)
		receive(t, conns, "OnOpen")
		slices := unraced(80, 24)
		payload := bytes.Repeat(records(rand.New(rand.NewPCG(5, 6)), 1<<17), slices)
		left := func() uint64 {
			c.mu.Lock()
			defer c.unlock()
			if c.out.Idle() {
				return 0
			}
			return c.out.Account().Long
		}
		served := 0
		for tries := 0; served == 0 && tries < 10; tries++ { // this goroutine may have no time until it is made
			if err := c.SendBinary(payload); err != nil {
				t.Fatal(err)
			}
			for left() > 0 {
				other.echoes(OpText, lotsOfText)
				if err := c.Ping([]byte("still there?")); err != nil {
					t.Fatal(err)
				}
				if err := long.frame(finBit|9, []byte{byte(served)}); err != nil {
					t.Fatal(err)
				}
				served++
			}
			if got := long.wants(OpBinary, payload); most == 0 && got.frames != 1 || most < 0 && got.frames < slices {
				t.Error("frames:", got.frames)
			}
		}
		if served == 0 {
			t.Error("no other connection was served meanwhile: it is compressed in one go")
		}
		long.echoes(OpText, lotsOfText) // the pongs are before it
		if long.pings != served || len(long.pongs) == 0 {
			t.Errorf("of %d pings %d came, and %d pongs", served, long.pings, len(long.pongs))
		}
		settledAt0(t, c)
	})
}

// What is sent behind a long message, whichever way, keeps its order.
func TestOrderBehindALongMessage(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		_, p, c := flateEcho(t, m, Options{})
		r := rand.New(rand.NewPCG(7, 8))
		var want [][]byte
		send := func(f func(b []byte) error, b []byte) {
			want = append(want, b)
			if err := f(b); err != nil {
				t.Fatal(err)
			}
		}
		long := records(r, 1<<19)
		binary := func(b []byte) error { return c.SendBinary(b) }
		owned := func(b []byte) error {
			o := c.loop.engine.pool.Get(len(b))
			o.B = append(o.B, b...)
			return c.SendOwned(OpBinary, o)
		}
		asIs := func(b []byte) error { return c.Send(OpBinary, b, NoCompress) }
		prep := func(b []byte) error { return c.SendPrepared(prepared(t, OpBinary, b)) }
		writer := func(b []byte) error {
			w := c.NewWriter(OpBinary)
			_, err := w.Write(b)
			return errors.Join(err, w.Close())
		}
		for range 2 {
			for _, f := range []func([]byte) error{binary, owned, asIs, prep, binary, owned, writer} {
				send(f, records(r, 2000))
				send(f, long)
				send(f, noise(r, 500))
				send(f, nil)
			}
			send(binary, long)
		}
		var all uint64
		for _, b := range want {
			all += uint64(len(b))
		}
		if n := c.BufferedAmount(); n > all {
			t.Errorf("%d bytes are counted of %d", n, all)
		}
		for i, b := range want {
			m, err := p.hear()
			if err != nil || !bytes.Equal(m.payload, b) {
				t.Fatalf("message %d: %d bytes, not %d, %v", i, len(m.payload), len(b), err)
			}
		}
		settledAt0(t, c)
		p.echoes(OpText, lotsOfText)
	})
}

// bufferedAmount counts a long message from Send on, and it and all behind it until their
// last byte left.
func TestBufferedAmountOfLongMessages(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{})
	r := rand.New(rand.NewPCG(9, 10))
	sizes := []int{1 << 20, 10, 300_000, 0, 5000, 128 << 10, 1 << 20}
	var all uint64
	for _, n := range sizes {
		if err := c.SendBinary(records(r, n)); err != nil {
			t.Fatal(err)
		}
		if all += uint64(n); c.BufferedAmount() != all {
			t.Fatalf("bufferedAmount %d after sends of %d", c.BufferedAmount(), all)
		}
	}
	p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}}
	at, message, left := 0, 0, all
	for turn := 0; c.BufferedAmount() > 0; turn++ {
		if turn > 100_000 {
			t.Fatal("it does not end")
		}
		m.room(l, 1+r.IntN(2000))
		for n := frameEnd(m.taken[at:]); n > 0; n = frameEnd(m.taken[at:]) {
			if m.taken[at]&finBit != 0 {
				left -= uint64(sizes[message])
				message++
			}
			at += n
		}
		if n := c.BufferedAmount(); n != left {
			t.Fatalf("bufferedAmount %d with %d bytes of messages that have not left", n, left)
		}
	}
	p.attacker = &attacker{r: newReaderOf(m.taken)}
	for _, n := range sizes {
		if got := p.hears(); len(got.payload) != n {
			t.Errorf("%d bytes, not %d", len(got.payload), n)
		}
	}
	if !c.out.Idle() {
		t.Error("an outbound is left")
	}
}

// Close right behind long messages: all of them, then the Close frame.
func TestCloseBehindLongMessages(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		r := rand.New(rand.NewPCG(11, 12))
		for longs := range 4 {
			for _, fail := range []bool{false, true} {
				t.Run(fmt.Sprint(longs, " ", fail), func(t *testing.T) {
					d := newDiary(t)
					s := m.start(t, d.handler(Funcs{}), deflating(Options{}))
					p := dialFlate(t, s, justDeflate)
					c := d.conn()
					var want [][]byte
					for range longs {
						want = append(want, records(r, unraced(1<<20, 300_000)), records(r, 100), records(r, 300_000))
					}
					for _, b := range want {
						if err := c.SendBinary(b); err != nil {
							t.Fatal(err)
						}
					}
					code := 4000
					if fail { // the peer breaks a rule instead
						code = 1002
						_ = p.frame(finBit|3, nil)
					} else {
						if err := c.CloseWith(code, "done"); err != nil {
							t.Fatal(err)
						}
						isAll(t, c.SendText("late"), ErrClosed)
					}
					for i, b := range want {
						if got, err := p.hear(); err != nil || !bytes.Equal(got.payload, b) {
							t.Fatal("message", i, len(got.payload), err)
						}
					}
					p.wantsClose(code)
					if !fail {
						p.sayClose(code, "")
					}
					if e := d.end(); e.WasClean == fail {
						t.Errorf("%+v", e)
					}
				})
			}
		}
	})
}

// Terminate, or a lost peer, in the middle of long messages: nothing stays behind.
func TestLongMessageCutShort(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	long := records(r, 4<<20)
	longer := noise(r, 8<<20) // more than the kernel takes of what nobody reads, however late the end comes
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, terminate := range []bool{true, false} {
			d := newDiary(t)
			s := m.start(t, d.handler(Funcs{}), deflating(Options{}))
			p := dialFlate(t, s, justDeflate)
			c := d.conn()
			b := c.loop.engine.pool.Get(len(longer))
			b.B = append(b.B, longer...)
			if err := errors.Join(c.SendBinary(long), c.SendOwned(OpBinary, b), c.SendText("behind"), c.SendPrepared(prepared(t, OpText, lotsOfText))); err != nil {
				t.Fatal(err)
			}
			if terminate {
				c.Terminate()
			} else {
				p.reset()
			}
			if e := d.end(); e.Code != 1006 {
				t.Errorf("%+v", e)
			}
			if n := c.BufferedAmount(); n == 0 || n > uint64(len(long)+len(longer)+len("behind")+len(lotsOfText)) {
				t.Error("bufferedAmount:", n)
			}
			within(t, timeoutOf(5), "no buffer out", func() bool { return s.Stats().Buffers.Out == 0 })
		}
	})
}

// A callback that sends a long message and waits for it: with workers that is allowed.
func TestDrainOfALongMessageOnAWorker(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	payloads := [][]byte{letters(r, 1<<20), records(r, 1<<20), noise(r, 1<<20), letters(r, 200_000)}
	drained := make(chan error, len(payloads))
	var i atomic.Int32
	s := startServer(t, Funcs{Message: func(c *Conn, _ Message) {
		ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(5))
		defer cancel()
		if err := errors.Join(c.SendBinary(payloads[i.Add(1)-1]), c.SendText("behind")); err != nil {
			t.Error(err)
		}
		drained <- c.Drain(ctx)
	}}, deflating(Options{Workers: 2}))
	p := dialFlate(t, s, justDeflate)
	for _, b := range payloads {
		p.sends(OpText, lotsOfText)
		p.wants(OpBinary, b)
		p.wants(OpText, []byte("behind"))
		if err := <-drained; err != nil {
			t.Error("Drain:", err)
		}
	}
}
