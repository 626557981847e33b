//go:build gannetplant

package engine

import (
	"fmt"
	"testing"
)

// plantedTurns is within how many turns a planted bug must be caught.
const plantedTurns = 10_000

var bugNames = [bugs]string{
	bugLostWake: "lost wake", bugLostOwed: "lost owed bit", bugCorkLeak: "cork leak", bugOpenCork: "open cork",
	bugStaleFD: "stale descriptor", bugDoubleClose: "double close", bugLeakQueue: "leaked queue",
	bugLostDrain: "lost drain", bugEarlyDrain: "early drain", bugStaysPaused: "reading stays paused",
	bugQueueFront: "reordered queue", bugSentTwice: "sent twice", bugEarlyAmount: "bufferedAmount too early",
	bugEarlyClose: "Close overtakes the queue", bugIntoWriter: "message inside a message",
	bugLostDeferred: "lost behind a writer", bugTwoPongs: "two pongs", bugLostPong: "lost pong",
	bugLostTail: "lost header tail", bugLostTurn: "lost turn", bugBudgetLeak: "inbound budget leak",
	bugDeliversClosed: "message after Close", bugNoLinger: "no lingering", bugTimerOnce: "timer never set again",
	bugCloseInLong: "Close overtakes a long message", bugForgotClose: "Close lost behind two of them",
	bugLostSlices: "lost slices", bugIntoLong: "message inside a long one", bugLongDrain: "drain ahead of what waits",
	bugPlainHistory: "plain message in the history", bugDropHistory: "dropped message in it", bugUntold: "prepared one not in it",
	bugPreparedOwn: "own compressor passed by", bugNoFlush: "fragment not flushed", bugLeakHistory: "leaked history",
	bugLostAhead: "lost place in a frame", bugWireLimit: "limit on compressed size", bugRestForgets: "window lost at rest",
	bugRestsBusy: "rest inside a message", bugWriterPasses: "writer overtakes a long message", bugWriterLast: "writer behind what is behind it",
	bugFrameEarly: "fragments within one frame", bugFrameLate: "a frame beyond the bound", bugLeakMade: "leaked collection",
}

// TestPlantedBugs: the simulator is worth its laws. Each bug is caught within plantedTurns
// turns, from the first seed on, and says which law it broke.
func TestPlantedBugs(t *testing.T) {
	defer func() { planted = 0 }()
	for b := bug(1); b < bugs; b++ {
		planted = b
		turns, law := huntFor(plantedTurns)
		if law == nil {
			t.Errorf("%s: not caught in %d turns", bugNames[b], turns)
			continue
		}
		t.Logf("%-30s caught after %5d turns: %v", bugNames[b], turns, law)
	}
}

// TestNothingPlanted: the laws that catch the bugs do not catch their absence.
func TestNothingPlanted(t *testing.T) {
	for seed := range uint64(100) {
		simulate(t, seed)
	}
}

// huntFor runs seed after seed until a law is broken, or so many turns are over.
func huntFor(most int) (turns int, law error) {
	for seed := uint64(0); turns < most && law == nil; seed++ {
		var n int
		n, law = hunt(seed, most-turns)
		turns += n
	}
	return turns, law
}

// hunt runs one seed for at most so many turns. A bug may make the engine panic: caught as well.
func hunt(seed uint64, most int) (turns int, law error) {
	defer simWatchdog(fmt.Sprintf("bug %q: seed %d", bugNames[planted], seed))()
	m := newSimulation(seed)
	if planted >= bugCloseInLong && m.server.conf.deflate == nil {
		return 0, nil // a bug of compression is looked for where there is some
	}
	defer func() {
		turns = min(m.turns, most)
		if r := recover(); r != nil {
			law = fmt.Errorf("seed %d, turn %d: panic: %v", seed, m.turns, r)
		}
		if m.turns > most {
			law = nil
		}
	}()
	law = m.run()
	return turns, law
}
