package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/engine/enginetest"
)

var echo = engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }}

// The test of the package's comment, and the one that the docs show.
func TestGreeting(t *testing.T) {
	handler := engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.SendText("welcome") }}

	s := enginetest.Serve(t, handler, engine.Options{})
	c := s.Dial(t, "/chat", engine.DialOptions{})
	_ = c.SendText("hello")
	if m := c.Message(t); string(m.Data) != "welcome" {
		t.Errorf("got %q", m.Data)
	}
	_ = c.Close()
	if e := c.Closed(t); e.Code != 1000 {
		t.Errorf("closed with %d", e.Code)
	}
}

// everything is a handler with each optional method, but for OnChunk.
type everything struct {
	enginetest.Recorder
	upgraded atomic.Int32
}

func (h *everything) OnUpgrade(u *engine.Upgrade) {
	h.upgraded.Add(1)
	if u.Target() == "/no" {
		_ = u.AddHeader("X-Why", "because")
		_ = u.Refuse(http.StatusForbidden, "not here")
	}
}

func TestEveryOptionalMethod(t *testing.T) {
	for _, workers := range []int{0, 2} {
		h := new(everything)
		s := enginetest.Serve(t, h, engine.Options{Workers: workers, Deflate: &deflate.Policy{}})
		c := s.Dial(t, "yes", engine.DialOptions{})
		_ = c.Ping([]byte("a"))
		if e := c.Next(t); e.Kind != enginetest.Pong || string(e.Data) != "a" {
			t.Error(e)
		}
		_ = c.SendText("text")
		_ = c.SendBinary(make([]byte, 100))
		_ = c.CloseWith(4000, "bye")
		var got []string
		for e := h.Next(t); ; e = h.Next(t) {
			got = append(got, e.String())
			if e.Kind == enginetest.Close {
				break
			}
		}
		want := []string{"open", `ping "a"`, `text message "text"`, fmt.Sprintf("binary message %q... (100 bytes)", make([]byte, 60)), `close 4000 "bye", clean true, <nil>`}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("workers %d: got\n%q\nwant\n%q", workers, got, want)
		}
		if h.upgraded.Load() != 1 {
			t.Error("OnUpgrade was not called")
		}
	}
}

