package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// behindHTTP is a door that leads through a net/http server and ServeHTTP.
func behindHTTP(t testing.TB, h Handler, o Options) *house {
	t.Helper()
	n := innOn(t, h, o, false, (*httptest.Server).Start)
	return &house{Server: n.Server, knock: func() (net.Conn, error) { return net.Dial("tcp", n.http.Listener.Addr().String()) }}
}

// everyUpgrade runs a test behind the doors whose handshakes take different ways.
func everyUpgrade(t *testing.T, test func(t *testing.T, build func(h Handler, o Options) *house)) {
	for _, name := range []string{"tcp", "tls", "bridged tls", "bridged pipe"} {
		for _, workers := range []int{0, 4} {
			t.Run(fmt.Sprintf("%s, %d workers", name, workers), func(t *testing.T) {
				test(t, func(h Handler, o Options) *house {
					o.Loops, o.Workers, o.Logger = 2, workers, quietLogger
					return doorNamed(t, name).build(t, h, o)
				})
			})
		}
	}
	t.Run("ServeHTTP", func(t *testing.T) {
		test(t, func(h Handler, o Options) *house {
			o.Loops = 2
			return behindHTTP(t, h, o)
		})
	})
}

// TestUpgradeSettings: everything that OnUpgrade can settle, and what it can not.
func TestUpgradeSettings(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		conns := make(chan *Conn, 1)
		h := echoHandler
		h.Open = func(c *Conn) { conns <- c }
		h.Upgrade = func(u *Upgrade) {
			isAll(t, u.SetProtocol("c"), ErrSyntax)
			isAll(t, u.AddHeader("Sec-WebSocket-Accept", "x"), ErrSyntax)
			isAll(t, u.AddHeader("X Y", "x"), ErrSyntax)
			isAll(t, u.AddHeader("X", "a\r\nSet-Cookie: b"), ErrSyntax)
			isAll(t, u.SetLimits(Limits{MaxMessageSize: -1}), ErrSyntax)
			for _, status := range []int{0, 101, 200, 299, 600} {
				isAll(t, u.Refuse(status, "x"), ErrSyntax)
			}
			isAll(t, u.Accept(), ErrInvalidState) // only after Later
			names := map[string][]string{}
			for k, v := range u.Headers() {
				names[k] = append(names[k], v)
			}
			if len(names["Host"]) != 1 || !slices.Equal(names["X-Twice"], []string{"1", "2"}) {
				t.Error("headers:", names)
			}
			for range u.Headers() { // may be left early
				break
			}
			if to, err := u.URL(); err != nil || to.Path != "/room" || to.Query().Get("q") != "ö" {
				t.Error(to, err)
			}
			err := errors.Join(u.SetProtocol("a"), u.SetProtocol(""), u.SetProtocol("b"), u.AddHeader("X-One", "1"), u.AddHeader("X-One", "2"), u.SetLimits(Limits{MaxMessageSize: 10}))
			if err != nil {
				t.Error(err)
			}
			u.SetValue("a value")
		}
		w := build(h, Options{})
		a := attackerOn(w.call(t))
		a.say(t, requestFor("/room?q=%C3%B6", "Sec-WebSocket-Protocol: a", "X-Twice: 1", "Sec-WebSocket-Protocol: b", "X-Twice: 2"))
		r, err := http.ReadResponse(a.r, nil)
		if err != nil || r.StatusCode != 101 {
			t.Fatal(r, err)
		}
		if r.Header.Get("Sec-WebSocket-Protocol") != "b" || !slices.Equal(r.Header["X-One"], []string{"1", "2"}) {
			t.Error(r.Header)
		}
		if c := <-conns; c.Protocol() != "b" || c.Value() != "a value" {
			t.Error(c.Protocol(), c.Value())
		}
		g := &guest{a.Conn, a.r}
		g.say(t, ws.OpBinary, make([]byte, 10))
		g.hear(t, ws.OpBinary, make([]byte, 10))
		g.say(t, ws.OpBinary, make([]byte, 11))
		g.hearClose(t, 1009, "")
	})
}

