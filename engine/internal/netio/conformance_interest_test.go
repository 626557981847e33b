package netio

import (
	"testing"
	"time"
)

// TestInterestTransitions goes from each interest to each, with bytes to read and room
// to write: exactly what is watched is reported.
func TestInterestTransitions(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		var seen Event // loop
		l.add(fd, func(ev Event) { seen |= ev })
		wrote := make(chan struct{})
		go func() { peer.Write([]byte("unread")); close(wrote) }()
		await(t, wrote, "the peer's write")
		was := Readable
		step := func(now Interest) {
			t.Helper()
			l.do(func() {
				if err := l.Interest(fd, was, now); err != nil {
					t.Errorf("Interest(%b to %b): %v", was, now, err)
				}
			})
			was = now
			l.do(func() { seen = 0 }) // the turn of the change may have reported what was watched
			var got Event
			for end := time.Now().Add(patience); got != now && time.Now().Before(end); {
				time.Sleep(time.Millisecond / 4)
				l.do(func() { got = seen })
			}
			if now == 0 {
				time.Sleep(time.Millisecond)
			}
			l.do(func() { got = seen })
			if got != now {
				t.Fatalf("watched for %b, reported %b", now, got)
			}
		}
		const none, both = Interest(0), Readable | Writable
		for from := none; from <= both; from++ {
			for to := none; to <= both; to++ {
				step(from)
				step(to)
			}
		}
		l.close(fd)
	})
}

func TestNoInterestIsSilence(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		events := make(chan Event, 1)
		l.add(fd, func(ev Event) { tell(events, ev) })
		l.do(func() {
			if err := l.Interest(fd, Readable, 0); err != nil {
				t.Error(err)
			}
		})
		go func() { peer.Write([]byte("x")); reset(peer) }()
		select {
		case ev := <-events:
			t.Fatalf("event %b without interest", ev)
		case <-time.After(silence):
		}
		l.do(func() {
			if err := l.Interest(fd, 0, Readable); err != nil {
				t.Error(err)
			}
		})
		await(t, events, "what waited")
		l.close(fd)
	})
}

// Two connections become readable in one turn; whichever is told first removes and
// closes the other's number from the poller, and it is not heard of in any later turn.
func TestRemoveInTheSameTurn(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		for range 20 {
			a, peerA := r.pair(t, l)
			b, peerB := r.pair(t, l)
			removed, stale := -1, 0
			told := make(chan struct{}, 1)
			remove := func(self, other int) func(Event) {
				return func(Event) {
					switch removed {
					case -1:
						l.Remove(other)
						removed = other
						l.post(func() { tell(told, struct{}{}) })
					case self:
						stale++
					}
				}
			}
			l.add(a, remove(a, b))
			l.add(b, remove(b, a))
			done := make(chan struct{})
			l.do(func() { // while the loop is busy here, both become ready
				go func() { peerA.Write([]byte("x")); peerB.Write([]byte("x")); close(done) }()
				await(t, done, "the peers' writes")
			})
			await(t, told, "an event")
			before := 0
			l.do(func() { before = stale })
			time.Sleep(2 * time.Millisecond)
			l.do(func() {
				if stale != before || stale > 1 {
					t.Errorf("%d stale events, %d of them in later turns", stale, stale-before)
				}
				l.drop(a)
				l.drop(b)
			})
		}
	})
}
