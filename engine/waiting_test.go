package engine

import (
	"bytes"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// 100 questions of a byte in one segment, each with an answer of 1 MiB, from a peer that reads all of them: delivery stops at
// HighWater and goes on at LowWater, in every mode, so all arrive.
func TestPipelinedQuestionsWithLongAnswers(t *testing.T) {
	for _, k := range []struct {
		name    string
		limits  Limits
		deflate bool
	}{{name: "defaults"}, {name: "small", limits: Limits{HighWater: 256 << 10, MaxBufferedAmount: 1536 << 10}}, {name: "deflate", deflate: true}} {
		t.Run(k.name, func(t *testing.T) {
			inEveryMode(t, func(t *testing.T, m mode) {
				answer := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
				d := newDiary(t)
				o := Options{Limits: k.limits}
				if k.deflate {
					o.Deflate = deflateOn()
				}
				s := m.start(t, d.handler(Funcs{Message: func(c *Conn, _ Message) {
					if err := c.SendBinary(answer); err != nil {
						t.Error(err)
					}
				}}), o)
				f := dialForeign(t, s, 0)
				f.skipsControl = true
				const n = 100
				f.write(bytes.Repeat(frames(ws.NewBinaryFrame([]byte{1})), n))
				for range n {
					if fr := f.next(); len(fr.Payload) != len(answer) {
						t.Fatalf("%v of %d bytes", fr.Header.OpCode, len(fr.Payload))
					}
				}
			})
		})
	}
}

// A turn ends after a millisecond, however many messages were read and whatever the handler does with each.
func TestSlowHandlersTurn(t *testing.T) {
	for _, deflate := range []bool{false, true} {
		t.Run(fmt.Sprint("deflate ", deflate), func(t *testing.T) {
			o := Options{Loops: 1}
			if deflate {
				o.Deflate = deflateOn()
			}
			s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
				if len(m.Data) == 1 {
					time.Sleep(time.Millisecond)
				}
				_ = c.Send(m.Op, m.Data)
			}}, o)
			besideInnocent(t, s, func() {
				a := attackAt(t, s, "/slow")
				a.say(t, string(bytes.Repeat(maskedFrame(0x82, []byte("x")), 200)))
				for range 200 {
					if _, err := a.hear(); err != nil {
						t.Fatal(err)
					}
				}
			})
		})
	}
}

// When a slow callback ends a turn, no other message of the connection is delivered before the others had theirs: after
// each message of a slow handler, after at most 16 of a quick one that becomes slow.
func TestTurnLooksAtTheClock(t *testing.T) {
	for _, quick := range []int{0, 1, 3, 20, 40} {
		var slow bool
		n, turns := 0, []int{}
		var m *meter
		l, made, _ := meteredConn(t, Funcs{Message: func(*Conn, Message) {
			if n++; n > quick {
				slow = true
			}
			if slow {
				m.late += 2 * turnBudget
			}
		}}, Options{})
		m = made
		m.input = bytes.Repeat(maskedFrame(0x82, []byte("x")), quick+50)
		l.OnEvent(5, 1)
		for last := 0; n < quick+50; last = n {
			turns = append(turns, n-last)
			l.OnWake()
		}
		for i, k := range turns {
			if most := map[bool]int{true: quick + paceMost, false: 1}[i == 0]; k > most {
				t.Errorf("%d quick messages, then slow ones: turn %d had %d, at most %d wanted (%v)", quick, i, k, most, turns)
			}
		}
	}
}

// 40 messages of one peer, each broadcast to a crowd, and a crowd that broadcasts all at once: a broadcast is work in
// steps, with the others served between them.
func TestBroadcastsHoldNoLoop(t *testing.T) {
	h := Funcs{}
	var s *Server
	h.Message = func(c *Conn, m Message) {
		if len(m.Data) == 1 {
			s.Broadcast(prepared(t, OpText, []byte("to all")), func(to *Conn) bool { return to.Value() != nil })
			return
		}
		_ = c.Send(m.Op, m.Data)
	}
	h.Upgrade = func(u *Upgrade) {
		if u.Target() == "/crowd" {
			u.SetValue(true)
		}
	}
	s = startServer(t, h, Options{Loops: 1})
	n := crowd(2_000)
	for range n {
		_ = attackAt(t, s, "/crowd")
	}
	besideInnocent(t, s, func() {
		a := attackAt(t, s, "/speaker")
		out := s.Stats().MessagesOut
		a.say(t, string(bytes.Repeat(maskedFrame(0x82, []byte("x")), 40)))
		within(t, timeoutOf(20), "all broadcasts", func() bool { return s.Stats().MessagesOut >= out+uint64(40*n) })
	})
}

