package engine

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// visitRoute opens a connection to a path.
func (w *house) visitRoute(t testing.TB, path string, lines ...string) *guest {
	t.Helper()
	a := attackerOn(w.call(t))
	go a.try([]byte(requestFor(path, lines...)))
	a.expect101(t)
	return &guest{a.Conn, a.r}
}

// everyCarrier runs a test on loops and bridged, with workers and without.
func everyCarrier(t *testing.T, test func(t *testing.T, build func(Handler, Options) *house)) {
	for _, name := range []string{"tcp", "bridged pipe"} {
		for _, workers := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s, %d workers", name, workers), func(t *testing.T) {
				test(t, func(h Handler, o Options) *house {
					o.Loops, o.Workers = 1, workers
					return doorNamed(t, name).build(t, h, o)
				})
			})
		}
	}
}

// only is a handler of what every handler has, and one hook more.
func only(l *calls, k hookKind) Funcs {
	all := allFuncs(l, "")
	f := Funcs{Open: all.Open, Message: all.Message, Close: all.Close}
	switch k {
	case hookUpgrade:
		f.Upgrade = all.Upgrade
	case hookError:
		f.Error = all.Error
	case hookHighWater:
		f.HighWater = all.HighWater
	case hookDrain:
		f.Drain = all.Drain
	case hookPing:
		f.Ping = all.Ping
	case hookPong:
		f.Pong = all.Pong
	case hookChunk:
		f.Chunk = all.Chunk
	}
	return f
}

// TestMuxHooks: each route has the optional hooks of its own handler, and none of its neighbour's on the same loop.
func TestMuxHooks(t *testing.T) {
	everyCarrier(t, func(t *testing.T, build func(Handler, Options) *house) {
		m := NewMux()
		heard := map[hookKind]*calls{}
		for k := hookClose; k < hookKinds; k++ { // hookClose: none
			heard[k] = new(calls)
			h := only(heard[k], k)
			noted := h.Open
			h.Open = func(c *Conn) {
				noted(c)
				_ = c.Ping(nil)
				_ = c.Send(OpBinary, make([]byte, 8<<20)) // more than any kernel takes of a peer that does not read
			}
			handle(t, m, "/"+k.String(), h, Route{Limits: Limits{HighWater: 64 << 10}})
		}
		w := build(m, Options{})
		guests := map[hookKind]*guest{}
		for k := hookClose; k < hookKinds; k++ {
			guests[k] = w.visitRoute(t, "/"+k.String())
		}
		within(t, timeoutOf(20), "OnHighWater", func() bool { return slices.Contains(heard[hookHighWater].all(), "HighWater") })
		for _, g := range guests {
			for pinged, sent := false, false; !pinged || !sent; {
				f, err := ws.ReadHeader(g)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.CopyN(io.Discard, g, f.Length); err != nil {
					t.Fatal(err)
				}
				pinged, sent = pinged || f.OpCode == ws.OpPing, sent || f.OpCode == ws.OpBinary
			}
		}
		within(t, timeoutOf(20), "OnDrain", func() bool { return slices.Contains(heard[hookDrain].all(), "Drain") })
		for k := hookClose; k < hookKinds; k++ { // one after the other on each connection, and all on one loop
			g := guests[k]
			g.say(t, ws.OpPing, []byte("p"))
			g.say(t, ws.OpPong, []byte("p"))
			g.part(t, ws.OpText, false, []byte("in "))
			g.part(t, ws.OpContinuation, true, []byte("parts"))
			g.say(t, ws.OpText, []byte("at once"))
			g.hear(t, ws.OpPong, []byte("p"))
			g.say(t, ws.OpText, []byte("\xff"))
			g.hearClose(t, StatusInvalidFramePayloadData, "")
		}
		for k := hookClose; k < hookKinds; k++ {
			want := []string{"Open", "Message", "Message", "Close"}
			switch at := 1; k {
			case hookUpgrade:
				want = slices.Insert(want, 0, "Upgrade")
			case hookError:
				want = slices.Insert(want, 3, "Error")
			case hookHighWater, hookDrain, hookPing, hookPong:
				want = slices.Insert(want, at, hookSpecs[k].field)
			case hookChunk:
				want = []string{"Open", "Chunk", "Chunk", "Chunk", "Close"}
			}
			within(t, timeoutOf(20), k.String()+": OnClose", func() bool { return slices.Contains(heard[k].all(), "Close") })
			if got := heard[k].all(); !slices.Equal(got, want) {
				t.Errorf("%v: %q, want %q", k, got, want)
			}
		}
	})
}