// over checks that a decided handshake answers zero values and takes nothing any more.
func over(t testing.TB, when string, u *Upgrade) {
	t.Helper()
	for name, got := range map[string]string{
		"Method": u.Method(), "Target": u.Target(), "Host": u.Host(), "Origin": u.Origin(), "Header": u.Header("Host"),
	} {
		if got != "" {
			t.Errorf("%s: %s answers %q", when, name, got)
		}
	}
	for k, v := range u.Headers() {
		t.Errorf("%s: Headers yields %q %q", when, k, v)
	}
	if u.Protocols() != nil || u.RemoteAddr() != nil || u.LocalAddr() != nil || u.TLS() != nil {
		t.Error(when, "answers", u.Protocols(), u.RemoteAddr(), u.LocalAddr(), u.TLS())
	}
	if _, err := u.URL(); err == nil {
		t.Error(when, "has a URL")
	}
	if _, err := u.Cookie("a"); err != http.ErrNoCookie {
		t.Error(when, err)
	}
	u.Later() // means nothing any more
	u.SetValue("too late")
	for name, err := range map[string]error{
		"SetProtocol": u.SetProtocol("a"), "AddHeader": u.AddHeader("X-Late", "1"), "SetLimits": u.SetLimits(Limits{}),
	} {
		if err != ErrInvalidState {
			t.Errorf("%s: %s: %v", when, name, err)
		}
	}
	for name, err := range map[string]error{"Accept": u.Accept(), "Refuse": u.Refuse(400, "too late")} {
		if err != ErrInvalidState && err != ErrClosed {
			t.Errorf("%s: %s: %v", when, name, err)
		}
	}
	if u.Conn() == nil {
		t.Error(when, "has no Conn")
	}
}

func TestUpgradeIsOver(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		asked := make(chan *Upgrade, 1)
		opened := make(chan *Conn, 1)
		h := echoHandler
		h.Open = func(c *Conn) { opened <- c }
		h.Upgrade = func(u *Upgrade) {
			switch u.Target() {
			case "/refused":
				if err := u.Refuse(418, "teapot"); err != nil {
					t.Error(err)
				}
				isAll(t, u.Refuse(403, "no"), ErrInvalidState)
			case "/later":
				u.Later()
			}
			asked <- u
		}
		w := build(h, Options{})
		enter := func(path string) (*attacker, *Upgrade) {
			a := attackerOn(w.call(t))
			a.say(t, requestFor(path))
			return a, <-asked
		}
		a, u := enter("/accepted")
		a.expect101(t)
		c := <-opened
		over(t, "accepted", u)
		a, u = enter("/refused")
		a.expectStatus(t, 418)
		over(t, "refused", u)
		a, u = enter("/later")
		if u.Target() != "/later" || u.RemoteAddr() == nil {
			t.Error("before the decision:", u.Target(), u.RemoteAddr())
		}
		if err := u.Accept(); err != nil {
			t.Error(err)
		}
		over(t, "accepted later", u)
		a.expect101(t)
		<-opened
		a, u = enter("/later")
		if err := u.Refuse(404, "not here"); err != nil {
			t.Error(err)
		}
		over(t, "refused later", u)
		a.expectStatus(t, 404)
		if got := w.Stats().Refusals["handler"]; got != 2 {
			t.Error(got, "refused by the handler")
		}
		if c.Value() != nil || c.ReadyState() != Open {
			t.Error("the first connection:", c.Value(), c.ReadyState())
		}
	})
}

// TestNeverDecided: HandshakeTimeout is for decisions, too.
func TestNeverDecided(t *testing.T) {
	asked := make(chan *Upgrade, 1)
	h := Funcs{Upgrade: func(u *Upgrade) { u.Later(); asked <- u }}
	o := Options{Loops: 1, HandshakeTimeout: aliveWithin() / 2}
	for name, build := range map[string]func(testing.TB, Handler, Options) *house{
		"tcp": doorNamed(t, "tcp").build, "pipe": doorNamed(t, "bridged pipe").build, "ServeHTTP": behindHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			w := build(t, h, o)
			a := attackerOn(w.call(t))
			a.say(t, requestFor("/"))
			u := <-asked
			a.expectStatus(t, 503)
			if err := u.Accept(); err != ErrClosed {
				t.Error(err)
			}
			over(t, "never decided", u)
			if got := w.Stats().Refusals["decision-timeout"]; got != 1 {
				t.Error(got, "time-outs")
			}
		})
	}
}

