package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// inn is a server behind a net/http server.
type inn struct {
	*Server
	http   *httptest.Server
	secure bool
}

// innOn starts a net/http server whose every request goes to ServeHTTP.
func innOn(t testing.TB, h Handler, o Options, loopless bool, start func(*httptest.Server)) *inn {
	t.Helper()
	s := bare(t, h, o, loopless)
	n := &inn{Server: s, http: httptest.NewUnstartedServer(s)}
	n.http.Config.ErrorLog = discardedLog
	start(n.http)
	n.secure = n.http.TLS != nil
	t.Cleanup(n.http.Close)
	return n
}

// call opens a transport to the net/http server.
func (n *inn) call(t testing.TB) net.Conn {
	t.Helper()
	at := n.http.Listener.Addr()
	nc, err := net.Dial(at.Network(), at.String())
	if err != nil {
		t.Fatal(err)
	}
	if n.secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

func onUnix(t testing.TB) func(*httptest.Server) {
	return func(h *httptest.Server) {
		_ = h.Listener.Close()
		h.Listener, _ = listenUnixSocket(t)
		h.Start()
	}
}

// wrapping starts a net/http server that ends TLS itself.
func wrapping(config *tls.Config) func(*httptest.Server) {
	return func(h *httptest.Server) {
		h.TLS, h.Listener = config, WrapListener(h.Listener, config) // Start does not look at TLS
		h.Start()
	}
}

func TestServeHTTP(t *testing.T) {
	for _, c := range []struct {
		name     string
		start    func(*httptest.Server)
		loopless bool
		bridged  int64
		scheme   string
	}{
		{"tcp moves to a loop", (*httptest.Server).Start, false, 0, "ws"},
		{"unix moves to a loop", onUnix(t), false, 0, "ws"},
		{"tls is bridged", (*httptest.Server).StartTLS, false, 1, "wss"},
		{"tls of WrapListener moves to a loop", wrapping(houseTLS()), false, 0, "wss"},
		{"tls of WrapListener without loops", wrapping(houseTLS()), true, 1, "wss"},
		{"tcp without loops", (*httptest.Server).Start, true, 1, "ws"},
		{"tls without loops", (*httptest.Server).StartTLS, true, 1, "wss"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conns := make(chan *Conn, 1)
			closed := make(chan CloseEvent, 1)
			h := echoHandler
			h.Upgrade = func(u *Upgrade) {
				if got := u.TLS() != nil; got != (c.scheme == "wss") {
					t.Error("TLS state:", got)
				}
				if u.Header("X-Test") != "kept" || u.Target() != "/chat?a=1" || u.Method() != "GET" {
					t.Error(u.Method(), u.Target(), u.Header("x-test"))
				}
				if k, err := u.Cookie("id"); err != nil || k.Value != "7" {
					t.Error(k, err)
				}
				if !slices.Equal(u.Protocols(), []string{"b", "a"}) {
					t.Error(u.Protocols())
				}
				_ = u.SetProtocol("a")
			}
			h.Open = func(c *Conn) { conns <- c }
			h.Close = func(_ *Conn, e CloseEvent) { closed <- e }
			n := innOn(t, h, Options{Loops: 2}, c.loopless, c.start)
			a := attackerOn(n.call(t))
			// The first frames come with the request, more than net/http's buffer takes.
			big := bytes.Repeat([]byte("early"), 20_000)
			go a.try(slices.Concat([]byte(requestFor("/chat?a=1", "Cookie: id=7; b=8", "X-Test: kept", "Sec-WebSocket-Protocol: b, a")),
				saidFrame(ws.OpText, true, []byte("right behind")), saidFrame(ws.OpBinary, true, big)))
			a.expect101(t)
			g := &guest{a.Conn, a.r}
			g.hear(t, ws.OpText, []byte("right behind"))
			g.hear(t, ws.OpBinary, big)
			conn := <-conns
			if got := n.Stats().Bridged; got != c.bridged {
				t.Errorf("%d bridged, want %d", got, c.bridged)
			}
			if got := conn.URL(); got != c.scheme+"://victim.example/chat?a=1" {
				t.Error(got)
			}
			if conn.Protocol() != "a" || conn.RemoteAddr() == nil || conn.LocalAddr().String() != a.RemoteAddr().String() {
				t.Error(conn.Protocol(), conn.RemoteAddr(), conn.LocalAddr())
			}
			g.sayClose(t, 3000, "enough")
			g.hearClose(t, 3000, "")
			g.hearEnd(t)
			if e := <-closed; e.Code != 3000 || !e.WasClean {
				t.Errorf("%+v", e)
			}
		})
	}
}

