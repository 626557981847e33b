package local

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

// TestCoordinatedOmission: a server stalls once, for half a second. Each of the connections has one message under way at most, as one has that
// waits for its answer, so all that the raw figures see of the stall is one message a connection; the corrected ones see all that should have been sent.
// With 1,000 messages a second that are due, and x seconds of the stall over, the one that is due then waits for the other 0.5-x: so 1000*(0.5-x)
// messages have a latency of x seconds or more, and of n messages the p99.9 is at least 0.5 - 0.001*n/1000.
//
// Whatever else stalls on a busy machine makes corrected latencies longer, so those have no upper bound here. It may show in raw ones as well:
// then the test tries again.
func TestCoordinatedOmission(t *testing.T) {
	const (
		rate, connections = 1000, 2
		stall             = 500 * time.Millisecond
		messages          = 4000
	)
	for try := 1; ; try++ {
		var got atomic.Int64
		url := serving(t, engine.Funcs{Message: func(c *engine.Conn, m engine.Message) {
			if got.Add(1) == messages/4 {
				time.Sleep(stall)
			}
			_ = c.Send(m.Op, m.Data)
		}})
		w := ran(t, load.Plan{URL: url, Connections: connections, ConnectRate: fast, Rate: rate, Depth: 1, Loops: 1}, func(w *load.Tally) bool { return w.Due >= messages })
		sound(t, w)
		for _, x := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 400 * time.Millisecond} {
			want := int64(rate * (stall - x).Seconds() / connections) // of one connection for certain: the other's loop may not be the one that stalls
			if n := slower(w.Latency, x); n < want-2 {
				t.Errorf("%d messages of %v or more, want %d", n, x, want)
			}
		}
		n := float64(w.Answered)
		want := stall.Seconds() - 2*0.001*n/rate // of one connection, as above
		corrected, raw := seconds(w.Latency, 99.9), seconds(w.Raw, 99.9)
		t.Logf("of %v messages p99.9 is %v s, raw %v s; %d raw of %v or more", n, corrected, raw, slower(w.Raw, stall/2), stall/2)
		if corrected < want-0.005 {
			t.Errorf("the corrected p99.9 is %v s, at least %v is right", corrected, want)
		}
		if raw < stall.Seconds()/2 && raw < corrected/2 {
			return
		}
		if try == 5 {
			t.Fatalf("the raw p99.9 is %v s: it shows the stall", raw)
		}
	}
}

// TestOpenLoopSendsOn: without a depth nothing waits for an answer, so a stall is in the raw latency too, and no message leaves late for it.
func TestOpenLoopSendsOn(t *testing.T) {
	const stall = 500 * time.Millisecond
	var got atomic.Int64
	url := serving(t, engine.Funcs{Message: func(c *engine.Conn, m engine.Message) {
		if got.Add(1) == 100 {
			time.Sleep(stall)
		}
		_ = c.Send(m.Op, m.Data)
	}})
	w := ran(t, load.Plan{URL: url, Connections: 1, Rate: 1000}, func(w *load.Tally) bool { return w.Answered >= 1000 })
	sound(t, w)
	want := int64(1000 * (stall - 100*time.Millisecond).Seconds())
	if n := slower(w.Latency, 100*time.Millisecond); n < want-2 {
		t.Errorf("%d messages of 100 ms or more, want %d", n, want)
	}
	if n, late := slower(w.Raw, 100*time.Millisecond), slower(w.Lateness, time.Millisecond); n < want-2-late {
		t.Errorf("%d raw ones, want %d, of which %d may have left late", n, want, late)
	}
}

// slower is how many are d or more, within a histogram's digits.
func slower(h *hdrhistogram.Histogram, d time.Duration) (n int64) {
	for _, b := range h.Distribution() {
		if b.To >= int64(d) {
			n += b.Count
		}
	}
	return n
}

func seconds(h *hdrhistogram.Histogram, percentile float64) float64 {
	return float64(h.ValueAtPercentile(percentile)) / 1e9
}