func (l *calls) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.names)
}

// TestMuxLimits: a route's limits hold from the first frame on, which may come with the request; what it leaves open is the engine's,
// and SetLimits changes one connection's.
func TestMuxLimits(t *testing.T) {
	m := NewMux()
	limits := make(chan Limits, 1)
	h := echoHandler
	h.Open = func(c *Conn) { limits <- c.Limits() }
	handle(t, m, "/short", h, Route{Limits: Limits{MaxMessageSize: 10, MaxLifetime: time.Hour}})
	handle(t, m, "/long", h, Route{Limits: Limits{MaxMessageSize: 1000, HighWater: 4 << 20}})
	handle(t, m, "/plain", h, Route{})
	set := h
	set.Upgrade = func(u *Upgrade) {
		if u.Limits().MaxMessageSize != 10 || u.SetLimits(Limits{MaxMessageSize: 20}) != nil {
			t.Error(u.Limits())
		}
	}
	handle(t, m, "/set", set, Route{Limits: Limits{MaxMessageSize: 10}})
	bothDoors(t, m, Options{Loops: 1, Limits: Limits{MaxMessageSize: 100}}, func(t *testing.T, w *house) {
		for _, k := range []struct {
			path string
			most int
		}{{"/short", 10}, {"/long", 1000}, {"/plain", 100}, {"/set", 20}} {
			for more := range 2 {
				p := bytes.Repeat([]byte("x"), k.most+more)
				a := attackerOn(w.call(t))
				go a.try(slices.Concat([]byte(requestFor(k.path)), saidFrame(ws.OpText, true, p)))
				a.expect101(t)
				g := &guest{a.Conn, a.r}
				if more == 0 {
					g.hear(t, ws.OpText, p)
				} else {
					g.hearClose(t, StatusMessageTooBig, "")
				}
				l := receive(t, limits, "OnOpen")
				if l.MaxMessageSize != int64(k.most) || l.IdleTimeout != defaultLimits.IdleTimeout {
					t.Errorf("%s: %+v", k.path, l)
				}
				if (k.path == "/short") != (l.MaxLifetime == time.Hour) || (k.path == "/long") != (l.HighWater == 4<<20) {
					t.Errorf("%s: %+v", k.path, l)
				}
				_ = a.Close()
			}
		}
	})
}

