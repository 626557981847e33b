package netio

import (
	"io"
	"net"
	"testing"
	"time"
)

// ask is Unacked, asked on the loop.
func (l *loop) ask(fd int) (waiting int, taken uint64) {
	l.t.Helper()
	l.do(func() { waiting, taken = l.Unacked(fd) })
	return waiting, taken
}

// TestUnacked: what the peer has not taken waits, and is taken as the peer reads.
func TestUnacked(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		l.add(fd, func(Event) {})
		within(t, "nothing waits before anything was written", func() bool { // a handshake may be on its way
			waiting, _ := l.ask(fd)
			return waiting == 0
		})
		full := stuff(l, fd)
		waiting, before := l.ask(fd)
		within(t, "nobody reads, so nothing moves", func() bool {
			again, taken := l.ask(fd)
			rests := again <= waiting && taken == before
			waiting, before = again, taken // a bridge's goroutine may have been late
			return rests
		})
		if waiting < full/8 {
			t.Fatalf("%d bytes wait of %d that a peer did not read", waiting, full)
		}
		_ = peer.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(peer, make([]byte, full)); err != nil {
			t.Fatal(err)
		}
		if r.sealed { // what was sealed ahead leaves when it is presented again, and the peer reads it
			go func() { _, _ = io.Copy(io.Discard, peer) }()
		}
		within(t, "nothing waits when all was read", func() bool {
			if r.sealed {
				l.do(func() { _, _ = l.Write(fd, make([]byte, 1)) })
			}
			var taken uint64
			waiting, taken = l.ask(fd)
			return waiting == 0 && (taken > before || before == 0)
		})
		l.close(fd)
	})
}

// stuff writes until the peer, who does not read, and what is between have taken all they can. It
// returns how much that was.
func stuff(l *loop, fd int) (full int) {
	chunk := make([]byte, 64<<10)
	for last := time.Now(); time.Since(last) < 100*time.Millisecond; {
		n := 0
		l.do(func() { n, _ = l.Write(fd, chunk) })
		if full += n; n > 0 {
			last = time.Now()
		}
	}
	return full
}

func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: ", what)
		}
	}
}

// TestUnackedOfReleased: a descriptor that was given up has nothing waiting, and nobody is harmed.
func TestUnackedOfReleased(t *testing.T) {
	b := NewBridge()
	ours, peer := net.Pipe()
	defer peer.Close()
	fd := b.Attach(ours)
	if err := b.Abort(fd); err != nil {
		t.Fatal(err)
	}
	if waiting, taken := b.Unacked(fd); waiting != 0 || taken != 0 {
		t.Error(waiting, taken)
	}
}
