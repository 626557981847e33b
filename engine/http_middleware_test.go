package engine

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

type valueKey struct{}

// lateWriter puts the header off until somebody writes, as gin's does.
type lateWriter struct {
	http.ResponseWriter
	status  int
	written bool
}

func (w *lateWriter) WriteHeader(status int)      { w.status = status }
func (w *lateWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *lateWriter) WriteHeaderNow() {
	if !w.written {
		w.written = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}
func (w *lateWriter) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	return w.ResponseWriter.Write(p)
}

// fronted is middleware as programs have it: it logs the status, sets headers and a value, rewrites the address, and routes.
func fronted(statuses chan<- int) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/api/", http.StripPrefix("/api", h))
		mux.Handle("/rooms/{id}", h)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-Id", "7")
			w.Header().Add("Set-Cookie", "session=1")
			w.Header().Set("Content-Type", "text/html")
			r.RemoteAddr = "192.0.2.9:4711"
			late := &lateWriter{ResponseWriter: w}
			mux.ServeHTTP(late, r.WithContext(context.WithValue(r.Context(), valueKey{}, "kept")))
			statuses <- late.status
		})
	}
}

// TestBehindMiddleware: headers go both ways, a log sees the status, and what middleware has made of the request is what OnUpgrade sees.
func TestBehindMiddleware(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){"tcp": (*httptest.Server).Start, "tls": (*httptest.Server).StartTLS} {
		t.Run(name, func(t *testing.T) {
			statuses, opened := make(chan int, 1), make(chan *Conn, 1)
			h := echoHandler
			h.Upgrade = func(u *Upgrade) {
				r := u.Request()
				to, err := u.URL()
				if err != nil || u.Context().Value(valueKey{}) != "kept" || r.Context().Value(valueKey{}) != "kept" || u.RemoteAddr().String() != "192.0.2.9:4711" {
					t.Error(to, err, u.RemoteAddr())
				}
				if u.Target() == "/rooms/5" && (r.PathValue("id") != "5" || to.Path != "/rooms/5") || u.Target() == "/api/no" && to.Path != "/no" {
					t.Error(u.Target(), to, r.PathValue("id"))
				}
				if to.Path == "/no" {
					_ = u.AddHeader("Set-Cookie", "more=2")
					_ = u.Refuse(401, "no")
				}
			}
			h.Open = func(c *Conn) { opened <- c; _ = c.SendText("first") }
			w := behindMiddleware(t, h, Options{Loops: 1, Workers: 2, MaxConnsPerAddress: 1, Logger: quietLogger}, fronted(statuses), start)
			a := attackerOn(w.call(t))
			a.say(t, requestFor("/api/no"))
			r := a.expectStatus(t, 401)
			if !slices.Equal(r.Header["Set-Cookie"], []string{"session=1", "more=2"}) || r.Header.Get("X-Request-Id") != "7" || r.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Error(r.Header)
			}
			if got := receive(t, statuses, "the log"); got != 401 {
				t.Error("the log says", got)
			}
			a = attackerOn(w.call(t))
			a.say(t, requestFor("/rooms/5"))
			r = a.expectStatus(t, 101)
			if r.Header.Get("Set-Cookie") != "session=1" || r.Header.Get("X-Request-Id") != "7" || r.Header.Get("Content-Type") != "" {
				t.Error(r.Header)
			}
			if got := receive(t, statuses, "the log"); got != 101 {
				t.Error("the log says", got)
			}
			g := &guest{a.Conn, a.r}
			g.hear(t, ws.OpText, []byte("first"))
			c := receive(t, opened, "OnOpen")
			if c.RemoteAddr().String() != "192.0.2.9:4711" || c.Context().Value(valueKey{}) != "kept" || c.Context().Err() != nil {
				t.Error(c.RemoteAddr(), c.Context())
			}
			over := attackerOn(w.call(t)) // by the address that the middleware says
			over.say(t, requestFor("/rooms/6"))
			over.expectStatus(t, 503)
			if got := receive(t, statuses, "the log"); got != 503 || w.Stats().Refusals["max-conns-per-address"] != 1 {
				t.Error("the log says", got, w.Stats().Refusals)
			}
		})
	}
}