// TestMuxEntrances: what a route says of origins and sub-protocols stands in the place of what Options say, and what it does not say is theirs.
func TestMuxEntrances(t *testing.T) {
	m := NewMux()
	handle(t, m, "/plain", echoHandler, Route{})
	given := []string{"https://route.example"}
	handle(t, m, "/listed", echoHandler, Route{Origins: given})
	given[0] = "https://engine.example" // Handle has its own copy
	handle(t, m, "/own", echoHandler, Route{Origins: []string{}})
	handle(t, m, "/checked", echoHandler, Route{CheckOrigin: func(u *Upgrade) bool { return u.Origin() == "https://checked.example" && u.PathValue("none") == "" }})
	handle(t, m, "/spoken", echoHandler, Route{Protocols: []string{"route"}})
	handle(t, m, "/silent", echoHandler, Route{Protocols: []string{}})
	handle(t, m, "/lax", echoHandler, Route{ProtocolPolicy: ProtocolOptional})
	handle(t, m, "/hooked", hooked(func(u *Upgrade) {
		if u.Protocol() != "route" {
			t.Errorf("%q is picked", u.Protocol())
		}
	}), Route{Protocols: []string{"route"}})
	book := new(logbook)
	o := Options{Loops: 1, Origins: []string{"https://engine.example"}, Protocols: []string{"engine"}, ProtocolPolicy: ProtocolMatching, Logger: book.logger(slog.LevelWarn)}
	for name, build := range map[string]func(testing.TB, Handler, Options) *house{"tcp": doorNamed(t, "tcp").build, "ServeHTTP": behindHTTP} {
		t.Run(name, func(t *testing.T) {
			w := build(t, m, o)
			for _, k := range []struct {
				path, origin, offers string
				status               int
				protocol             string
			}{
				{"/plain", "https://engine.example", "", 101, ""},
				{"/plain", "https://route.example", "", 403, ""},
				{"/listed", "https://route.example", "engine", 101, "engine"},
				{"/listed", "https://engine.example", "", 403, ""},
				{"/own", "https://engine.example", "", 403, ""},
				{"/own", "http://victim.example", "", 101, ""},
				{"/checked", "https://checked.example", "", 101, ""},
				{"/checked", "https://engine.example", "", 403, ""},
				{"/plain", "", "route, engine", 101, "engine"},
				{"/plain", "", "route", 400, ""},
				{"/spoken", "https://engine.example", "engine, route", 101, "route"},
				{"/spoken", "", "engine", 400, ""},
				{"/silent", "", "engine", 101, ""},
				{"/lax", "", "engine", 101, "engine"},
				{"/lax", "", "other", 101, ""},
				{"/hooked", "", "engine, route", 101, "route"},
			} {
				var lines []string
				if k.origin != "" {
					lines = append(lines, "Origin: "+k.origin)
				}
				if k.offers != "" {
					lines = append(lines, "Sec-WebSocket-Protocol: "+k.offers)
				}
				r, _ := answerTo(t, w, requestFor(k.path, lines...))
				if got := r.Header.Get("Sec-WebSocket-Protocol"); r.StatusCode != k.status || got != k.protocol {
					t.Errorf("%+v: %d, %q", k, r.StatusCode, got)
				}
			}
		})
	}
}

// The log says which route refused an origin, and of which one the handler panicked.
func TestMuxLogs(t *testing.T) {
	m := NewMux()
	handle(t, m, "/room/{x}", echoHandler, Route{Origins: []string{"https://friend.example"}})
	h := echoHandler
	h.Message = func(*Conn, Message) { panic("as planned") }
	handle(t, m, "/panics", h, Route{})
	for _, workers := range []int{0, 1} {
		book := new(logbook)
		w := doorNamed(t, "tcp").raise(t, m, Options{Loops: 1, Workers: workers, Logger: book.logger(slog.LevelWarn)})
		_, _ = answerTo(t, w, requestFor("/room/7", "Origin: https://evil.example"))
		g := w.visitRoute(t, "/panics")
		g.say(t, ws.OpText, nil)
		g.hearClose(t, StatusInternalServerError, "")
		for _, want := range []string{`route \"/room/{x}\".Origins`, "route=/panics"} {
			within(t, timeoutOf(5), want, func() bool { return strings.Contains(book.String(), want) })
		}
	}
}

