package engine

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// bare is a server that nothing serves yet. Like a house it must leave nothing.
func bare(t testing.TB, h Handler, o Options, loopless bool) *Server {
	t.Helper()
	noGoroutinesLeft(t)
	if o.Logger == nil {
		o.Logger = quietLogger
	}
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	if loopless {
		takeLoops(s)
	}
	leaveNothing(t, s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("Close:", err)
		}
	})
	return s
}

// greet makes a WebSocket of a transport and has one message echoed.
func greet(t testing.TB, network, addr string) *guest {
	t.Helper()
	nc, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
	t.Cleanup(func() { _ = nc.Close() })
	g := welcome(t, nc, ws.Dialer{})
	g.say(t, ws.OpText, []byte("hello"))
	g.hear(t, ws.OpText, []byte("hello"))
	return g
}

func TestServeManyListenersAtOnce(t *testing.T) {
	s := bare(t, echoHandler, Options{Loops: 2}, false)
	var served []chan error
	var knocks []func() (net.Conn, error)
	var first net.Addr
	for i, d := range doors[:5] { // tcp, unix and all that are bridged
		ln, knock := d.listen(t)
		if i == 0 {
			first = ln.Addr()
		}
		done := make(chan error, 1)
		go func() { done <- s.Serve(ln) }()
		served, knocks = append(served, done), append(knocks, knock)
		within(t, timeoutOf(5), "Addr", func() bool { return s.Addr() != nil })
	}
	if s.Addr().String() != first.String() {
		t.Error("Addr is", s.Addr(), "and the first listener's", first)
	}
	for _, knock := range knocks {
		w := &house{Server: s, knock: knock}
		g := w.visit(t)
		g.say(t, ws.OpText, []byte("hello"))
		g.hear(t, ws.OpText, []byte("hello"))
	}
	if st := s.Stats(); st.Open != 5 || st.Bridged != 3 {
		t.Errorf("%d open, %d bridged", st.Open, st.Bridged)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, done := range served {
		if err := <-done; err != ErrServerClosed {
			t.Error("Serve:", err)
		}
	}
}

func TestListenAndServe(t *testing.T) {
	for _, loopless := range []bool{false, true} {
		for _, network := range []string{"tcp", "tcp4", "tcp6", "unix"} {
			t.Run(fmt.Sprintf("%s, loopless %v", network, loopless), func(t *testing.T) {
				addr := map[string]string{"tcp": "127.0.0.1:0", "tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(t.TempDir(), "s")}[network]
				s := bare(t, echoHandler, Options{Loops: 3}, loopless)
				done := make(chan error, 1)
				go func() { done <- s.ListenAndServe(network, addr) }()
				within(t, timeoutOf(5), "Addr", func() bool { return s.Addr() != nil })
				at := s.Addr()
				for range 5 {
					greet(t, at.Network(), at.String())
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if err := <-done; err != ErrServerClosed {
					t.Error(err)
				}
				if network == "unix" {
					if _, err := os.Lstat(addr); !errors.Is(err, fs.ErrNotExist) {
						t.Error("the socket's file is still there:", err)
					}
				}
				ln, err := net.Listen(at.Network(), at.String())
				if err != nil {
					t.Fatal("the address is not free after Close:", err)
				}
				_ = ln.Close()
			})
		}
	}
}

func TestListenAndServeRefusesWhatIsTaken(t *testing.T) {
	foreign, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	path := filepath.Join(t.TempDir(), "s")
	socket, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ours := bare(t, echoHandler, Options{Loops: 2}, false) // shares its address between its loops
	done := make(chan error, 1)
	go func() { done <- ours.ListenAndServe("tcp", "127.0.0.1:0") }()
	within(t, timeoutOf(5), "Addr", func() bool { return ours.Addr() != nil })

	s := bare(t, echoHandler, Options{Loops: 2}, false)
	for _, at := range []net.Addr{foreign.Addr(), socket.Addr(), ours.Addr()} {
		if err := s.ListenAndServe(at.Network(), at.String()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%v: %v", at, err)
		}
	}
	for network, addr := range map[string]string{"udp": "127.0.0.1:0", "tcp": "no port", "unix": filepath.Join(path, "below a socket")} {
		if err := s.ListenAndServe(network, addr); err == nil {
			t.Errorf("listening on %s %s", network, addr)
		}
	}
	if s.Addr() != nil {
		t.Error("Addr is", s.Addr())
	}
	if nc, err := net.Dial("unix", path); err != nil {
		t.Error("the other's socket is gone:", err)
	} else {
		_ = nc.Close()
	}
	ln, _ := listenTCP(t) // and it still can serve
	go func() { done <- s.Serve(ln) }()
	greet(t, "tcp", ln.Addr().String())
	_ = s.Close()
	_ = ours.Close()
	for range 2 {
		if err := <-done; err != ErrServerClosed {
			t.Error(err)
		}
	}
}

func TestListenAndServeReplacesAStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = dead.Close()
	s := bare(t, echoHandler, Options{Loops: 2}, false)
	done := make(chan error, 1)
	go func() { done <- s.ListenAndServe("unix", path) }()
	within(t, timeoutOf(5), "Addr", func() bool { return s.Addr() != nil || len(done) > 0 })
	greet(t, "unix", path)
	_ = s.Close()
	if err := <-done; err != ErrServerClosed {
		t.Error(err)
	}
}

func TestServeOnAClosedServer(t *testing.T) {
	for _, loopless := range []bool{false, true} {
		s := bare(t, echoHandler, Options{Loops: 2}, loopless)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, d := range doors[:3] {
			ln, _ := d.listen(t)
			if err := s.Serve(ln); err != ErrServerClosed {
				t.Error(d.name, err)
			}
			if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Error(d.name, "the listener is not closed:", err)
			}
		}
		if err := s.ListenAndServe("tcp", "127.0.0.1:0"); err != ErrServerClosed {
			t.Error(err)
		}
	}
}

// descriptorsLeft checks in the end that no descriptors were lost, where that can be seen.
func descriptorsLeft(t testing.TB) {
	open := func() []string {
		var names []string
		all, _ := os.ReadDir("/proc/self/fd")
		for _, e := range all {
			if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
				names = append(names, to)
			}
		}
		return names
	}
	before := open()
	t.Cleanup(func() {
		within(t, timeoutOf(5), "the sockets are closed", func() bool { return len(open()) <= len(before) })
	})
}

