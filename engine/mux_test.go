package engine

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func muxOf(t testing.TB, handlers map[string]Handler) *Mux {
	t.Helper()
	m := NewMux()
	for pattern, h := range handlers {
		handle(t, m, pattern, h, Route{})
	}
	return m
}

func handle(t testing.TB, m *Mux, pattern string, h Handler, o Route) {
	t.Helper()
	if err := m.Handle(pattern, h, o); err != nil {
		t.Fatal(err)
	}
}

// oracle is the ServeMux that the patterns are given to as they are.
type oracle struct{ http.ServeMux }

func (o *oracle) add(pattern string) (ok bool) {
	defer func() { ok = recover() == nil }()
	o.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Chosen", pattern) })
	return true
}

// FuzzMux: whatever the patterns and the request, where http.ServeMux calls a handler the route is that one, with the same values of
// the path; where it redirects, or answers 404 or 405, there is none.
func FuzzMux(f *testing.F) {
	patterns := []string{
		"/", "/{$}", "/a", "/a/", "/a/{$}", "/a/{x}", "/a/{x}/b", "/a/{rest...}", "/{x}/b", "/b/{x}/{y...}", "/a//b", "/a/../b", "/%61/c", "/a%2Fb",
		"h.example/", "h.example/a", "h.example/{x}", "h.example:80/a", "[::1]/a", "/é/{ü}", "/a b", "", "a", "/{x", "/{x}{y}", "/{x}/{x}", "/{...}", "{x}/a", "/{$}/a",
	}
	paths := []string{
		"/", "/a", "/a/", "/a/1", "/a/1/", "/a/1/b", "/a/1/b/c", "/z/b", "/b/1", "/b/1/", "/b/1/2/3", "//a", "/a//b", "/a/./1", "/a/../b", "/a%2Fb", "/a/x%2Fy", "/%61/1",
		"/a/%2e%2e/b", "/a?b=/c", "/a/1?x", "/%", "/é/ö", "/%C3%A9/x", "http://h.example/a", "http://h.example", "http://h.example:80/a/1", "*", "/a%00",
	}
	for i, p := range patterns {
		for j, q := range patterns {
			f.Add(p+"\n"+q+"\n"+patterns[(i+j)%len(patterns)], (i+j)%3 == 0, "h.example:80", paths[(3*i+j)%len(paths)])
		}
	}
	for _, path := range paths {
		for _, host := range []string{"h.example", "H.example", "h.example:8080", "other", "[::1]:80", "[::1]"} {
			f.Add(strings.Join(patterns[:10], "\n")+"\nh.example/a\nh.example/{x}\n[::1]/a\n::1/a", host == "other", host, path)
		}
	}
	f.Fuzz(func(t *testing.T, lines string, get bool, host, target string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")))
		if err != nil {
			return
		}
		m, o := NewMux(), new(oracle)
		for pattern := range strings.SplitSeq(lines, "\n") {
			if strings.ContainsAny(pattern, " \t") {
				continue // methods have a test of their own
			}
			if get {
				pattern = "GET " + pattern
			}
			err := m.Handle(pattern, Funcs{}, Route{})
			ok := o.add(pattern)
			if ok && err != nil && strings.Contains(err.Error(), "never match") {
				return // ServeMux takes it, and others conflict with it
			}
			if ok != (err == nil) {
				t.Fatalf("%q: ServeMux takes it: %v; %v", pattern, ok, err)
			}
		}
		w := httptest.NewRecorder()
		o.ServeHTTP(w, r)
		got, found := m.find(r.Host, r.URL)
		want := w.Result().Header.Get("Chosen")
		if r.RequestURI == "*" {
			want = ""
		}
		switch {
		case (got == nil) != (want == ""), got != nil && got.pattern != want:
			t.Fatalf("%q of %q, host %q: %+v, want %q (%d)", target, lines, host, got, want, w.Code)
		case got == nil:
			return
		}
		for _, name := range got.names {
			if found.PathValue(name) != r.PathValue(name) {
				t.Errorf("%q of %q: %s is %q, want %q", target, lines, name, found.PathValue(name), r.PathValue(name))
			}
		}
		if n := strings.Count(want, "{") - strings.Count(want, "{$}"); n != len(got.names) {
			t.Errorf("%q: names %q", want, got.names)
		}
	})
}