// TestMuxBesideAFallback: pages come from the Fallback, whatever their path; a connection that had a page may become a WebSocket. A
// handshake for which there is no route is no request for a page.
func TestMuxBesideAFallback(t *testing.T) {
	m := muxOf(t, map[string]Handler{"/chat/{room}": Funcs{Upgrade: func(u *Upgrade) { u.SetValue(u.PathValue("room")) }, Open: func(c *Conn) {
		_ = c.SendText(fmt.Sprint(c.Route(), " ", c.Value()))
	}}})
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page ", r.URL.Path) })
	for _, name := range []string{"tcp", "tls", "bridged tls"} {
		t.Run(name, func(t *testing.T) {
			w := doorNamed(t, name).build(t, m, Options{Loops: 1, Fallback: page})
			if got := patternOf(t, w, "x", "/chat/1"); got != "/chat/{room} 1" {
				t.Error(got)
			}
			if got := patternOf(t, w, "x", "/page"); got != "404" {
				t.Error(got)
			}
			a := attackerOn(w.call(t))
			for _, path := range []string{"/chat/2", "/page"} {
				a.try([]byte("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"))
				r, err := http.ReadResponse(a.r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(r.Body); err != nil || string(b) != "page "+path {
					t.Errorf("%q, %v", b, err)
				}
			}
			a.try([]byte(requestFor("/chat/3")))
			a.expect101(t)
			(&guest{a.Conn, a.r}).hear(t, ws.OpText, []byte("/chat/{room} 3"))
		})
	}
}

// TestMuxBehindRouters: by ServeHTTP the path counts that middleware has left, and the values that a router in front found stay.
func TestMuxBehindRouters(t *testing.T) {
	m := muxOf(t, map[string]Handler{"/rooms/{room}": Funcs{
		Upgrade: func(u *Upgrade) {
			r := u.Request()
			u.SetValue(fmt.Sprint(u.PathValue("tenant"), " ", u.PathValue("room"), " ", r.PathValue("tenant"), " ", r.PathValue("room"), " ", r.Pattern))
		},
		Open: func(c *Conn) { _ = c.SendText(fmt.Sprint(c.Value())) },
	}, "/": Funcs{Open: func(c *Conn) { _ = c.SendText(c.Route()) }}})
	s, err := NewServer(m, Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var outer http.ServeMux
	outer.Handle("/t/{tenant}/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/t/"+r.PathValue("tenant"), s).ServeHTTP(w, r)
	}))
	outer.Handle("/r/{room}/rooms/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/r/"+r.PathValue("room"), s).ServeHTTP(w, r)
	}))
	outer.Handle("/as-is/{rest...}", s)
	front := httptest.NewServer(&outer)
	t.Cleanup(front.Close)
	w := &house{Server: s, knock: func() (net.Conn, error) { return net.Dial("tcp", front.Listener.Addr().String()) }}
	for path, want := range map[string]string{
		"/t/acme/rooms/a%2Fb": "acme a/b acme a/b /rooms/{room}",
		"/r/outer/rooms/in":   " in  in /rooms/{room}", // the inner one's value, as ever where one router is in another
		"/t/acme/other":       "/",
		"/t/acme/rooms/a//b":  "307",
		"/as-is/rooms/a":      "/",
	} {
		if got := patternOf(t, w, "x", path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// TestMuxOfTwoServers: servers of one Mux have Options of their own.
func TestMuxOfTwoServers(t *testing.T) {
	conns := make(chan *Conn, 1)
	h := echoHandler
	h.Open = func(c *Conn) { conns <- c }
	m := NewMux()
	handle(t, m, "/", h, Route{Limits: Limits{HighWater: 4 << 10}})
	for _, n := range []int64{10, 20} {
		w := doorNamed(t, "tcp").raise(t, m, Options{Loops: 1, Limits: Limits{MaxMessageSize: n}})
		w.visit(t)
		if l := receive(t, conns, "OnOpen").Limits(); l.MaxMessageSize != n || l.HighWater != 4<<10 {
			t.Errorf("%+v", l)
		}
	}
}

// TestRouteOf: connections can be told apart by their routes, and share what a route says.
func TestRouteOf(t *testing.T) {
	m := muxOf(t, map[string]Handler{"/a": echoHandler, "/b/{x}": echoHandler})
	w := doorNamed(t, "tcp").build(t, m, Options{Loops: 2})
	a, b, b2 := w.visitRoute(t, "/a"), w.visitRoute(t, "/b/1"), w.visitRoute(t, "/b/2")
	within(t, timeoutOf(5), "three are open", func() bool { return w.Stats().Open == 3 })
	limits := map[string]*limits{}
	for c := range w.Conns() {
		if k := limits[c.Route()]; k != nil && k != c.limits.Load() {
			t.Error("two connections of one route have limits of their own")
		}
		limits[c.Route()] = c.limits.Load()
	}
	if len(limits) != 2 || limits["/a"] == nil || limits["/b/{x}"] == nil {
		t.Error(limits)
	}
	p, err := Prepare(OpText, []byte("to b"))
	if err != nil {
		t.Fatal(err)
	}
	w.Broadcast(p, func(c *Conn) bool { return c.Route() == "/b/{x}" })
	b.hear(t, ws.OpText, []byte("to b"))
	b2.hear(t, ws.OpText, []byte("to b"))
	a.say(t, ws.OpText, []byte("mine"))
	a.hear(t, ws.OpText, []byte("mine"))
	if new(Conn).Route() != "" {
		t.Error("the zero Conn has a route")
	}
}