// TestCloseWhileServeBegins: whichever comes first, nothing is lost.
func TestCloseWhileServeBegins(t *testing.T) {
	descriptorsLeft(t)
	for i := range 60 {
		s := bare(t, echoHandler, Options{Loops: 2}, i%4 == 0)
		lnTCP, _ := listenTCP(t)
		lnUnix, _ := listenUnixSocket(t)
		lnHidden, _ := hidden(listenTCP)(t)
		var all sync.WaitGroup
		for _, begin := range []func() error{
			func() error { return s.Serve(lnTCP) },
			func() error { return s.Serve(lnUnix) },
			func() error { return s.Serve(lnHidden) },
			func() error { return s.ListenAndServe("tcp", "127.0.0.1:0") },
			func() error { return s.ListenAndServe("unix", filepath.Join(t.TempDir(), "s")) },
		} {
			all.Go(func() {
				if err := begin(); err != ErrServerClosed {
					t.Error(err)
				}
			})
		}
		if i%3 != 0 {
			within(t, timeoutOf(5), "one of them serves", func() bool { return s.Addr() != nil })
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
	}
}

// moody is a listener whose Accept fails as it is told.
type moody struct {
	net.Listener
	errs chan error
}

func (m *moody) Accept() (net.Conn, error) {
	select {
	case err := <-m.errs:
		return nil, err
	default:
		return m.Listener.Accept()
	}
}

func TestAcceptErrorsOfAForeignListener(t *testing.T) {
	s := bare(t, echoHandler, Options{Loops: 1}, false)
	ln, _ := listenTCP(t)
	m := &moody{ln, make(chan error, 10)}
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.ENOBUFS)}} {
		m.errs <- err
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(m) }()
	greet(t, "tcp", ln.Addr().String())
	if n := s.Stats().AcceptErrors; n != 3 {
		t.Errorf("%d errors of accept are counted, want 3", n)
	}
	fatal := errors.New("as planned")
	m.errs <- fatal
	greetless, err := net.Dial("tcp", ln.Addr().String()) // ends the Accept under way
	if err != nil {
		t.Fatal(err)
	}
	defer greetless.Close()
	if err := <-done; !errors.Is(err, fatal) {
		t.Error(err)
	}
}

// TestTurnedAwayOverTLS: a silent peer over the limit keeps nobody else from being accepted.
func TestTurnedAwayOverTLS(t *testing.T) {
	for _, name := range []string{"tls", "bridged tls"} {
		t.Run(name, func(t *testing.T) { turnedAwayOverTLS(t, doorNamed(t, name)) })
	}
}

func turnedAwayOverTLS(t *testing.T, d door) {
	w := d.raise(t, echoHandler, Options{Loops: 1, MaxConns: 1})
	g := w.visit(t)
	for range 30 { // their handshakes never begin
		silent, err := net.Dial("tcp", w.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
	}
	nc := w.call(t)
	over := &attacker{nc, bufio.NewReader(nc)}
	over.say(t, requestFor("/room"))
	over.expectStatus(t, 503)
	g.sayClose(t, 1000, "")
	g.hearClose(t, 1000, "")
	g.hearEnd(t)
	_ = g.Close()
	within(t, timeoutOf(5), "the one connection is gone", func() bool {
		st := w.Stats()
		return st.Refusals["max-conns"] == 31 && st.Bridged == 0 && w.conns() == 0
	})
	again := w.visit(t)
	again.say(t, ws.OpText, []byte("hello"))
	again.hear(t, ws.OpText, []byte("hello"))
}