// A peer whose messages are broadcast asks for no more than the loops can do: it waits, what is under way is
// bounded, and nothing is lost.
func TestBroadcasterWaits(t *testing.T) {
	for _, workers := range []int{0, 2} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			var s *Server
			var most atomic.Int64
			payload := bytes.Repeat([]byte("x"), 60<<10)
			h := Funcs{Message: func(c *Conn, m Message) {
				p, _ := Prepare(OpBinary, payload)
				s.Broadcast(p, func(to *Conn) bool { return to == c })
				if n := s.broadcasting.Load(); n > most.Load() {
					most.Store(n)
				}
			}}
			s = startServer(t, h, Options{Loops: 2, Workers: workers, Limits: Limits{MaxBufferedAmount: -1}})
			f := dialForeign(t, s, 0)
			const n = 2_000
			go f.write(bytes.Repeat(frames(ws.NewBinaryFrame([]byte{1})), n))
			for i := range n {
				if fr := f.next(); len(fr.Payload) != len(payload) {
					t.Fatalf("broadcast %d: %v of %d bytes", i, fr.Header.OpCode, len(fr.Payload))
				}
			}
			within(t, timeoutOf(5), "nothing under way", func() bool { return s.broadcasting.Load() == 0 })
			if limit := s.mostBroadcasting() + 2*(64<<10); most.Load() > limit {
				t.Errorf("%d bytes of broadcasts were under way, %d are allowed", most.Load(), limit)
			}
		})
	}
}

// The smallest messages behind an open writer, behind a long message and in a full queue are
// bounded by what they cost, and HighWater sees them.
func TestSmallestMessagesThatWait(t *testing.T) {
	for _, k := range []struct {
		name string
		o    Options
		hold func(c *Conn)
	}{
		{"behind a writer", Options{}, func(c *Conn) { _, _ = c.NewWriter(OpText).Write([]byte("x")) }},
		{"behind a long message", Options{Deflate: deflateOn()}, func(c *Conn) { _ = c.SendText(string(bytes.Repeat([]byte("long "), 1<<18))) }},
		{"in the queue", Options{}, func(c *Conn) { _ = c.SendBinary(make([]byte, 1<<10)) }},
	} {
		for name, send := range map[string]func(c *Conn) error{
			"empty":    func(c *Conn) error { return c.SendText("") },
			"one byte": func(c *Conn) error { return c.SendText("x") },
			"owned": func(c *Conn) error {
				b := c.loop.engine.pool.Get(1)
				b.B = append(b.B, 'x')
				return c.SendOwned(OpText, b)
			},
			"prepared": func(c *Conn) error { return c.SendPrepared(prepared(t, OpText, nil)) },
		} {
			t.Run(k.name+" "+name, func(t *testing.T) {
				const limit = 8 << 20
				k.o.Limits = Limits{MaxBufferedAmount: limit, Overflow: DropMessage, HighWater: limit / 4}
				k.o.Loops = 1
				_, _, c := meteredConn(t, Funcs{}, k.o)
				if k.o.Deflate != nil {
					_, _, c = meteredDeflate(t, Funcs{}, k.o)
				}
				k.hold(c)
				sent := 0
				runtime.GC()
				before := memoryInUse(nil)
				for send(c) == nil {
					if sent++; sent > limit {
						t.Fatal("no end of it")
					}
				}
				runtime.GC()
				used := memoryInUse(nil) - before
				if c.holds.Load()&heldByHigh == 0 {
					t.Error("HighWater went unnoticed")
				}
				if used > 3*limit/2 && !raceEnabled {
					t.Errorf("%d messages take %d bytes, the limit is %d", sent, used, limit)
				}
				if sent < limit/300 {
					t.Errorf("only %d messages fit into %d bytes", sent, limit)
				}
			})
		}
	}
}

