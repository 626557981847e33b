package engine

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// lines are what a value is by each verb that people use on it.
func lines(v any) map[string]string {
	all := map[string]string{}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		all[format] = fmt.Sprintf(format, v)
	}
	return all
}

// isLine checks that a value is this line, by every verb; want is a regular expression.
func isLine(t *testing.T, v any, want string) {
	t.Helper()
	for format, got := range lines(v) {
		if format == "%q" {
			got = strings.Trim(got, `"`)
		}
		if !regexp.MustCompile("^" + want + "$").MatchString(got) {
			t.Errorf("%s is %.300q, want %s", format, got, want)
		}
	}
	if got := fmt.Sprintf("[%-200v]", v); len(got) < 202 || !strings.HasSuffix(got, " ]") {
		t.Errorf("a width is kept: %q", got)
	}
}

// TestConnIsOneLine: in every state, and held by whoever sends: what is printed waits for nobody.
func TestConnIsOneLine(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Upgrade: func(u *Upgrade) {
			isLine(t, u.Conn(), `conn 1 CONNECTING 127\.0\.0\.1:\d+`)
			isLine(t, u, `upgrade GET /path, conn 1 CONNECTING 127\.0\.0\.1:\d+`)
		}}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		remote := regexp.QuoteMeta(f.raw.LocalAddr().String())
		isLine(t, c, `conn 1 OPEN `+remote)
		c.lock()
		printed := make(chan string, 1)
		go func() { printed <- fmt.Sprint(c, " ", slog.AnyValue(c).Resolve()) }()
		got := receive(t, printed, "what is printed of a connection whose lock is held")
		c.unlock()
		want := fmt.Sprintf("conn 1 OPEN %v [id=1 state=OPEN remote=%v url=%s%v/path]", f.raw.LocalAddr(), f.raw.LocalAddr(), schemeOf(t), s.Addr())
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
		_ = c.Close()
		isLine(t, c, `conn 1 CLOSING `+remote)
		f.wantsClose(StatusNormalClosure, "")
		f.closeWith(StatusNormalClosure, "")
		d.end()
		isLine(t, c, `conn 1 CLOSED `+remote)
	})
}

// TestZeroValuesAreOneLine: the zero values, and nil pointers, are printed and logged as well.
func TestZeroValuesAreOneLine(t *testing.T) {
	isLine(t, new(Conn), "conn 0 CONNECTING")
	closed := new(Conn)
	_ = closed.Close()
	isLine(t, closed, "conn 0 CLOSING")
	if got := closed.LogValue().String(); got != "[id=0 state=CLOSING]" {
		t.Error(got)
	}
	isLine(t, new(Server), "server on nowhere, 0 open")
	isLine(t, new(Upgrade), "upgrade that is decided")
	isLine(t, new(Prepared), "prepared message, not made by Prepare")
	isLine(t, Message{}, "opcode 0 message, 0 bytes")
	isLine(t, Chunk{}, "opcode 0 chunk, 0 bytes")
	isLine(t, new(Mux), "mux of 0 patterns")
	for _, v := range []any{(*Conn)(nil), (*Server)(nil), (*Upgrade)(nil), (*Prepared)(nil), (*Message)(nil), (*Mux)(nil)} {
		nothing(t, fmt.Sprintf("%T", v), func() {
			if got := fmt.Sprint(v); !strings.HasPrefix(got, "<nil>") && !strings.Contains(got, "not made by Prepare") {
				t.Errorf("%T: %q", v, got)
			}
		})
	}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Info("a", "conn", (*Conn)(nil))
	log.Info("b", "conn", new(Conn))
	if got := out.String(); !strings.Contains(got, "conn=<nil>") || !strings.Contains(got, "conn.id=0 conn.state=CONNECTING\n") {
		t.Error(got)
	}
}

// TestNoPayloadInALine: megabytes are not printed, nor what a query or a cookie holds.
func TestNoPayloadInALine(t *testing.T) {
	payload := bytes.Repeat([]byte("secret"), 1<<20)
	isLine(t, Message{Op: OpText, Data: payload}, "text message, 6291456 bytes")
	isLine(t, &Message{Op: OpBinary, Data: payload[:1]}, "binary message, 1 bytes")
	isLine(t, Chunk{Op: OpText, Data: payload, First: true, Last: true}, "text chunk, 6291456 bytes, first, last")
	p, err := Prepare(OpBinary, payload)
	if err != nil {
		t.Fatal(err)
	}
	isLine(t, p, "prepared binary message, 6291456 bytes")
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{Upgrade: func(u *Upgrade) {
		log.Info("upgrade", "upgrade", u, "text", fmt.Sprint(u))
	}}), Options{})
	c, _, _, err := ws.Dialer{Header: ws.HandshakeHeaderHTTP{"Cookie": {"session=secret"}}}.Dial(t.Context(), "ws://"+s.Addr().String()+"/path?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	log.Info("conn", "conn", d.conn())
	isLine(t, s, "server on "+regexp.QuoteMeta(s.Addr().String())+", 1 open")
	if got := out.String(); strings.Contains(got, "secret") || !strings.Contains(got, `/path"`) {
		t.Error(got)
	}
}

