package reconnect

import (
	"math/rand/v2"
	"time"
)

// clock is the time, and chance.
type clock struct {
	now      func() time.Time
	newTimer func(f func()) timer // it is stopped; f runs in a goroutine of its own
	random   func(n int64) int64  // from 0 to below n
}

// timer is a *time.Timer of time.AfterFunc. Of several calls of Stop one at most answers true for one Reset.
type timer interface {
	Reset(d time.Duration) bool
	Stop() bool
}

var systemClock = clock{
	now: time.Now,
	newTimer: func(f func()) timer {
		t := time.AfterFunc(longest, f)
		t.Stop()
		return t
	},
	random: rand.Int64N,
}
