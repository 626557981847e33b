package engine

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// A clock starts by the act: conn_clocks.go.

// A ping that could not be sent, for somebody held the lock, starts no clock, and is sent when he lets go: issue 7, 13.
func TestPingOwed(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		l := quietLimits()
		l.PingInterval, l.PongTimeout = 150*time.Millisecond, aliveWithin()
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: l})
		f := dialForeign(t, s, 0)
		c := d.conn()
		c.mu.Lock() // as in the middle of a long Send
		time.Sleep(l.PingInterval + l.PongTimeout + 350*time.Millisecond)
		c.unlock()
		for range 3 {
			f.wants(ws.OpPing, "")
			f.send(ws.OpPong, true, "")
		}
		if c.ReadyState() != Open {
			t.Error((<-d.closed).Err)
		}
	})
}

// The next ping does not put off the pong that is late.
func TestPongTimeoutLongerThanInterval(t *testing.T) {
	t.Parallel()
	l := quietLimits()
	l.PingInterval, l.PongTimeout = 100*time.Millisecond, 350*time.Millisecond
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{Limits: l})
	began := time.Now()
	f := dialForeign(t, s, 0)
	f.wants(ws.OpPing, "")
	e := d.end()
	isAll(t, e.Err, ErrPongTimeout)
	if took := time.Since(began); took < l.PingInterval+l.PongTimeout-early || took > timeoutOf(2) {
		t.Error("after", took)
	}
}

// Control frames that came while the peer was not read are not all of one second.
func TestControlRateAfterAPause(t *testing.T) {
	t.Parallel()
	l := quietLimits()
	l.MaxControlRate = 50
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{Limits: l})
	f := dialForeign(t, s, 0)
	c := d.conn()
	c.Pause()
	time.Sleep(20 * time.Millisecond)
	for range 11 { // 40 a second
		f.write(bytes.Repeat(frames(ws.NewPongFrame(nil)), 8))
		time.Sleep(200 * time.Millisecond)
	}
	c.Resume()
	f.send(ws.OpPing, true, "there?")
	f.wants(ws.OpPong, "there?")
	f.write(bytes.Repeat(frames(ws.NewPongFrame(nil)), 200)) // and these are
	f.wantsClose(1008, "")
}

// Who sends a long message while we close may end it before it answers (RFC 6455 5.5.1).
func TestCloseDuringAnUpload(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		l := quietLimits()
		l.CloseTimeout, l.WriteStallTimeout = 200*time.Millisecond, aliveWithin()
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: l})
		f := dialForeign(t, s, 0)
		c := d.conn()
		f.write(frameHead(0x82, 120_000))
		for k := range 12 {
			if k == 1 {
				_ = c.Close()
			}
			f.write(make([]byte, 10_000))
			time.Sleep(100 * time.Millisecond)
		}
		f.wantsClose(1000, "")
		f.closeWith(1000, "")
		if e := d.end(); !e.WasClean {
			t.Errorf("%+v", e)
		}
	})
}

// days is a server on a simulated machine that has run for so long.
type days struct {
	t     *testing.T
	world *sim.World
	loop  *loop
	sys   *sim.System
	door  int
}

func newDays(t *testing.T, up time.Duration, h Handler, o Options) *days {
	t.Helper()
	o.Loops, o.Logger = 1, slog.New(slog.DiscardHandler)
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	w := sim.New(1, sim.Faults{})
	w.Advance(up)
	loops, systems := simulatedLoops(&s.engine, w)
	d := &days{t: t, world: w, loop: loops[0], sys: systems[0].System, door: w.Listen()}
	d.loop.addListener(nil, d.door, false)
	return d
}

// settle turns the loop until it has nothing to do.
func (d *days) settle() {
	for range 1000 {
		if d.sys.Idle() {
			return
		}
		d.sys.Turn(d.loop)
	}
	d.t.Fatal("the loop does not come to rest")
}

// pass lets time pass, with all timers of it.
func (d *days) pass(t time.Duration) {
	d.settle()
	for until := d.world.Now() + t; ; {
		next := until
		if at := d.sys.Timer(); at != 0 && at < until {
			next = max(at, d.world.Now())
		}
		d.world.Advance(next - d.world.Now())
		d.settle()
		if next == until {
			return
		}
	}
}

