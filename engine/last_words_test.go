package engine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// What a peer said before its end is heard, whatever fails on our side (HOSTILE.md), and it gets to read
// what we said last.

// Messages and a Close that came before the peer broke off are taken, though reading was paused, for the peer
// did not read, and though every write fails: RFC 6455 7.1.5, the code is the one of the peer's Close frame.
func TestLastWordsBehindAFullQueue(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 300} {
		inEveryMode(t, func(t *testing.T, m mode) {
			t.Parallel()
			d := newDiary(t)
			s := m.start(t, d.handler(Funcs{Message: func(c *Conn, m Message) { _ = c.Send(m.Op, m.Data) }}), Options{})
			f := dialForeign(t, s, 4096)
			c := d.conn()
			for range 100 {
				_ = c.SendBinary(make([]byte, 100_000))
			}
			within(t, timeoutOf(5), "HighWater", func() bool { return s.Stats().Pauses > 0 })
			time.Sleep(50 * time.Millisecond) // the kernel takes some of it yet
			var words []byte
			for range n {
				words = append(words, frames(ws.NewTextFrame([]byte(strings.Repeat("x", 100))))...)
			}
			f.write(append(words, frames(ws.NewCloseFrame(ws.NewCloseFrameBody(1001, "leaving")))...))
			time.Sleep(50 * time.Millisecond)
			f.reset()
			e := d.end()
			if e.Code != 1001 || e.Reason != "leaving" || e.WasClean || e.Err == nil {
				t.Errorf("%+v", e)
			}
			within(t, timeoutOf(5), fmt.Sprint(n, " messages, as Stats tells when the turn is over"), func() bool { return s.Stats().MessagesIn == uint64(n) })
			if c.BufferedAmount() == 0 {
				t.Error("what was not delivered counts")
			}
		})
	}
}

// A write that fails does not throw away what the peer had said, at the pace at which it is wanted.
func TestLastWordsWhilePaused(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		if m.workers != 0 {
			t.Skip("a worker's inbox has them already")
		}
		d := newDiary(t)
		heard := make(chan string, 100)
		s := m.start(t, d.handler(Funcs{Message: func(c *Conn, m Message) { c.Pause(); heard <- string(m.Data) }}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		f.text("pauses")
		receive(t, heard, "the first message")
		f.write(frames(ws.NewTextFrame([]byte("one")), ws.NewTextFrame([]byte("two")), ws.NewCloseFrame(ws.NewCloseFrameBody(3000, "bye"))))
		time.Sleep(50 * time.Millisecond)
		f.reset()
		time.Sleep(50 * time.Millisecond)
		for range 3 { // the first meets the reset
			_ = c.SendText("nobody gets this")
			time.Sleep(10 * time.Millisecond)
		}
		for _, want := range []string{"one", "two"} {
			select {
			case e := <-d.closed:
				t.Fatalf("before %q was asked for: %+v", want, e)
			case got := <-heard:
				t.Fatalf("%q while paused", got)
			case <-time.After(100 * time.Millisecond):
			}
			c.Resume()
			if got := receive(t, heard, want); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
		c.Resume()
		if e := d.end(); e.Code != 3000 || e.Reason != "bye" || e.WasClean {
			t.Errorf("%+v", e)
		}
	})
}

// A peer of a paused connection that broke off and had said nothing more is noticed without Resume.
func TestGoneWhilePaused(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Open: func(c *Conn) { c.Pause() }}), Options{})
		f := dialForeign(t, s, 0)
		d.conn()
		time.Sleep(20 * time.Millisecond)
		f.reset()
		if e := d.end(); e.Code != 1006 || !errors.Is(e.Err, ErrAbnormal) {
			t.Errorf("%+v", e)
		}
	})
}

