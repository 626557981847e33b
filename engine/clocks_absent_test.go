package engine

import (
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// quietSystem is a nullSystem on which a peer says no more than input.
type quietSystem struct{ *nullSystem }

func (q quietSystem) Read(_ int, p []byte) (int, error) {
	if len(q.input) == 0 {
		return 0, netio.ErrAgain
	}
	return copy(p, q.input), nil
}

// absent has the time of a loop that nobody runs pass by, and then wakes it: as after a SIGSTOP, or a callback that blocks.
func absent(l *loop, d time.Duration) {
	sys := l.sys.(quietSystem)
	sys.start = sys.start.Add(-d)
	for range 3 {
		l.OnWake()
	}
}

// awaken has the loop look at its clocks in due time until d has passed.
func awaken(l *loop, d time.Duration) {
	for ; d > 0; d -= time.Second {
		absent(l, min(d, time.Second))
	}
}

// A quiet peer answers pings (Limits.PingInterval: "a live peer that has nothing to say answers pings, and is not
// idle"). When the engine itself was away for longer than IdleTimeout nobody has asked it: then it is asked first.
func TestIdleAsksFirst(t *testing.T) {
	pong := maskedFrame(0x8a, nil)
	for _, answers := range []bool{true, false} {
		for _, pongs := range []time.Duration{0, never} { // PongTimeout
			o := Options{Limits: Limits{IdleTimeout: time.Minute, PingInterval: 20 * time.Second, PongTimeout: pongs, CloseTimeout: time.Hour}}
			l, c := nullConnWith(t, echoHandler, o, nil)
			sys := l.sys.(*nullSystem)
			l.sys = quietSystem{sys}
			absent(l, 10*time.Minute)
			if c.ReadyState() != Open || sys.written != 2 {
				t.Fatalf("after ten minutes away: %v, %d bytes written; want OPEN, and a ping", c.ReadyState(), sys.written)
			}
			if !answers {
				awaken(l, 50*time.Second)
				if c.ReadyState() == Open {
					t.Error("a peer that does not answer is still OPEN")
				}
				continue
			}
			sys.input = pong
			l.OnEvent(5, netio.Readable)
			l.OnBatchEnd()
			sys.input = nil
			awaken(l, 19*time.Second)
			if c.ReadyState() != Open || sys.written != 2 {
				t.Errorf("19 s after its pong: %v, %d bytes written", c.ReadyState(), sys.written)
			}
		}
	}
}
