package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/deflate"
)

// A callback that ends its goroutine (runtime.Goexit: t.FailNow in a handler of a test) ends its connection as a
// panic does (1011), and nothing else: no loop, no worker, nothing of anybody else's that was on its way.

// Every callback that may exit is tried in TestHandlerMisbehavesInEveryCallback on loops and workers. Here: the code, the error
// and the count, in every mode.
func TestExitEndsItsConnectionWith1011(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Message: func(*Conn, Message) { runtime.Goexit() }}), Options{Loops: 1, Logger: quietLogger})
		const rounds = 5
		for range rounds {
			f := dialForeign(t, s, 0)
			d.conn()
			f.text("go")
			f.wantsClose(1011, "")
			f.wantsEnd()
			isAll(t, d.end().Err, ErrHandlerExit)
		}
		if st := s.Stats(); st.Panics != rounds || st.Failures[1011] != rounds {
			t.Errorf("%+v", st)
		}
	})
}

// What the poller had found besides is served: kernels report it once.
func TestExitLosesNothingOfTheOthers(t *testing.T) {
	for _, m := range []mode{{name: "loop"}, {name: "bridge", bridged: true}} {
		t.Run(m.name, func(t *testing.T) {
			hold, held := make(chan struct{}), make(chan struct{})
			var posted, fired atomic.Int32
			s := m.start(t, Funcs{Message: func(c *Conn, m Message) {
				switch string(m.Data) {
				case "hold":
					held <- struct{}{}
					<-hold
				case "exit":
					runtime.Goexit()
				default:
					_ = c.Post(func(*Conn) {
						posted.Add(1)
						runtime.Goexit()
					})
					_ = c.SendText(string(m.Data))
				}
			}, Close: func(c *Conn, e CloseEvent) {
				if errors.Is(e.Err, ErrIdleTimeout) {
					fired.Add(1)
					runtime.Goexit() // while the timers of this tick are served
				}
			}}, Options{Loops: 1, Logger: quietLogger})
			// A read of each is found in one turn, half of which end the goroutine.
			const n = 20
			blocker := dialForeign(t, s, 0)
			all := make([]*foreign, n)
			for i := range all {
				all[i] = dialForeign(t, s, 0)
			}
			blocker.text("hold")
			receive(t, held, "the blocked loop")
			for i, f := range all {
				f.text([]string{"exit", fmt.Sprint("echo ", i)}[i%2])
			}
			time.Sleep(5 * time.Millisecond) // into the bridge's buffers
			close(hold)
			for i, f := range all {
				if i%2 == 1 {
					f.wants(ws.OpText, fmt.Sprint("echo ", i))
				}
				f.wantsClose(1011, "")
			}
			if k := posted.Load(); k != n/2 {
				t.Errorf("%d of %d posted functions ran", k, n/2)
			}
			blocker.send(ws.OpPing, true, "alive")
			blocker.wants(ws.OpPong, "alive")
		})
	}
}

// The timers of one tick: all of them fire though each one's OnClose ends the goroutine.
func TestExitLosesNoTimer(t *testing.T) {
	var closes atomic.Int32
	s := startServer(t, Funcs{Close: func(*Conn, CloseEvent) {
		closes.Add(1)
		runtime.Goexit()
	}}, Options{Loops: 1, Logger: quietLogger, Limits: Limits{IdleTimeout: 100 * time.Millisecond, PingInterval: -1, CloseTimeout: 50 * time.Millisecond}})
	const n = 30
	for range n {
		dialForeign(t, s, 0)
	}
	within(t, timeoutOf(3), "every connection's end", func() bool { return closes.Load() == n && s.conns() == 0 })
}

// OnError's exit does not keep OnClose away, and Close ends everybody though each OnClose exits.
func TestExitInOnErrorAndWhileClosing(t *testing.T) {
	for _, workers := range []int{0, 2} {
		var closes, failures atomic.Int32
		s := startServer(t, exitingHandler{&failures, &closes}, Options{Loops: 2, Workers: workers, Logger: quietLogger})
		const n = 10
		for i := range n {
			f := dialForeign(t, s, 0)
			if i%2 == 0 {
				f.write([]byte{0x83, 0x80, 0, 0, 0, 0}) // a reserved opcode
				f.wantsClose(1002, "")
				_ = f.Close()
			}
		}
		within(t, timeoutOf(3), "the failed ones' OnClose", func() bool { return closes.Load() == n/2 })
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if closes.Load() != n || failures.Load() != n/2 {
			t.Errorf("%d workers: OnClose %d times, OnError %d times", workers, closes.Load(), failures.Load())
		}
	}
}

