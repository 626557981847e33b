package engine

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"time"
)

// The rule of this page: a loop only tries a connection's lock (decision 0003), and nobody copies or compresses
// for long under it.

// slowGuest connects and reads nothing until the test ends.
func slowGuest(t *testing.T, s *Server) {
	t.Helper()
	attackAt(t, s, "/slow")
}

// Another goroutine gives a peer that does not read a message of 256 MiB, in each way there is, and callbacks and
// broadcasts send to the same connection meanwhile: an innocent connection of the same loop does not notice.
func TestLongSendsHoldNoLoop(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector copies a hundred times slower")
	}
	const size = 256 << 20
	payload := make([]byte, size)
	ways := map[string]func(s *Server, c *Conn) error{
		"Send": func(_ *Server, c *Conn) error { return c.SendBinary(payload) },
		"Send behind a writer": func(_ *Server, c *Conn) error {
			w := c.NewWriter(OpText)
			_, _ = w.Write([]byte("x"))
			err := c.SendBinary(payload)
			_ = w.Close()
			return err
		},
		"Write": func(_ *Server, c *Conn) error {
			w := c.NewWriter(OpBinary)
			_, err := w.Write(payload)
			_ = w.Close()
			return err
		},
		"Send behind a broadcast": func(s *Server, c *Conn) error {
			s.Broadcast(prepared(t, OpText, []byte("first")), func(to *Conn) bool { return to == c })
			return c.SendBinary(payload)
		},
	}
	for name, send := range ways {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var slow *Conn
			h := Funcs{
				Open: func(c *Conn) {
					if c.URL() == "ws://victim.example/slow" {
						mu.Lock()
						slow = c
						mu.Unlock()
					}
				},
				Message: func(c *Conn, m Message) {
					mu.Lock()
					to := slow
					mu.Unlock()
					if to != nil {
						_ = to.SendText("to the slow one")
						_ = to.Ping(nil)
					}
					_ = c.Send(m.Op, m.Data)
				},
			}
			s := startServer(t, h, Options{Loops: 1, Limits: Limits{MaxBufferedAmount: -1, PingInterval: -1, IdleTimeout: -1}})
			besideInnocent(t, s, func() {
				slowGuest(t, s)
				mu.Lock()
				c := slow
				mu.Unlock()
				stop, stopped := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(stopped)
					for p := prepared(t, OpText, []byte("all")); ; {
						s.Broadcast(p, func(to *Conn) bool { return to == c })
						select {
						case <-stop:
							return
						case <-time.After(time.Millisecond):
						}
					}
				}()
				if err := send(s, c); err != nil {
					t.Error(err)
				}
				close(stop)
				<-stopped
				c.Terminate()
			})
		})
	}
}

// A loop that finds the lock taken hands its call over: Send, SendOwned, SendPrepared, Ping and Close come back at once,
// and their effect follows, in order, when the lock is free.
func TestCallsOnALoopDoNotWait(t *testing.T) {
	d := newDiary(t)
	var other *Conn
	answered := make(chan []error, 1)
	s := startServer(t, d.handler(Funcs{Message: func(c *Conn, m Message) {
		if string(m.Data) != "go" {
			return
		}
		var errs []error
		errs = append(errs, other.SendText("one"), other.SendBinary(bytes.Repeat([]byte("x"), 100_000)), other.Ping([]byte("ping")))
		b := c.loop.engine.pool.Get(3)
		b.B = append(b.B, "two"...)
		errs = append(errs, other.SendOwned(OpText, b), other.SendPrepared(prepared(t, OpText, []byte("three"))))
		c.loop.engine.allLoops()[0].announce(prepared(t, OpText, []byte("all")), func(to *Conn) bool { return to == other })
		errs = append(errs, other.SendText("four"), other.CloseWith(4002, "handed"))
		if other.ReadyState() != Closing {
			t.Error("after Close:", other.ReadyState())
		}
		errs = append(errs, other.SendText("late"))
		answered <- errs
	}}), Options{Loops: 1})
	f := dialForeign(t, s, 0)
	other = d.conn()
	g := dialForeign(t, s, 0)
	d.conn()
	other.mu.Lock() // a goroutine in the middle of a Send
	g.text("go")
	errs := receive(t, answered, "the callback's end")
	for i, err := range errs {
		if want := map[bool]error{true: ErrClosed}[i == len(errs)-1]; err != want {
			t.Errorf("call %d: %v, want %v", i, err, want)
		}
	}
	g.text("echo")
	within(t, timeoutOf(5), "the loop goes on", func() bool { return d.has("message echo OPEN") })
	other.unlock()
	f.skipsControl = true
	f.wants(0x1, "one")
	f.wants(0x2, string(bytes.Repeat([]byte("x"), 100_000)))
	for _, text := range []string{"two", "three", "all", "four"} {
		f.wants(0x1, text)
	}
	f.wantsClose(4002, "handed")
	if n := other.BufferedAmount(); n != uint64(len("late")) {
		t.Errorf("%d bytes are buffered, of which %d were refused", n, len("late"))
	}
	f.closeWith(4002, "handed")
	if e := d.end(); !e.WasClean || e.Code != 4002 {
		t.Errorf("%+v", e)
	}
}

// Terminate and the end of the peer find calls that were handed over, and let go of them.
func TestHandedCallsOfALostConnection(t *testing.T) {
	for _, end := range []string{"Terminate", "reset"} {
		t.Run(end, func(t *testing.T) {
			d := newDiary(t)
			var other *Conn
			s := startServer(t, d.handler(Funcs{Message: func(c *Conn, m Message) {
				for i := range 100 {
					_ = other.SendText(fmt.Sprint("message ", i))
				}
				if end == "Terminate" {
					other.Terminate()
				}
			}}), Options{Loops: 1})
			f := dialForeign(t, s, 0)
			other = d.conn()
			g := dialForeign(t, s, 0)
			d.conn()
			other.mu.Lock()
			g.text("go")
			within(t, timeoutOf(5), "the callback", func() bool { return d.has("message go OPEN") })
			if end == "reset" {
				f.reset()
			}
			time.Sleep(10 * time.Millisecond)
			other.unlock()
			if e := d.end(); e.Code != 1006 {
				t.Errorf("%+v", e)
			}
		})
	}
}
