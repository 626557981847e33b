package engine

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// The order of events, and the state inside each (DOM.md, "State and events").

func TestEventOrder(t *testing.T) {
	const opened, a, b = "open OPEN", "message a OPEN", "message b OPEN"
	for _, k := range []struct {
		name string
		act  func(f *foreign, d *diary)
		want []string
	}{
		{"peer closes", func(f *foreign, d *diary) {
			f.write(frames(ws.NewTextFrame([]byte("a")), ws.NewTextFrame([]byte("b")),
				ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))))
		}, []string{opened, a, b, `close 1000 "bye" clean=true CLOSED`}},
		{"peer closes without a status", func(f *foreign, d *diary) {
			f.send(ws.OpClose, true, "")
		}, []string{opened, `close 1005 "" clean=true CLOSED`}},
		{"peer closes with 1011, which is no error of ours", func(f *foreign, d *diary) {
			f.text("a")
			f.closeWith(1011, "")
		}, []string{opened, a, `close 1011 "" clean=true CLOSED`}},
		{"the stream ends without a Close", func(f *foreign, d *diary) {
			f.text("a")
			_ = f.raw.CloseWrite()
		}, []string{opened, a, "error 1006 CLOSED", `close 1006 "" clean=false CLOSED`}},
		{"a reset", func(f *foreign, d *diary) {
			f.text("a")
			within(f.t, timeoutOf(5), "a message", func() bool { return d.has(a) })
			f.reset()
		}, []string{opened, a, "error 1006 CLOSED", `close 1006 "" clean=false CLOSED`}},
		{"a violation behind two messages", func(f *foreign, d *diary) {
			f.write(append(frames(ws.NewTextFrame([]byte("a")), ws.NewTextFrame([]byte("b"))),
				ws.MustCompileFrame(ws.NewTextFrame([]byte("not masked")))...))
		}, []string{opened, a, b, "error 1002 CLOSED", `close 1006 "" clean=false CLOSED`}},
		{"text that is not UTF-8", func(f *foreign, d *diary) {
			f.text("a")
			f.text("\xff")
		}, []string{opened, a, "error 1007 CLOSED", `close 1006 "" clean=false CLOSED`}},
	} {
		t.Run(k.name, func(t *testing.T) {
			inEveryMode(t, func(t *testing.T, m mode) {
				d := newDiary(t)
				s := m.start(t, d.handler(Funcs{}), Options{})
				f := dialForeign(t, s, 0)
				k.act(f, d)
				e := d.end()
				if (e.Err == nil) != e.WasClean {
					t.Errorf("clean: %v, error: %v", e.WasClean, e.Err)
				}
				d.wants(k.want...)
				if st := s.Stats(); st.Open != 0 || st.Opened != 1 {
					t.Errorf("%d are open of %d", st.Open, st.Opened)
				}
			})
		})
	}
}

// What came before the peer's Close is delivered before OnClose, and while OPEN, even
// when the workers are behind.
func TestMessagesBeforeTheEndAreDelivered(t *testing.T) {
	a, b, c := ws.NewTextFrame([]byte("a")), ws.NewTextFrame([]byte("b")), ws.NewTextFrame([]byte("c"))
	messages := []string{"open OPEN", "message a OPEN", "message b OPEN", "message c OPEN"}
	for _, k := range []struct {
		name string
		tail []byte
		half bool
		want []string
	}{
		{"close", frames(ws.NewCloseFrame(ws.NewCloseFrameBody(1001, ""))), false, []string{`close 1001 "" clean=true CLOSED`}},
		{"violation", []byte{0x83, 0x80, 0, 0, 0, 0}, false, []string{"error 1002 CLOSED", `close 1006 "" clean=false CLOSED`}},
		{"end", nil, true, []string{"error 1006 CLOSED", `close 1006 "" clean=false CLOSED`}},
	} {
		t.Run(k.name, func(t *testing.T) {
			d := newDiary(t)
			held, release := make(chan struct{}), make(chan struct{})
			var first atomic.Bool
			s := startServer(t, d.handler(Funcs{Message: func(*Conn, Message) {
				if first.CompareAndSwap(false, true) {
					close(held)
					<-release
				}
			}}), Options{Workers: 2})
			f := dialForeign(t, s, 0)
			f.text("a")
			receive(t, held, "the first message")
			f.write(append(frames(b, c), k.tail...))
			if k.half {
				_ = f.raw.CloseWrite()
			}
			_ = a
			within(t, timeoutOf(5), "three messages read", func() bool { return s.Stats().MessagesIn == 3 })
			close(release)
			d.end()
			d.wants(append(messages, k.want...)...)
		})
	}
}