// TestConnOfServeHTTPIsUsedWhileItMoves: whoever has the connection from Upgrade.Conn may use it at any time.
func TestConnOfServeHTTPIsUsedWhileItMoves(t *testing.T) {
	posted := make(chan struct{}, 100)
	var all sync.WaitGroup
	h := echoHandler
	h.Upgrade = func(u *Upgrade) {
		c := u.Conn()
		_ = c.Post(func(*Conn) { posted <- struct{}{} })
		if c.ReadyState() != Connecting || c.URL() != "ws://victim.example/" || c.RemoteAddr() == nil || c.LocalAddr() == nil || u.LocalAddr() == nil {
			t.Error(c.ReadyState(), c.URL(), c.RemoteAddr(), c.LocalAddr())
		}
		isAll(t, c.SendText("early"), ErrInvalidState)
		all.Go(func() {
			for c.ReadyState() == Connecting {
				c.SetValue(c.Value())
				_, _, _, _ = c.URL(), c.RemoteAddr(), c.LocalAddr(), c.Context()
				_ = errors.Join(c.SetLimits(Limits{MaxMessageSize: 1 << 20}), c.SendText("x"), c.Ping(nil), c.SendJSON(1))
				c.Pause()
				c.Resume()
				_, _, _ = c.String(), c.LogValue(), c.BufferedAmount()
			}
		})
	}
	w := behindHTTP(t, h, Options{Loops: 2, Logger: quietLogger})
	for range 20 {
		a := attackerOn(w.call(t))
		a.say(t, requestFor("/"))
		a.expect101(t)
		receive(t, posted, "what was posted while CONNECTING")
		_ = a.Close()
	}
	all.Wait()
}

// TestHeardInLimbo: who decides by ServeHTTP, or ends the connection to be, is heard at once, whatever else the connection was told before.
func TestHeardInLimbo(t *testing.T) {
	for _, k := range []struct {
		name string
		then func(u *Upgrade)
		ends bool
	}{
		{"accepted", func(u *Upgrade) { _ = u.Accept() }, false},
		{"closed", func(u *Upgrade) { _ = u.Conn().Close() }, true},
		{"terminated", func(u *Upgrade) { u.Conn().Terminate() }, true},
		{"about to be terminated", func(u *Upgrade) { u.Conn().notify(todoAbort) }, true}, // before the state tells
	} {
		for _, paused := range []bool{true, false} {
			asked := make(chan *Upgrade, 1)
			w := behindHTTP(t, Funcs{Upgrade: func(u *Upgrade) {
				if paused {
					u.Conn().Pause()
				}
				u.Later()
				asked <- u
			}}, Options{Loops: 1, HandshakeTimeout: time.Hour, Logger: quietLogger})
			a := attackerOn(w.call(t))
			a.say(t, requestFor("/"))
			u := receive(t, asked, "OnUpgrade")
			within(t, timeoutOf(5), "ServeHTTP waits", func() bool { return len(limboOf(u.conn.home()).woken) == 0 })
			k.then(u)
			if !k.ends {
				a.expect101(t)
			} else if n, err := a.r.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
				t.Error(k.name, paused, n, err)
			}
			u.Conn().Terminate()
		}
	}
}

// wakes is a poller that nobody runs.
type wakes struct {
	netio.System
	wake func()
}

func (w wakes) Wake() { w.wake() }

// TestPostedInOrderWhileItMoves: what is posted while a connection moves comes behind what was posted before.
func TestPostedInOrderWhileItMoves(t *testing.T) {
	s := bare(t, echoHandler, Options{}, false)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	req, err := handshake.FromHTTP(r, handshake.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c := s.newInLimbo(1, r, req, httpPeer{}, s.own)
	var order []int
	post := func(n int) { c.post(task{run: func(*Conn) { order = append(order, n) }}) }
	post(1)
	post(2)
	posted, first := make(chan struct{}), true
	l := &loop{engine: &s.engine, sys: wakes{wake: func() {
		if first {
			first = false
			go func() { post(3); close(posted) }()
			select {
			case <-posted:
			case <-time.After(50 * time.Millisecond): // it waits for the move, as it has to
			}
		}
	}}}
	c.moveTo(l, 7)
	receive(t, posted, "the third letter")
	for _, letter := range l.mailbox.take(nil) {
		letter.run(c)
	}
	if !slices.Equal(order, []int{1, 2, 3}) {
		t.Error(order)
	}
	c.neverOpens(ErrTerminated)
}

// mute is a ResponseWriter that seems to have a connection behind it, as wrappers do that were not asked what they wrap.
type mute struct{ http.ResponseWriter }

func (mute) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }

// TestHijackFails: a client that may have read 101 is not left with a server that goes on with HTTP.
func TestHijackFails(t *testing.T) {
	w := behindMiddleware(t, Funcs{Open: func(*Conn) { t.Error("it opened") }}, Options{Loops: 1, Logger: quietLogger}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(mute{w}, r) })
	}, (*httptest.Server).Start)
	a := attackerOn(w.call(t))
	a.say(t, requestFor("/"))
	if _, err := io.Copy(io.Discard, a.r); isTimeout(err) {
		t.Error("the connection goes on")
	}
	within(t, timeoutOf(5), "it is over", func() bool { return w.conns() == 0 && w.Stats().Connecting == 0 })
}

// TestMiddlewaresOwnSpelling: a field that middleware has put into the map in small letters is the same field.
func TestMiddlewaresOwnSpelling(t *testing.T) {
	w := behindMiddleware(t, Funcs{Upgrade: func(u *Upgrade) {
		if u.Target() == "/no" {
			_ = u.Refuse(403, "no")
		}
	}}, Options{Loops: 1, Logger: quietLogger}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, name := range []string{"sec-websocket-accept", "sec-websocket-protocol", "content-length", "content-type", "upgrade", "connection"} {
				w.Header()[name] = []string{"1"}
			}
			h.ServeHTTP(w, r)
		})
	}, (*httptest.Server).Start)
	for path, want := range map[string]http.Header{
		"/":   {"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {string(handshake.AcceptKey(nil, []byte(attackerKey)))}},
		"/no": {"Content-Length": {"2"}, "Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}},
	} {
		a := attackerOn(w.call(t))
		a.say(t, requestFor(path))
		r, err := http.ReadResponse(a.r, nil)
		if err != nil {
			t.Fatal(path, err)
		}
		if r.Header.Del("Date"); !reflect.DeepEqual(r.Header, want) || r.Close != (path == "/no") {
			t.Errorf("%s: %v\nwant %v", path, r.Header, want)
		}
	}
}

// TestEndsInLimbo: however a decision by ServeHTTP ends, the place is free, nothing is CONNECTING, and no goroutine waits.
func TestEndsInLimbo(t *testing.T) {
	for name, upgrade := range map[string]func(u *Upgrade){
		"closed":  func(u *Upgrade) { _ = u.Conn().Close() },
		"later":   func(u *Upgrade) { u.Later(); _ = u.Conn().Close() },
		"aborted": func(*Upgrade) { panic(http.ErrAbortHandler) },
		"exited":  func(*Upgrade) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			var w *house
			w = behindHTTP(t, Funcs{Upgrade: func(u *Upgrade) {
				isAll(t, w.Shutdown(context.Background()), ErrOnLoop) // it would wait for this
				isAll(t, w.Server.Close(), ErrOnLoop)
				upgrade(u)
			}}, Options{Loops: 1, MaxConns: 1, Logger: quietLogger})
			for range 3 {
				a := attackerOn(w.call(t))
				a.say(t, requestFor("/"))
				if name == "exited" {
					a.expectStatus(t, 500)
				} else if n, err := a.r.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
					t.Error(n, err)
				}
				within(t, timeoutOf(5), "it is over", func() bool { return w.conns() == 0 && w.Stats().Connecting == 0 })
			}
			if got := w.Stats().Panics; (got == 3) != (name == "exited") {
				t.Error(got, "panics")
			}
		})
	}
}

// TestRewrittenAddress: MaxConnsPerAddress counts by what middleware has written to RemoteAddr, in whichever of the ways it does.
func TestRewrittenAddress(t *testing.T) {
	for said, want := range map[string]string{
		"192.0.2.9:47": "192.0.2.9:47", "192.0.2.9": "192.0.2.9:0", "[2001:db8::1]:47": "[2001:db8::1]:47",
		"2001:db8::1": "[2001:db8::1]:0", "[2001:db8::1]": "[2001:db8::1]:0", // gorilla's ProxyHeaders, of Forwarded
	} {
		if got := peerOf(&http.Request{RemoteAddr: said}); got.String() != want {
			t.Error(said, got)
		}
	}
	for _, said := range []string{"", "unknown", "[", "[]", "@", "192.0.2.9:x", "client:47"} {
		if got := peerOf(&http.Request{RemoteAddr: said}); got.IsValid() {
			t.Error(said, got)
		}
	}
}
