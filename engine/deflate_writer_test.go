package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// NewWriter with permessage-deflate.

// Each Write can be inflated when it has come, in any window.
func TestWriterDeflated(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.NoTakeover, deflate.OwnCompressor} {
			for _, bits := range []int{9, 15} {
				t.Run(fmt.Sprint(takeover, " ", bits), func(t *testing.T) {
					_, p, c := pair(t, m, Options{Deflate: &deflate.Policy{Takeover: takeover}}, fmt.Sprintf("permessage-deflate; server_max_window_bits=%d", bits))
					r := rand.New(rand.NewPCG(1, uint64(bits)))
					for range 3 {
						w := c.NewWriter(OpText)
						var wire, all []byte
						for i, n := range []int{1, 10, 1000, 5000, 70_000, 3} {
							part := records(r, n)
							all = append(all, part...)
							if k, err := w.Write(part); k != n || err != nil {
								t.Fatal(k, err)
							}
							if k, err := w.Write(nil); k != 0 || err != nil {
								t.Fatal(k, err)
							}
							f, err := p.hearFrame()
							if err != nil || f.fin || f.rsv1 != (i == 0) || (f.op == OpText) != (i == 0) {
								t.Fatalf("part %d: %+v, %v", i, f, err)
							}
							wire = append(wire, f.payload...)
							if got, err := p.inflateSoFar(wire); err != nil || !bytes.Equal(got, all) {
								t.Fatalf("part %d: %d of %d bytes can be inflated: %v", i, len(got), len(all), err)
							}
						}
						if err := w.Close(); err != nil {
							t.Fatal(err)
						}
						f, err := p.hearFrame()
						if err != nil || !f.fin || f.rsv1 || f.op != 0 {
							t.Fatalf("%+v, %v", f, err)
						}
						if got, err := p.inflate(append(wire, f.payload...)); err != nil || !bytes.Equal(got, all) {
							t.Fatal(len(got), err)
						}
						if err := c.SendText(string(lotsOfText)); err != nil {
							t.Fatal(err)
						}
						p.wants(OpText, lotsOfText)
					}
					settledAt0(t, c)
				})
			}
		}
	})
}

// An empty message, and one that was written not at all before others.
func TestWriterDeflatedEmpty(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		_, p, c := pair(t, m, Options{}, justDeflate)
		for range 3 {
			if err := c.NewWriter(OpBinary).Close(); err != nil {
				t.Fatal(err)
			}
			if got := p.wants(OpBinary, nil); got.compressed || got.frames != 1 {
				t.Errorf("%+v", got)
			}
			w := c.NewWriter(OpBinary)
			if err := c.SendText(string(lotsOfText)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(lotsOfText); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			p.wants(OpBinary, lotsOfText)
			p.wants(OpText, lotsOfText)
		}
	})
}

// Noise through a writer grows, by little: it is compressed already when that is known.
func TestWriterDeflatedNoise(t *testing.T) {
	_, p, c := pair(t, modes[0], Options{}, justDeflate)
	r := rand.New(rand.NewPCG(2, 1))
	w := c.NewWriter(OpBinary)
	var all []byte
	for range 10 {
		part := noise(r, 50_000)
		all = append(all, part...)
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := p.wants(OpBinary, all); got.wire > len(all)+10*40 {
		t.Errorf("%d bytes took %d", len(all), got.wire)
	}
}

// Whatever is sent meanwhile waits, long messages and prepared ones too, and control frames pass.
func TestWriterDeflatedDefers(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		_, p, c := pair(t, m, Options{}, justDeflate)
		r := rand.New(rand.NewPCG(3, 1))
		long, text := records(r, 400_000), records(r, 900)
		var want [][]byte
		for range 3 {
			w := c.NewWriter(OpBinary)
			var all []byte
			var behind [][]byte
			for range 4 {
				part := records(r, 3000)
				all = append(all, part...)
				if _, err := w.Write(part); err != nil {
					t.Fatal(err)
				}
				b := c.loop.engine.pool.Get(len(text))
				b.B = append(b.B, text...)
				if err := errors.Join(c.SendBinary(long), c.Ping(nil), c.SendOwned(OpText, b), c.SendPrepared(prepared(t, OpText, text)), c.Send(OpText, text, NoCompress)); err != nil {
					t.Fatal(err)
				}
				behind = append(behind, long, text, text, text)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			want = append(append(want, all), behind...)
		}
		for i, b := range want {
			got, err := p.hear()
			if err != nil || !bytes.Equal(got.payload, b) {
				t.Fatalf("message %d: %d bytes, not %d, %v", i, len(got.payload), len(b), err)
			}
		}
		if p.pings != 12 {
			t.Error("pings:", p.pings)
		}
		settledAt0(t, c)
	})
}