// dial opens a connection.
func (d *days) dial() *sim.Peer {
	d.t.Helper()
	p := d.world.Dial(d.door, 64<<10, 64<<10)
	_, _ = p.Write([]byte(requestFor("/")))
	d.settle()
	if b := heardBy(p); !bytes.HasPrefix(b, []byte("HTTP/1.1 101")) {
		d.t.Fatalf("%q", b)
	}
	return p
}

// heardBy is all that has come for p.
func heardBy(p *sim.Peer) (all []byte) {
	b := make([]byte, 4<<10)
	for {
		n, err := p.Read(b)
		if all = append(all, b[:n]...); n == 0 || err != nil && err != netio.ErrAgain {
			return all
		}
	}
}

// TestClocksAfterDays: every clock is right however long the machine has run, and however long the connection has been
// open, whether its timers ran meanwhile or the machine slept.
func TestClocksAfterDays(t *testing.T) {
	ups := []int{0, 200, 249, 300, 497, 500, 1000}
	if testing.Short() {
		ups = []int{249, 1000}
	}
	if raceEnabled { // days of a virtual clock on one goroutine
		ups = ups[:1]
	}
	for _, up := range ups {
		for name, meanwhile := range map[string]func(d *days, p *sim.Peer, up time.Duration){
			"open": talks, "asleep": sleeps, "up": nil,
		} {
			for what, act := range map[string]func(*testing.T, *days, *sim.Peer, func() CloseEvent){
				"falls silent": fallsSilent, "pings": pingsSlowly, "lives": livesOn, "stalls": stalls, "closes": closesSlowly,
			} {
				t.Run(fmt.Sprintf("%d days %s, %s", up, name, what), func(t *testing.T) {
					afterDays(t, time.Duration(up)*day, meanwhile, act)
				})
			}
		}
	}
}

const day = 24 * time.Hour

// afterDays lets time pass, before the connection opens unless something happens on it meanwhile.
func afterDays(t *testing.T, up time.Duration, meanwhile func(*days, *sim.Peer, time.Duration), act func(*testing.T, *days, *sim.Peer, func() CloseEvent)) {
	var ended *CloseEvent
	before := up
	if meanwhile != nil {
		before = 0
	}
	d := newDays(t, before, Funcs{
		Message: func(c *Conn, m Message) { _ = c.Send(m.Op, m.Data) },
		Close:   func(_ *Conn, e CloseEvent) { ended = &e },
	}, Options{})
	p := d.dial()
	if meanwhile != nil {
		meanwhile(d, p, up)
	}
	if ended != nil {
		t.Fatalf("ended before: %+v", *ended)
	}
	act(t, d, p, func() CloseEvent {
		if ended == nil {
			t.Error("it does not end")
			return CloseEvent{}
		}
		return *ended
	})
}

// talks says something every hour, and answers pings.
func talks(d *days, p *sim.Peer, up time.Duration) {
	for passed := time.Duration(0); passed < up; passed += time.Hour {
		d.world.Advance(time.Hour)
		_, _ = p.Write(maskedFrame(0x81, []byte("talk")))
		d.settle()
		_ = heardBy(p)
	}
}

// sleeps lets all the time pass at once.
func sleeps(d *days, p *sim.Peer, up time.Duration) {
	d.world.Advance(up)
	_, _ = p.Write(maskedFrame(0x81, []byte("talk")))
	d.settle()
	_ = heardBy(p)
}

// fallsSilent: pinged after 50 s, ended after 30 more.
func fallsSilent(t *testing.T, d *days, p *sim.Peer, ended func() CloseEvent) {
	d.pass(49 * time.Second)
	if b := heardBy(p); len(b) != 0 {
		t.Errorf("early: %q", b)
	}
	d.pass(2 * time.Second)
	if b := heardBy(p); !bytes.Equal(b, []byte{0x89, 0}) {
		t.Errorf("no ping: %q", b)
	}
	d.pass(31 * time.Second)
	if e := ended(); !errors.Is(e.Err, ErrPongTimeout) {
		t.Errorf("%+v", e)
	}
}

// pingsSlowly: a thousand a second are allowed, and ten thousand and one at once are not.
func pingsSlowly(t *testing.T, d *days, p *sim.Peer, ended func() CloseEvent) {
	for range 12 {
		for range 10 {
			_, _ = p.Write(bytes.Repeat(maskedFrame(0x8a, nil), 100))
			d.pass(100 * time.Millisecond)
		}
	}
	for range 21 {
		_, _ = p.Write(bytes.Repeat(maskedFrame(0x8a, nil), 500))
		d.settle()
	}
	if e := ended(); !errors.Is(e.Err, ErrFlood) {
		t.Errorf("%+v", e)
	}
}

