package netio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// What is true of a carrier that seals, beside what is true of all.

func forEachSecure(t *testing.T, f func(t *testing.T, r rig, l *loop)) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		if r.sealed {
			f(t, r, l)
		}
	})
}

// TestTruncation: only close_notify is an end (RFC 8446 6.1); without one the stream may have been cut by anybody.
func TestTruncation(t *testing.T) {
	for name, cut := range map[string]func(t *testing.T, below net.Conn){
		"between records":    func(*testing.T, net.Conn) {},
		"inside a header":    func(t *testing.T, below net.Conn) { writeAll(t, below, 23, 3, 3) },
		"behind a header":    func(t *testing.T, below net.Conn) { writeAll(t, below, 23, 3, 3, 1, 0) },
		"inside a record":    func(t *testing.T, below net.Conn) { writeAll(t, below, 23, 3, 3, 1, 0, 7, 7, 7) },
		"by a half-close":    func(t *testing.T, below net.Conn) { closeWrite(t, below) },
		"inside, and halved": func(t *testing.T, below net.Conn) { writeAll(t, below, 23, 3, 3, 1, 0, 7); closeWrite(t, below) },
	} {
		t.Run(name, func(t *testing.T) {
			forEachSecure(t, func(t *testing.T, r rig, l *loop) {
				fd, peer := r.pair(t, l)
				c := collect(l, fd)
				writeAll(t, peer, []byte("last words")...)
				below := peer.(*tls.Conn).NetConn()
				c.waitFor(t, "last words") // a client that closes with a ticket unread resets
				cut(t, below)
				_ = below.(*net.TCPConn).CloseWrite()
				for range 3 { // level-triggered
					if err := await(t, c.ended, "the end"); err != io.ErrUnexpectedEOF {
						t.Fatalf("ended with %v", err)
					}
				}
				l.close(fd)
			})
		})
	}
}

func writeAll(t testing.TB, c net.Conn, p ...byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil {
		t.Fatal(err)
	}
}

// TestSealedAhead: what was not answered may be presented from another place, with more or less behind it, and leaves once. What
// was answered reaches the peer without another call.
func TestSealedAhead(t *testing.T) {
	forEachSecure(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		src := randomBytes(8 << 20)
		w := &presenter{l: l, fd: fd, rest: src, rng: rand.New(rand.NewPCG(1, 2)), done: make(chan struct{})}
		l.add(fd, func(Event) { w.write() })
		l.do(func() {
			w.watch(Writable)
			w.write()
		})
		got := make([]byte, len(src))
		_ = peer.SetReadDeadline(time.Now().Add(patience))
		for at, slow := 0, 0; at < len(got); slow++ {
			n, err := peer.Read(got[at:min(len(got), at+1+slow%50_000)])
			if err != nil {
				t.Fatalf("after %d bytes: %v", at, err)
			}
			if at += n; slow%64 == 0 {
				time.Sleep(100 * time.Microsecond)
			}
		}
		await(t, w.done, "the last answer")
		if !bytes.Equal(got, src) {
			t.Fatal("what arrived differs from what was presented")
		}
		l.close(fd)
	})
}

// presenter presents what it has to write as unkindly as Sink's contract allows.
type presenter struct {
	l       *loop
	fd      int
	rest    []byte // not answered
	rng     *rand.Rand
	watched Interest
	done    chan struct{}
}

func (w *presenter) watch(now Interest) {
	if w.watched == 0 {
		w.watched = Readable
	}
	if err := w.l.Interest(w.fd, w.watched, now); err != nil {
		w.l.t.Error(err)
	}
	w.watched = now
}

func (w *presenter) write() {
	for tries := 0; len(w.rest) > 0; tries++ {
		p := bytes.Clone(w.rest[:1+w.rng.IntN(min(len(w.rest), 200_000))])
		v := [][]byte{p}
		if cut := w.rng.IntN(len(p) + 1); tries%2 == 0 {
			v = [][]byte{p[:cut], p[cut:]}
		}
		n, err := w.l.Writev(w.fd, v)
		clear(p) // it is the caller's again
		switch {
		case err != nil && err != ErrAgain:
			w.l.t.Errorf("Writev: %v", err)
			return
		case n > len(p) || n < 0 || (n == 0) != (err == ErrAgain):
			w.l.t.Errorf("Writev of %d bytes: %d, %v", len(p), n, err)
			return
		}
		if w.rest = w.rest[n:]; err == ErrAgain && tries > 2 {
			return
		}
	}
	if w.watched != Readable {
		w.watch(Readable)
		close(w.done)
	}
}

// TestHandshakeFails: Read tells what was wrong, again and again.
func TestHandshakeFails(t *testing.T) {
	for _, r := range secureRigs() {
		t.Run(r.name, func(t *testing.T) {
			l := startLoop(t, r)
			fd, raw := r.below(t, l)
			l.do(func() { r.make(l.System.(*Secure), fd) })
			c := collect(l, fd)
			writeAll(t, raw, 22, 3, 1, 0, 4, 9, 9, 9, 9) // a handshake message that there is not
			for range 3 {
				err := await(t, c.ended, "the failure")
				if h := (*HandshakeError)(nil); !errors.As(err, &h) {
					t.Fatalf("Read: %v", err)
				}
			}
			l.close(fd)
		})
	}
}