// Our own closing is no error: OnClose alone.
func TestOurOwnEndIsNoError(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		d.conn().Terminate()
		e := d.end()
		isAll(t, e.Err, ErrTerminated)
		if n, err := f.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("the peer reads on after Terminate")
		}
		d.wants("open OPEN", `close 1006 "" clean=false CLOSED`)
	})
}

// Nothing follows OnClose, whatever is tried from in it and after it.
func TestNothingAfterOnClose(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Close: func(c *Conn, e CloseEvent) {
			c.Terminate()
			_ = c.Close()
			c.Pause()
			c.Resume()
			if err := c.Post(func(*Conn) { t.Error("Post ran in CLOSED") }); err != ErrClosed {
				t.Error("Post in OnClose:", err)
			}
		}}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		f.write(frames(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")), ws.NewTextFrame([]byte("late")), ws.NewPingFrame(nil)))
		d.end()
		c.Terminate()
		_ = c.CloseWith(3000, "again")
		if err := c.Post(func(*Conn) { t.Error("Post ran in CLOSED") }); err != ErrClosed {
			t.Error("Post after OnClose:", err)
		}
		f.wantsClose(1000, "")
		f.wantsEnd()
		f.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		d.wants("open OPEN", `close 1000 "" clean=true CLOSED`)
		if st := s.Stats(); st.Open != 0 || st.Closes[1000] != 1 || len(st.Closes) != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestReadyStates(t *testing.T) {
	for i, name := range []string{"CONNECTING", "OPEN", "CLOSING", "CLOSED"} {
		if got := ReadyState(i).String(); got != name {
			t.Errorf("%d is %s, want %s", i, got, name)
		}
	}
	if Connecting != 0 || Open != 1 || Closing != 2 || Closed != 3 {
		t.Error("the states' numbers are the browser's")
	}
}

// A connection to be: everything that may be asked of it, and what it refuses.
func TestConnWhileConnecting(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		asked := make(chan *Conn, 1)
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Upgrade: func(u *Upgrade) {
			c := u.Conn()
			if c.ReadyState() != Connecting {
				t.Error("state in OnUpgrade:", c.ReadyState())
			}
			for name, err := range map[string]error{
				"SendText": c.SendText("x"), "SendBinary": c.SendBinary([]byte{1}), "Ping": c.Ping(nil),
				"NewWriter": c.NewWriter(OpText).Close(),
			} {
				if !errors.Is(err, ErrInvalidState) || errors.Is(err, ErrClosed) {
					t.Errorf("%s while CONNECTING: %v", name, err)
				}
			}
			if n := c.BufferedAmount(); n != 0 {
				t.Error("bufferedAmount while CONNECTING:", n)
			}
			if want := schemeOf(t) + u.Host() + "/path?q=1"; c.URL() != want {
				t.Errorf("URL %q, want %q", c.URL(), want)
			}
			if c.Protocol() != "" || c.Extensions() != "" {
				t.Error("agreed before the agreement:", c.Protocol(), c.Extensions())
			}
			if c.RemoteAddr() == nil || c.LocalAddr() == nil {
				t.Error("addresses:", c.RemoteAddr(), c.LocalAddr())
			}
			u.SetValue("mine")
			asked <- c
		}}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		if c != <-asked {
			t.Error("another Conn in OnOpen than in OnUpgrade")
		}
		if c.Value() != "mine" || c.ReadyState() != Open {
			t.Error(c.Value(), c.ReadyState())
		}
		if host := s.Addr().String(); c.URL() != schemeOf(t)+host+"/path?q=1" {
			t.Error("URL:", c.URL())
		}
		if c.RemoteAddr().String() != f.raw.LocalAddr().String() || c.LocalAddr().String() != f.raw.RemoteAddr().String() {
			t.Error("addresses:", c.RemoteAddr(), c.LocalAddr())
		}
		f.closeWith(1000, "")
		d.end()
		if c.RemoteAddr().String() != f.raw.LocalAddr().String() || c.URL() == "" {
			t.Error("a closed connection forgets who it was")
		}
		if m.name != "bridge" && c.LocalAddr() != nil {
			t.Error("a closed connection has no end of ours:", c.LocalAddr())
		}
	})
}