// livesOn: MaxLifetime counts from OPEN.
func livesOn(t *testing.T, d *days, p *sim.Peer, _ func() CloseEvent) {
	d.loop.table.each(func(c *Conn) bool {
		l := c.limits.Load().Limits
		l.MaxLifetime = max(d.world.Now()-c.times.opened, 0) + time.Minute
		if l.MaxLifetime > maxTimeout {
			l.MaxLifetime = maxTimeout
		}
		if err := c.SetLimits(l); err != nil {
			t.Error(err)
		}
		return true
	})
	var b []byte
	for range 70 {
		d.pass(time.Second)
		_, _ = p.Write(maskedFrame(0x81, []byte("talk")))
		d.settle()
		b = append(b, heardBy(p)...)
	}
	if !bytes.Contains(b, []byte("maximum lifetime reached")) {
		t.Errorf("%q", b)
	}
}

// stalls: a peer that takes nothing ends after 30 s, one that takes 4 KiB in each does not.
func stalls(t *testing.T, d *days, p *sim.Peer, ended func() CloseEvent) {
	d.loop.table.each(func(c *Conn) bool { _ = c.SendBinary(make([]byte, 900_000)); return true })
	for range 10 {
		d.pass(20 * time.Second)
		_, _ = p.Read(make([]byte, 4<<10))
	}
	open := 0
	d.loop.table.each(func(*Conn) bool { open++; return true })
	if open != 1 {
		t.Errorf("cut off while it reads: %+v", ended())
	}
	for range 100 {
		d.pass(time.Second)
		_, _ = p.Read(make([]byte, 10))
	}
	if e := ended(); !errors.Is(e.Err, ErrSlowConsumer) {
		t.Errorf("%+v", e)
	}
}

// closesSlowly: CloseTimeout counts from when the peer has taken what was queued.
func closesSlowly(t *testing.T, d *days, p *sim.Peer, ended func() CloseEvent) {
	d.loop.table.each(func(c *Conn) bool { _ = c.SendBinary(make([]byte, 300_000)); _ = c.Close(); return true })
	taken := 0
	for k := 0; taken < 300_000; k++ {
		d.pass(8 * time.Second)
		n, err := p.Read(make([]byte, 20_000))
		if taken += n; err != nil || k > 20 {
			t.Fatalf("after %d bytes: %v, %+v", taken, err, ended())
		}
	}
	_ = heardBy(p)
	d.pass(9 * time.Second)
	if _, err := p.Read(make([]byte, 1)); err != netio.ErrAgain {
		t.Errorf("cut off early: %v", err)
	}
	d.pass(12 * time.Second)
	if e := ended(); !errors.Is(e.Err, ErrCloseTimeout) {
		t.Errorf("%+v", e)
	}
}

// A peer whose Close is awaited is looked at every quarter of that time.
func TestClosingIsLookedAtEveryQuarter(t *testing.T) {
	const timeout = 20 * time.Second
	d := newDays(t, time.Minute, Funcs{}, Options{Limits: Limits{CloseTimeout: timeout}})
	d.dial()
	began := d.world.Now()
	d.loop.table.each(func(c *Conn) bool { _ = c.Close(); return true })
	d.pass(2 * wheelTick) // the first look is at once
	for quarter := 1; quarter <= 4; quarter++ {
		at := d.sys.Timer() - began
		if want := time.Duration(quarter) * timeout / 4; at < want-wheelTick || at > want+5*wheelTick {
			t.Fatalf("look %d is due after %v", quarter, at)
		}
		d.pass(d.sys.Timer() - d.world.Now())
	}
}

// A slow peer is looked at four times in the shortest of the clocks that wait for it, of those that are on.
func TestLookEvery(t *testing.T) {
	for _, k := range []struct {
		stall, pong, idle, want time.Duration
	}{
		{40 * time.Second, -1, -1, 10 * time.Second}, {40 * time.Second, 8 * time.Second, 20 * time.Second, 2 * time.Second},
		{40 * time.Second, 20 * time.Second, 4 * time.Second, time.Second}, {-1, -1, -1, defaultLimits.WriteStallTimeout / 4},
		{4, 4, 4, time.Millisecond},
	} {
		l := Limits{WriteStallTimeout: k.stall, PongTimeout: k.pong, IdleTimeout: k.idle}
		if d := l.lookEvery(); d != k.want {
			t.Errorf("%+v: every %v", k, d)
		}
	}
}

