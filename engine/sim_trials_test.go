package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"testing"
	"time"
)

// Trials: one rule each, with sizes and times drawn from a seed. What they say of the engine is what a user can see.

// trial plays one, and returns the law that was broken.
type trial struct {
	name string
	play func(r *rand.Rand) error
}

func trials() (all []trial) {
	for _, some := range [][]trial{limitTrials, clockTrials, openingTrials, closingTrials, pausingTrials, workerTrials, turnTrials, diallingTrials, answerTrials, hearingOnTrials} {
		all = append(all, some...)
	}
	return all
}

// trialSeeds is how often TestSim plays each trial.
const trialSeeds = 40

// late is how much later than asked for a clock may come due: the wheel's resolution, its own, and rounding.
const late = 2*wheelTick + 5*grain

// grain is the resolution of a connection's clocks.
const grain = 10 * time.Millisecond

// TestSimTrials plays each trial alone, so that its name says what is wrong.
func TestSimTrials(t *testing.T) {
	for _, k := range trials() {
		t.Run(k.name, func(t *testing.T) {
			for seed := range uint64(unraced(trialSeeds, 1)) {
				playTrial(t, k, seed)
			}
		})
	}
}

// playTrials plays all of them with one seed.
func playTrials(t *testing.T, seed uint64) {
	t.Helper()
	for _, k := range trials() {
		playTrial(t, k, seed)
	}
}

func playTrial(t *testing.T, k trial, seed uint64) {
	t.Helper()
	defer simWatchdog(fmt.Sprintf("trial %q: seed %d", k.name, seed))()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("trial %q: seed %d: panic: %v\n%s", k.name, seed, r, debug.Stack())
		}
	}()
	if err := k.play(rand.New(rand.NewPCG(seed, 7))); err != nil {
		t.Errorf("trial %q: seed %d: %v", k.name, seed, err)
	}
}

// between is a random duration.
func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

// quietly are limits whose clocks never come due.
func quietly() Limits {
	l := quietLimits()
	l.CloseTimeout = time.Hour
	return l
}

// relimit changes a connection's limits.
func (a *actor) relimit(f func(*Limits)) {
	l := a.conn.limits.Load().Limits
	f(&l)
	if err := a.conn.SetLimits(l); err != nil {
		a.s.broke("SetLimits: %v", err)
	}
	a.s.settle()
}

// sendWays are the ways to send a message.
var sendWays = []struct {
	name string
	send func(c *Conn, p []byte) error
}{
	{"Send", func(c *Conn, p []byte) error { return c.SendBinary(p) }},
	{"SendOwned", func(c *Conn, p []byte) error {
		b := c.loop.engine.pool.Get(len(p))
		b.B = append(b.B, p...)
		return c.SendOwned(OpBinary, b)
	}},
	{"SendPrepared", func(c *Conn, p []byte) error {
		k, err := Prepare(OpBinary, p)
		if err != nil {
			return err
		}
		return c.SendPrepared(k)
	}},
}

// frameBytes is how long a frame of the engine's is with so much payload (RFC 6455 5.2).
func (s *rig) frameBytes(n int) int {
	switch {
	case n < 126:
		return 2 + n + s.keyBytes()
	case n < 1<<16:
		return 4 + n + s.keyBytes()
	}
	return 10 + n + s.keyBytes()
}

// keyBytes is how long the masking key is, if there is one.
func (s *rig) keyBytes() int {
	if s.client != nil {
		return 4
	}
	return 0
}

// fill sends a message so long that exactly left bytes of it stay in the queue, as a peer that reads nothing has no room.
func (a *actor) fill(left int) {
	a.s.settle()
	a.reads = false
	room := a.end.Room()
	if err := a.conn.SendBinary(make([]byte, payloadFor(room+left-a.s.keyBytes()))); err != nil {
		a.s.broke("the first message: %v", err)
	}
	a.s.settle()
}

// payloadFor is the payload of a frame without a key of n bytes; where there is no such frame, of one a little shorter.
func payloadFor(n int) int {
	switch {
	case n < 128:
		return max(n-2, 0)
	case n < 4+1<<16:
		return min(max(n-4, 126), 1<<16-1)
	}
	return max(n-10, 1<<16-1)
}

// has tells whether the peer got exactly these messages.
func (a *actor) has(want ...[]byte) bool {
	got := a.got(OpBinary)
	if len(got) != len(want) {
		return false
	}
	for i := range want {
		if !bytes.Equal(want[i], []byte(got[i].body)) {
			return false
		}
	}
	return true
}

// more sends so many bytes of a payload.
func (a *actor) more(n int) { a.pend = append(a.pend, make([]byte, n)...) }