// TestRouteIsInTheLine: of a connection behind a Mux its line names the pattern.
func TestRouteIsInTheLine(t *testing.T) {
	d := newDiary(t)
	var m Mux
	if err := m.Handle("/path", d.handler(Funcs{}), Route{}); err != nil {
		t.Fatal(err)
	}
	isLine(t, &m, "mux of 1 patterns")
	s := startServer(t, &m, Options{})
	dialForeign(t, s, 0)
	c := d.conn()
	isLine(t, c, `conn 1 OPEN 127\.0\.0\.1:\d+ \(/path\)`)
	if got := c.LogValue().String(); !strings.Contains(got, "route=/path") {
		t.Error(got)
	}
}

// TestIDs: each connection has a number of its own, from 1 on, by whatever door, with one count for all loops and bridges;
// those whose handshake is refused have one, too.
func TestIDs(t *testing.T) {
	var mu sync.Mutex
	seen := map[uint64]bool{}
	note := func(id uint64) {
		mu.Lock()
		defer mu.Unlock()
		if seen[id] {
			t.Errorf("%d twice", id)
		}
		seen[id] = true
	}
	s := bare(t, Funcs{
		Upgrade: func(u *Upgrade) {
			note(u.Conn().ID())
			if u.Target() == "/refused" {
				_ = u.Refuse(http.StatusForbidden, "")
			}
		},
		Open: func(c *Conn) {
			mu.Lock()
			defer mu.Unlock()
			if !seen[c.ID()] || c.ID() == 0 {
				t.Error("it is another in OnOpen:", c.ID())
			}
		},
	}, Options{Loops: 2}, false)
	go s.ListenAndServe("tcp", "127.0.0.1:0")
	within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
	ln := mustListen(t)
	go s.Serve(foreignListener{ln})
	within(t, timeoutOf(5), "a second address", func() bool { return len(s.Addrs()) == 2 })
	adopting := httptest.NewServer(s)
	defer adopting.Close()
	const each = 20
	var dialling sync.WaitGroup
	for _, at := range []string{s.Addr().String(), ln.Addr().String(), adopting.Listener.Addr().String()} {
		for i := range each {
			dialling.Go(func() {
				path := "/"
				if i%4 == 0 {
					path = "/refused"
				}
				nc, err := net.Dial("tcp", at)
				if err != nil {
					t.Error(err)
					return
				}
				t.Cleanup(func() { nc.Close() })
				_, _ = io.WriteString(nc, requestFor(path))
				if _, err := nc.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	dialling.Wait()
	mu.Lock()
	defer mu.Unlock()
	for id := uint64(1); id <= 3*each; id++ {
		if !seen[id] {
			t.Errorf("nobody has the number %d", id)
		}
	}
	if len(seen) != 3*each {
		t.Errorf("%d numbers for %d connections", len(seen), 3*each)
	}
}

// TestConnByServeHTTPIsOneLine: while net/http has the transport, as well.
func TestConnByServeHTTPIsOneLine(t *testing.T) {
	seen := make(chan string, 1)
	s := bare(t, Funcs{Upgrade: func(u *Upgrade) {
		isLine(t, u, `upgrade GET /path, conn 1 CONNECTING 127\.0\.0\.1:\d+`)
		seen <- u.Conn().LogValue().String()
	}}, Options{}, false)
	h := httptest.NewServer(s)
	defer h.Close()
	c, _, _, err := ws.Dial(t.Context(), "ws://"+h.Listener.Addr().String()+"/path?token=secret")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := fmt.Sprintf("[id=1 state=CONNECTING remote=%v]", c.LocalAddr())
	if got := receive(t, seen, "OnUpgrade"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestLogLinesNameTheConnection: what the engine logs of a connection carries its ID.
func TestLogLinesNameTheConnection(t *testing.T) {
	for _, workers := range []int{0, 2} {
		var out logbook
		d := newDiary(t)
		s := startServer(t, d.handler(Funcs{
			Upgrade: func(u *Upgrade) {
				if u.Conn().ID() == 2 {
					_ = u.Refuse(http.StatusForbidden, "")
				}
			},
			Message: func(*Conn, Message) { panic("in OnMessage") },
		}), Options{Workers: workers, Logger: out.logger(slog.LevelDebug)})
		f := dialForeign(t, s, 0)
		d.conn()
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _ = io.WriteString(nc, requestFor("/"))
		f.text("panic")
		for what, id := range map[string]int{"a handler panicked": 1, "gannet: closed": 1, "handshake refused": 2} {
			within(t, timeoutOf(5), what, func() bool {
				for line := range strings.Lines(out.String()) {
					if strings.Contains(line, what) && strings.Contains(line, fmt.Sprintf(" conn=%d ", id)) {
						return true
					}
				}
				return false
			})
		}
	}
}
