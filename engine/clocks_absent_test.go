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

// Who is to decide about an upgrade had no time either while we were away: HandshakeTimeout goes on where it stood.
func TestDecidersHaveTheirTime(t *testing.T) {
	l, _ := nullConnWith(t, Funcs{}, Options{HandshakeTimeout: 10 * time.Second}, nullRequest)
	var u *Upgrade
	l.engine.own.hooks.upgrade = func(asked *Upgrade) { u = asked; u.Later() }
	l.adopt(arrival{fd: 6})
	l.OnEvent(6, netio.Readable)
	l.OnBatchEnd()
	l.sys = quietSystem{l.sys.(*nullSystem)}
	for range 20 { // five seconds
		absent(l, 250*time.Millisecond)
	}
	absent(l, time.Minute)
	if s := u.Conn().ReadyState(); s != Connecting || l.table.get(6) == nil {
		t.Fatal("after a minute away the handshake has ended:", s)
	}
	for range 24 { // six more
		absent(l, 250*time.Millisecond)
	}
	if s := u.Conn().ReadyState(); s != Closed {
		t.Error("a handshake that nobody decides did not end:", s)
	}
	for range 20 { // its answer has lingerTime to be read
		absent(l, 250*time.Millisecond)
	}
	if l.table.get(6) != nil {
		t.Error("a handshake that nobody decides is never buried")
	}
}

// The clock of a ping starts when it leaves, and not when its step began: callbacks before it may have taken long.
func TestPingStartsNow(t *testing.T) {
	l, c := nullConn(t, echoHandler, nil)
	sys := l.sys.(*nullSystem)
	sys.start = sys.start.Add(-time.Minute)
	before := sys.Now()
	c.onPingDue()
	if c.times.pinged < before {
		t.Errorf("the ping left at %v, and its clock starts at %v", before, c.times.pinged)
	}
}

// lastWords is a nullSystem on which a peer has said some things before it went.
type lastWords struct {
	*nullSystem
	said int
}

func (k *lastWords) Read(_ int, p []byte) (int, error) {
	if k.said == 0 {
		return 0, netio.ErrAgain
	}
	k.said--
	return copy(p, k.input), nil
}

// What a peer said before it was lost is heard to its end, though we were away in the middle of it.
func TestHearingGoesOn(t *testing.T) {
	heard := 0
	l, c := nullConnWith(t, Funcs{Message: func(*Conn, Message) { heard++ }}, Options{}, maskedFrame(0x82, []byte("word")))
	sys := &lastWords{l.sys.(*nullSystem), 40}
	l.sys = sys
	c.lose(closing{code: StatusAbnormalClosure, err: &CloseError{StatusAbnormalClosure, ErrAbnormal}})
	l.OnWake()
	for range 40 {
		sys.start = sys.start.Add(-hearTime * 2)
		l.OnWake()
	}
	if heard != 40 {
		t.Errorf("%d of 40 messages were heard", heard)
	}
	sys.start = sys.start.Add(-hearTime * 2)
	for range 3 {
		l.OnWake()
	}
	if c.ReadyState() != Closed {
		t.Error("and then it did not end:", c.ReadyState())
	}
}
