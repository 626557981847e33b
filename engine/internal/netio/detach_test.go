package netio

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// A detached connection goes on where it was: what arrived and was not taken comes with
// it, what was written is delivered before, and nothing of the bridge is left.
func TestDetach(t *testing.T) {
	for _, unread := range []string{"", "not taken"} {
		for _, r := range bridgeRigs() {
			t.Run(r.name+"/"+unread, func(t *testing.T) { testDetach(t, r, unread) })
		}
	}
}

func testDetach(t *testing.T, r rig, unread string) {
	l := startLoop(t, r)
	fd, peer := r.pair(t, l)
	defer peer.Close()
	_ = peer.SetDeadline(time.Now().Add(patience))
	l.add(fd, func(Event) {})
	if _, err := peer.Write([]byte(unread)); err != nil {
		t.Fatal(err)
	}
	l.do(func() {
		if _, err := l.Write(fd, []byte("written before")); err != nil {
			t.Error(err)
		}
		l.Remove(fd)
	})
	expect := func(c net.Conn, want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Fatalf("read %q, %v, want %q", got, err, want)
		}
	}
	type result struct {
		conn net.Conn
		read []byte
		err  error
	}
	results := make(chan result, 1)
	go func() {
		c, read, err := l.System.(*Bridge).Detach(fd)
		results <- result{c, read, err}
	}()
	expect(peer, "written before")
	got := await(t, results, "Detach")
	if got.err != nil {
		t.Fatal(got.err)
	}
	wantNoCarriers(t)
	if len(got.read) < len(unread) { // it was still on its way
		expect(got.conn, unread[len(got.read):])
	} else if string(got.read) != unread {
		t.Errorf("%q came with it, want %q", got.read, unread)
	}
	go peer.Write([]byte("and on"))
	expect(got.conn, "and on")
	go got.conn.Write([]byte("as before"))
	expect(peer, "as before")
	if _, _, err := l.System.(*Bridge).Detach(fd); !errors.Is(err, net.ErrClosed) {
		t.Errorf("detached twice: %v", err)
	}
	got.conn.Close()
}

// stubborn is a connection whose Read cannot be interrupted.
type stubborn struct{ net.Conn }

func (stubborn) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

func TestDetachNeedsDeadlines(t *testing.T) {
	ours, peer := net.Pipe()
	b := NewBridge()
	if _, _, err := b.Detach(b.Attach(stubborn{ours})); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection lives on without an owner: %v", err)
	}
	wantNoCarriers(t)
}