// TestMuxErrors: each says which pattern, and what to do.
func TestMuxErrors(t *testing.T) {
	var nilFuncs *Funcs
	for name, k := range map[string]struct {
		pattern string
		h       Handler
		o       Route
		says    []string
	}{
		"empty":             {"", Funcs{}, Route{}, []string{`route ""`, "pattern"}},
		"no path":           {"chat", Funcs{}, Route{}, []string{`"chat"`, "missing /"}},
		"broken wildcard":   {"/a/{x", Funcs{}, Route{}, []string{`"/a/{x"`, "offset 3", "must end with '}'"}},
		"one name twice":    {"/{x}/{x}", Funcs{}, Route{}, []string{"duplicate wildcard"}},
		"taken":             {"/taken/{y}", Funcs{}, Route{}, []string{`"/taken/{y}"`, `"/taken/{x}"`, "conflicts", "same requests"}},
		"taken as a GET":    {"GET /taken/{y}", Funcs{}, Route{}, []string{`"GET /taken/{y}"`, `"/taken/{x}"`, "conflicts"}},
		"overlaps":          {"/{x}/fixed", Funcs{}, Route{}, []string{`"/{x}/fixed"`, `"/taken/{x}"`, "conflicts"}},
		"POST":              {"POST /b", Funcs{}, Route{}, []string{`"POST /b"`, "POST", "leave the method out"}},
		"HEAD":              {"HEAD\t/b", Funcs{}, Route{}, []string{"HEAD", "leave the method out"}},
		"not clean":         {"/b//c", Funcs{}, Route{}, []string{`"/b//c"`, "never match"}},
		"with a port":       {"h.example:80/b", Funcs{}, Route{}, []string{"never match", "port", `"h.example"`}},
		"no handler":        {"/b", nil, Route{}, []string{`"/b"`, "nil"}},
		"a nil handler":     {"/b", nilFuncs, Route{}, []string{`"/b"`, "nil"}},
		"itself":            {"/b", NewMux(), Route{}, []string{`"/b"`, "Mux"}},
		"around a Mux":      {"/b", struct{ *Mux }{NewMux()}, Route{}, []string{`"/b"`, "Mux"}},
		"a lost hook":       {"/b", struct{ Handler }{Funcs{Upgrade: func(*Upgrade) {}}}, Route{}, []string{`"/b"`, "OnUpgrade"}},
		"a limit":           {"/b", Funcs{}, Route{Limits: Limits{MaxMessageSize: -1}}, []string{`route "/b": Limits: MaxMessageSize is -1`}},
		"an origin":         {"/b", Funcs{}, Route{Origins: []string{"example.com"}}, []string{`route "/b": Origins`}},
		"a sub-protocol":    {"/b", Funcs{}, Route{Protocols: []string{"a b"}}, []string{`route "/b": Protocols`}},
		"a policy":          {"/b", Funcs{}, Route{ProtocolPolicy: 9}, []string{`route "/b": ProtocolPolicy`}},
		"a policy for none": {"/b", Funcs{}, Route{Protocols: []string{}, ProtocolPolicy: ProtocolRequired}, []string{`route "/b": ProtocolPolicy`}},
	} {
		m := muxOf(t, map[string]Handler{"/taken/{x}": Funcs{}})
		err := m.Handle(k.pattern, k.h, k.o)
		if !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, s := range k.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", name, err, s)
			}
		}
		if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), ".go:") {
			t.Errorf("%s: %q", name, err)
		}
		if _, again := NewServer(m, Options{}); again != err {
			t.Errorf("%s: NewServer says %v", name, again)
		}
	}
}

