package engine

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// The clocks (Limits). Times are short, so the bounds are one-sided where a slow machine
// could break them: never early, and not so late that another clock would explain it.

// never is what a test's other clocks are set to.
const never = -1

// early is how much sooner than asked for a clock may come due: its resolution.
const early = 20 * time.Millisecond

// quietLimits has all clocks of an open connection off.
func quietLimits() Limits {
	return Limits{IdleTimeout: never, PingInterval: never, PongTimeout: never, MaxLifetime: never, WriteStallTimeout: never, CloseTimeout: timeoutOf(5)}
}

func onlyOnce(t *testing.T, s *Server, cause string) {
	t.Helper()
	if causes := s.Stats().Causes; causes[cause] != 1 || len(causes) != 1 {
		t.Errorf("causes %v, want %s alone", causes, cause)
	}
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		l := quietLimits()
		idle := aliveWithin()
		l.IdleTimeout = idle
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: l})
		f := dialForeign(t, s, 0)
		d.conn()
		last := time.Now()
		for _, op := range []ws.OpCode{ws.OpText, ws.OpPing, ws.OpPong, ws.OpText, ws.OpPong} { // anything counts
			time.Sleep(idle / 4)
			last = time.Now()
			f.send(op, true, "")
			if op == ws.OpPing {
				f.wants(ws.OpPong, "")
			}
		}
		f.wantsClose(1001, "idle")
		if took := time.Since(last); took < idle-early {
			t.Error("idle after", took)
		}
		f.closeWith(1001, "")
		if e := d.end(); e.Code != 1001 || !e.WasClean || e.Err != nil {
			t.Errorf("%+v", e)
		}
		onlyOnce(t, s, "idle")
	})
}

// A peer that is gone without a word does not answer the Close either: OnClose says both.
func TestIdleAndGone(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		limits func(l *Limits)
		cause  string
		why    error
	}{
		"idle":     {func(l *Limits) { l.IdleTimeout = 100 * time.Millisecond }, "idle", ErrIdleTimeout},
		"lifetime": {func(l *Limits) { l.MaxLifetime = 100 * time.Millisecond }, "lifetime", ErrMaxLifetime},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := quietLimits()
			k.limits(&l)
			l.CloseTimeout = 100 * time.Millisecond
			d := newDiary(t)
			s := startServer(t, d.handler(Funcs{}), Options{Limits: l})
			dialForeign(t, s, 0)
			e := d.end()
			isAll(t, e.Err, k.why, ErrCloseTimeout)
			if e.Code != 1006 || e.WasClean {
				t.Errorf("%+v", e)
			}
			onlyOnce(t, s, k.cause)
		})
	}
}

// A peer that answers pings lives; one that sends is not pinged; one that is silent is cut off.
func TestPingInterval(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		l := quietLimits()
		const interval = 200 * time.Millisecond
		l.PingInterval, l.PongTimeout = interval, aliveWithin()
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: l})
		last := time.Now()
		f := dialForeign(t, s, 0)
		d.conn()
		for range 4 { // answered at once, by a pong or by anything else
			f.wants(ws.OpPing, "")
			if took := time.Since(last); took < interval-early {
				t.Error("pinged after", took)
			}
			last = time.Now()
			f.send(ws.OpPong, true, "")
		}
		f.wants(ws.OpPing, "")
		last = time.Now()
		f.text("which is an answer too")
		f.wants(ws.OpPing, "")
		e := d.end()
		isAll(t, e.Err, ErrPongTimeout)
		if took := time.Since(last); e.Code != 1006 || e.WasClean || took < interval+l.PongTimeout-early {
			t.Errorf("%+v after %v", e, took)
		}
		onlyOnce(t, s, "pong-timeout")
	})
}

