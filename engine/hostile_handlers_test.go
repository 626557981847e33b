package engine

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// misdeeds are what a handler may do inside any callback.
var misdeeds = map[string]func(*Conn){
	"panic":             func(*Conn) { panic("a handler's own mistake") },
	"close":             func(c *Conn) { _ = c.Close() },
	"terminate":         func(c *Conn) { c.Terminate() },
	"close, then panic": func(c *Conn) { _ = c.CloseWith(4001, "x"); panic("after Close") },
	"terminate, panic":  func(c *Conn) { c.Terminate(); panic("after Terminate") },
	"send, then panic":  func(c *Conn) { _ = c.SendBinary(make([]byte, 100_000)); panic("after Send") },
	"exit":              func(*Conn) { runtime.Goexit() }, // what t.FailNow does
	"close, exit":       func(c *Conn) { _ = c.CloseWith(4001, "x"); runtime.Goexit() },
	"terminate, exit":   func(c *Conn) { c.Terminate(); runtime.Goexit() },
	"send, then exit":   func(c *Conn) { _ = c.SendBinary(make([]byte, 100_000)); runtime.Goexit() },
}

// callbacks are where it may do so; each is what a peer does to have that one called.
var callbacks = map[string]func(*attacker){
	"open":    func(*attacker) {},
	"message": func(a *attacker) { a.try(maskedFrame(0x82, []byte("x"))) },
	"assembled message": func(a *attacker) {
		a.try(append(maskedFrame(0x02, []byte("x")), maskedFrame(0x80, []byte("y"))...))
	},
	"ping":      func(a *attacker) { a.try(maskedFrame(0x89, []byte("x"))) },
	"pong":      func(a *attacker) { a.try(maskedFrame(0x8a, []byte("x"))) },
	"highwater": func(a *attacker) { a.try(maskedFrame(0x82, []byte("flood"))) },
	"drain":     func(a *attacker) { a.try(maskedFrame(0x82, []byte("flood"))) },
	"posted":    func(a *attacker) { a.try(maskedFrame(0x82, []byte("post"))) },
	"error":     func(a *attacker) { a.try([]byte{0x82, 0}) },
	"close":     func(a *attacker) { a.try(maskedFrame(0x88, []byte{3, 232})) },
	"lost":      func(a *attacker) { a.reset() },
	"ended":     func(a *attacker) { a.try(maskedFrame(0x82, []byte("end"))) },
}

// misbehaving is a handler that does its misdeed in one callback. The path names both.
func misbehaving(in string, do func(*Conn), closes *atomic.Int32) Funcs {
	at := func(here string, c *Conn) {
		if here == in {
			do(c)
		}
	}
	return Funcs{
		Open: func(c *Conn) { at("open", c) },
		Message: func(c *Conn, m Message) {
			switch string(m.Data) {
			case "flood":
				_ = c.SendBinary(make([]byte, 8<<20))
			case "post":
				_ = c.Post(func(c *Conn) { at("posted", c) })
			case "end":
				c.Terminate()
			case "xy":
				at("assembled message", c)
			default:
				at("message", c)
			}
		},
		Ping:      func(c *Conn, _ []byte) { at("ping", c) },
		Pong:      func(c *Conn, _ []byte) { at("pong", c) },
		HighWater: func(c *Conn) { at("highwater", c) },
		Drain:     func(c *Conn) { at("drain", c) },
		Error:     func(c *Conn, _ error) { at("error", c) },
		Close: func(c *Conn, _ CloseEvent) {
			closes.Add(1)
			at("close", c)
			at("lost", c)
			at("ended", c)
		},
	}
}

// TestHandlerMisbehavesInEveryCallback: OnClose comes once all the same, and the loop and
// the workers go on.
func TestHandlerMisbehavesInEveryCallback(t *testing.T) {
	for _, workers := range []int{0, 2} {
		for in := range callbacks {
			for what := range misdeeds {
				t.Run(fmt.Sprintf("%d workers/%s in %s", workers, what, in), func(t *testing.T) {
					misbehave(t, workers, in, misdeeds[what])
				})
			}
		}
	}
}

func misbehave(t *testing.T, workers int, in string, do func(*Conn)) {
	var closes, panics atomic.Int32
	h := misbehaving(in, func(c *Conn) {
		panics.Add(1)
		do(c)
	}, &closes)
	s := startServer(t, h, Options{Workers: workers, Loops: 1, Logger: quietLogger, Limits: Limits{CloseTimeout: time.Second}})
	for round := range 2 { // the second shows that the loop lives
		done := closes.Load()
		a := knock(t, "tcp", s.Addr().String())
		a.say(t, requestFor("/"))
		a.expect101(t)
		callbacks[in](a)
		if in == "highwater" || in == "drain" { // who reads along might take it all as it comes
			within(t, timeoutOf(5), "HighWater is passed", func() bool { return s.Stats().Pauses > uint64(round) })
		}
		go lastWord(a, new(atomic.Bool))
		if in == "ping" || in == "pong" || in == "posted" || in == "drain" || in == "highwater" {
			within(t, timeoutOf(5), "the callback was called", func() bool { return panics.Load() > 0 })
		}
		within(t, timeoutOf(5), "OnClose", func() bool { return closes.Load() > done })
		within(t, timeoutOf(5), "the connection is gone", func() bool { return s.conns() == 0 })
		if n := closes.Load() - done; n != 1 {
			t.Errorf("OnClose %d times", n)
		}
	}
	st := s.Stats()
	if st.Open != 0 || st.Closing != 0 || st.Connecting != 0 {
		t.Errorf("the states do not add up: %+v", st)
	}
	total := uint64(0)
	for _, n := range st.Closes {
		total += n
	}
	if total != 2 {
		t.Errorf("closes %v", st.Closes)
	}
}