type exitingHandler struct{ failures, closes *atomic.Int32 }

func (exitingHandler) OnOpen(*Conn)                {}
func (exitingHandler) OnMessage(*Conn, Message)    {}
func (h exitingHandler) OnError(*Conn, error)      { h.failures.Add(1); runtime.Goexit() }
func (h exitingHandler) OnClose(*Conn, CloseEvent) { h.closes.Add(1); runtime.Goexit() }
func (exitingHandler) OnChunk(_ *Conn, _ Chunk)    { runtime.Goexit() }

// OnChunk, which the matrix of misdeeds does not know.
func TestExitInOnChunk(t *testing.T) {
	for _, workers := range []int{0, 2} {
		var closes atomic.Int32
		s := startServer(t, exitingHandler{new(atomic.Int32), &closes}, Options{Loops: 1, Workers: workers, Logger: quietLogger})
		for range 3 {
			f := dialForeign(t, s, 0)
			f.text("x")
			f.wantsClose(1011, "")
		}
		within(t, timeoutOf(3), "OnClose", func() bool { return closes.Load() == 3 })
	}
}

// Who decides about requests, broadcasts and compression.
func TestExitWhileDeciding(t *testing.T) {
	t.Parallel()
	exit := func(u *Upgrade) {
		if u.Target() == "/exit" {
			u.Later()
			runtime.Goexit()
		}
	}
	for name, k := range map[string]struct {
		h Funcs
		o Options
	}{
		"OnUpgrade":   {Funcs{Upgrade: exit}, Options{}},
		"CheckOrigin": {Funcs{}, Options{CheckOrigin: func(u *Upgrade) bool { exit(u); return true }}},
	} {
		k.o.Logger, k.o.Loops = quietLogger, 1
		s := startServer(t, k.h, k.o)
		for range 3 {
			a := knock(t, "tcp", s.Addr().String())
			a.say(t, requestFor("/exit"))
			a.expectStatus(t, 500)
			attackAt(t, s, "/fine").reset()
		}
		if st := s.Stats(); st.Panics != 3 || st.Refusals["handler-panic"] != 3 {
			t.Errorf("%s: %+v", name, st)
		}
	}
	// A request from net/http, which a loop adopts.
	s := startServer(t, Funcs{Upgrade: exit}, Options{Loops: 1, Logger: quietLogger, Fallback: http.NotFoundHandler()})
	hs := &http.Server{Handler: s}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = hs.Serve(ln) }()
	defer hs.Close()
	a := knock(t, "tcp", ln.Addr().String())
	a.say(t, requestFor("/exit"))
	a.expectStatus(t, 500)
	within(t, timeoutOf(3), "its end", func() bool { return s.allLoops()[0].conns.Load() == 0 })
}

// The connection that keep exited for is passed over, gets the other broadcasts and all that is sent to it, and so do the others.
func TestExitInBroadcastsKeep(t *testing.T) {
	const n = 6
	conns := make(chan *Conn, n)
	s := startServer(t, Funcs{Open: func(c *Conn) { conns <- c }}, Options{Loops: 1, Logger: quietLogger})
	var all []*foreign
	var cs []*Conn
	for range n {
		all = append(all, dialForeign(t, s, 0))
		cs = append(cs, receive(t, conns, "a connection"))
	}
	s.Broadcast(prepared(t, OpText, []byte("first")), nil)
	s.Broadcast(prepared(t, OpText, []byte("to some")), func(c *Conn) bool {
		if i := slices.Index(cs, c); i%2 == 1 {
			runtime.Goexit()
		}
		return true
	})
	s.Broadcast(prepared(t, OpText, []byte("last")), nil)
	for i, f := range all {
		_ = cs[i].SendText("its own")
		f.wants(ws.OpText, "first")
		if i%2 == 0 {
			f.wants(ws.OpText, "to some")
		}
		f.wants(ws.OpText, "last")
		f.wants(ws.OpText, "its own")
	}
	if p := s.Stats().Panics; p != n/2 {
		t.Errorf("%d exits were counted", p)
	}
}

