package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// The end of a server.

// Shutdown sends what is queued, then 1001, and returns when all are gone.
func TestShutdownFlushes(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: Limits{HighWater: 64 << 20}})
		const conns, messages, size = 4, 100, 50_000
		var clients []*foreign
		for range conns {
			clients = append(clients, dialForeign(t, s, 4096))
			c := d.conn()
			for range messages {
				_ = c.SendBinary(make([]byte, size))
			}
		}
		done, addr := make(chan error, 1), s.Addr().String() // it has none when it is shut down
		go func() { done <- s.Shutdown(context.Background()) }()
		var readers sync.WaitGroup
		for _, f := range clients {
			readers.Go(func() {
				for range messages {
					if fr, err := readFrame(f); err != nil || len(fr.Payload) != size {
						t.Error(len(fr.Payload), err)
						return
					}
				}
				fr, err := readFrame(f)
				if code, reason := ws.ParseCloseFrameData(fr.Payload); err != nil || code != 1001 || reason != "server shutting down" {
					t.Error(fr, err)
				}
				f.closeWith(1001, "")
				if _, err := f.Read(make([]byte, 1)); err != io.EOF {
					t.Error("after the Close frames:", err)
				}
				_ = f.Close()
			})
		}
		readers.Wait()
		if err := receive(t, done, "Shutdown"); err != nil {
			t.Error(err)
		}
		for range conns {
			if e := d.end(); e.Code != 1001 || !e.WasClean {
				t.Errorf("%+v", e)
			}
		}
		if st := s.Stats(); st.Open+st.Closing+st.Connecting != 0 || st.Closes[1001] != conns || st.BytesOut != conns*messages*size {
			t.Errorf("%+v", st)
		}
		if _, err := net.Dial("tcp", addr); err == nil {
			t.Error("it still listens")
		}
	})
}

// When the context ends first the rest is terminated, and the answer is the context's.
func TestShutdownWithAContextThatEnds(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		d.conn()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := s.Shutdown(ctx)
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took > timeoutOf(3) {
			t.Error(err, took)
		}
		f.wantsClose(1001, "server shutting down")
		e := d.end()
		isAll(t, e.Err, ErrTerminated)
		if e.Code != 1006 || e.WasClean || d.has("error 1006 CLOSED") {
			t.Errorf("%+v %q", e, d.all())
		}
	})
}

// Again, at the same time, in any order, before anything was started: every call returns.
func TestShutdownAndCloseAnyNumberOfTimes(t *testing.T) {
	background := context.Background()
	never, err := NewServer(Funcs{}, Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(never.Shutdown(background), never.Close(), never.Shutdown(background), never.Close()); err != nil {
		t.Error("a server that was never started:", err)
	}
	if never.Addr() != nil {
		t.Error(never.Addr())
	}
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		for range 5 {
			f := dialForeign(t, s, 0)
			go f.drain()
			d.conn()
		}
		var calls sync.WaitGroup
		for i := range 8 {
			calls.Go(func() {
				ctx, cancel := context.WithTimeout(background, time.Duration(i)*10*time.Millisecond)
				defer cancel()
				if i%2 == 0 {
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				} else if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		for range 5 {
			d.end()
		}
		if err := errors.Join(s.Close(), s.Shutdown(background)); err != nil {
			t.Error(err)
		}
		if err := s.ListenAndServe("tcp", "127.0.0.1:0"); err != ErrServerClosed {
			t.Error(err)
		}
		p, _ := Prepare(OpText, nil)
		s.Broadcast(p, nil)
		for range s.Conns() {
			t.Error("a connection in a closed server")
		}
	})
}

// Close ends every connection at once, whatever it is doing, and every OnClose has run when it returns.
func TestCloseEndsAll(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Message: func(c *Conn, _ Message) {
			for range 200 {
				_ = c.SendBinary(make([]byte, 50_000))
			}
		}}), Options{})
		const each = 3
		for i := range 3 * each {
			f := dialForeign(t, s, 4096)
			c := d.conn()
			switch i % 3 {
			case 1:
				f.text("fill")
			case 2:
				_ = c.Close()
			}
		}
		began := time.Now()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > timeoutOf(3) {
			t.Error("Close took", took)
		}
		if n := len(d.closed); n != 3*each {
			t.Errorf("OnClose ran for %d of %d", n, 3*each)
		}
		if st := s.Stats(); st.Open+st.Closing != 0 || st.Closes[1006] != 3*each {
			t.Errorf("%+v", st)
		}
	})
}

// On a loop they would wait for themselves.
func TestShutdownOnALoop(t *testing.T) {
	for name, end := range map[string]func(s *Server) error{
		"Shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
		"Close":    func(s *Server) error { return s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			var s *Server
			got := make(chan error, 3)
			s = startServer(t, Funcs{
				Upgrade: func(*Upgrade) { got <- end(s) },
				Open:    func(*Conn) { got <- end(s) },
				Close:   func(*Conn, CloseEvent) { got <- end(s) },
			}, Options{})
			f := dialForeign(t, s, 0)
			f.closeWith(1000, "")
			f.wantsClose(1000, "")
			for range 3 {
				if err := receive(t, got, "the answer"); err != ErrOnLoop {
					t.Error(err)
				}
			}
		})
	}
}

// Who connects to a TLS listener and says nothing has not finished that handshake: it reads no refusal, and Shutdown does
// not wait for it as for somebody who may.
func TestShutdownWithASilentTLSClient(t *testing.T) {
	t.Parallel()
	s, err := NewServer(Funcs{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, _ := listenTLS(t)
	served := serving(t, s, ln)
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	within(t, timeoutOf(5), "a connection", func() bool { return s.Stats().Connecting == 1 })
	began := time.Now()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > lingerBound/2 {
		t.Error("Shutdown took", took)
	}
	isAll(t, <-served, ErrServerClosed)
}