// attackerOn speaks bytes on a connection that is there already.
func attackerOn(nc net.Conn) *attacker { return &attacker{nc, bufio.NewReader(nc)} }

func TestServeHTTPRefuses(t *testing.T) {
	h := echoHandler
	h.Upgrade = func(u *Upgrade) {
		switch u.Target() {
		case "/secret":
			_ = u.Refuse(401, "not you")
		case "/panic":
			panic("as planned")
		}
	}
	n := innOn(t, h, Options{Loops: 1, Origins: []string{"https://friend.example"}}, false, (*httptest.Server).Start)
	good := requestFor("/")
	for _, c := range []struct {
		name, request string
		status        int
		reason        string
		header        string
	}{
		{"a plain GET", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426, "not-an-upgrade", "Upgrade"},
		{"a POST", strings.Replace(good, "GET", "POST", 1), 405, "method-not-get", "Allow"},
		{"version 12", strings.Replace(good, "Version: 13", "Version: 12", 1), 426, "websocket-version", "Sec-WebSocket-Version"},
		{"HTTP/1.0", strings.Replace(good, "HTTP/1.1", "HTTP/1.0", 1), 400, "http-1.0", ""},
		{"no key", strings.Replace(good, "Sec-WebSocket-Key", "X-Key", 1), 400, "no-key", ""},
		{"a strange Origin", requestFor("/", "Origin: https://evil.example"), 403, "origin", ""},
		{"refused by the handler", requestFor("/secret"), 401, "handler", ""},
		{"a handler that panics", requestFor("/panic"), 500, "handler-panic", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := attackerOn(n.call(t))
			a.say(t, c.request)
			r, err := http.ReadResponse(a.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if r.StatusCode != c.status || err != nil || len(body) == 0 {
				t.Errorf("status %d, body %q, %v; want %d", r.StatusCode, body, err, c.status)
			}
			if c.header != "" && r.Header.Get(c.header) == "" {
				t.Error("no", c.header)
			}
			if got := n.Stats().Refusals[c.reason]; got != 1 {
				t.Errorf("%s is counted %d times: %v", c.reason, got, n.Stats().Refusals)
			}
		})
	}
	friend := attackerOn(n.call(t))
	friend.say(t, requestFor("/", "Origin: https://friend.example"))
	friend.expect101(t)
}

// TestServeHTTPOverHTTP2: such a connection is not one request's to take.
func TestServeHTTPOverHTTP2(t *testing.T) {
	n := innOn(t, echoHandler, Options{Loops: 1}, false, func(h *httptest.Server) {
		h.EnableHTTP2 = true
		h.StartTLS()
	})
	client := n.http.Client()
	defer client.CloseIdleConnections()
	r, err := client.Get(n.http.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.ProtoMajor != 2 || r.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Error(r.Proto, r.Status)
	}
}

func TestServeHTTPWithoutHijacking(t *testing.T) {
	s := bare(t, echoHandler, Options{Loops: 1}, false)
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(requestFor("/"))))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 500 || s.Stats().Refusals["not-hijackable"] != 1 {
		t.Error(w.Code, s.Stats().Refusals)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	w = httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 503 || s.Stats().Refusals["shutting-down"] != 1 {
		t.Error(w.Code, s.Stats().Refusals)
	}
}

// TestServeHTTPUndoesDeadlines: net/http's time-outs are for requests.
func TestServeHTTPUndoesDeadlines(t *testing.T) {
	soon := aliveWithin() / 4
	for _, start := range []func(*httptest.Server){(*httptest.Server).Start, (*httptest.Server).StartTLS} {
		n := innOn(t, echoHandler, Options{Loops: 1}, false, func(h *httptest.Server) {
			s := h.Config.Handler
			h.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				at := time.Now().Add(soon)
				c := http.NewResponseController(w)
				if err := errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at)); err != nil {
					t.Error(err)
				}
				s.ServeHTTP(w, r)
			})
			start(h)
		})
		g := welcome(t, n.call(t), ws.Dialer{})
		time.Sleep(soon + 30*time.Millisecond) // past both
		g.say(t, ws.OpText, []byte("still here"))
		g.hear(t, ws.OpText, []byte("still here"))
	}
}

func TestServeHTTPManyAtOnce(t *testing.T) {
	const loops, conns = 4, 100
	n := innOn(t, echoHandler, Options{Loops: loops}, false, (*httptest.Server).Start)
	var all sync.WaitGroup
	for range conns {
		nc := n.call(t)
		all.Go(func() {
			g := welcome(t, nc, ws.Dialer{})
			for range 5 {
				g.say(t, ws.OpText, []byte("hello"))
				g.hear(t, ws.OpText, []byte("hello"))
			}
		})
	}
	all.Wait()
	per := map[*loop]int{}
	for c := range n.Conns() {
		per[c.loop]++
	}
	if st := n.Stats(); st.Open != conns || st.Bridged != 0 {
		t.Errorf("%d open, %d bridged", st.Open, st.Bridged)
	}
	for l, k := range per {
		if k < conns/loops-2 || k > conns/loops+2 {
			t.Errorf("loop %d has %d of %d connections", l.index, k, conns)
		}
	}
}

