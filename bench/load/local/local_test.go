package local

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

// serving is the URL of a server with this handler.
func serving(t testing.TB, h engine.Handler) string {
	t.Helper()
	return servingFor(t, new(atomic.Pointer[engine.Server]), h)
}

// servingFor is serving for a handler that needs its server.
func servingFor(t testing.TB, to *atomic.Pointer[engine.Server], h engine.Handler) string {
	t.Helper()
	s, err := engine.NewServer(h, engine.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	to.Store(s)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return "ws://" + ln.Addr().String()
}

var echo = engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }}

// made is a generator of a whole plan.
func made(t testing.TB, p load.Plan) *generator {
	t.Helper()
	p.Complete()
	g, err := New(load.Share{Plan: p, Of: 1, Connections: p.Connections, Writers: p.Writers, Rate: p.Rate, ConnectRate: p.ConnectRate}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g.(*generator)
}

// begin has g send from now on.
func begin(t testing.TB, g *generator) {
	t.Helper()
	now := time.Now()
	if err := g.Begin(now, now); err != nil {
		t.Fatal(err)
	}
}

// until waits for a condition, as long as a test may take.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// ran is what comes of a plan: it connects, sends until what f waits for has come, and ends.
func ran(t testing.TB, p load.Plan, f func(whole *load.Tally) bool) *load.Tally {
	t.Helper()
	g := made(t, p)
	if err := g.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin(t, g)
	whole := load.NewTally()
	until(t, "what the test waits for", func() bool {
		r, err := g.Report()
		if err != nil {
			t.Fatal(err)
		}
		whole.Follow(r)
		return f(whole)
	})
	last, err := g.End(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	whole.Follow(last)
	return whole
}

// sound checks what holds of every run in which the server did its part.
func sound(t testing.TB, w *load.Tally) {
	t.Helper()
	if len(w.Errors) != 0 || w.Unanswered != 0 || w.Open != 0 || w.Opened != w.Ended {
		t.Errorf("%+v", w.Errors)
	}
	if w.Sent != w.Answered || w.Received != w.Answered || w.Due != 0 && w.Due != w.Sent+w.Unsent {
		t.Errorf("due %d, sent %d, unsent %d, received %d, answered %d", w.Due, w.Sent, w.Unsent, w.Received, w.Answered)
	}
	for name, n := range map[string]int64{"latency": w.Latency.TotalCount(), "raw": w.Raw.TotalCount()} {
		if n != w.Answered {
			t.Errorf("%s has %d, of %d", name, n, w.Answered)
		}
	}
}

func TestOpenLoop(t *testing.T) {
	w := ran(t, load.Plan{URL: serving(t, echo), Connections: 100, ConnectRate: 10000, Rate: 5000, Verify: true}, func(w *load.Tally) bool { return w.Answered >= 2000 })
	sound(t, w)
	if w.Opened != 100 || w.Attempted != 100 || w.Connect.TotalCount() != 100 || w.Lateness.TotalCount() != w.Sent || w.SentBytes != 128*w.Sent {
		t.Errorf("%d of %d opened, connect %d, lateness %d of %d, %d bytes", w.Opened, w.Attempted, w.Connect.TotalCount(), w.Lateness.TotalCount(), w.Sent, w.SentBytes)
	}
	t.Logf("late %d of %d, p50 %d, p99 %d, raw p50 %d", w.Late, w.Sent, w.Latency.ValueAtQuantile(50), w.Latency.ValueAtQuantile(99), w.Raw.ValueAtQuantile(50))
}

func TestClosedLoop(t *testing.T) {
	w := ran(t, load.Plan{URL: serving(t, echo), Connections: 20, ConnectRate: 10000, Depth: 4, Verify: true}, func(w *load.Tally) bool { return w.Answered >= 20000 })
	sound(t, w)
	t.Logf("sent %d, p50 %d", w.Sent, w.Latency.ValueAtQuantile(50))
}
