package engine

import (
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// hasty is a clock that goes on with each look at it, so that turns end.
type hasty struct{ *clocked }

func (k *hasty) Now() time.Duration {
	k.now += turnBudget / 4
	return k.now
}

// A connection that fails while it waits for its peer to read, with input in hand: what the peer still writes is
// read and dropped, so that it comes to read the Close frame.
func TestFailingResumesReading(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{Message: func(c *Conn, _ Message) { _ = c.SendBinary(make([]byte, 2000)) }},
		Options{Limits: Limits{HighWater: 1 << 10, LowWater: 1 << 9}})
	l.sys = &hasty{m}
	one := maskedFrame(finBit|2, make([]byte, 10))
	for range 10_000 {
		m.input = append(m.input, one...)
	}
	l.OnEvent(5, netio.Readable)
	for range 3 {
		l.OnWake()
	}
	if c.flags&pausedByHigh == 0 || c.in == nil || c.in.rest == nil || m.reading() {
		t.Fatal("it does not wait")
	}
	c.notify(todoShed)
	for range 3 {
		l.OnWake()
	}
	if c.ReadyState() != Closing || !m.reading() {
		t.Errorf("%v, reading: %v", c.ReadyState(), m.reading())
	}
}
