package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/cmd/gannet/connect"
)

// endings is what signals do to a run: the first one ends it early, with the whole report; the second one does not wait for answers; the
// third ends the program.
type endings struct {
	second chan struct{} // closed: there was a second signal
	from   chan os.Signal
	done   chan struct{}
	watch  sync.WaitGroup
	status int // of the program, once there was a signal; the watch's until it has ended
}

// afterSecond is how long the report may take after a second signal.
const afterSecond = 5 * time.Second

func watchSignals(early context.CancelFunc, note func(string)) *endings {
	e := &endings{second: make(chan struct{}), from: make(chan os.Signal, 4), done: make(chan struct{})}
	signal.Notify(e.from, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(e.from, syscall.SIGHUP)
	}
	e.watch.Go(func() { e.until(early, note) })
	return e
}

func (e *endings) until(early context.CancelFunc, note func(string)) {
	for n := 0; ; {
		select {
		case <-e.done:
			return
		case s := <-e.from:
			if n > 0 && s == syscall.SIGHUP { // a terminal that goes says so in more than one way
				continue
			}
			switch n++; n {
			case 1:
				e.status = connect.StatusOfSignal(s)
				note("ending early: answers are waited for; again: at once")
				early()
			case 2:
				close(e.second)
				status := e.status
				time.AfterFunc(afterSecond, func() { os.Exit(status) })
			default:
				os.Exit(e.status)
			}
		}
	}
}

// stop lets signals be what they were, and answers the program's status if there was one.
func (e *endings) stop() (status int) {
	signal.Stop(e.from)
	close(e.done)
	e.watch.Wait()
	return e.status
}
