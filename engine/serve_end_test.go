package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// What ends Serve besides Shutdown and Close, and what it leaves behind.

// serving runs Serve on ln.
func serving(t *testing.T, s *Server, ln net.Listener) chan error {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
	return served
}

// TestListenerClosed: whoever closes the listener ends Serve, as with net/http: it answers net.ErrClosed,
// nobody listens any more, connections go on, and another listener may be served.
func TestListenerClosed(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		inEveryMode(t, func(t *testing.T, m mode) {
			t.Parallel()
			if network == "unix" && runtime.GOOS == "windows" {
				t.Skip("no unix sockets to rely on")
			}
			d := newDiary(t)
			s := m.start(t, d.handler(echoHandler), Options{})
			f := dialForeign(t, s, 0) // of the listener that start made
			d.conn()
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			for range 2 {
				ln, err := net.Listen(network, address)
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan error, 1)
				go func() { served <- s.Serve(ln) }()
				nc, err := net.Dial(network, ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				if _, err := nc.Write([]byte(requestFor("/"))); err != nil {
					t.Fatal(err)
				}
				c := d.conn() // it is accepted
				if err := ln.Close(); err != nil {
					t.Fatal(err)
				}
				select {
				case err := <-served:
					isAll(t, err, net.ErrClosed)
					if errors.Is(err, ErrServerClosed) {
						t.Error("the server is not closed:", err)
					}
				case <-time.After(timeoutOf(5)):
					t.Fatal("Serve goes on without its listener")
				}
				if other, err := net.Dial(network, ln.Addr().String()); err == nil {
					other.Close()
					t.Error("somebody listens there yet")
				}
				if err := c.SendText("still here"); err != nil || c.ReadyState() != Open {
					t.Error(err, c.ReadyState())
				}
			}
			f.text("and the other listener's")
			f.wants(ws.OpText, "and the other listener's")
		})
	}
}

