package dom

import (
	"os"
	"sync"
	"time"
)

// deadline ends calls at a time that may be changed while they wait: the channel is another one only after it was closed.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	number int // of the time that was set last: a timer that fires late is not for this one
	done   deadlineContext
	passed bool
}

func (d *deadline) init() { d.done = make(deadlineContext) }

// set moves the deadline; the zero time is none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.number++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	left := time.Until(t)
	if !t.IsZero() && left <= 0 {
		d.passLocked()
		return
	}
	if d.passed {
		d.passed, d.done = false, make(deadlineContext)
	}
	if t.IsZero() {
		return
	}
	number := d.number
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.number == number {
			d.passLocked()
		}
	})
}

func (d *deadline) passLocked() {
	if !d.passed {
		d.passed = true
		close(d.done)
	}
}

// ctx is the deadline as a context, for one call. It is moved with the deadline until it has ended.
func (d *deadline) ctx() deadlineContext {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

// deadlineContext is a context.Context that is over when the channel is closed.
type deadlineContext chan struct{}

// Done implements context.Context.
func (c deadlineContext) Done() <-chan struct{} { return c }

// Err implements context.Context.
func (c deadlineContext) Err() error {
	select {
	case <-c:
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// Deadline implements context.Context: nobody plans by it.
func (c deadlineContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context.
func (c deadlineContext) Value(any) any { return nil }