// TestOneDecisionCounts: of many goroutines that decide, one does.
func TestOneDecisionCounts(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		verdicts := make(chan int, 1)
		h := echoHandler
		h.Upgrade = func(u *Upgrade) {
			u.Later()
			go func() {
				var decided atomic.Int32
				var all sync.WaitGroup
				for i := range 8 {
					all.Go(func() {
						status, err := 101, error(nil)
						if i%2 == 0 {
							err = u.Accept()
						} else {
							status = 400 + i
							err = u.Refuse(status, "no")
						}
						switch err {
						case nil:
							if decided.Add(1) != 1 {
								t.Error("a second decision was taken")
							}
							verdicts <- status
						case ErrInvalidState, ErrClosed:
						default:
							t.Error(err)
						}
					})
				}
				all.Wait()
			}()
		}
		w := build(h, Options{})
		for range 20 {
			a := attackerOn(w.call(t))
			a.say(t, requestFor("/"))
			r, err := http.ReadResponse(a.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := <-verdicts; r.StatusCode != want {
				t.Errorf("the peer was told %d, the one who decided %d", r.StatusCode, want)
			}
			_ = a.Close()
		}
	})
}

// TestDecidedInsideOnUpgradeAfterLater needs nobody else.
func TestDecidedInsideOnUpgradeAfterLater(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		h := echoHandler
		h.Upgrade = func(u *Upgrade) {
			path := u.Target()
			u.Later()
			u.Later()
			var err error
			switch path {
			case "/in":
				err = u.Accept()
			case "/out":
				err = u.Refuse(410, "gone")
			default:
				defer panic("as planned") // whatever was decided
				err = u.Accept()
			}
			if err != nil {
				t.Error(err)
			}
			isAll(t, u.Accept(), ErrInvalidState)
		}
		w := build(h, Options{})
		for path, status := range map[string]int{"/in": 101, "/out": 410, "/panic": 500} {
			a := attackerOn(w.call(t))
			a.say(t, requestFor(path))
			if r, err := http.ReadResponse(a.r, nil); err != nil || r.StatusCode != status {
				t.Error(path, r, err)
			}
		}
	})
}

// TestLateDeciderReadsTheRequest while frames arrive behind it, other handshakes go
// through the same memory, and its own connection may be gone.
func TestLateDeciderReadsTheRequest(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		h := echoHandler
		mine := strings.Repeat("x", 200)
		h.Upgrade = func(u *Upgrade) {
			if u.Target() == "/passing" {
				return
			}
			u.Later()
			go func() {
				for range 300 {
					if got := u.Header("X-Mine"); got != mine && got != "" {
						t.Errorf("X-Mine is %.40q", got)
					}
					if got := u.Target(); got != "/late" && got != "" {
						t.Errorf("Target is %q", got)
					}
				}
				_ = errors.Join(u.SetProtocol("p"), u.SetLimits(Limits{MaxMessageSize: 1 << 20}))
				u.SetValue(1)
				_ = u.Accept()
			}()
		}
		w := build(h, Options{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i := range 5 {
					nc, err := w.knock()
					if err != nil {
						t.Error(err)
						return
					}
					_ = nc.SetDeadline(time.Now().Add(timeoutOf(10)))
					a := attackerOn(nc)
					request := requestFor("/late", "X-Mine: "+mine, "Sec-WebSocket-Protocol: p")
					early := saidFrame(ws.OpText, true, []byte("early"))
					cut := len(request) * i / 5
					if !a.try([]byte(request[:cut])) || !a.try(append([]byte(request[cut:]), early[:3]...)) {
						t.Error("the server hung up")
						return
					}
					if i == 3 { // gone before the decision, or behind it
						a.reset()
						continue
					}
					go a.try(early[3:])
					a.expect101(t)
					(&guest{nc, a.r}).hear(t, ws.OpText, []byte("early"))
					_ = nc.Close()
				}
			})
			all.Go(func() {
				for range 5 {
					nc, err := w.knock()
					if err != nil {
						t.Error(err)
						return
					}
					a := attackerOn(nc)
					a.try([]byte(requestFor("/passing", "X-Mine: "+strings.Repeat("y", 200))))
					a.expect101(t)
					_ = nc.Close()
				}
			})
		}
		all.Wait()
	})
}