// The pong is late PongTimeout after the ping, however long the interval is.
func TestPongTimeoutShorterThanInterval(t *testing.T) {
	t.Parallel()
	l := quietLimits()
	interval := aliveWithin() * 3 / 2
	l.PingInterval, l.PongTimeout = interval, 100*time.Millisecond
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{Limits: l})
	f := dialForeign(t, s, 0)
	f.wants(ws.OpPing, "")
	sent := time.Now()
	isAll(t, d.end().Err, ErrPongTimeout)
	if took := time.Since(sent); took > interval*3/4 {
		t.Error("cut off only after", took)
	}
}

// A peer that talks is not pinged.
func TestNoPingWhileThePeerTalks(t *testing.T) {
	t.Parallel()
	l := quietLimits()
	interval := aliveWithin()
	l.PingInterval = interval
	s := startServer(t, echoHandler, Options{Limits: l})
	f := dialForeign(t, s, 0)
	for began := time.Now(); time.Since(began) < interval*5/4; {
		time.Sleep(50 * time.Millisecond)
		f.text("talk")
		f.wants(ws.OpText, "talk") // a ping would come here
	}
}

func TestMaxLifetime(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		l := quietLimits()
		l.MaxLifetime = 250 * time.Millisecond
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: l})
		began := time.Now()
		f := dialForeign(t, s, 0)
		stop := make(chan struct{})
		var talking sync.WaitGroup
		talking.Go(func() { // which helps nothing
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					_ = ws.WriteFrame(f, ws.MaskFrame(ws.NewTextFrame([]byte("x"))))
				}
			}
		})
		f.wantsClose(1001, "maximum lifetime reached")
		close(stop)
		talking.Wait() // the frame at hand is not written in one piece
		if took := time.Since(began); took < 250*time.Millisecond-early {
			t.Error("after", took)
		}
		f.closeWith(1001, "")
		if e := d.end(); e.Code != 1001 || !e.WasClean {
			t.Errorf("%+v", e)
		}
		onlyOnce(t, s, "lifetime")
	})
}

// Nothing leaves for WriteStallTimeout: the end. As long as something does, however
// little, the connection lives.
func TestWriteStall(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		l := quietLimits()
		stall := aliveWithin()
		l.WriteStallTimeout = stall
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: l})
		f := dialForeign(t, s, 0)
		c := d.conn()
		for range 600 {
			_ = c.SendBinary(make([]byte, 50_000))
		}
		for range 10 { // enough at a time for the kernel to report room
			time.Sleep(stall / 8)
			for range 20 {
				f.next()
			}
		}
		if c.ReadyState() != Open {
			t.Fatal("a slow reader was cut off:", (<-d.closed).Err)
		}
		stopped := time.Now()
		e := d.end()
		var ce *CloseError
		isAll(t, e.Err, ErrSlowConsumer)
		if took := time.Since(stopped); e.Code != 1006 || !errors.As(e.Err, &ce) || ce.Code != 1013 || took < stall/2 {
			t.Errorf("%+v after %v", e, took)
		}
		onlyOnce(t, s, "write-stall")
	})
}

// While we do not read, the peer's silence is our doing: idle and pong clocks stop, and
// begin anew when reading goes on.
func TestPausedClocks(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]struct {
		after  time.Duration
		limits func(l *Limits)
		begins func(f *foreign)
	}{
		"idle": {aliveWithin() / 2, func(l *Limits) { l.IdleTimeout = aliveWithin() / 2 },
			func(f *foreign) { f.wantsClose(1001, "idle"); f.closeWith(1001, "") }},
		"ping": {aliveWithin() / 2, func(l *Limits) { l.PingInterval, l.PongTimeout = aliveWithin()/2, 100*time.Millisecond },
			func(f *foreign) { f.wants(ws.OpPing, "") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEveryMode(t, func(t *testing.T, m mode) {
				t.Parallel()
				l := quietLimits()
				k.limits(&l)
				d := newDiary(t)
				s := m.start(t, d.handler(Funcs{Open: func(c *Conn) { c.Pause() }}), Options{Limits: l})
				f := dialForeign(t, s, 0)
				c := d.conn()
				time.Sleep(2 * k.after)
				if c.ReadyState() != Open {
					t.Fatal("a paused connection ended:", (<-d.closed).Err)
				}
				resumed := time.Now()
				c.Resume()
				k.begins(f)
				if took := time.Since(resumed); took < k.after-early {
					t.Error("after", took)
				}
				d.end()
			})
		})
	}
}

