package netio

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

func randomBytes(n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(p)
	return p
}

// echo sends back what arrives, with as much backpressure as the peer exerts: what does
// not fit waits and reading stops.
type echo struct {
	l       *loop
	fd      int
	slab    []byte
	pending []byte
	watched Interest
	end     chan error
}

func startEcho(l *loop, fd int) *echo {
	e := &echo{l: l, fd: fd, slab: make([]byte, 64<<10), watched: Readable, end: make(chan error, 1)}
	l.add(fd, e.onEvent)
	return e
}

func (e *echo) onEvent(ev Event) {
	if ev&Readable != 0 && len(e.pending) == 0 {
		n, err := e.l.Read(e.fd, e.slab)
		if err != nil {
			if err != ErrAgain {
				e.watch(0)
				tell(e.end, err)
			}
			return
		}
		e.pending = e.slab[:n]
	}
	n, err := e.l.Write(e.fd, e.pending)
	e.pending = e.pending[n:]
	if err != nil && err != ErrAgain {
		e.watch(0)
		tell(e.end, err)
		return
	}
	if len(e.pending) > 0 {
		e.watch(Writable)
	} else {
		e.watch(Readable)
	}
}

func (e *echo) watch(now Interest) {
	if err := e.l.Interest(e.fd, e.watched, now); err != nil {
		e.l.t.Errorf("Interest(%d to %d): %v", e.watched, now, err)
	}
	e.watched = now
}

func TestEcho(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		e := startEcho(l, fd)
		sent := randomBytes(3 << 20)
		go func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+rand.IntN(100_000))
				if _, err := peer.Write(rest[:n]); err != nil {
					return // the reader below tells
				}
				rest = rest[n:]
			}
		}()
		got := make([]byte, len(sent))
		_ = peer.SetReadDeadline(time.Now().Add(patience))
		if n, err := io.ReadFull(peer, got); err != nil {
			t.Fatalf("after %d bytes: %v", n, err)
		}
		if !bytes.Equal(got, sent) {
			t.Fatal("the echo differs")
		}
		peer.Close()
		if err := await(t, e.end, "the end of the stream"); err != io.EOF {
			t.Fatalf("read ended with %v", err)
		}
		l.close(fd)
	})
}

func TestEndOfStreamStays(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		c := collect(l, fd)
		if _, err := peer.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		peer.Close()
		for range 3 { // level-triggered
			if err := await(t, c.ended, "the end"); err != io.EOF {
				t.Fatalf("ended with %v", err)
			}
		}
		l.do(func() {
			if string(c.got) != "last words" {
				t.Errorf("got %q", c.got)
			}
		})
		l.close(fd)
	})
}

// collector reads what arrives, and reports each error of a read.
type collector struct {
	l     *loop
	fd    int
	got   []byte // loop
	ended chan error
}

func collect(l *loop, fd int) *collector {
	c := &collector{l: l, fd: fd, ended: make(chan error, 1)}
	l.add(fd, c.onEvent)
	return c
}

func (c *collector) onEvent(Event) {
	var p [4096]byte
	n, err := c.l.Read(c.fd, p[:])
	c.got = append(c.got, p[:n]...)
	if err != nil && err != ErrAgain {
		tell(c.ended, err)
	}
}

func (c *collector) waitFor(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var got string
		c.l.do(func() { got = string(c.got) })
		if got == want {
			return
		}
		if time.Now().After(end) || len(got) > len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}