func TestRefused(t *testing.T) {
	s := enginetest.Serve(t, new(everything), engine.Options{})
	c, err := s.TryDial(t, "/no", engine.DialOptions{})
	var refused *engine.HandshakeError
	if !errors.As(err, &refused) || refused.Status != 403 || refused.Header.Get("X-Why") != "because" {
		t.Fatal(err)
	}
	if e := c.Next(t); e.Kind != enginetest.Error || e.State != engine.Closed {
		t.Error(e)
	}
	if e := c.Closed(t); e.Code != 1006 {
		t.Error(e)
	}
	w := s.Raw(t)
	w.Write(t, []byte("GET /no HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	if a := w.Response(t); a.StatusCode != 403 {
		t.Error(a.Status)
	}
}

func TestMux(t *testing.T) {
	mux := engine.NewMux()
	says := func(what string) engine.Handler {
		return engine.Funcs{Open: func(c *engine.Conn) { _ = c.SendText(what) }}
	}
	if err := errors.Join(mux.Handle("/a", says("a"), engine.Route{}), mux.Handle("/b/{x}", says("b"), engine.Route{})); err != nil {
		t.Fatal(err)
	}
	s := enginetest.Serve(t, mux, engine.Options{})
	for path, want := range map[string]string{"/a": "a", "/b/1?q": "b"} {
		if m := s.Dial(t, path, engine.DialOptions{}).Message(t); string(m.Data) != want {
			t.Errorf("%s: %s", path, m.Data)
		}
	}
	if _, err := s.TryDial(t, "/c", engine.DialOptions{}); err == nil {
		t.Error("no such route")
	}
}

func TestChunks(t *testing.T) {
	var got strings.Builder
	var mu sync.Mutex
	s := enginetest.Serve(t, engine.Funcs{Chunk: func(c *engine.Conn, k engine.Chunk) {
		mu.Lock()
		defer mu.Unlock()
		got.Write(k.Data)
		if k.Last {
			_ = c.SendText("whole")
		}
	}}, engine.Options{})
	w := s.Raw(t)
	w.Handshake(t, "/", nil)
	w.Frame(t, engine.OpText, false, []byte("one "))
	s.Settle(t)
	mu.Lock()
	if got.String() != "one " {
		t.Errorf("%q", got.String())
	}
	mu.Unlock()
	w.Frame(t, 0, true, []byte("two"))
	if f := w.ReadFrame(t); string(f.Data) != "whole" || f.Op != engine.OpText || !f.Fin || f.RSV1 {
		t.Errorf("%+v", f)
	}
}

// Settle: the callbacks that what was sent causes have returned, and what they sent has arrived.
func TestSettle(t *testing.T) {
	for _, workers := range []int{0, 4} {
		var mu sync.Mutex
		var all []*engine.Conn
		h := engine.Funcs{
			Open: func(c *engine.Conn) { mu.Lock(); all = append(all, c); mu.Unlock() },
			Message: func(c *engine.Conn, m engine.Message) {
				if workers > 0 {
					time.Sleep(time.Millisecond)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, to := range all {
					_ = to.Send(m.Op, m.Data)
				}
			},
		}
		s := enginetest.Serve(t, h, engine.Options{Workers: workers, Loops: 2})
		var clients []*enginetest.Client
		for range 5 {
			clients = append(clients, s.Dial(t, "/", engine.DialOptions{}))
		}
		s.Settle(t)
		for i := range 20 {
			for j, c := range clients {
				_ = c.SendText(fmt.Sprint(i, j))
			}
			s.Settle(t)
			for _, c := range clients {
				if n := len(c.Events()); n != 1+5*(i+1) {
					t.Fatalf("workers %d, round %d: %d events", workers, i, n)
				}
			}
		}
	}
}

// A peer that is not read: Settle does not wait for ever.
func TestSettlePaused(t *testing.T) {
	s := enginetest.Serve(t, engine.Funcs{Open: func(c *engine.Conn) { c.Pause() }}, engine.Options{})
	c := s.Dial(t, "/", engine.DialOptions{})
	_ = c.SendBinary(make([]byte, 1<<20))
	s.Settle(t)
	if c.BufferedAmount() == 0 {
		t.Error("somebody has read it")
	}
}

// What a handler's connection does with bad input.
func TestRawClient(t *testing.T) {
	h := new(enginetest.Recorder)
	s := enginetest.Serve(t, h, engine.Options{})
	for name, k := range map[string]struct {
		bytes string
		code  int
	}{
		"an unmasked frame":   {"\x81\x02hi", 1002},
		"a reserved bit":      {"\xA1\x80\x00\x00\x00\x00", 1002},
		"text that is none":   {"\x81\x81\x00\x00\x00\x00\xff", 1007},
		"a Close of one byte": {"\x88\x81\x00\x00\x00\x00x", 1002},
	} {
		w := s.Raw(t)
		w.Handshake(t, "/", nil)
		w.Write(t, []byte(k.bytes))
		if code, _ := w.ReadClose(t); code != k.code {
			t.Errorf("%s: %d, want %d", name, code, k.code)
		}
		if e := h.Closed(t); e.Code != 1006 || e.WasClean {
			t.Errorf("%s: %+v", name, e)
		}
	}
	w := s.Raw(t)
	w.Handshake(t, "/", nil)
	w.Close(t, 1005, "")
	if code, _ := w.ReadClose(t); code != 1005 {
		t.Error(code)
	}
	if e := h.Closed(t); e.Code != 1005 || !e.WasClean {
		t.Errorf("%+v", e)
	}
	w = s.Raw(t)
	w.Handshake(t, "/", nil)
	w.Text(t, "x")
	w.Hang()
	if e := h.Closed(t); e.Code != 1006 {
		t.Errorf("%+v", e)
	}
}

// A client of the program's own, with a server that is no server.
func TestRawServer(t *testing.T) {
	l := enginetest.Listen(t)
	h := new(enginetest.Recorder)
	client, err := engine.NewClient(h, engine.ClientOptions{DialContext: l.DialContext})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	dialled := make(chan error, 1)
	go func() {
		_, err := client.Dial(context.Background(), "ws://example.test/x", engine.DialOptions{Protocols: []string{"p"}})
		dialled <- err
	}()
	w := l.Accept(t)
	if r := w.Answer(t, http.Header{"Sec-Websocket-Protocol": {"p"}}); r.URL.Path != "/x" {
		t.Error(r.URL)
	}
	if err := <-dialled; err != nil {
		t.Fatal(err)
	}
	w.Text(t, "hello")
	if m := h.Message(t); string(m.Data) != "hello" {
		t.Errorf("%q", m.Data)
	}
	w.Write(t, []byte("\x81\x80\x00\x00\x00\x00")) // masked: from a server it is not
	if code, _ := w.ReadClose(t); code != 1002 {
		t.Error(code)
	}
	if e := h.Closed(t); e.Code != 1006 {
		t.Error(e)
	}
}

// failing is a test that notes what it is told, in the place of failing.
type failing struct {
	testing.TB
	mu       sync.Mutex
	text     string
	cleanups []func()
}

func (f *failing) Helper()          {}
func (f *failing) Cleanup(g func()) { f.cleanups = append(f.cleanups, g) }
func (f *failing) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text += fmt.Sprintf(format, args...) + "\n"
}
func (f *failing) Fatalf(format string, args ...any) { f.Errorf(format, args...); panic(f) }
func (f *failing) Deadline() (time.Time, bool)       { return time.Now().Add(3 * time.Second), true }

func (f *failing) run(g func()) (text string) {
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(f) {
				panic(r)
			}
		}()
		g()
	}()
	for i := len(f.cleanups) - 1; i >= 0; i-- {
		f.cleanups[i]()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text
}

// A test that waits for what does not come says what came.
func TestFailures(t *testing.T) {
	f := &failing{TB: t}
	text := f.run(func() {
		s := enginetest.Serve(f, echo, engine.Options{})
		c := s.Dial(f, "/", engine.DialOptions{})
		_ = c.SendText("hello")
		_ = c.Message(f)
		_ = c.Closed(f)
	})
	for _, want := range []string{"a close never came", "open", `text message "hello"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestLeaks(t *testing.T) {
	stuck, release := make(chan struct{}), make(chan struct{})
	time.AfterFunc(15*time.Second, func() { close(release) })
	f := &failing{TB: t}
	text := f.run(func() {
		s := enginetest.Serve(f, engine.Funcs{Message: func(*engine.Conn, engine.Message) { close(stuck); <-release }}, engine.Options{Workers: 1})
		_ = s.Dial(f, "/stuck", engine.DialOptions{}).SendText("x")
		<-stuck // else the end of the test may be quicker
	})
	if !strings.Contains(text, "does not end") || !strings.Contains(text, "/stuck") {
		t.Errorf("got %q", text)
	}
}