// TestHandlerPanics are counted, and answered with 1011.
func TestHandlerPanics(t *testing.T) {
	for _, workers := range []int{0, 2} {
		h, ends := watching(Funcs{Message: func(_ *Conn, m Message) {
			if string(m.Data) == "panic" {
				panic("as asked")
			}
		}})
		s := startServer(t, h, Options{Workers: workers, Logger: quietLogger})
		for i := range 20 {
			path := fmt.Sprintf("/%d", i)
			a := attackAt(t, s, path)
			a.say(t, string(maskedFrame(0x81, []byte("panic"))))
			a.expectClose(t, 1011)
			a.reset()
			if e := ends.one(t, path); closeCodeOf(e.Err) != 1011 {
				t.Errorf("%+v", e)
			}
		}
		if n := s.Stats().Panics; n != 20 {
			t.Error(n, "panics counted")
		}
	}
}

// TestPanicWhileDeciding about a request, or about who is meant by a broadcast, is
// answered 500, or passed over.
func TestPanicWhileDeciding(t *testing.T) {
	for name, o := range map[string]Options{
		"OnUpgrade":   {},
		"CheckOrigin": {CheckOrigin: func(u *Upgrade) bool { panic("no opinion") }},
	} {
		h := Funcs{Upgrade: func(u *Upgrade) {
			if u.Target() == "/panic" {
				u.Later()
				panic("undecided")
			}
		}}
		o.Logger = quietLogger
		s := startServer(t, h, o)
		for range 3 {
			a := knock(t, "tcp", s.Addr().String())
			a.say(t, requestFor("/panic"))
			a.expectStatus(t, 500)
		}
		if st := s.Stats(); st.Panics != 3 || st.Refusals["handler-panic"] != 3 {
			t.Errorf("%s: %+v", name, st)
		}
	}
	s := startServer(t, echoHandler, Options{Logger: quietLogger})
	in := innocent(t, s)
	p, err := Prepare(OpText, []byte("to nobody"))
	if err != nil {
		t.Fatal(err)
	}
	s.Broadcast(p, func(*Conn) bool { panic("no opinion") })
	within(t, timeoutOf(5), "the panic is counted", func() bool { return s.Stats().Panics > 0 })
	if n := in.count(); !eventually(timeoutOf(5), func() bool { return in.count() > n+5 }) || in.failure() != nil {
		t.Error("the innocent:", in.failure())
	}
}

// TestHandlerBlocks: with workers a callback that blocks holds its own connection only,
// whose reading stops when its inbox is full.
func TestHandlerBlocks(t *testing.T) {
	release := make(chan struct{})
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		if len(m.Data) > 100 {
			<-release
		}
		_ = c.Send(m.Op, m.Data)
	}}, Options{Workers: 4, InboxBytes: 64 << 10})
	a := attack(t, s)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		flood := bytes.Repeat(maskedFrame(0x82, make([]byte, 1000)), 100)
		for range 500 { // 50 MB
			if !a.try(flood) {
				return
			}
		}
	}()
	besideInnocent(t, s, func() {
		within(t, timeoutOf(5), "messages wait for the worker", func() bool { return s.Stats().Buffers.Out > 0 })
		// A turn's slab may be behind the message that filled the inbox.
		if b := s.Stats().Buffers.OutBytes; b > 4<<20 {
			t.Errorf("%d bytes wait", b)
		}
	})
	close(release)
	go func() { _, _ = a.r.WriteTo(nullWriter{}) }()
	<-sent
	a.reset()
}

