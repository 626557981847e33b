package netio

import (
	"net"
	"runtime"
	"testing"
	"time"
)

// Run may be called again by another goroutine when the handler ended the one before (runtime.Goexit):
// nothing is lost that was found, woken or due.

// startMortal is startLoop with a goroutine that is succeeded when it ends.
func startMortal(t testing.TB, r rig) *loop {
	l := &loop{System: r.open(t), t: t, done: make(chan error, 1), events: map[int]func(Event){}}
	var run func()
	run = func() {
		ended := false
		defer func() {
			if !ended {
				go run()
			}
		}()
		err := l.Run(l)
		ended = true
		l.done <- err
	}
	go run()
	t.Cleanup(l.stop)
	return l
}

func forEachMortal(t *testing.T, f func(t *testing.T, r rig, l *loop)) {
	for _, r := range allRigs() {
		t.Run(r.name, func(t *testing.T) { f(t, r, startMortal(t, r)) })
	}
}

// One turn finds many; each one's handler reads a part of what there is and exits.
func TestExitInEvents(t *testing.T) {
	forEachMortal(t, func(t *testing.T, r rig, l *loop) {
		const n, size = 12, 5
		left := make([]int, n) // loop
		ends := make(chan int, n)
		var fds []int
		peers := make([]net.Conn, n)
		for i := range n {
			fd, peer := r.pair(t, l)
			fds, peers[i], left[i] = append(fds, fd), peer, size
		}
		hold, held := make(chan struct{}), make(chan struct{})
		for i, fd := range fds {
			l.add(fd, func(ev Event) {
				k, err := l.Read(fd, make([]byte, 2)) // less than there is: the rest is no new arrival
				if err != nil && err != ErrAgain {
					return
				}
				if left[i] -= k; left[i] == 0 && k > 0 {
					ends <- i
				}
				runtime.Goexit()
			})
		}
		l.post(func() { close(held); <-hold })
		await(t, held, "the loop")
		for _, p := range peers {
			go func() { _, _ = p.Write(make([]byte, size)) }()
		}
		time.Sleep(2 * time.Millisecond)
		served := make(chan struct{})
		l.post(func() { close(served) }) // found behind them
		close(hold)
		await(t, served, "what was posted")
		for range n {
			await(t, ends, "all bytes of each")
		}
		for _, fd := range fds {
			l.close(fd)
		}
	})
}

// A wake's handler exits: what was woken for meanwhile, and the timer, still come.
func TestExitInWakes(t *testing.T) {
	forEachMortal(t, func(t *testing.T, r rig, l *loop) {
		for range 20 {
			exits, served := make(chan struct{}), make(chan struct{})
			l.post(func() {
				l.post(func() { close(served) }) // a wake while OnWake runs
				close(exits)
				runtime.Goexit()
			})
			await(t, exits, "the exit")
			await(t, served, "what was posted meanwhile")
		}
		fired := make(chan struct{}, 16)
		l.do(func() { l.onBareWake = func() { tell(fired, struct{}{}) } })
		for len(fired) > 0 {
			<-fired
		}
		l.post(func() {
			l.SetTimer(l.Now() + 5*time.Millisecond)
			time.Sleep(10 * time.Millisecond) // due, and perhaps found in this very turn
			runtime.Goexit()
		})
		await(t, fired, "the timer, or a wake in its place")
	})
}
