package local

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

const fast = 1e5 // connections a second, of tests

// broadcasting is the URL of a server that sends every message to all.
func broadcasting(t *testing.T) string {
	var s atomic.Pointer[engine.Server]
	return servingFor(t, &s, engine.Funcs{Message: func(_ *engine.Conn, m engine.Message) {
		p, err := engine.Prepare(m.Op, m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		s.Load().Broadcast(p, func(*engine.Conn) bool { return true })
	}})
}

func TestFanout(t *testing.T) {
	const connections, writers = 40, 3
	w := ran(t, load.Plan{URL: broadcasting(t), Scenario: load.Fanout, Connections: connections, Writers: writers, ConnectRate: fast, Rate: 200, Verify: true},
		func(w *load.Tally) bool { return w.Sent >= 50 })
	if want := w.Sent * (connections - writers); w.Answered != want || w.Received != want || w.Latency.TotalCount() != want || w.Raw.TotalCount() != want {
		t.Errorf("%d deliveries, latency of %d, want %d", w.Answered, w.Latency.TotalCount(), want)
	}
	if len(w.Errors) != 0 || w.Unanswered != 0 {
		t.Error(w.Errors, w.Unanswered)
	}
}

// TestFanoutTemplate: the stamp may be anywhere in a message.
func TestFanoutTemplate(t *testing.T) {
	w := ran(t, load.Plan{URL: broadcasting(t), Scenario: load.Fanout, Connections: 3, ConnectRate: fast, Rate: 200, Verify: true,
		Payload: load.Payload{Template: `{"by":{{.Conn}},"~":"{{.Stamp}}","n":{{.Seq}}}`}}, func(w *load.Tally) bool { return w.Answered >= 20 })
	if w.Answered != 2*w.Sent || len(w.Errors) != 0 {
		t.Error(w.Answered, w.Sent, w.Errors)
	}
}

// TestFanoutLoss: a delivery that does not come is counted, once: the server leaves out one reader of each message.
func TestFanoutLoss(t *testing.T) {
	var s atomic.Pointer[engine.Server]
	url := servingFor(t, &s, engine.Funcs{Message: func(c *engine.Conn, m engine.Message) {
		p, _ := engine.Prepare(m.Op, m.Data)
		var readers atomic.Int64
		s.Load().Broadcast(p, func(to *engine.Conn) bool { return to == c || readers.Add(1) > 1 })
	}})
	w := ran(t, load.Plan{URL: url, Scenario: load.Fanout, Connections: 5, ConnectRate: fast, Rate: 200, AnswerTimeout: load.Duration(time.Second)},
		func(w *load.Tally) bool { return w.Sent >= 20 })
	if got := w.Errors[load.TimedOut]["delivery"]; got != w.Sent || got != w.Unanswered || w.Answered != 3*w.Sent {
		t.Errorf("%d missed, %d came, %d sent", got, w.Answered, w.Sent)
	}
}

func TestIdle(t *testing.T) {
	w := ran(t, load.Plan{URL: serving(t, echo), Scenario: load.Idle, Connections: 30, ConnectRate: fast, Ping: load.Duration(20 * time.Millisecond)},
		func(w *load.Tally) bool { return w.Pings.TotalCount() >= 100 && w.Open == 30 })
	if w.Due+w.Sent+w.Received != 0 || len(w.Errors) != 0 || w.Opened != 30 || w.Ended != 30 {
		t.Errorf("%+v", w)
	}
}

func TestStorm(t *testing.T) {
	w := ran(t, load.Plan{URL: serving(t, echo), Scenario: load.Storm, Connections: 20, ConnectRate: 2000}, func(w *load.Tally) bool { return w.Opened >= 200 })
	if len(w.Errors) != 0 || w.Opened != w.Ended || w.Attempted < w.Opened || w.Connect.TotalCount() != w.Opened {
		t.Errorf("%d attempts, %d opened, %d ended, %d times, %v", w.Attempted, w.Opened, w.Ended, w.Connect.TotalCount(), w.Errors)
	}
}

func TestChurn(t *testing.T) {
	w := ran(t, load.Plan{URL: serving(t, echo), Scenario: load.Churn, Connections: 20, ConnectRate: fast, Churn: load.Duration(100 * time.Millisecond), Rate: 2000},
		func(w *load.Tally) bool { return w.Opened >= 100 && w.Answered > 100 })
	if len(w.Errors) != 0 || w.Opened != w.Ended || w.Due != w.Sent+w.Unsent || w.Sent != w.Answered+w.Unanswered {
		t.Errorf("%+v %v", w, w.Errors)
	}
}

// TestDrip: what the server sends comes no faster than DripRate.
func TestDrip(t *testing.T) {
	const size, rate = 1000, 20000
	p := load.Plan{URL: serving(t, echo), Scenario: load.Drip, Connections: 2, ConnectRate: fast, Rate: 400, DripRate: rate, Payload: load.Payload{Size: size}, Verify: true}
	var began time.Time
	w := ran(t, p, func(w *load.Tally) bool {
		if began.IsZero() {
			began = time.Now() // after Begin: so no less than this has passed
		}
		if most := 2 * (time.Since(began).Seconds() + 1) * rate; float64(w.ReceivedBytes) > most+2*size {
			t.Fatalf("%d bytes, at most %v", w.ReceivedBytes, most)
		}
		return w.Answered >= 60
	})
	if w.Errors[load.Verify] != nil || w.Errors[load.Closed] != nil {
		t.Error(w.Errors)
	}
}

func TestExpectNone(t *testing.T) {
	var got atomic.Int64
	url := serving(t, engine.Funcs{Message: func(*engine.Conn, engine.Message) { got.Add(1) }})
	w := ran(t, load.Plan{URL: url, Connections: 10, ConnectRate: fast, Rate: 5000, Expect: load.ExpectNone}, func(w *load.Tally) bool { return w.Sent >= 500 })
	until(t, "all has come", func() bool { return got.Load() == w.Sent })
	if w.Due != w.Sent || w.Answered != 0 || w.Unanswered != 0 || len(w.Errors) != 0 {
		t.Errorf("%+v", w)
	}
}

// TestWarmup: what is due before the figures begin is sent, and counted apart.
func TestWarmup(t *testing.T) {
	var got atomic.Int64
	url := serving(t, engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { got.Add(1); _ = c.Send(m.Op, m.Data) }})
	g := made(t, load.Plan{URL: url, Connections: 5, ConnectRate: fast, Rate: 1000})
	if err := g.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if err := g.Begin(now, now.Add(200*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	w := load.NewTally()
	until(t, "figures", func() bool { r, _ := g.Report(); w.Follow(r); return w.Answered >= 50 })
	last, err := g.End(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	w.Follow(last)
	if w.Warmup != 200 || w.Sent+w.Warmup != got.Load() || w.Sent != w.Answered || w.Lateness.TotalCount() != w.Sent {
		t.Errorf("warm-up %d, want 200; sent %d, the server got %d", w.Warmup, w.Sent, got.Load())
	}
}

// TestTurn: connections come and go, and the rate follows.
func TestTurn(t *testing.T) {
	g := made(t, load.Plan{URL: serving(t, echo), Connections: 10, ConnectRate: fast, Rate: 1000})
	if err := g.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin(t, g)
	w := load.NewTally()
	for _, n := range []int{700, 3, 40, 0, 5} {
		if err := g.Turn(2000, n); err != nil {
			t.Fatal(err)
		}
		until(t, "as many connections as asked for", func() bool { r, _ := g.Report(); w.Follow(r); return w.Open == int64(n) })
	}
	last, err := g.End(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	w.Follow(last)
	if w.Errors[load.Closed] != nil || w.Open != 0 || w.Opened != w.Ended || w.Due != w.Sent+w.Unsent {
		t.Errorf("%+v", w)
	}
}