// TestLoopWithoutTime: a callback holds the loop, or the machine sleeps, for longer than
// every clock runs. What the peers said and took meanwhile waits in the kernel, and counts.
func TestLoopWithoutTime(t *testing.T) {
	const slept = 61 * time.Second
	limits := Limits{IdleTimeout: time.Minute, PingInterval: -1, WriteStallTimeout: time.Minute, CloseTimeout: time.Minute}
	pinging := Limits{PingInterval: 10 * time.Second, PongTimeout: 30 * time.Second}
	for name, k := range map[string]struct {
		limits Limits
		before func(*tapeRig)
		wait   []byte // what comes while the loop sleeps
		after  ReadyState
	}{
		"idle":    {limits, func(r *tapeRig) { r.open() }, maskedFrame(0x82, []byte("x")), Open},
		"silent":  {limits, func(r *tapeRig) { r.open() }, nil, Closing},
		"pong":    {pinging, func(r *tapeRig) { r.open(); r.pass(11 * time.Second) }, maskedFrame(0x8a, nil), Open},
		"no pong": {pinging, func(r *tapeRig) { r.open(); r.pass(11 * time.Second) }, nil, Closed},
		"Close":   {limits, func(r *tapeRig) { _ = r.open().Close(); r.settle() }, maskedFrame(0x88, []byte{3, 232}), Closed},
		"request": {limits, func(r *tapeRig) { r.connect() }, []byte(requestFor("/")), Open},
		"room": {Limits{IdleTimeout: -1, PingInterval: -1, WriteStallTimeout: time.Minute}, func(r *tapeRig) {
			c := r.open()
			r.sys.room = 0
			_ = c.SendText("x")
			r.settle()
			r.sys.room = 100
		}, nil, Open},
	} {
		t.Run(name, func(t *testing.T) {
			clean := false
			r := newTapeRig(t, Funcs{Close: func(_ *Conn, e CloseEvent) { clean = e.WasClean }}, Options{Limits: k.limits, HandshakeTimeout: time.Minute})
			k.before(r)
			c := r.conn()
			if len(k.wait) > 0 {
				r.sys.in = append(r.sys.in, k.wait)
			}
			r.sys.now += slept
			r.l.OnWake() // the timer's event is the first of the turn
			r.settle()
			if c.ReadyState() != k.after {
				t.Errorf("%v, wanted %v", c.ReadyState(), k.after)
			}
			if name == "Close" && !clean {
				t.Error("the peer's Close came too late")
			}
			r.end()
		})
	}
}

// nullWriter is io.Discard without its ReadFrom.
type nullWriter struct{}

func (nullWriter) Write(p []byte) (int, error) { return len(p), nil }

// TestSendCloseTerminateFromEverywhere: 64 goroutines at once, and what the peer gets is
// a stream of whole frames with nothing behind the Close.
func TestSendCloseTerminateFromEverywhere(t *testing.T) {
	for name, last := range map[string]func(*Conn, int){
		"close":     func(c *Conn, _ int) { _ = c.Close() },
		"terminate": func(c *Conn, _ int) { c.Terminate() },
		"both": func(c *Conn, i int) {
			if i%2 == 0 {
				_ = c.Close()
			} else {
				c.Terminate()
			}
		},
	} {
		for _, workers := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s, %d workers", name, workers), func(t *testing.T) { fromEverywhere(t, workers, last) })
		}
	}
}

func fromEverywhere(t *testing.T, workers int, last func(*Conn, int)) {
	conns := make(chan *Conn, 1)
	h, ends := watching(Funcs{Open: func(c *Conn) { conns <- c }, Message: func(c *Conn, m Message) { _ = c.Send(m.Op, m.Data) }})
	s := startServer(t, h, Options{Workers: workers, Limits: Limits{CloseTimeout: time.Second, MaxBufferedAmount: 1 << 20, Overflow: DropMessage}})
	big, prepared := make([]byte, 30_000), must(Prepare(OpText, bytes.Repeat([]byte("p"), 9000)))
	for round := range 5 {
		path := fmt.Sprintf("/%d", round)
		a := attackAt(t, s, path)
		c := <-conns
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				for k := range 30 {
					switch (i + k) % 6 {
					case 0:
						_ = c.SendText("small")
					case 1:
						_ = c.SendBinary(big[:(i*977+k*131)%len(big)])
					case 2:
						_ = c.SendPrepared(prepared)
					case 3:
						_ = c.Ping([]byte("ping"))
					case 4:
						w := c.NewWriter(OpBinary)
						_, _ = w.Write(big[:100])
						_ = w.Close()
					case 5:
						c.Pause()
						c.Resume()
					}
				}
				last(c, i)
			})
		}
		checkStream(t, a)
		all.Wait()
		ends.one(t, path)
		if err := c.SendText("late"); err == nil || c.ReadyState() != Closed {
			t.Error("still open")
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// checkStream reads what a server sends with a foreign client's eyes, answers its Close,
// and wants nothing behind that.
func checkStream(t *testing.T, a *attacker) {
	closed, state := false, ws.StateClientSide
	for {
		h, err := ws.ReadHeader(a.r)
		if err != nil {
			return
		}
		if err := ws.CheckHeader(h, state); err != nil || closed {
			t.Errorf("%+v: %v; behind a Close: %v", h, err, closed)
			return
		}
		if !h.OpCode.IsControl() {
			if state = state.Clear(ws.StateFragmented); !h.Fin {
				state = state.Set(ws.StateFragmented)
			}
		}
		if _, err := a.r.Discard(int(h.Length)); err != nil {
			return
		}
		if h.OpCode == ws.OpClose {
			closed = true
			a.try(maskedFrame(0x88, []byte{3, 232}))
		}
	}
}