func TestServeHTTPOverTheLimit(t *testing.T) {
	for _, loopless := range []bool{false, true} {
		n := innOn(t, echoHandler, Options{Loops: 1, MaxConns: 1}, loopless, (*httptest.Server).Start)
		welcome(t, n.call(t), ws.Dialer{})
		a := attackerOn(n.call(t))
		a.say(t, requestFor("/"))
		a.expectStatus(t, 503)
		if got := n.Stats().Refusals["max-conns"]; got != 1 {
			t.Error(got)
		}
	}
}

func TestShutdownWithServeHTTP(t *testing.T) {
	for _, start := range []func(*httptest.Server){(*httptest.Server).Start, (*httptest.Server).StartTLS} {
		n := innOn(t, echoHandler, Options{Loops: 2}, false, start)
		var guests []*guest
		for range 5 {
			guests = append(guests, welcome(t, n.call(t), ws.Dialer{}))
		}
		done := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(10))
			defer cancel()
			done <- n.Shutdown(ctx)
		}()
		for _, g := range guests {
			g.hearClose(t, 1001, "server shutting down")
			g.sayClose(t, 1001, "")
			g.hearEnd(t)
			_ = g.Close()
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		late := attackerOn(n.call(t))
		late.say(t, requestFor("/"))
		if r, err := http.ReadResponse(late.r, nil); err != nil || r.StatusCode != 503 {
			t.Error(r, err)
		}
	}
}

// TestAdoptedInTheLastTurn: the letter that brings a connection may reach a loop when it
// has just taken what it will serve, and ends.
func TestAdoptedInTheLastTurn(t *testing.T) {
	descriptorsLeft(t)
	s := bare(t, echoHandler, Options{Loops: 1}, false)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	l := s.native[0]
	ln, knock := listenTCP(t)
	defer ln.Close()
	ours, err := knock()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(requestFor("/"))))
	if err != nil {
		t.Fatal(err)
	}
	req, err := handshake.FromHTTP(r, handshake.Limits{})
	id, refused := s.admitHTTP(r, netip.AddrPort{})
	if err != nil || refused != nil {
		t.Fatal(err, refused)
	}
	s.deciding.Done()
	u := &Upgrade{conn: s.newInLimbo(id, r, req, httpPeer{}, s.own), req: req, answered: true}
	hold, held, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	l.post(task{call: func() { close(held); <-hold }})
	<-held
	go func() { done <- s.Close() }()
	within(t, timeoutOf(5), "Close has asked the loop to end", func() bool {
		l.mailbox.mu.Lock()
		defer l.mailbox.mu.Unlock()
		return len(l.mailbox.tasks) > 0
	})
	l.post(task{call: func() { s.moveIn(u, theirs, nil) }})
	close(hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = ours.SetDeadline(time.Now().Add(timeoutOf(10)))
	if _, err := io.Copy(io.Discard, ours); isTimeout(err) {
		t.Error("it is still there")
	}
	if st := s.Stats(); u.conn.ReadyState() != Closed || st.Connecting != 0 || st.Open != 0 || st.Closing != 0 {
		t.Errorf("%v, %+v", u.conn.ReadyState(), st)
	}
}

// TestCloseWhileServeHTTPAdopts: a connection that arrives in a loop's last moment ends.
func TestCloseWhileServeHTTPAdopts(t *testing.T) {
	descriptorsLeft(t)
	for i := range 40 {
		n := innOn(t, echoHandler, Options{Loops: 2}, i%4 == 3, (*httptest.Server).Start)
		welcome(t, n.call(t), ws.Dialer{}) // the loops run
		var all sync.WaitGroup
		began := make(chan struct{}, 8)
		for range cap(began) {
			nc := n.call(t)
			all.Go(func() {
				began <- struct{}{}
				d := ws.Dialer{}
				br, _, err := d.Upgrade(nc, &url.URL{Scheme: "ws", Host: "house.example", Path: "/"})
				if err == nil { // OPEN before the end: then that comes
					var r io.Reader = nc
					if br != nil {
						r = br
					}
					_, err = io.Copy(io.Discard, r)
				}
				if isTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
					t.Error("a connection outlived Close:", err)
				}
			})
		}
		for range i % cap(began) {
			<-began
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
		n.http.Close()
	}
}
