package netio

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"
)

// restless wakes its loop every 50 microseconds: it sleeps often, and shortly. each, if any, is called at each wake.
func restless(l *loop, each func()) {
	l.onBareWake = func() {
		if each != nil {
			each()
		}
		l.SetTimer(l.Now() + 50*time.Microsecond)
	}
}

// onProcessors runs f with so many processors (GOMAXPROCS), beside a loop on this machine's sockets.
func onProcessors(t *testing.T, f func(t *testing.T, l *loop)) {
	for _, n := range []int{1, 2} {
		t.Run(map[int]string{1: "one", 2: "two"}[n], func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
			f(t, startLoop(t, nativeRigs()[0]))
		})
	}
}

// late is when somebody starves: the scheduler's own monitor looks every 10 milliseconds at the latest, but
// the machine may be busy.
const late = 2 * time.Second

func sorted(all []time.Duration) (median, worst time.Duration) {
	slices.Sort(all)
	return all[len(all)/2], all[len(all)-1]
}

// What a callback hands to goroutines is done soon, whether or not they work with the loop afterwards.
func TestWhatCallbacksHandOverIsDone(t *testing.T) {
	for _, answers := range []bool{true, false} {
		onProcessors(t, func(t *testing.T, l *loop) {
			untilQuick(t, func() (string, bool) {
				median, worst := handOver(t, l, answers)
				return fmt.Sprintf("answers %v: half of what was handed over waited for %v, the worst %v", answers, median, worst),
					worst <= late && (!answers || median <= 5*time.Millisecond)
			})
		})
	}
}

// untilQuick tries a few times: the machine may be busy, but not each time. What starves does so in each.
func untilQuick(t *testing.T, try func() (what string, quick bool)) {
	t.Helper()
	for tries := 1; ; tries++ {
		what, quick := try()
		if quick {
			return
		}
		if t.Log(what); tries == 5 {
			t.Fatal("in none of the tries was it quick")
		}
	}
}

// handOver has callbacks hand times to a goroutine, which wakes the loop if it answers, and returns how long they waited.
func handOver(t *testing.T, l *loop, answers bool) (median, worst time.Duration) {
	const rounds = 200
	handed := make(chan time.Time, 1)
	var took []time.Duration
	done := make(chan struct{})
	go func() { // a worker: what it does is over when it looks for more
		defer close(done)
		for at := range handed {
			took = append(took, time.Since(at))
			if answers {
				l.Wake()
			}
		}
	}()
	n := 0 // loop
	l.do(func() {
		restless(l, func() {
			select {
			case handed <- time.Now():
				if n++; n == rounds {
					close(handed)
					l.onBareWake = nil
				}
			default:
			}
		})
		l.SetTimer(l.Now())
	})
	await(t, done, "what was handed over")
	return sorted(took)
}

// Timers of the process, a goroutine that never pauses, and one that posts to the loop go on beside a loop that
// sleeps often.
func TestNobodyStarvesBesideALoop(t *testing.T) {
	onProcessors(t, func(t *testing.T, l *loop) {
		untilQuick(t, func() (string, bool) {
			tick, post, woken, n := besideLoop(l)
			return fmt.Sprintf("a timer of 1 ms took %v at most, a post %v, the loop woke %d times, the busy one went round %d times", tick, post, woken, n),
				tick <= late && post <= late && woken >= 10 && n >= 10_000
		})
	})
}

// besideLoop measures for a second: how long a timer of a millisecond and a post took at most, how often the loop woke, and
// how often a goroutine that never pauses went round.
func besideLoop(l *loop) (tick, post time.Duration, woken, n int) {
	wakes := 0 // loop
	l.do(func() {
		restless(l, func() { wakes++ })
		l.SetTimer(l.Now())
	})
	stop := make(chan struct{})
	spun := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				spun <- n
				return
			default:
				n++
			}
		}
	}()
	var ticked, posted []time.Duration
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		began := time.Now()
		time.Sleep(time.Millisecond)
		ticked = append(ticked, time.Since(began))
		began = time.Now()
		l.do(func() { l.SetTimer(l.Now()) }) // this wake may have been the timer's
		posted = append(posted, time.Since(began))
	}
	close(stop)
	n = <-spun
	l.do(func() { l.onBareWake = nil; woken = wakes })
	_, tick = sorted(ticked)
	_, post = sorted(posted)
	return tick, post, woken, n
}
