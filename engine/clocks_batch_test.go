package engine

import (
	"testing"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// A batch shares a look at the clock, but what starts a clock starts it now: the callbacks before may have taken long.
func TestClosingStartsNow(t *testing.T) {
	slow := Funcs{Message: func(c *Conn, _ Message) { time.Sleep(30 * time.Millisecond) }}
	l, c := nullConn(t, slow, codec.AppendMaskedFrame(nil, OpBinary, true, false, [4]byte{1, 2, 3, 4}, []byte("x")))
	for range 3 { // of one batch
		l.OnEvent(5, netio.Readable)
	}
	before := l.sys.Now()
	l.sys.(*nullSystem).input = nil
	_ = c.Close() // the peer's Close is awaited from now on
	c.serve()
	if p := c.progress; p == nil || p.since < before {
		t.Fatalf("the clock of a closing starts at %+v, before %v", p, before)
	}
}

// Before a clock ends a connection what has come meanwhile is read: the loop may have had no time to.
func TestClocksLookOnceMore(t *testing.T) {
	for name, k := range map[string]struct {
		begin func(c *Conn)
		input []byte
		fits  func(c *Conn, heard int) bool
	}{
		"idle":    {func(c *Conn) { c.times.pinged = 0 }, maskedFrame(finBit|2, nil), func(c *Conn, heard int) bool { return c.ReadyState() == Open && heard == 1 }},
		"pong":    {func(c *Conn) { c.onPingDue() }, maskedFrame(finBit|2, nil), func(c *Conn, heard int) bool { return c.ReadyState() == Open && heard == 1 }},
		"closing": {func(c *Conn) { _ = c.Close() }, peersClose, func(c *Conn, _ int) bool { return c.phase == phaseLingering && c.ending.code == StatusNormalClosure }},
	} {
		t.Run(name, func(t *testing.T) {
			l, f := flooded(t)
			c := l.table.get(3)
			limits := quietLimits()
			limits.IdleTimeout, limits.CloseTimeout = 10*time.Second, 10*time.Second
			if name == "pong" {
				limits.IdleTimeout, limits.PingInterval, limits.PongTimeout = -1, 5*time.Second, 10*time.Second
			}
			if err := c.SetLimits(limits); err != nil {
				t.Fatal(err)
			}
			f.rest(t, l)
			k.begin(c)
			f.rest(t, l)
			f.now += 2 * wheelTick // the first look at a closing is at once
			l.OnWake()
			f.input[3] = k.input
			f.now += time.Minute
			for range 4 {
				l.OnWake() // without an event
			}
			if !k.fits(c, f.heard[3]) {
				t.Errorf("%v in phase %d, %d messages, %+v", c.ReadyState(), c.phase, f.heard[3], c.ending)
			}
		})
	}
}