// Close, Terminate and a lost peer in the middle of a writer's message, with messages of all
// kinds waiting behind it.
func TestWriterDeflatedAborted(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, how := range []string{"close", "terminate", "reset", "close before"} {
			d := newDiary(t)
			s := m.start(t, d.handler(Funcs{}), deflating(Options{}))
			p := dialFlate(t, s, justDeflate)
			c := d.conn()
			long := records(rand.New(rand.NewPCG(4, 1)), 400_000)
			w := c.NewWriter(OpText)
			if how != "close before" {
				if _, err := w.Write(lotsOfText); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(c.SendBinary(long), c.SendText("behind"), c.SendPrepared(prepared(t, OpText, lotsOfText))); err != nil {
				t.Fatal(err)
			}
			switch how {
			case "close", "close before":
				if err := c.CloseWith(4001, ""); err != nil {
					t.Fatal(err)
				}
				if how == "close" {
					if f, err := p.hearFrame(); err != nil || f.fin || !f.rsv1 {
						t.Fatalf("%+v, %v", f, err)
					}
				} else { // nothing of it was sent: what waited may leave
					p.wants(OpBinary, long)
					p.wants(OpText, []byte("behind"))
					p.wants(OpText, lotsOfText)
				}
				p.wantsClose(4001)
				p.sayClose(4001, "")
			case "terminate":
				c.Terminate()
			case "reset":
				p.reset()
			}
			e := d.end()
			if e.WasClean != (how[0] == 'c') {
				t.Errorf("%s: %+v", how, e)
			}
			for _, f := range []func() error{func() error { _, err := w.Write(lotsOfText); return err }, w.Close} {
				isAll(t, f(), ErrClosed)
			}
			within(t, timeoutOf(5), "no buffer out", func() bool { return s.Stats().Buffers.Out == 0 })
		}
	})
}

// bufferedAmount counts what was written, uncompressed, until the message's last byte left.
func TestWriterDeflatedBufferedAmount(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{})
	w := c.NewWriter(OpText)
	var all uint64
	for range 5 {
		if _, err := w.Write(lotsOfText); err != nil {
			t.Fatal(err)
		}
		all += uint64(len(lotsOfText))
		if n := c.BufferedAmount(); n != all {
			t.Errorf("bufferedAmount %d, written %d", n, all)
		}
	}
	if err := c.SendText("behind"); err != nil {
		t.Fatal(err)
	}
	m.room(l, 1<<20) // all frames but the last leave
	if n := c.BufferedAmount(); n != all+6 {
		t.Errorf("bufferedAmount %d before the message's end, want %d", n, all+6)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n := c.BufferedAmount(); n != 0 || !c.out.Idle() {
		t.Error("bufferedAmount", n)
	}
}

// Text that ends inside a code point is refused, and what was refused has no part in the
// message, nor in the history.
func TestWriterDeflatedUTF8(t *testing.T) {
	_, p, c := pair(t, modes[0], Options{}, justDeflate)
	w := c.NewWriter(OpText)
	for i, k := range []struct {
		part string
		bad  int // the offset, or -1
	}{{"aé", -1}, {"b\xff", 4}, {"\xf0\x9d", -1}, {"x", 5}, {"\x84\x9e", -1}, {"end", -1}} {
		_, err := w.Write([]byte(k.part))
		var u *UTF8Error
		if errors.As(err, &u) != (k.bad >= 0) || u != nil && i == 1 && u.Offset != k.bad {
			t.Errorf("%d: %v", i, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.wants(OpText, []byte("aé𝄞end"))
	if err := c.SendText(string(lotsOfText)); err != nil {
		t.Fatal(err)
	}
	p.wants(OpText, lotsOfText)
}

// A writer inside a callback, whose frames are corked.
func TestWriterDeflatedInACallback(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s := m.start(t, Funcs{Message: func(c *Conn, msg Message) {
			w := c.NewWriter(msg.Op)
			for part := range bytes.SplitAfterSeq(msg.Data, []byte(";")) {
				if _, err := w.Write(part); err != nil {
					t.Error(err)
				}
			}
			if err := errors.Join(c.SendText("behind"), w.Close()); err != nil {
				t.Error(err)
			}
		}}, deflating(Options{}))
		p := dialFlate(t, s, justDeflate)
		for range 5 {
			p.echoes(OpText, lotsOfText)
			p.wants(OpText, []byte("behind"))
		}
	})
}