// Close in CONNECTING fails the attempt: it never opens, and nobody hears of it.
func TestCloseWhileConnecting(t *testing.T) {
	for name, end := range map[string]func(c *Conn){
		"Close": func(c *Conn) {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		},
		"CloseNoStatus": func(c *Conn) { _ = c.CloseNoStatus() },
		"Terminate":     func(c *Conn) { c.Terminate() },
	} {
		for _, when := range []string{"in OnUpgrade", "in OnUpgrade with Later", "later"} {
			t.Run(name+" "+when, func(t *testing.T) {
				inEveryMode(t, func(t *testing.T, m mode) {
					asked := make(chan *Upgrade, 1)
					s := m.start(t, Funcs{
						Open:    func(c *Conn) { t.Error("OnOpen") },
						Message: func(*Conn, Message) { t.Error("OnMessage") },
						Close:   func(*Conn, CloseEvent) { t.Error("OnClose of a connection that never opened") },
						Upgrade: func(u *Upgrade) {
							if when != "in OnUpgrade" {
								u.Later()
							}
							if when != "later" {
								end(u.Conn())
								if st := u.Conn().ReadyState(); st != Closing && st != Closed {
									t.Error("state after the end:", st)
								}
							}
							asked <- u
						},
					}, Options{})
					nc := rawRequest(t, s, "")
					_, _ = nc.Write(frames(ws.NewTextFrame([]byte("early"))))
					u := receive(t, asked, "OnUpgrade")
					if when == "later" {
						end(u.Conn())
					}
					if b := readAll(nc); strings.Contains(b, " 101 ") {
						t.Errorf("opened: %q", b)
					}
					within(t, timeoutOf(5), "CLOSED", func() bool { return u.Conn().ReadyState() == Closed })
					if err := u.Accept(); when != "in OnUpgrade" && err != ErrClosed {
						t.Error("Accept after the end:", err)
					}
					if err := u.Conn().SendText("x"); !errors.Is(err, ErrClosed) {
						t.Error("Send after the end:", err)
					}
					settled(t, s)
				})
			})
		}
	}
}

// A peer that goes away during its opening handshake, or while somebody decides, is forgotten.
func TestPeerGoneWhileConnecting(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		asked := make(chan *Upgrade, 8)
		s := m.start(t, Funcs{
			Open:    func(c *Conn) { t.Error("OnOpen") },
			Close:   func(*Conn, CloseEvent) { t.Error("OnClose") },
			Upgrade: func(u *Upgrade) { u.Later(); asked <- u },
		}, Options{})
		for _, reset := range []bool{false, true} {
			nc, err := connectTo(t, new(net.Dialer), "tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = nc.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nUpgr"))
			within(t, timeoutOf(5), "a handshake", func() bool { return s.Stats().Connecting == 1 })
			if reset {
				_ = under(nc).SetLinger(0)
			}
			nc.Close()
			settled(t, s)
		}
		nc := rawRequest(t, s, "")
		u := receive(t, asked, "OnUpgrade")
		nc.Close()
		if err := u.Refuse(503, "too late"); err != nil && err != ErrClosed { // that it has gone may be known already
			t.Error(err)
		}
		settled(t, s)
	})
}