// Who waits for a decision is given the time in which nobody looked, where that was longer than absence.
func TestCreditAbsence(t *testing.T) {
	l, c := nullConn(t, Funcs{}, nil)
	for away, want := range map[time.Duration]time.Duration{0: 0, absence: 0, absence + 1: absence + 1, time.Hour: time.Hour} {
		c.times.opened, c.times.read = l.now, l.now-away
		if c.creditAbsence(); c.times.opened != l.now+want || c.times.read != l.now {
			t.Errorf("away %v, credited %v", away, c.times.opened-l.now)
		}
	}
}

// A count of control frames that can go no further stays where it is: it never comes round.
func TestControlCountEnds(t *testing.T) {
	l, c := nullConnWith(t, Funcs{}, Options{Limits: Limits{MaxControlRate: 1 << 30}}, nil)
	c.controls = controls{controlTicks(l.now), 1<<30 - 1}
	for range 3 {
		if !c.countControl() || c.controls.count != 1<<30 {
			t.Fatalf("%+v", c.controls)
		}
	}
}

// A machine that died with nothing but our ping on its way to it is found by PongTimeout; with more on its way,
// by the stall clock, or where that is off by PongTimeout, in the stall clock's default time.
func TestDeadMachine(t *testing.T) {
	for _, k := range []struct {
		name  string
		sends int
		stall time.Duration
		most  time.Duration // from the last message on
		why   error
	}{
		{"ping alone", 0, 0, 82 * time.Second, ErrPongTimeout},
		{"ping alone, no stall clock", 0, -1, 82 * time.Second, ErrPongTimeout},
		{"behind a message", 30_000, 0, 82 * time.Second, ErrSlowConsumer},
		{"behind a queue", 900_000, 0, 40 * time.Second, ErrSlowConsumer},
		{"behind a message, no stall clock", 30_000, -1, 82 * time.Second, ErrPongTimeout},
		{"behind a queue, no stall clock", 900_000, -1, 140 * time.Second, ErrIdleTimeout}, // the ping never leaves
	} {
		t.Run(k.name, func(t *testing.T) {
			var ended *CloseEvent
			d := newDays(t, 0, Funcs{Close: func(_ *Conn, e CloseEvent) { ended = &e }},
				Options{Limits: Limits{WriteStallTimeout: k.stall}})
			d.dial()
			d.loop.table.each(func(c *Conn) bool {
				if k.sends > 0 {
					_ = c.SendBinary(make([]byte, k.sends))
				}
				return true
			})
			d.pass(25 * time.Second)
			if ended != nil {
				t.Fatalf("early: %+v", *ended)
			}
			d.pass(k.most - 25*time.Second)
			if ended == nil || !errors.Is(ended.Err, k.why) {
				t.Errorf("%+v", ended)
			}
		})
	}
}

// MaxClosing bounds what progress may hold up, and only that ends it.
func TestMaxClosing(t *testing.T) {
	var ended *CloseEvent
	d := newDays(t, 0, Funcs{Close: func(_ *Conn, e CloseEvent) { ended = &e }}, Options{MaxClosing: 4 * time.Minute})
	p := d.dial()
	d.loop.table.each(func(c *Conn) bool { _ = c.SendBinary(make([]byte, 900_000)); _ = c.Close(); return true })
	for range 26 {
		d.pass(9 * time.Second)
		_, _ = p.Read(make([]byte, 4<<10))
	}
	if ended != nil {
		t.Fatalf("early: %+v", *ended)
	}
	d.pass(7 * time.Second)
	if ended == nil || !errors.Is(ended.Err, ErrCloseTimeout) || ended.Code != 1006 {
		t.Errorf("%+v", ended)
	}
	for most, want := range map[time.Duration]time.Duration{0: 5 * time.Minute, time.Hour: time.Hour} {
		k, err := Options{Limits: Limits{CloseTimeout: most}}.config()
		if err != nil || k.MaxClosing != want {
			t.Errorf("with a CloseTimeout of %v: %v, %v", most, k.MaxClosing, err)
		}
	}
	for _, bad := range []time.Duration{-1, 201 * day} {
		if _, err := (Options{MaxClosing: bad}).config(); !errors.Is(err, ErrSyntax) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
