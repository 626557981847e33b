package reconnect

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// patience is how long a test waits for what comes at once where nobody disturbs: only a test that fails waits so long.
const patience = 2 * time.Minute

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func receive[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatal("never came:", what)
	}
	return v
}

func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never came:", what)
		}
	}
}

// handClock is a clock that a test turns: a timer waits until the test has it fire.
type handClock struct {
	mu     sync.Mutex
	at     time.Time
	timers []*handTimer
	draws  func(n int64) int64 // nil: as much as can be
}

type handTimer struct {
	k       *handClock
	f       func()
	running bool
	due     time.Time
}

func newHandClock() *handClock { return &handClock{at: time.Now()} }

func (k *handClock) clock() *clock {
	return &clock{now: k.now, random: k.random, newTimer: func(f func()) timer {
		k.mu.Lock()
		defer k.mu.Unlock()
		t := &handTimer{k: k, f: f}
		k.timers = append(k.timers, t)
		return t
	}}
}

func (k *handClock) now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at
}

func (k *handClock) random(n int64) int64 {
	if k.draws != nil {
		return k.draws(n)
	}
	return n - 1
}

func (k *handClock) turn(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = k.at.Add(d)
}

// fire waits until a timer runs, and has the time go on to where it is due.
func (k *handClock) fire(t testing.TB) {
	t.Helper()
	var due *handTimer
	within(t, "a timer that runs", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, x := range k.timers {
			if x.running && (due == nil || x.due.Before(due.due)) {
				due = x
			}
		}
		if due == nil {
			return false
		}
		due.running = false
		k.at = due.due
		return true
	})
	go due.f()
}

func (k *handClock) waits() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.timers, func(t *handTimer) bool { return t.running })
}

func (t *handTimer) Reset(d time.Duration) bool {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	was := t.running
	t.running, t.due = true, t.k.at.Add(d)
	if d == 0 {
		t.running = false
		go t.f()
	}
	return was
}

func (t *handTimer) Stop() bool {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	was := t.running
	t.running = false
	return was
}

// diary is a Handler that writes down what it hears; do runs in the call of that name.
type diary struct {
	t      testing.TB
	do     map[string]func(c *Conn)
	inside atomic.Bool
	lines  chan string
	losses chan Loss
	ends   chan error
	over   atomic.Bool
}

func newDiary(t testing.TB) *diary {
	return &diary{t: t, do: map[string]func(*Conn){}, lines: make(chan string, 1000), losses: make(chan Loss, 1000), ends: make(chan error, 10)}
}

func (d *diary) during(c *Conn, what, line string) {
	if d.inside.Swap(true) || d.over.Load() {
		d.t.Error("during another call, or after OnClose:", line)
	}
	d.lines <- line + " " + c.ReadyState().String()
	defer d.inside.Store(false)
	if f := d.do[what]; f != nil {
		f(c)
	}
}

func (d *diary) OnOpen(c *Conn, now *engine.Conn, times int) {
	if now.ReadyState() == engine.Open {
		_ = now.SendText(fmt.Sprint("hello ", times))
	}
	d.during(c, "open", fmt.Sprint("open ", times))
}

func (d *diary) OnMessage(c *Conn, m engine.Message) {
	d.during(c, "message", "message "+string(m.Data))
}

func (d *diary) OnLost(c *Conn, l Loss) {
	d.losses <- l
	d.during(c, "lost", fmt.Sprint("lost ", l.Event.Code))
}

func (d *diary) OnClose(c *Conn, l Loss, why error) {
	d.during(c, "close", fmt.Sprint("close ", l.Event.Code))
	d.over.Store(true)
	d.ends <- why
}

// wants fails unless these come next.
func (d *diary) wants(lines ...string) {
	d.t.Helper()
	for _, want := range lines {
		if got := receive(d.t, d.lines, want); got != want {
			d.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func (d *diary) loss() Loss { d.t.Helper(); return receive(d.t, d.losses, "OnLost") }

func (d *diary) end() error { d.t.Helper(); return receive(d.t, d.ends, "OnClose") }

// shore is a server: answer decides about each request, from its number, and answers false if a WebSocket is to open.
type shore struct {
	*httptest.Server
	engine *engine.Server
	asked  atomic.Int64
	conns  chan *engine.Conn
	heard  chan string
}

func newShore(t testing.TB, answer func(n int, w http.ResponseWriter, r *http.Request) bool) *shore {
	t.Helper()
	s := &shore{conns: make(chan *engine.Conn, 1000), heard: make(chan string, 10_000)}
	var err error
	s.engine, err = engine.NewServer(engine.Funcs{
		Open:    func(c *engine.Conn) { s.conns <- c },
		Message: func(c *engine.Conn, m engine.Message) { s.heard <- string(m.Data) },
	}, engine.Options{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(s.asked.Add(1))
		if answer == nil || !answer(n, w, r) {
			s.engine.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		s.Server.CloseClientConnections()
		s.Server.Close()
		_ = s.engine.Close()
	})
	return s
}

func (s *shore) ws() string { return "ws" + strings.TrimPrefix(s.URL, "http") }

// conn is the next connection that opened there.
func (s *shore) conn(t testing.TB) *engine.Conn {
	t.Helper()
	return receive(t, s.conns, "a connection")
}

func newClient(t testing.TB, o engine.ClientOptions) *engine.Client {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	c, err := engine.NewClient(engine.Funcs{}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// begin starts a Conn that is closed in the end.
func begin(t testing.TB, url string, h Handler, o Options, k *clock) *Conn {
	t.Helper()
	return beginWith(t, newClient(t, engine.ClientOptions{}), url, h, o, k)
}

func beginWith(t testing.TB, client *engine.Client, url string, h Handler, o Options, k *clock) *Conn {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	c, err := start(context.Background(), client, url, h, o, k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// nowhere is a URL at which nobody listens.
func nowhere(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "ws://" + ln.Addr().String()
}