// Whoever got ErrBufferFull hears OnDrain, wherever the water marks lie: the error says to wait for it.
func TestDrainAfterErrBufferFull(t *testing.T) {
	for _, k := range []Limits{
		{MaxBufferedAmount: 10_000},
		{MaxBufferedAmount: 10_000, HighWater: 9_000, LowWater: 8_000},
		{MaxBufferedAmount: 10_000, HighWater: 5_000, LowWater: 10},
		{MaxBufferedAmount: 1 << 20},
	} {
		for _, queued := range []int64{1, k.MaxBufferedAmount / 10, k.MaxBufferedAmount / 2, k.MaxBufferedAmount - 10} {
			k.Overflow = DropMessage
			var high, drain int
			l, m, c := meteredConn(t, Funcs{HighWater: func(*Conn) { high++ }, Drain: func(*Conn) { drain++ }}, Options{Limits: k})
			if err := c.SendBinary(make([]byte, queued)); err != nil {
				t.Fatal(err)
			}
			if err := c.SendBinary(make([]byte, k.MaxBufferedAmount)); err != ErrBufferFull {
				t.Fatal(err)
			}
			l.OnWake()
			if high != 1 || drain != 0 {
				t.Errorf("%+v, %d queued: OnHighWater %d times, OnDrain %d times", k, queued, high, drain)
			}
			for range 50 {
				m.room(l, 1<<20)
			}
			if high != 1 || drain != 1 || c.BufferedAmount() != 0 {
				t.Errorf("%+v, %d queued, and all has left: OnHighWater %d times, OnDrain %d times", k, queued, high, drain)
			}
		}
	}
}

// SetLimits looks at the water marks again: LowWater raised above what is queued drains, HighWater lowered below it is
// passed.
func TestSetLimitsMovesTheMarks(t *testing.T) {
	var high, drain int
	l, m, c := meteredConn(t, Funcs{HighWater: func(*Conn) { high++ }, Drain: func(*Conn) { drain++ }}, Options{})
	_ = c.SendBinary(make([]byte, 100_000))
	l.OnWake()
	for _, k := range []struct {
		limits      Limits
		high, drain int
		reading     bool
	}{
		{Limits{HighWater: 50_000, LowWater: 10_000}, 1, 0, false},
		{Limits{HighWater: 300_000, LowWater: 200_000}, 1, 1, true},
		{Limits{HighWater: 60_000, LowWater: 20_000}, 2, 1, false},
		{Limits{HighWater: 1 << 20, LowWater: 100_100}, 2, 2, true},
	} {
		if err := c.SetLimits(k.limits); err != nil {
			t.Fatal(err)
		}
		l.OnWake()
		if high != k.high || drain != k.drain || m.reading() != k.reading {
			t.Errorf("%+v: OnHighWater %d, OnDrain %d, reading %v", k.limits, high, drain, m.reading())
		}
	}
}

// A handler that pauses after each message gets them one by one, however many were read at once: 200 a second here.
func TestPauseDeliversOneByOne(t *testing.T) {
	for _, deflate := range []bool{false, true} {
		inEveryMode(t, func(t *testing.T, m mode) {
			d := newDiary(t)
			got := make(chan time.Time, 100)
			o := Options{}
			if deflate {
				o.Deflate = deflateOn()
			}
			s := m.start(t, d.handler(Funcs{Message: func(c *Conn, m Message) {
				got <- time.Now()
				c.Pause()
				time.AfterFunc(5*time.Millisecond, c.Resume)
			}}), o)
			f := dialForeign(t, s, 0)
			f.write(bytes.Repeat(frames(ws.NewBinaryFrame([]byte{1})), 40))
			last := receive(t, got, "the first message")
			for range 39 {
				at := receive(t, got, "the next message")
				if at.Sub(last) < 4*time.Millisecond {
					t.Fatalf("delivered after %v, while paused", at.Sub(last))
				}
				last = at
			}
		})
	}
}

// Flush sends what a callback has corked.
func TestFlush(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		read := make(chan bool)
		s := m.start(t, d.handler(Funcs{Message: func(c *Conn, _ Message) {
			_ = c.SendText("first")
			if err := c.Flush(); err != nil {
				t.Error(err)
			}
			receive(t, read, "the client's reading")
			_ = c.SendText("second")
		}}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		f.text("go")
		f.wants(ws.OpText, "first")
		read <- true
		f.wants(ws.OpText, "second")
		_ = c.Close()
		if err := c.Flush(); err != ErrClosed {
			t.Error(err)
		}
	})
}
