package engine

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
)

// Several listeners at a time on one server.

// listensOn are the server's addresses as texts.
func listensOn(s *Server) (all []string) {
	for _, a := range s.Addrs() {
		all = append(all, a.String())
	}
	return all
}

// serveOneMore serves another listener, and waits until it is the last of them.
func serveOneMore(t *testing.T, s *Server, begin func() error) (at net.Addr, done chan error) {
	t.Helper()
	before := len(s.Addrs())
	done = make(chan error, 1)
	go func() { done <- begin() }()
	within(t, timeoutOf(5), "one more address", func() bool { return len(s.Addrs()) == before+1 })
	return s.Addrs()[before], done
}

// TestAddrs: Addrs are all that are served, in order, and Addr is the first of them: it is another one only when that has
// ended. One that ends does not touch the others, nor their connections; Shutdown ends all.
func TestAddrs(t *testing.T) {
	for _, loopless := range []bool{false, true} {
		s := bare(t, echoHandler, Options{Loops: 2}, loopless)
		if s.Addr() != nil || s.Addrs() != nil || new(Server).Addr() != nil {
			t.Error("addresses before there are any:", s.Addrs())
		}
		lns := []net.Listener{mustListen(t), mustListen(t), foreignListener{mustListen(t)}}
		var served []chan error
		var want []string
		for _, ln := range lns {
			at, done := serveOneMore(t, s, func() error { return s.Serve(ln) })
			served, want = append(served, done), append(want, at.String())
			if at.String() != ln.Addr().String() || s.Addr().String() != want[0] {
				t.Errorf("Addr %v, the newest %v, which is %v", s.Addr(), at, ln.Addr())
			}
		}
		for range 2 { // ListenAndServe twice at a time, on ports of the system's choice
			at, done := serveOneMore(t, s, func() error { return s.ListenAndServe("tcp", "127.0.0.1:0") })
			served, want = append(served, done), append(want, at.String())
		}
		if got := listensOn(s); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		var guests []*guest
		for _, at := range want {
			guests = append(guests, greet(t, "tcp", at))
		}
		// Ends of one: of one in the middle, of the first, of the last that somebody gave.
		for _, i := range []int{1, 0, 2} {
			if err := lns[i].Close(); err != nil {
				t.Error(err)
			}
			if err := receive(t, served[i], "Serve's end"); !errors.Is(err, net.ErrClosed) || errors.Is(err, ErrServerClosed) {
				t.Error("Serve:", err)
			}
			want = slices.DeleteFunc(want, func(at string) bool { return at == lns[i].Addr().String() })
			if got := listensOn(s); !slices.Equal(got, want) || s.Addr().String() != want[0] {
				t.Errorf("after the end of %d: %v (Addr %v), want %v", i, got, s.Addr(), want)
			}
			for _, at := range want {
				greet(t, "tcp", at)
			}
		}
		for _, g := range guests {
			g.say(t, OpText, []byte("still here"))
			g.hear(t, OpText, []byte("still here"))
		}
		// What Addrs gave is the caller's.
		mine := s.Addrs()
		mine[0] = nil
		if s.Addr() == nil {
			t.Error("the server's own slice was given away")
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(10))
		ends := make(chan error, 1)
		go func() { ends <- s.Shutdown(ctx) }()
		for _, g := range guests {
			g.hearClose(t, StatusGoingAway, "server shutting down")
			g.sayClose(t, StatusGoingAway, "")
		}
		cancel() // the guests that greet made need not answer
		<-ends
		for i, done := range served[3:] {
			if err := receive(t, done, "Serve's end"); err != ErrServerClosed {
				t.Error(i, err)
			}
		}
		if s.Addr() != nil || len(s.Addrs()) != 0 {
			t.Error("addresses after the end:", s.Addrs())
		}
	}
}
