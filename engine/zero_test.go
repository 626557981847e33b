package engine

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/pool"
)

// The zero value of a public type by mistake is an error, or nothing happens; it is no panic, and nothing
// that nobody asked for goes to a peer.

// TestZeroPrepared: a Prepared is made by Prepare; the zero one was sent as a continuation frame, for which a
// peer has to close the connection (RFC 6455 5.4).
func TestZeroPrepared(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, deflates := range []bool{false, true} {
			d := newDiary(t)
			o := Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
			if deflates {
				o = deflating(o)
			}
			s := m.start(t, d.handler(Funcs{}), o)
			f := dialForeign(t, s, 0)
			c := d.conn()
			for _, p := range []*Prepared{nil, {}, new(Prepared)} {
				isAll(t, c.SendPrepared(p), ErrSyntax)
				isAll(t, c.SendPrepared(p, NoCompress), ErrSyntax)
				s.Broadcast(p, nil)
				s.Broadcast(p, func(*Conn) bool { t.Error("asked"); return true })
			}
			if n := c.BufferedAmount(); n != 0 {
				t.Error(n)
			}
			if err := c.SendText("the next frame"); err != nil {
				t.Fatal(err)
			}
			f.wants(ws.OpText, "the next frame")
		}
	})
}

// TestZeroOwned: so is a Buffer made by Get.
func TestZeroOwned(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	f := dialForeign(t, s, 0)
	c := d.conn()
	for _, b := range []*pool.Buffer{nil, {}, {B: []byte("not of a pool")}} {
		isAll(t, c.SendOwned(OpText, b), ErrSyntax)
	}
	_ = c.SendText("the next frame")
	f.wants(ws.OpText, "the next frame")
}

// TestZeroMessage: a handler's own tests make messages; Retain works on them.
func TestZeroMessage(t *testing.T) {
	for _, m := range []Message{{}, {Op: OpText, Data: []byte("made by a test")}} {
		b := m.Retain()
		if string(b.B) != string(m.Data) || b.Refs() != 1 {
			t.Errorf("%q, %d references", b.B, b.Refs())
		}
		b.Release()
	}
}

// nothing calls f, which must not panic.
func nothing(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("%s panics: %v", name, r)
		}
	}()
	f()
}

