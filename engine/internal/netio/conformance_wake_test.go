package netio

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestWakesAreCoalesced(t *testing.T) {
	forEachRig(t, func(t *testing.T, _ rig, l *loop) {
		for range 100 {
			before, after := 0, 0
			l.do(func() {
				before = l.wakes
				for range 1000 {
					l.Wake()
				}
			})
			time.Sleep(100 * time.Microsecond)
			l.do(func() { after = l.wakes })
			if n := after - before; n < 1 || n > 2 { // the thousand, and do's own
				t.Fatalf("1000 wakes made %d calls", n)
			}
		}
	})
}

func TestNoWakeIsLost(t *testing.T) {
	forEachRig(t, func(t *testing.T, _ rig, l *loop) {
		const senders, each = 8, 2000
		count := 0 // loop
		done := make(chan struct{})
		for range senders {
			go func() {
				for i := range each {
					l.post(func() {
						if count++; count == senders*each {
							close(done)
						}
					})
					if i%64 == 0 {
						runtime.Gosched()
					}
				}
			}()
		}
		await(t, done, "everything posted")
	})
}

// A Wake that races with Release neither blocks nor writes to a descriptor that is gone.
func TestWakeDuringRelease(t *testing.T) {
	for _, r := range allRigs() {
		t.Run(r.name, func(t *testing.T) {
			for range 50 {
				l := startLoop(t, r)
				var wakers sync.WaitGroup
				for range 4 {
					wakers.Go(func() {
						for range 200 {
							l.Wake()
						}
					})
				}
				l.stop()
				wakers.Wait()
			}
		})
	}
}

func TestTimer(t *testing.T) {
	forEachRig(t, func(t *testing.T, _ rig, l *loop) {
		fired := make(chan time.Duration, 16)
		l.do(func() { l.onBareWake = func() { fired <- l.Now() } })
		const hour = time.Hour
		for _, c := range []struct {
			name string
			sets []time.Duration // from now; 0 disarms
		}{
			{"once", []time.Duration{20 * time.Millisecond}},
			{"later", []time.Duration{time.Millisecond, 30 * time.Millisecond}},
			{"sooner", []time.Duration{hour, time.Millisecond}},
			{"again", []time.Duration{hour, 0, 5 * time.Millisecond}},
			{"passed", []time.Duration{-1}},
			{"long passed", []time.Duration{hour, -hour}},
			{"disarmed", []time.Duration{time.Millisecond, 0}},
			{"disarmed twice", []time.Duration{0, 0}},
		} {
			var at time.Duration
			l.do(func() {
				for _, wait := range c.sets {
					if at = 0; wait != 0 {
						at = l.Now() + wait
					}
					l.SetTimer(at)
				}
			})
			if at != 0 {
				if now := await(t, fired, c.name); now < at {
					t.Errorf("%s: fired %v early", c.name, at-now)
				}
			}
			select {
			case <-fired:
				t.Errorf("%s: fired when it should not", c.name)
			case <-time.After(silence):
			}
		}
	})
}

// A timer that is set in the turn that reports its expiry is the new one.
func TestTimerMovedInItsOwnTurn(t *testing.T) {
	forEachRig(t, func(t *testing.T, _ rig, l *loop) {
		fired := make(chan time.Duration, 16)
		var at time.Duration
		l.do(func() {
			l.onBareWake = func() { fired <- l.Now() }
			l.SetTimer(l.Now() + time.Millisecond)
			l.Wake()
			time.Sleep(5 * time.Millisecond) // expires while the loop is busy
			l.post(func() {
				at = l.Now() + 20*time.Millisecond
				l.SetTimer(at)
			})
		})
		now := await(t, fired, "the timer")
		l.do(func() {
			for now < at && len(fired) > 0 { // the first expiry may have come before the move
				now = <-fired
			}
		})
		if now < at {
			if now = await(t, fired, "the moved timer"); now < at {
				t.Errorf("fired %v early", at-now)
			}
		}
	})
}