// What does not go together with the Options is NewServer's error, and nothing is decided by it: the Mux can be served by another.
func TestMuxAgainstOptions(t *testing.T) {
	for name, k := range map[string]struct {
		route Route
		o     Options
		says  string
	}{
		"HighWater":      {Route{Limits: Limits{HighWater: 1 << 20}}, Options{Limits: Limits{MaxBufferedAmount: 1 << 20}}, "HighWater"},
		"PingInterval":   {Route{Limits: Limits{PingInterval: 5e9}}, Options{Limits: Limits{IdleTimeout: 4e9}}, "PingInterval"},
		"ProtocolPolicy": {Route{ProtocolPolicy: ProtocolRequired}, Options{}, "ProtocolPolicy"},
	} {
		m := NewMux()
		handle(t, m, "/first", Funcs{}, Route{})
		handle(t, m, "/bad", Funcs{}, k.route)
		_, err := NewServer(m, k.o)
		if !errors.Is(err, ErrSyntax) || !strings.Contains(fmt.Sprint(err), `route "/bad"`) || !strings.Contains(err.Error(), k.says) {
			t.Errorf("%s: %v", name, err)
		}
		handle(t, m, "/more", Funcs{}, Route{})
		if _, err := NewServer(m, Options{Protocols: []string{"a"}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMuxAsAHandler: the Mux itself is asked, before a server serves it, and nobody else.
func TestMuxAsAHandler(t *testing.T) {
	type named struct{ *Mux }
	type deeper struct {
		named
		Extra
	}
	m := muxOf(t, map[string]Handler{"/": Funcs{}})
	for _, h := range []Handler{named{m}, &named{m}, deeper{named: named{m}}, struct{ Handler }{m}, struct{ Handler }{named{m}}, struct{ Handler }{struct{ Handler }{m}},
		struct {
			*Mux
			Extra
		}{Mux: m}} {
		if _, err := NewServer(h, Options{}); !errors.Is(err, ErrSyntax) || !strings.Contains(fmt.Sprint(err), "Mux") {
			t.Errorf("%T: %v", h, err)
		}
	}
	var none *Mux
	for _, h := range []*Mux{none, {}, NewMux()} {
		if _, err := NewServer(h, Options{}); !errors.Is(err, ErrSyntax) {
			t.Errorf("%v: %v", h, err)
		}
	}
	if _, err := NewServer(m, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := m.Handle("/late", Funcs{}, Route{}); !errors.Is(err, ErrInvalidState) || !strings.Contains(fmt.Sprint(err), `"/late"`) {
		t.Error(err)
	}
	if _, err := NewServer(m, Options{}); err != nil {
		t.Error("a second server:", err)
	}
}

// Extra has an optional hook.
type Extra struct{}

func (Extra) OnPing(*Conn, []byte) {}

// A handler of the program's that calls a Mux in a way that nobody can see before serves nobody, and says why.
func TestMuxCalledByAHandler(t *testing.T) {
	m := muxOf(t, map[string]Handler{"/": echoHandler})
	book := new(logbook)
	w := doorNamed(t, "tcp").build(t, Funcs{Open: m.OnOpen, Message: m.OnMessage, Close: m.OnClose}, Options{Loops: 1, Logger: book.logger(slog.LevelError)})
	g := w.visit(t)
	g.hearClose(t, 1011, "")
	g.sayClose(t, 1011, "")
	if said := book.String(); !strings.Contains(said, "give the Mux itself to NewServer") {
		t.Errorf("%q was logged", said)
	}
}

// patternOf is what a connection to a path gets: the pattern that its handler says, or the status.
func patternOf(t *testing.T, w *house, host, path string) string {
	t.Helper()
	a := attackerOn(w.call(t))
	defer a.Close()
	go a.try([]byte(strings.Replace(requestFor(path), "victim.example", host, 1)))
	r, err := http.ReadResponse(a.r, nil)
	if err != nil {
		t.Fatal(path, err)
	}
	if r.StatusCode != http.StatusSwitchingProtocols {
		_ = r.Body.Close()
		return fmt.Sprint(r.StatusCode)
	}
	f, err := readFrame(a.r)
	if err != nil || f.Header.OpCode != ws.OpText {
		t.Fatal(path, f, err)
	}
	return string(f.Payload)
}

// TestMux: each path has its handler, by every door; the pattern and the path's values are known from OnUpgrade on.
func TestMux(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		m := NewMux()
		for _, pattern := range []string{"/", "/chat/{room}", "/chat/lobby", "/files/{path...}", "/dir/", "/exact/{$}", "GET /get", "h.example/", "/later/{x}"} {
			h := Funcs{Open: func(c *Conn) {
				if c.Route() != pattern {
					t.Errorf("%q in the handler of %q", c.Route(), pattern)
				}
				_ = c.SendText(fmt.Sprintf("%s %v", c.Route(), c.Value()))
			}}
			if pattern != "/" {
				h.Upgrade = func(u *Upgrade) {
					if u.Conn().Route() != pattern {
						t.Errorf("%q asked for %q", u.Conn().Route(), pattern)
					}
					if pattern == "/later/{x}" {
						u.Later()
						go func() {
							u.SetValue(u.PathValue("x"))
							_ = u.Accept()
						}()
						return
					}
					room, path := u.PathValue("room"), u.PathValue("path")
					u.SetValue(room + path + u.PathValue("nothing"))
					if r := u.Request(); r.Pattern != pattern || r.PathValue("room") != room || r.PathValue("path") != path || u.PathValue("room") != room {
						t.Errorf("the request has %q, %q, %q; before there were %q, %q", r.Pattern, r.PathValue("room"), r.PathValue("path"), room, path)
					}
				}
			}
			handle(t, m, pattern, h, Route{})
		}
		w := build(m, Options{})
		for _, k := range []struct{ host, path, want string }{
			{"x", "/", "/ <nil>"},
			{"x", "/unknown/path?q=1", "/ <nil>"},
			{"x", "/chat/lobby", "/chat/lobby "},
			{"x", "/chat/a%20b?room=c", "/chat/{room} a b"},
			{"x", "/chat/a%2Fb", "/chat/{room} a/b"},
			{"x", "/chat/a/b", "/ <nil>"},
			{"x", "/files/a/b/c", "/files/{path...} a/b/c"},
			{"x", "/files/", "/files/{path...} "},
			{"x", "/dir/deep/er", "/dir/ "},
			{"x", "/exact/", "/exact/{$} "},
			{"x", "/get", "GET /get "},
			{"x", "/later/on", "/later/{x} on"},
			{"h.example:81", "/later/on", "h.example/ "},
			{"x", "http://h.example/chat/a", "h.example/ "},
			{"x", "/dir", "404"},
			{"x", "//chat/lobby", "404"},
			{"x", "/chat/../chat/lobby", "404"},
			{"x", "/chat/./lobby", "404"},
		} {
			if got := patternOf(t, w, k.host, k.path); got != k.want {
				t.Errorf("%s at %s: %q, want %q", k.path, k.host, got, k.want)
			}
		}
		if got := w.Stats().Refusals["no-route"]; got != 4 {
			t.Errorf("%d without a route", got)
		}
	})
}

// Without a route nothing of the program's runs, and the answer is a 404, whatever the request says otherwise.
func TestMuxWithoutARoute(t *testing.T) {
	touched := func(*Upgrade) bool { t.Error("CheckOrigin runs"); return false }
	m := muxOf(t, map[string]Handler{"/chat": hooked(func(*Upgrade) { t.Error("OnUpgrade runs") })})
	bothDoors(t, m, Options{Loops: 1, CheckOrigin: touched, Protocols: []string{"a"}, ProtocolPolicy: ProtocolRequired}, func(t *testing.T, w *house) {
		for _, path := range []string{"/", "/chat/", "/Chat", "/chat%2F", "/chat%00"} {
			r, body := answerTo(t, w, requestFor(path, "Origin: https://evil.example", "Sec-WebSocket-Protocol: b"))
			if r.StatusCode != 404 || !strings.Contains(body, "no WebSocket endpoint") {
				t.Errorf("%s: %d %q", path, r.StatusCode, body)
			}
		}
	})
}
