package engine

import (
	"testing"
	"time"
)

// How long a test waits. A machine that is busy with other things stops a process for seconds at a time, and the race detector
// makes everything ten times slower. So no test passes or fails by how quick it was, unless that is what it is about; then it
// takes the middle of many, or the best of a few tries.

// slowness is by how much longer than on a quiet machine things may take.
func slowness() time.Duration {
	if raceEnabled {
		return 12
	}
	return 4
}

// timeoutOf is how long a test waits for what takes so many seconds at worst where nobody disturbs. Nothing is lost by waiting
// longer, for only a test that fails waits so long.
func timeoutOf(seconds int) time.Duration {
	return slowness() * time.Duration(seconds) * time.Second
}

// aliveWithin is a time-out of the engine's for a peer that is meant to be well, and does what it has to at once: it must be
// longer than a busy machine may keep the two apart. Tests that use it take as long, so they run in parallel.
func aliveWithin() time.Duration {
	return slowness() * 500 * time.Millisecond
}

// within waits until a condition holds.
func within(t testing.TB, d time.Duration, what string, holds func() bool) {
	t.Helper()
	if !eventually(d, holds) {
		t.Fatalf("not within %v: %s", d, what)
	}
}

// eventually waits until a condition holds and reports whether it did.
func eventually(d time.Duration, holds func() bool) bool {
	for end := time.Now().Add(d); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// receive takes a value from a channel, or fails.
func receive[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(timeoutOf(5)):
		t.Fatal("never came:", what)
	}
	return v
}