// TestUndecidedAtTheEnd: neither Close nor a time-out leaves a handshake behind, and
// who decides afterwards hears so.
func TestUndecidedAtTheEnd(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		asked := make(chan *Upgrade, 1)
		w := build(Funcs{Upgrade: func(u *Upgrade) { u.Later(); asked <- u }}, Options{})
		a := attackerOn(w.call(t))
		a.say(t, requestFor("/"))
		u := <-asked
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if strings.Contains(t.Name(), "ServeHTTP") {
			a.expectStatus(t, 503)
		} else if n, err := a.r.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
			t.Error(n, err)
		}
		isAll(t, u.Accept(), ErrClosed)
		isAll(t, u.Refuse(400, ""), ErrClosed)
		over(t, "the server closed", u)
	})
}

// TestShutdownWhileConnecting: a decision that was promised is waited for, a request that
// never comes is not.
func TestShutdownWhileConnecting(t *testing.T) {
	for _, name := range []string{"tcp", "unix", "bridged tcp", "bridged pipe"} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan *Upgrade, 1)
			h := echoHandler
			h.Upgrade = func(u *Upgrade) { u.Later(); asked <- u }
			w := doorNamed(t, name).build(t, h, Options{Loops: 2, HandshakeTimeout: time.Minute})
			silent, begun, late := attackerOn(w.call(t)), attackerOn(w.call(t)), attackerOn(w.call(t))
			begun.say(t, requestFor("/")[:40])
			late.say(t, requestFor("/"))
			u := <-asked
			within(t, timeoutOf(5), "all have come", func() bool { return w.Stats().Connecting == 3 })
			done := make(chan error, 1)
			go func() { done <- w.Shutdown(context.Background()) }()
			for _, a := range []*attacker{silent, begun} {
				a.expectStatus(t, 503)
				_ = a.Close()
			}
			select {
			case err := <-done:
				t.Error("Shutdown did not wait for the decision:", err)
			default:
			}
			if err := u.Accept(); err != nil {
				t.Error(err)
			}
			late.expect101(t)
			g := &guest{late.Conn, late.r}
			g.hearClose(t, 1001, "server shutting down")
			g.sayClose(t, 1001, "")
			g.hearEnd(t)
			_ = g.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// What Conn.SetValue was given while CONNECTING stays, unless Upgrade.SetValue was given something.
func TestContextOfConnToBe(t *testing.T) {
	for _, both := range []bool{false, true} {
		conns := make(chan *Conn, 1)
		h := Funcs{Open: func(c *Conn) { conns <- c }, Upgrade: func(u *Upgrade) {
			u.Conn().SetValue("conn's")
			if both {
				u.SetValue("upgrade's")
			}
		}}
		want := map[bool]string{false: "conn's", true: "upgrade's"}[both]
		dialForeign(t, startServer(t, h, Options{}), 0)
		if got := receive(t, conns, "OnOpen").Value(); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// Who is refused is read until its end, though somebody had paused the connection to be.
func TestRefusedWhilePaused(t *testing.T) {
	var u *Upgrade
	h := Funcs{Upgrade: func(asked *Upgrade) { u = asked; u.Later() }}
	l, _ := nullConnWith(t, Funcs{}, Options{}, nullRequest)
	hooks, err := findHooks(h)
	if err != nil {
		t.Fatal(err)
	}
	l.engine.own.hooks = hooks
	l.adopt(arrival{fd: 6})
	l.OnEvent(6, netio.Readable)
	c := u.Conn()
	c.Pause()
	c.serve()
	if err := u.Refuse(403, "no"); err != nil {
		t.Fatal(err)
	}
	c.serve()
	if c.phase != phaseLingering || c.watched&netio.Readable == 0 {
		t.Errorf("phase %d, watched for %d", c.phase, c.watched)
	}
}

// TestCheckOrigin decides instead of the list.
func TestCheckOrigin(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		w := build(echoHandler, Options{Origins: []string{"*"}, CheckOrigin: func(u *Upgrade) bool {
			if u.Origin() == "https://panic.example" {
				panic("as planned")
			}
			return u.Origin() == "https://good.example" && bytes.HasPrefix([]byte(u.Target()), []byte("/"))
		}})
		for origin, status := range map[string]int{"https://good.example": 101, "https://bad.example": 403, "https://panic.example": 500} {
			a := attackerOn(w.call(t))
			a.say(t, requestFor("/", "Origin: "+origin))
			if r, err := http.ReadResponse(a.r, nil); err != nil || r.StatusCode != status {
				t.Error(origin, r, err)
			}
		}
	})
}
