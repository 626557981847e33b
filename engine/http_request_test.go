package engine

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestRequestIsNetHTTPs: what Request makes is what net/http's server makes of the same bytes.
func TestRequestIsNetHTTPs(t *testing.T) {
	asked := make(chan *http.Request, 1)
	h := Funcs{Upgrade: func(u *Upgrade) {
		r := u.Request()
		if u.Request() != r || r.Context() != u.Context() {
			t.Error("another request each time, or another context")
		}
		asked <- r
	}}
	s := startServer(t, h, Options{})
	for _, request := range []string{
		requestFor("/"),
		requestFor("/a%2fb/c?x=%C3%B6&x=2", "Cookie: a=b", "cookie: c=d", "X-TWICE: 1", "x-Twice: 2", "Empty:", "Pragma: no-cache"),
		requestFor("http://other.example:81/absolute?q", "Authorization: Bearer x"),
	} {
		want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
		if err != nil {
			t.Fatal(err)
		}
		want.Header.Del("Host")
		a := knock(t, "tcp", s.Addr().String())
		a.say(t, request)
		a.expect101(t)
		got := receive(t, asked, "OnUpgrade")
		if got.RemoteAddr != a.LocalAddr().String() || got.TLS != nil || got.Body != http.NoBody {
			t.Error(got.RemoteAddr, got.TLS, got.Body)
		}
		got.RemoteAddr = ""
		if !reflect.DeepEqual(got.Header, want.Header) || !reflect.DeepEqual(got.URL, want.URL) {
			t.Errorf("%v %v\nwant %v %v", got.URL, got.Header, want.URL, want.Header)
		}
		got, want = got.WithContext(context.Background()), want.WithContext(context.Background())
		got.Header, want.Header, got.URL, want.URL, got.Body, want.Body = nil, nil, nil, nil, nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nwant %+v", got, want)
		}
	}
}

// TestRequestOfTLS has the state of the transport.
func TestRequestOfTLS(t *testing.T) {
	for _, name := range []string{"tls", "bridged tls"} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan *http.Request, 1)
			w := doorNamed(t, name).build(t, Funcs{Upgrade: func(u *Upgrade) { asked <- u.Request() }}, Options{Loops: 1})
			w.visit(t)
			if r := receive(t, asked, "OnUpgrade"); r.TLS == nil || !r.TLS.HandshakeComplete {
				t.Error(r.TLS)
			}
		})
	}
}

// TestUpgradeContext: it ends when there is nothing to decide any more, and tells why.
func TestUpgradeContext(t *testing.T) {
	for _, k := range []struct {
		name     string
		then     func(*attacker, *Upgrade)
		patience time.Duration
		why      error
	}{
		{"accepted", func(_ *attacker, u *Upgrade) { _ = u.Accept() }, time.Minute, context.Canceled},
		{"refused", func(_ *attacker, u *Upgrade) { _ = u.Refuse(403, "no") }, time.Minute, context.Canceled},
		{"gone", func(a *attacker, _ *Upgrade) { a.reset() }, time.Minute, ErrAbnormal},
		{"never decided", func(*attacker, *Upgrade) {}, aliveWithin() / 2, ErrHandshakeTimeout},
	} {
		everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
			if k.name == "gone" && strings.Contains(t.Name(), "pipe") {
				return // nobody hears of its end without reading
			}
			asked := make(chan *Upgrade, 1)
			contexts := make(chan context.Context, 1)
			w := build(Funcs{Upgrade: func(u *Upgrade) {
				ctx := u.Context()
				if ctx.Err() != nil || u.Context() != ctx {
					t.Error("over while there is something to decide:", ctx.Err())
				}
				u.Later()
				contexts <- ctx
				asked <- u
			}}, Options{HandshakeTimeout: k.patience})
			a := attackerOn(w.call(t))
			a.say(t, requestFor("/"))
			ctx, u := receive(t, contexts, "OnUpgrade"), receive(t, asked, "OnUpgrade")
			k.then(a, u)
			receive(t, ctx.Done(), "the end of "+k.name)
			served := strings.Contains(t.Name(), "ServeHTTP")
			if why := context.Cause(ctx); !errors.Is(why, k.why) && !(served && k.name == "gone" && why == context.Canceled) {
				t.Errorf("%s: %v", k.name, why)
			}
			if u.Context().Err() == nil {
				t.Error(k.name, "goes on")
			}
			if r := u.Request(); r == nil || r.Context().Err() == nil && !served || r.URL == nil || r.Header.Get("X") != "" {
				t.Error(k.name, r)
			}
		})
	}
}

// TestConnContext: it ends just before OnClose, whoever asks for it when, and tells how the connection ended.
func TestConnContext(t *testing.T) {
	for _, early := range []bool{true, false} {
		everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
			type end struct {
				ctx context.Context
				e   CloseEvent
			}
			ends := make(chan end, 1)
			var first context.Context
			h := Funcs{Close: func(c *Conn, e CloseEvent) { ends <- end{c.Context(), e} }}
			if early {
				h.Open = func(c *Conn) {
					if first = c.Context(); first.Err() != nil || c.Context() != first {
						t.Error("it has ended, or is another one")
					}
				}
			}
			w := build(h, Options{})
			for name, then := range map[string]func(g *guest) error{
				"clean":    func(g *guest) error { g.sayClose(t, 3000, "enough"); return nil },
				"lost":     func(g *guest) error { return g.Close() },
				"violated": func(g *guest) error { g.say(t, ws.OpText, []byte{0xff}); return nil },
			} {
				g := welcome(t, w.call(t), ws.Dialer{})
				if err := then(g); err != nil {
					t.Error(err)
				}
				k := receive(t, ends, "OnClose")
				why := context.Cause(k.ctx)
				var ce *CloseError
				switch {
				case k.ctx.Err() == nil || early && k.ctx != first:
					t.Error(name, "goes on, or is another one")
				case k.e.Err != nil && why != k.e.Err:
					t.Errorf("%s: %v, and OnClose says %v", name, why, k.e.Err)
				case k.e.Err == nil && (!errors.As(why, &ce) || ce.Code != k.e.Code || !errors.Is(why, ErrClosed)):
					t.Errorf("%s: %v, and OnClose says %+v", name, why, k.e)
				}
			}
		})
	}
}

// TestConnContextOfRefused: a connection that never opened is over, too.
func TestConnContextOfRefused(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		conns := make(chan *Conn, 1)
		w := build(Funcs{Upgrade: func(u *Upgrade) {
			if u.Conn().Context().Err() != nil {
				t.Error("over before it was decided about")
			}
			conns <- u.Conn()
			_ = u.Refuse(403, "no")
		}}, Options{})
		a := attackerOn(w.call(t))
		a.say(t, requestFor("/"))
		a.expectStatus(t, 403)
		ctx := receive(t, conns, "OnUpgrade").Context()
		receive(t, ctx.Done(), "its end")
		if !errors.Is(context.Cause(ctx), ErrClosed) {
			t.Error(context.Cause(ctx))
		}
	})
}