// TestServeReturnsWithShutdown: Serve and ListenAndServe return when Shutdown is done, and not before: most programs
// leave main then, and whoever had not got its Close frame would be cut off.
func TestServeReturnsWithShutdown(t *testing.T) {
	t.Parallel()
	for name, serve := range map[string]func(*Server) error{
		"ListenAndServe": func(s *Server) error { return s.ListenAndServe("tcp", "127.0.0.1:0") },
		"Serve":          func(s *Server) error { return s.Serve(mustListen(t)) },
		"Serve, bridged": func(s *Server) error { return s.Serve(foreignListener{mustListen(t)}) },
	} {
		for _, workers := range []int{0, 2} {
			t.Run(fmt.Sprint(name, workers), func(t *testing.T) {
				t.Parallel()
				d := newDiary(t)
				s, err := NewServer(d.handler(Funcs{}), Options{Workers: workers})
				if err != nil {
					t.Fatal(err)
				}
				served, done := make(chan error, 2), make(chan error, 1)
				go func() { served <- serve(s) }()
				within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
				f := dialForeign(t, s, 0)
				c := d.conn()
				_ = c.SendText("before")
				go func() { done <- s.Shutdown(context.Background()) }()
				f.wants(ws.OpText, "before")
				f.wantsClose(1001, "server shutting down")
				go func() { served <- serve(s) }() // who comes late waits as well
				select {
				case err := <-served:
					t.Fatal("it returned while a connection was closing:", err)
				case <-time.After(50 * time.Millisecond):
				}
				f.closeWith(1001, "")
				for range 2 {
					isAll(t, receive(t, served, "the end of Serve"), ErrServerClosed)
				}
				if st := s.Stats(); st.Open+st.Closing != 0 || len(d.closed) != 1 {
					t.Errorf("%+v, OnClose ran %d times", st, len(d.closed))
				}
				if err := receive(t, done, "Shutdown"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestServeReturnsWithoutCallbacks: Shutdown does not wait for a callback that blocks when its context has ended, nor
// does Serve then, whoever waits in Close for that callback.
func TestServeReturnsWithoutCallbacks(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		entered, held := make(chan struct{}), make(chan struct{})
		s, err := NewServer(Funcs{Open: func(*Conn) { close(entered); <-held }}, Options{Workers: m.workers, TLSConfig: houseTLS()})
		if err != nil {
			t.Fatal(err)
		}
		served, closed := make(chan error, 2), make(chan error, 1)
		serve := func() error { return s.ListenAndServe("tcp", "127.0.0.1:0") }
		if secured(t) {
			serve = func() error { return s.ListenAndServeTLS("tcp", "127.0.0.1:0") }
		} else if m.bridged {
			serve = func() error { return s.Serve(foreignListener{mustListen(t)}) }
		}
		go func() { served <- serve() }()
		within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
		nc, err := connectTo(t, new(net.Dialer), "tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write([]byte(requestFor("/"))); err != nil {
			t.Fatal(err)
		}
		receive(t, entered, "the callback")
		go func() { closed <- s.Close() }()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		isAll(t, s.Shutdown(ctx), context.Canceled)
		isAll(t, receive(t, served, "the end of Serve"), ErrServerClosed)
		isAll(t, serve(), ErrServerClosed)
		close(held)
		if err := receive(t, closed, "Close"); err != nil {
			t.Error(err)
		}
	})
}

func mustListen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// TestAddressIsFreeAfterServe: when Serve returns, the address is free, however busy the loop is between the
// letter that takes the listener from it and the next wake, which closes the descriptor.
func TestAddressIsFreeAfterServe(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Server, net.Listener) error{
		"listener closed": func(_ *Server, ln net.Listener) error { return ln.Close() },
		"Close":           func(s *Server, _ net.Listener) error { return s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := NewServer(Funcs{}, Options{Loops: 1})
			if err != nil {
				t.Fatal(err)
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := serving(t, s, ln)
			if len(s.native) == 0 {
				t.Skip("no loop has the listener")
			}
			l := s.native[0]
			entered, held := make(chan struct{}), make(chan struct{})
			l.post(task{call: func() { close(entered); <-held }})
			<-entered
			ended := make(chan error, 1)
			go func() { ended <- end(s, ln) }()
			within(t, timeoutOf(5), "the letter that closes the listener", func() bool { return l.mailbox.len() > 0 })
			l.post(task{call: func() { time.Sleep(50 * time.Millisecond) }})
			close(held)
			<-served
			if again, err := net.Listen("tcp", ln.Addr().String()); err != nil {
				t.Error("the address is still taken:", err)
			} else {
				again.Close()
			}
			if err := errors.Join(<-ended, s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestClosedListenerAcceptsNobody: from the return of its Close on nobody is accepted any more.
func TestClosedListenerAcceptsNobody(t *testing.T) {
	for range 20 {
		opened := make(chan *Conn, 10)
		s, err := NewServer(Funcs{Open: func(c *Conn) { opened <- c }}, Options{Loops: 1})
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := serving(t, s, ln)
		_ = ln.Close()
		if nc, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			_, _ = nc.Write([]byte(requestFor("/")))
			_ = nc.SetReadDeadline(time.Now().Add(timeoutOf(5)))
			if n, err := nc.Read(make([]byte, 100)); err == nil {
				t.Errorf("answered with %d bytes", n)
			}
			nc.Close()
		}
		isAll(t, <-served, net.ErrClosed)
		if len(opened) != 0 || s.Addr() != nil {
			t.Error(len(opened), s.Addr())
		}
		_ = s.Close()
	}
}

// TestSocketFileOfAnother: at its end a server removes its unix socket's file, and not the one that another
// server has put in its place.
func TestSocketFileOfAnother(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no unix sockets to rely on")
	}
	ways := map[string]func(s *Server, path string) error{
		"ListenAndServe": func(s *Server, path string) error { return s.ListenAndServe("unix", path) },
		"Serve": func(s *Server, path string) error {
			ln, err := net.Listen("unix", path)
			if err != nil {
				return err
			}
			return s.Serve(ln)
		},
	}
	for name, serve := range ways {
		for _, shutdown := range []bool{false, true} {
			for _, replaced := range []bool{false, true} {
				path := filepath.Join(t.TempDir(), "socket")
				s, err := NewServer(Funcs{}, Options{Loops: 1})
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan error, 1)
				go func() { served <- serve(s, path) }()
				within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
				if replaced { // as a new server does that takes over
					if err := os.Remove(path); err != nil {
						t.Fatal(err)
					}
					other, err := net.Listen("unix", path)
					if err != nil {
						t.Fatal(err)
					}
					defer other.Close()
				}
				if shutdown {
					err = s.Shutdown(context.Background())
				} else {
					err = s.Close()
				}
				if err != nil {
					t.Error(err)
				}
				isAll(t, <-served, ErrServerClosed)
				if _, err := os.Lstat(path); (err == nil) != replaced {
					t.Errorf("%s, shutdown %v, replaced %v: %v", name, shutdown, replaced, err)
				}
			}
		}
	}
}

// TestSocketFileKept: a listener that was told to leave its file leaves it; a relative path is found again.
func TestSocketFileKept(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no unix sockets to rely on")
	}
	path := filepath.Join(t.TempDir(), "kept")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	s, err := NewServer(Funcs{}, Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	served := serving(t, s, ln)
	_ = s.Close()
	<-served
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}

	t.Chdir(t.TempDir())
	if s, err = NewServer(Funcs{}, Options{Loops: 1}); err != nil {
		t.Fatal(err)
	}
	here, _ := os.Getwd()
	go func() { served <- s.ListenAndServe("unix", "relative") }()
	within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
	t.Chdir(t.TempDir())
	_ = s.Close()
	<-served
	if _, err := os.Lstat(filepath.Join(here, "relative")); err == nil {
		t.Error("the file is left")
	}
}

func (m *mailbox) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.tasks)
}