// rawRequest sends an opening handshake over a bare connection.
func rawRequest(t testing.TB, s *Server, headers string) net.Conn {
	t.Helper()
	nc, err := connectTo(t, new(net.Dialer), "tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(10)))
	_, err = nc.Write([]byte("GET /path?q=1 HTTP/1.1\r\nHost: " + s.Addr().String() + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" + headers + "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return nc
}

func readAll(nc net.Conn) string {
	var b strings.Builder
	p := make([]byte, 4096)
	for {
		n, err := nc.Read(p)
		b.Write(p[:n])
		if err != nil {
			return b.String()
		}
	}
}

// The request is there in OnUpgrade, and gone afterwards.
func TestUpgradeRequest(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		kept := make(chan *Upgrade, 1)
		s := m.start(t, Funcs{Upgrade: func(u *Upgrade) {
			if u.Method() != "GET" || u.Target() != "/path?q=1" || u.Header("x-one") != "1" || (u.TLS() != nil) != secured(t) {
				t.Error(u.Method(), u.Target(), u.Header("x-one"), u.TLS())
			}
			if ck, err := u.Cookie("b"); err != nil || ck.Value != "2" {
				t.Error(ck, err)
			}
			if _, err := u.Cookie("c"); err != http.ErrNoCookie {
				t.Error(err)
			}
			if p := u.Protocols(); len(p) != 2 || p[0] != "chat.v2" || p[1] != "chat" {
				t.Error(p)
			}
			isAll(t, u.SetProtocol("mqtt"), ErrSyntax)
			isAll(t, u.SetProtocol("CHAT"), ErrSyntax)
			isAll(t, u.AddHeader("X-Bad", "a\r\nb"), ErrSyntax)
			isAll(t, u.AddHeader("Upgrade", "h2c"), ErrSyntax)
			isAll(t, u.Refuse(200, ""), ErrSyntax)
			if err := errors.Join(u.SetProtocol("chat"), u.AddHeader("X-Two", "2")); err != nil {
				t.Error(err)
			}
			isAll(t, u.Accept(), ErrInvalidState)
			kept <- u
		}}, Options{})
		nc := rawRequest(t, s, "X-One: 1\r\nCookie: a=1; b=2\r\nSec-WebSocket-Protocol: chat.v2, chat\r\n")
		p := make([]byte, 4096)
		n, err := nc.Read(p)
		if head := string(p[:n]); err != nil || !strings.Contains(head, "HTTP/1.1 101 ") || !strings.Contains(head, "\r\nSec-WebSocket-Protocol: chat\r\n") ||
			!strings.Contains(head, "\r\nX-Two: 2\r\n") {
			t.Errorf("%q %v", head, err)
		}
		u := receive(t, kept, "OnUpgrade")
		within(t, timeoutOf(5), "the request's end", func() bool { return u.Method() == "" })
		if u.Target() != "" || u.Header("X-One") != "" || u.Protocols() != nil {
			t.Error("the request outlives OnUpgrade")
		}
		if u.Conn().Protocol() != "chat" {
			t.Error(u.Conn().Protocol())
		}
		isAll(t, u.Refuse(500, ""), ErrInvalidState)
	})
}

// A refused request's memory is gone as well.
func TestUpgradeRefusedIsOver(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		kept := make(chan *Upgrade, 1)
		s := m.start(t, Funcs{Upgrade: func(u *Upgrade) { _ = u.Refuse(403, "no"); kept <- u }}, Options{})
		nc := rawRequest(t, s, "")
		if b := readAll(nc); !strings.HasPrefix(b, "HTTP/1.1 403 ") || !strings.Contains(b, "no") {
			t.Errorf("%q", b)
		}
		u := receive(t, kept, "OnUpgrade")
		within(t, timeoutOf(5), "the request's end", func() bool { return u.Target() == "" })
		if u.Conn().ReadyState() != Closed {
			t.Error(u.Conn().ReadyState())
		}
		nc.Close()
		settled(t, s)
		if n := s.Stats().Refusals["handler"]; n != 1 {
			t.Error("refusals:", n)
		}
	})
}

// Post: in order, in the sequence, from anywhere, and never in CLOSED.
func TestPost(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(echoHandler), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		const each, goroutines = 200, 4
		var order [goroutines][]int
		ran := make(chan struct{}, each*goroutines)
		for g := range goroutines {
			go func() {
				for i := range each {
					err := c.Post(func(c *Conn) {
						d.during(c, func() { order[g] = append(order[g], i) }, "posted")
						ran <- struct{}{}
					})
					if err != nil {
						t.Error(err)
					}
				}
			}()
		}
		for range 50 { // callbacks meanwhile
			f.text("x")
			f.wants(ws.OpText, "x")
		}
		for range each * goroutines {
			receive(t, ran, "what was posted")
		}
		for g := range order {
			for i, v := range order[g] {
				if i != v {
					t.Fatalf("goroutine %d: place %d has %d", g, i, v)
				}
			}
		}
		if d.has("posted CLOSED") {
			t.Error("ran in CLOSED")
		}
	})
}

// What a posted function sends leaves when it ends, as any callback's.
func TestPostSends(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		_ = c.Post(func(c *Conn) { _ = c.SendText("one"); _ = c.SendText("two") })
		f.wants(ws.OpText, "one")
		f.wants(ws.OpText, "two")
		_ = c.Post(func(c *Conn) { _ = c.CloseWith(3000, "posted") })
		f.wantsClose(3000, "posted")
		f.closeWith(3000, "posted")
		d.end()
	})
}
