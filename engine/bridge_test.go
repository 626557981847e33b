package engine

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestSemantics plays the same scenes behind every door, with callbacks on the loops and
// on workers: a bridged connection, on systems with native loops and on those without,
// must behave as a native one does.
func TestSemantics(t *testing.T) {
	for _, d := range doors {
		for _, workers := range []int{0, 4} {
			t.Run(fmt.Sprintf("%s, %d workers", d.name, workers), func(t *testing.T) {
				for _, s := range scenes {
					t.Run(s.name, func(t *testing.T) { s.playAt(t, d, workers) })
				}
			})
		}
	}
}

// A scene is what one connection (or a few) and the server do to each other.
type scene struct {
	name    string
	options Options
	handler func(p *play) Funcs // nil: echo
	act     func(t *testing.T, p *play)
}

// play is a scene under way.
type play struct {
	*house
	g      *guest // the first guest
	conns  chan *Conn
	heard  chan string // messages, by whoever wants to note them
	closed chan CloseEvent
	failed chan error
	high   chan struct{}
	low    chan struct{}
	gate   chan struct{} // to be closed by the act
}

func (s *scene) playAt(t *testing.T, d door, workers int) {
	p := &play{
		conns: make(chan *Conn, 16), heard: make(chan string, 1<<14), closed: make(chan CloseEvent, 16),
		failed: make(chan error, 16), high: make(chan struct{}, 1<<10), low: make(chan struct{}, 1<<10), gate: make(chan struct{}),
	}
	h := echoHandler
	if s.handler != nil {
		h = s.handler(p)
	}
	o := s.options
	o.Loops, o.Workers, o.Logger = 2, workers, quietLogger
	p.house = d.build(t, lawful(t, p.noting(h)), o)
	p.g = p.visit(t)
	s.act(t, p)
}

// noting makes h tell the play what happens.
func (p *play) noting(h Funcs) Funcs {
	open, closed := h.Open, h.Close
	h.Open = func(c *Conn) {
		p.conns <- c
		if open != nil {
			open(c)
		}
	}
	h.Close = func(c *Conn, e CloseEvent) {
		if closed != nil {
			closed(c, e)
		}
		p.closed <- e
	}
	h.Error = func(_ *Conn, err error) { p.failed <- err }
	h.HighWater = func(*Conn) { p.high <- struct{}{} }
	h.Drain = func(*Conn) { p.low <- struct{}{} }
	return h
}

// lawful holds the callbacks of h to the order of events and to their states.
func lawful(t testing.TB, h Funcs) Funcs {
	var mu sync.Mutex
	lives := map[*Conn]*life{}
	in := func(c *Conn, event string, f func()) {
		mu.Lock()
		l := lives[c]
		if l == nil {
			l = new(life)
			lives[c] = l
		}
		mu.Unlock()
		if l.busy.Add(1) != 1 {
			t.Errorf("%s overlaps another callback", event)
		}
		l.check(t, c, event)
		defer l.busy.Add(-1)
		f()
	}
	k := h
	k.Open = func(c *Conn) { in(c, "open", func() { h.OnOpen(c) }) }
	k.Message = func(c *Conn, m Message) { in(c, "message", func() { h.OnMessage(c, m) }) }
	k.Close = func(c *Conn, e CloseEvent) { in(c, "close", func() { h.OnClose(c, e) }) }
	for f, event := range map[*func(c *Conn, err error)]string{&k.Error: "error"} {
		if g := *f; g != nil {
			*f = func(c *Conn, err error) { in(c, event, func() { g(c, err) }) }
		}
	}
	for f, event := range map[*func(*Conn)]string{&k.HighWater: "high", &k.Drain: "drain"} {
		if g := *f; g != nil {
			*f = func(c *Conn) { in(c, event, func() { g(c) }) }
		}
	}
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range lives {
			if l.last != "close" {
				t.Errorf("a connection ended with %s, not close", l.last)
			}
		}
	})
	return k
}

// life is what one connection's callbacks did so far.
type life struct {
	busy atomic.Int32
	last string
}

func (l *life) check(t testing.TB, c *Conn, event string) {
	state := c.ReadyState()
	switch {
	case (event == "open") != (l.last == ""):
		t.Errorf("%s after %q", event, l.last)
	case l.last == "close":
		t.Errorf("%s after close", event)
	case l.last == "error" && event != "close":
		t.Errorf("%s after error", event)
	case (event == "close" || event == "error") != (state == Closed):
		// With workers a callback may wait until the state is past it, never the other way.
		if state != Closed || c.loop.engine.workers == nil && event != "drain" {
			t.Errorf("%s in state %v", event, state)
		}
	}
	l.last = event
}

// ended is the only CloseEvent of the first guest.
func (p *play) ended(t *testing.T, code int, clean bool) CloseEvent {
	t.Helper()
	select {
	case e := <-p.closed:
		if e.Code != code || e.WasClean != clean || clean != (e.Err == nil) {
			t.Errorf("ended with %+v, want code %d, clean %v", e, code, clean)
		}
		return e
	case <-time.After(timeoutOf(10)):
		t.Fatal("no OnClose")
		return CloseEvent{}
	}
}

// noError checks that OnError was not called.
func (p *play) noError(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.failed:
		t.Error("OnError:", err)
	default:
	}
}

// oneError checks that OnError was called, with the event's error.
func (p *play) oneError(t *testing.T, e CloseEvent) {
	t.Helper()
	select {
	case err := <-p.failed:
		if err != e.Err {
			t.Errorf("OnError with %v, OnClose with %v", err, e.Err)
		}
	default:
		t.Error("OnError was not called")
	}
}

// echoes checks that the first guest is answered.
func (p *play) echoes(t *testing.T, what string) {
	t.Helper()
	p.g.say(t, ws.OpText, []byte(what))
	p.g.hear(t, ws.OpText, []byte(what))
}

// TestDoorsAreWhatTheySay checks who carries a connection, and what it says of itself.
func TestDoorsAreWhatTheySay(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			conns := make(chan *Conn, 1)
			states := make(chan bool, 1)
			h := echoHandler
			h.Open = func(c *Conn) { conns <- c }
			h.Upgrade = func(u *Upgrade) {
				s := u.TLS()
				states <- s != nil && s.HandshakeComplete
			}
			w := d.build(t, h, Options{Loops: 2})
			g := w.visit(t)
			c := <-conns
			if secure := <-states; secure != d.secure {
				t.Error("Upgrade.TLS says", secure)
			}
			if got, want := w.Stats().Bridged == 1, d.bridged; got != want {
				t.Errorf("bridged: %v, want %v", got, want)
			}
			scheme := map[bool]string{false: "ws", true: "wss"}[d.secure]
			if got := c.URL(); got != scheme+"://house.example/room" {
				t.Error(got)
			}
			if a := c.LocalAddr(); a == nil || a.String() != g.RemoteAddr().String() {
				t.Error("LocalAddr is", a, "and the guest sees", g.RemoteAddr())
			}
			if a := c.RemoteAddr(); a == nil || a.String() != g.LocalAddr().String() && g.LocalAddr().Network() != "unix" {
				t.Error("RemoteAddr is", a, "and the guest has", g.LocalAddr())
			}
		})
	}
}

// transport is the net.Conn of a bridged connection that is not CLOSED; nil for others.
func (c *Conn) transport() net.Conn {
	l := c.home()
	if l.bridge == nil {
		return nil
	}
	c.lock()
	defer c.unlock()
	if c.ReadyState() == Closed { // the descriptor may be another's
		return nil
	}
	return l.bridge.Conn(int(c.fd))
}