// The same for a peer that is not read because it does not read: only the stall clock runs.
func TestClocksAboveHighWater(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		l := quietLimits()
		unit := aliveWithin() / 4
		l.IdleTimeout, l.PingInterval, l.PongTimeout, l.WriteStallTimeout = 2*unit, unit, unit, 4*unit
		d := newDiary(t)
		began := make(chan time.Time, 1)
		s := m.start(t, d.handler(Funcs{Open: func(c *Conn) {
			began <- time.Now()
			for range 200 {
				_ = c.SendBinary(make([]byte, 50_000))
			}
		}}), Options{Limits: l})
		dialForeign(t, s, 4096)
		isAll(t, d.end().Err, ErrSlowConsumer)
		if took := time.Since(<-began); took < 4*unit-early {
			t.Error("after", took)
		}
		onlyOnce(t, s, "write-stall")
	})
}

// A handshake that is not finished, and one that nobody decides, end by HandshakeTimeout.
func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		kept, timeout := make(chan *Upgrade, 1), aliveWithin()
		s := m.start(t, Funcs{
			Upgrade: func(u *Upgrade) { u.Later(); kept <- u },
			Close:   func(*Conn, CloseEvent) { t.Error("OnClose of a connection that never opened") },
		}, Options{HandshakeTimeout: timeout})
		began := time.Now()
		silent, err := connectTo(t, new(net.Dialer), "tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		unfinished, err := connectTo(t, new(net.Dialer), "tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer unfinished.Close()
		if _, err := unfinished.Write([]byte("G")); err != nil {
			t.Fatal(err)
		}
		undecided := rawRequest(t, s, "")
		u := receive(t, kept, "OnUpgrade")
		_ = silent.SetDeadline(time.Now().Add(timeoutOf(10)))
		_ = unfinished.SetDeadline(time.Now().Add(timeoutOf(10)))
		if n, err := silent.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the silent one: %d bytes, %v", n, err)
		}
		for nc, answer := range map[net.Conn]string{unfinished: "HTTP/1.1 408 ", undecided: "HTTP/1.1 503 "} {
			if b := readAll(nc); !strings.HasPrefix(b, answer) || !strings.Contains(b, "\r\nConnection: close\r\n") {
				t.Errorf("%q, want %q", b, answer)
			}
		}
		if took := time.Since(began); took < timeout-early {
			t.Error("after", took)
		}
		settled(t, s)
		if err := u.Accept(); err != ErrClosed {
			t.Error("Accept after the time-out:", err)
		}
		if st := s.Stats(); lateHandshakes(st) != 2 || st.Refusals["decision-timeout"] != 1 || len(st.Refusals) != 2 {
			t.Error("refusals:", st.Refusals, st.TLS.Failed)
		}
	})
}

// Clocks of one connection, set in OnOpen: its own and nobody else's.
func TestClocksOfOneConnection(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		d := newDiary(t)
		var first atomic.Bool
		s := m.start(t, d.handler(Funcs{Open: func(c *Conn) {
			if first.CompareAndSwap(false, true) {
				if err := c.SetLimits(Limits{IdleTimeout: 200 * time.Millisecond}); err != nil {
					t.Error(err)
				}
			}
		}}), Options{Limits: quietLimits()})
		f := dialForeign(t, s, 0)
		d.conn()
		dialForeign(t, s, 0)
		other := d.conn()
		f.wantsClose(1001, "idle")
		f.closeWith(1001, "")
		d.end()
		if other.ReadyState() != Open {
			t.Error("the other one ended with it")
		}
		// And later, from elsewhere, of a connection that is idle already.
		if err := other.SetLimits(Limits{IdleTimeout: 50 * time.Millisecond}); err != nil {
			t.Error(err)
		}
		within(t, timeoutOf(5), "CLOSING", func() bool { return other.ReadyState() != Open })
	})
}
