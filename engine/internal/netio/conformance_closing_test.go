package netio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

func TestReset(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		c := collect(l, fd)
		reset(peer)
		err := await(t, c.ended, "the reset")
		if r.resets && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("read ended with %v", err)
		}
		failed := make(chan error, 1)
		l.do(func() { // writing fails as well, at once or when a bridge has tried
			l.events[fd] = func(Event) {
				if _, err := l.Write(fd, []byte("x")); err != nil && err != ErrAgain {
					tell(failed, err)
				}
			}
			if err := l.Interest(fd, Readable, Writable); err != nil {
				t.Error(err)
			}
		})
		await(t, failed, "a write to fail")
		l.close(fd)
	})
}

func TestHalfClose(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		c := collect(l, fd)
		if !r.halves {
			l.do(func() {
				if err := l.CloseWrite(fd); !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("CloseWrite: %v", err)
				}
			})
			l.close(fd)
			return
		}
		l.do(func() {
			if _, err := l.Write(fd, []byte("all I have")); err != nil {
				t.Error(err)
			}
			if err := l.CloseWrite(fd); err != nil {
				t.Error(err)
			}
			if _, err := l.Write(fd, []byte("more")); err == nil {
				t.Error("written after CloseWrite")
			}
		})
		if got := readAll(t, peer); string(got) != "all I have" {
			t.Fatalf("peer got %q", got)
		}
		if _, err := peer.Write([]byte("my turn")); err != nil {
			t.Fatal(err)
		}
		c.waitFor(t, "my turn")
		l.close(fd)
	})
}

func TestPeersHalfClose(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		if !r.halves {
			return // covered by TestEndOfStreamStays
		}
		fd, peer := r.pair(t, l)
		c := collect(l, fd)
		closeWrite(t, peer)
		if err := await(t, c.ended, "the end"); err != io.EOF {
			t.Fatalf("ended with %v", err)
		}
		l.do(func() {
			if _, err := l.Write(fd, []byte("still here")); err != nil {
				t.Error(err)
			}
			l.drop(fd)
		})
		if got := readAll(t, peer); string(got) != "still here" {
			t.Fatalf("peer got %q", got)
		}
	})
}

func TestCloseDelivers(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		sent := randomBytes(48 << 10)
		l.add(fd, func(Event) {})
		l.do(func() {
			if n, err := l.Write(fd, sent); n != len(sent) || err != nil {
				t.Errorf("Write: %d, %v", n, err)
			}
			l.drop(fd)
		})
		if got := readAll(t, peer); !bytes.Equal(got, sent) {
			t.Fatalf("peer got %d bytes of %d", len(got), len(sent))
		}
	})
}

func TestAbortTellsAtOnce(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		l.add(fd, func(Event) {})
		l.do(func() {
			fill(t, l, fd, make([]byte, 64<<20))
			l.Remove(fd)
			if err := l.Abort(fd); err != nil {
				t.Error(err)
			}
		})
		_ = peer.SetReadDeadline(time.Now().Add(patience))
		_, err := io.Copy(io.Discard, peer)
		if r.resets && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("peer's stream ended with %v", err)
		}
		if _, isTLS := peer.(*tls.Conn); !isTLS && !r.resets && err != nil {
			t.Fatalf("peer's stream ended with %v", err)
		}
	})
}

func TestProbe(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, c net.Conn){
		"reset": func(_ *testing.T, c net.Conn) { reset(c) },
		"end":   func(t *testing.T, c net.Conn) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			forEachRig(t, func(t *testing.T, r rig, l *loop) {
				if !r.kernel {
					return
				}
				fd, peer := r.pair(t, l)
				l.add(fd, func(Event) {})
				probe := func() (err error) { l.do(func() { err = l.Probe(fd) }); return err }
				l.do(func() {
					if err := l.Interest(fd, Readable, 0); err != nil {
						t.Error(err)
					}
				})
				if _, err := peer.Write(randomBytes(10_000)); err != nil { // stays unread
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
				if err := probe(); err != nil {
					t.Fatalf("a living peer: %v", err)
				}
				end(t, peer)
				err := probe()
				for end := time.Now().Add(patience); err == nil && time.Now().Before(end); err = probe() {
					time.Sleep(time.Millisecond)
				}
				if r.resets && name == "reset" && !errors.Is(err, syscall.ECONNRESET) || err == nil {
					t.Fatalf("a peer that is gone: %v", err)
				}
				l.close(fd)
			})
		})
	}
}