// TestZeroConn: nothing is connected, and nothing will be.
func TestZeroConn(t *testing.T) {
	p, err := Prepare(OpText, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(c *Conn) error{
		"Send":         func(c *Conn) error { return c.Send(OpText, []byte("x")) },
		"Send long":    func(c *Conn) error { return c.Send(OpBinary, make([]byte, 1<<20)) },
		"SendText":     func(c *Conn) error { return c.SendText("x") },
		"SendBinary":   func(c *Conn) error { return c.SendBinary(nil) },
		"SendPrepared": func(c *Conn) error { return c.SendPrepared(p) },
		"SendOwned":    func(c *Conn) error { return c.SendOwned(OpBinary, pool.Get(10)) },
		"NewWriter":    func(c *Conn) error { _, err := c.NewWriter(OpText).Write([]byte("x")); return err },
		"Ping":         func(c *Conn) error { return c.Ping(nil) },
		"Flush":        (*Conn).Flush,
		"Post":         func(c *Conn) error { return c.Post(func(*Conn) { t.Error("called") }) },
		"SetLimits":    func(c *Conn) error { return c.SetLimits(Limits{MaxFragments: 1}) },
	} {
		nothing(t, name, func() {
			if err := call(new(Conn)); !errors.Is(err, ErrInvalidState) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	for name, call := range map[string]func(c *Conn) error{ // there is nothing to close, nor to wait for
		"Close": (*Conn).Close, "CloseWith": func(c *Conn) error { return c.CloseWith(1000, "") }, "CloseNoStatus": (*Conn).CloseNoStatus,
		"Drain": func(c *Conn) error { return c.Drain(context.Background()) },
	} {
		nothing(t, name, func() {
			if err := call(new(Conn)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	c := new(Conn)
	for name, call := range map[string]func(){
		"Terminate": c.Terminate, "Pause": c.Pause, "Resume": c.Resume, "SetValue": func() { c.SetValue(1) },
		"addresses": func() {
			if c.RemoteAddr() != nil || c.LocalAddr() != nil {
				t.Error(c.RemoteAddr(), c.LocalAddr())
			}
		},
		"texts": func() {
			if c.URL() != "" || c.Protocol() != "" || c.Extensions() != "" {
				t.Errorf("%q %q %q", c.URL(), c.Protocol(), c.Extensions())
			}
		},
		"rest": func() {
			if c.BufferedAmount() != 0 || c.Limits() != (Limits{}) {
				t.Error(c.BufferedAmount(), c.Limits())
			}
			_, _ = c.Value(), c.ReadyState().String()
		},
	} {
		nothing(t, name, call)
	}
}

// TestZeroUpgrade: there is no request to decide about.
func TestZeroUpgrade(t *testing.T) {
	u := new(Upgrade)
	for name, call := range map[string]func() error{
		"SetProtocol": func() error { return u.SetProtocol("") }, "AddHeader": func() error { return u.AddHeader("X-A", "b") },
		"SetLimits": func() error { return u.SetLimits(Limits{}) }, "NoDeflate": u.NoDeflate,
		"Refuse": func() error { return u.Refuse(403, "") }, "Later, Accept": func() error { u.Later(); return u.Accept() },
	} {
		nothing(t, name, func() {
			if err := call(); !errors.Is(err, ErrInvalidState) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	nothing(t, "what it asks", func() {
		u.SetValue(1)
		for range u.Headers() {
			t.Error("a header")
		}
		_, errURL := u.URL()
		_, errCookie := u.Cookie("c")
		if u.Method()+u.Target()+u.Host()+u.Origin()+u.Header("Host") != "" || u.Conn() != nil || u.TLS() != nil || u.Limits() != (Limits{}) ||
			u.RemoteAddr() != nil || u.LocalAddr() != nil || len(u.Protocols()) != 0 || errURL == nil || errCookie != http.ErrNoCookie {
			t.Error("there is something in it")
		}
	})
}

// TestZeroServer: a server is made by NewServer.
func TestZeroServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := new(Server)
	for name, call := range map[string]func() error{
		"Serve": func() error { return s.Serve(ln) }, "ListenAndServe": func() error { return s.ListenAndServe("tcp", "127.0.0.1:0") },
		"Shutdown": func() error { return s.Shutdown(context.Background()) }, "Close": s.Close,
	} {
		nothing(t, name, func() {
			if err := call(); !errors.Is(err, ErrSyntax) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	nothing(t, "ServeHTTP", func() {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != 500 {
			t.Error(w.Code)
		}
	})
	nothing(t, "the rest", func() {
		p, _ := Prepare(OpText, nil)
		s.Broadcast(p, nil)
		s.Broadcast(nil, nil)
		for range s.Conns() {
			t.Error("a connection")
		}
		if s.Addr() != nil || s.Stats().Opened != 0 {
			t.Error(s.Addr(), s.Stats())
		}
	})
}

// TestZeroErrors: errors have texts, and the others are plain values.
func TestZeroErrors(t *testing.T) {
	nothing(t, "errors", func() {
		for _, err := range []error{new(CloseError), new(UTF8Error)} {
			if err.Error() == "" || errors.Is(err, io.EOF) {
				t.Errorf("%T: %v", err, err)
			}
		}
		_ = Overflow(0)
	})
	nothing(t, "nil functions", func() {
		if _, err := NewServer(Funcs{}, Options{}); err != nil {
			t.Error(err)
		}
		c := newConn(t, Limits{})
		if err := c.Post(nil); !errors.Is(err, ErrSyntax) {
			t.Error("Post of nothing:", err)
		}
	})
	s := startServer(t, Funcs{}, Options{})
	isAll(t, s.Serve(nil), ErrSyntax)
}