// Who is refused, or failed, while it uploads slowly gets to read why: the reset that closing a socket
// with unread bytes means does not overtake what we said, as long as the upload goes on.
func TestRefusedWhileUploading(t *testing.T) {
	t.Parallel()
	type refusal struct {
		name   string
		door   string
		limits Options
		begins func(t *testing.T, nc net.Conn) net.Conn
		tells  func(t *testing.T, nc net.Conn)
	}
	status := func(code string) func(*testing.T, net.Conn) {
		return func(t *testing.T, nc net.Conn) {
			b, err := io.ReadAll(nc)
			if err != nil || !strings.Contains(string(b), code) {
				t.Errorf("%q, %v", b, err)
			}
		}
	}
	asks := func(head string) func(t *testing.T, nc net.Conn) net.Conn {
		return func(t *testing.T, nc net.Conn) net.Conn {
			if _, err := io.WriteString(nc, head); err != nil {
				t.Error(err)
			}
			return nc
		}
	}
	tooBig := func(t *testing.T, nc net.Conn) net.Conn {
		g := welcome(t, nc, ws.Dialer{})
		_, _ = g.Write(frameHead(0x82, 1<<20))
		return g
	}
	tells := func(t *testing.T, nc net.Conn) {
		g := nc.(*guest)
		g.hearClose(t, 1009, "")
		if n, err := g.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Error("behind the Close frame:", n, err)
		}
	}
	small, full := Options{Limits: Limits{MaxMessageSize: 1000}}, Options{MaxConns: 1}
	var all sync.WaitGroup
	for _, k := range []refusal{
		{"too big", "tcp", small, tooBig, tells},
		{"too big, bridged", "bridged tcp", small, tooBig, tells},
		{"too big, tls", "tls", small, tooBig, tells},
		{"too big, bridged tls", "bridged tls", small, tooBig, tells},
		{"a POST", "tcp", Options{}, asks("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"), status("HTTP/1.1 4")},
		{"a POST, bridged", "bridged tcp", Options{}, asks("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"), status("HTTP/1.1 4")},
		{"too many", "tcp", full, asks(requestFor("/")), status("HTTP/1.1 503")},
		{"too many, bridged", "bridged tcp", full, asks(requestFor("/")), status("HTTP/1.1 503")},
		{"a POST, tls", "tls", Options{}, asks("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"), status("HTTP/1.1 4")},
		{"too many, tls", "tls", full, asks(requestFor("/")), status("HTTP/1.1 503")},
	} {
		all.Go(func() {
			h := doorNamed(t, k.door).raise(t, Funcs{}, k.limits)
			if k.limits.MaxConns != 0 {
				h.visit(t)
			}
			nc := k.begins(t, h.call(t))
			for end := time.Now().Add(lingerTime + 600*time.Millisecond); time.Now().Before(end); time.Sleep(lingerTime / 10) {
				if _, err := nc.Write(make([]byte, 1000)); err != nil {
					t.Errorf("%s: the upload: %v", k.name, err)
					return
				}
			}
			k.tells(t, nc)
		})
	}
	all.Wait()
}

// A client that has gone while a decision is pending is noticed: Accept answers ErrClosed, OnOpen does not run, the
// place is free. A half-closed one has gone as well: it could send no Close frame any more (RFC 6455 7.1.2).
func TestGoneWhileUndecided(t *testing.T) {
	for _, name := range []string{"tcp", "unix", "tls", "bridged tcp", "bridged tls"} {
		for how, leave := range map[string]func(nc net.Conn){
			"close": func(nc net.Conn) { _ = nc.Close() },
			"reset": func(nc net.Conn) { (&guest{Conn: nc}).slam() },
			"half":  func(nc net.Conn) { _ = nc.(interface{ CloseWrite() error }).CloseWrite() },
			"early frames": func(nc net.Conn) {
				_, _ = nc.Write(maskedFrame(0x81, []byte("early")))
				time.Sleep(20 * time.Millisecond)
				_ = nc.Close()
			},
		} {
			if strings.HasSuffix(name, "tls") && how == "half" {
				continue // TLS says so inside the stream, and nobody reads that
			}
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				pending := make(chan *Upgrade, 1)
				h := doorNamed(t, name).raise(t, Funcs{
					Upgrade: func(u *Upgrade) { u.Later(); pending <- u },
					Open:    func(*Conn) { t.Error("OnOpen") },
				}, Options{})
				nc := h.call(t)
				_, _ = io.WriteString(nc, requestFor("/"))
				u := receive(t, pending, "OnUpgrade")
				leave(nc)
				within(t, timeoutOf(2), "its place is free", func() bool { return h.conns() == 0 })
				if err := u.Accept(); err != ErrClosed {
					t.Error("Accept:", err)
				}
			})
		}
	}
}