func TestExitInOptionsCompress(t *testing.T) {
	var exits atomic.Bool
	o := Options{Loops: 1, Logger: quietLogger, Deflate: &deflate.Policy{}, Compress: func(Opcode, int) bool {
		if exits.Load() {
			runtime.Goexit()
		}
		return true
	}}
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) { _ = c.Send(m.Op, m.Data) }}, o)
	p := dialFlate(t, s, "permessage-deflate")
	body := slices.Repeat([]byte("compressible "), 100)
	_ = p.say(OpText, body)
	p.wants(OpText, body)
	exits.Store(true)
	_ = p.say(OpText, body) // in a callback: its connection ends
	p.wantsClose(1011)
	q := dialFlate(t, s, "permessage-deflate")
	within(t, timeoutOf(3), "the other one", func() bool { return s.Stats().Open == 1 })
	pr := prepared(t, OpText, body)
	s.allLoops()[0].announce(pr, nil) // as Broadcast does, but for what it does in the caller
	within(t, timeoutOf(3), "the exit is counted", func() bool { return s.Stats().Panics == 2 })
	exits.Store(false)
	_ = q.say(OpText, body)
	q.wants(OpText, body)
}

// Goroutines come and go, and onLoop and onWorker know the present ones.
func TestExitKeepsKnowingItsGoroutines(t *testing.T) {
	for _, workers := range []int{0, 1} {
		var s *Server
		got := make(chan error, 1)
		s = startServer(t, Funcs{Message: func(_ *Conn, m Message) {
			if string(m.Data) == "exit" {
				runtime.Goexit()
			}
			got <- s.Close()
		}}, Options{Loops: 1, Workers: workers, Logger: quietLogger})
		f, g := dialForeign(t, s, 0), dialForeign(t, s, 0)
		f.text("exit")
		f.wantsClose(1011, "")
		g.text("ask")
		if err := receive(t, got, "Close's answer"); err != ErrOnLoop {
			t.Error(workers, err)
		}
	}
}

// Shutdown returns with its context, whatever blocks; what was blocked ends when it returns, and OnClose comes once.
func TestShutdownReturnsThoughACallbackBlocks(t *testing.T) {
	t.Parallel()
	for what, in := range map[string]string{"a message": "message", "OnClose": "close", "a posted function": "post"} {
		inEveryMode(t, func(t *testing.T, m mode) {
			t.Run(what, func(t *testing.T) { shutdownBlocked(t, m, in) })
		})
	}
}

func shutdownBlocked(t *testing.T, m mode, in string) {
	release, blocked := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	var once sync.Once
	var closes atomic.Int32
	block := func(here string) {
		if here == in {
			once.Do(func() { close(blocked); <-release })
		}
	}
	s := m.start(t, Funcs{
		Message: func(c *Conn, _ Message) {
			if block("message"); in == "post" {
				_ = c.Post(func(*Conn) { block("post") })
			}
		},
		Close: func(*Conn, CloseEvent) { closes.Add(1); block("close") },
	}, Options{Loops: 2})
	t.Cleanup(letGo)
	const n = 6
	var all []*foreign
	for range n {
		all = append(all, dialForeign(t, s, 0))
	}
	all[0].text("go")
	if in == "close" {
		_ = all[0].Close()
	}
	receive(t, blocked, "the blocked callback")
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := s.Shutdown(ctx)
	if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > timeoutOf(2) {
		t.Error(err, took)
	}
	select {
	case <-s.ended:
		t.Error("it has ended, and a callback runs")
	default:
	}
	letGo()
	receive(t, s.ended, "the loops' and workers' end")
	if k := closes.Load(); k != n {
		t.Errorf("OnClose %d times for %d connections", k, n)
	}
}

// Serve returns then, too: programs end when it does.
func TestServeReturnsThoughACallbackBlocks(t *testing.T) {
	release, blocked := make(chan struct{}), make(chan struct{})
	s, err := NewServer(Funcs{Message: func(*Conn, Message) { close(blocked); <-release }}, Options{Loops: 2})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ListenAndServe("tcp", "127.0.0.1:0") }()
	within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
	dialForeign(t, s, 0).text("go")
	receive(t, blocked, "the blocked callback")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_ = s.Shutdown(ctx)
	if err := receive(t, served, "Serve's return"); err != ErrServerClosed {
		t.Error(err)
	}
	close(release)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A handler of Fallback that blocks is not waited for either, by Close not at all.
func TestShutdownReturnsThoughFallbackBlocks(t *testing.T) {
	for _, closes := range []bool{false, true} {
		release, blocked := make(chan struct{}), make(chan struct{})
		s := startServer(t, Funcs{}, Options{Fallback: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(blocked)
			<-release
		})})
		knock(t, "tcp", s.Addr().String()).say(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		receive(t, blocked, "the request")
		began := time.Now()
		if closes {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		} else {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
		}
		if took := time.Since(began); took > timeoutOf(2) {
			t.Error(took)
		}
		close(release)
	}
}
