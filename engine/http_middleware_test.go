package engine

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/gobwas/ws"
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
