//go:build linux

package engine

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// After a poller's failure nobody is left waiting: not connections, senders, Serve nor Shutdown.

// breakable is a poller that fails when it is told to.
type breakable struct {
	netio.System
	handler netio.Handler
	broken  atomic.Bool
}

var errBroken = errors.New("epoll_wait: broken on purpose")

func (b *breakable) Run(h netio.Handler) error {
	b.handler = h
	if err := b.System.Run(b); err != nil {
		return err
	}
	if b.broken.Load() {
		return errBroken
	}
	return nil
}

func (b *breakable) OnEvent(fd int, ev netio.Event) { b.handler.OnEvent(fd, ev) }
func (b *breakable) OnBatchEnd()                    { b.handler.OnBatchEnd() }
func (b *breakable) OnWake() bool                   { return !b.broken.Load() && b.handler.OnWake() }

func (b *breakable) fail() {
	b.broken.Store(true)
	b.Wake()
}

// breakableServer is a server whose pollers can be made to fail.
func breakableServer(t *testing.T, h Handler, o Options) (*Server, *[]*breakable) {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	var all []*breakable
	made := s.newNative
	s.newNative = func() (netio.System, error) {
		sys, err := made()
		b := &breakable{System: sys}
		all = append(all, b)
		return b, err
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, &all
}

func TestPollerFailure(t *testing.T) {
	for name, o := range map[string]Options{"loops": {Loops: 1}, "workers": {Loops: 1, Workers: 2}} {
		t.Run(name, func(t *testing.T) {
			d := newDiary(t)
			s, pollers := breakableServer(t, d.handler(Funcs{}), o)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- s.Serve(ln) }()
			within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
			dialForeign(t, s, 0)
			c := d.conn()
			dialForeign(t, s, 0)
			held := d.conn()
			drained := make(chan error, 1)
			if err := c.SendBinary(make([]byte, 16<<20)); err != nil { // more than the kernel takes
				t.Fatal(err)
			}
			go func() { drained <- c.Drain(t.Context()) }()
			held.mu.Lock() // somebody sends just now
			(*pollers)[0].fail()
			time.Sleep(20 * time.Millisecond)
			held.unlock()

			for range 2 {
				e := <-d.closed
				isAll(t, e.Err, ErrAbnormal, errBroken)
				if e.Code != 1006 || e.WasClean {
					t.Errorf("%+v", e)
				}
			}
			isAll(t, <-drained, ErrClosed)
			isAll(t, c.SendText("x"), ErrClosed)
			isAll(t, <-served, errBroken)
			if nc, err := net.Dial("tcp", ln.Addr().String()); err == nil {
				t.Error("somebody listens there yet")
				nc.Close()
			}
			settled(t, s)
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The other loops go on, and whoever comes goes to them.
func TestPollerFailureOfOneLoop(t *testing.T) {
	d := newDiary(t)
	s, pollers := breakableServer(t, d.handler(echoHandler), Options{Loops: 2})
	served := make(chan error, 1)
	go func() { served <- s.ListenAndServe("tcp", "127.0.0.1:0") }()
	within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
	(*pollers)[0].fail()
	<-s.native[0].done
	for range 8 {
		f := dialForeign(t, s, 0)
		if c := d.conn(); c.loop != s.native[1] {
			t.Fatal("a connection is on the loop that is lost")
		}
		f.text("hello")
		f.wants(1, "hello")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() { second <- s.Serve(ln) }()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write([]byte(requestFor("/"))); err != nil {
		t.Fatal(err)
	}
	if c := d.conn(); c.loop != s.native[1] {
		t.Error("and the second listener's too")
	}
	(*pollers)[1].fail() // now there is none
	isAll(t, <-served, errBroken)
	isAll(t, <-second, errBroken)
	third, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(third); !errors.Is(err, errLoopLost) {
		t.Error(err)
	}
}

// Nobody waits for broadcasts that the lost loop has not made: what was given to it does not count as under way any more,
// and who broadcasts faster than the others can is heard again when they have caught up.
func TestPollerFailureAndBroadcasts(t *testing.T) {
	d := newDiary(t)
	var s *Server
	s, pollers := breakableServer(t, d.handler(Funcs{Message: func(c *Conn, m Message) {
		for range 3 { // more than may be under way
			p, _ := Prepare(OpBinary, make([]byte, broadcastBacklog))
			s.Broadcast(p, nil)
		}
		_ = c.Send(m.Op, m.Data)
	}}), Options{Loops: 2})
	served := make(chan error, 1)
	go func() { served <- s.ListenAndServe("tcp", "127.0.0.1:0") }()
	within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
	(*pollers)[0].fail()
	<-s.native[0].done
	f := dialForeign(t, s, 0)
	d.conn()
	for range 2 {
		f.text("to all")
		for text := false; !text; {
			text = f.next().Header.OpCode == ws.OpText
		}
	}
	within(t, timeoutOf(5), "nothing under way", func() bool { return s.Stats().BroadcastBytes == 0 })
}
