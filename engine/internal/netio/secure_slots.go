package netio

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// mostQueued is how many handshakes of a server may wait to begin, five seconds' work for one processor; then the oldest is shed: its peer
	// has waited longest, and may have gone. A client's are as many as its user has asked for.
	mostQueued = 16 << 10
	// slotPatience is for how long all slots may be busy with the same handshakes while others wait. A callback of the
	// tls.Config that waits for something (an ACME server, a certificate's status) takes a slot and no processor; then others get one more.
	slotPatience = 50 * time.Millisecond
	// mostSlots is how many there are then at most.
	mostSlots = 64
)

// Handshakes are the TLS handshakes of an engine's loops: the processors that they may use together, and how they ended. A
// handshake takes a slot while it computes, not while it waits for its peer.
type Handshakes struct {
	Counts HandshakeCounts

	start    func(func())
	patience time.Duration // slotPatience, but for tests

	mu      sync.Mutex
	slots   int
	running int
	steps   uint64      // that were made
	fresh   shakeQueue  // those that have not begun
	begun   shakeQueue  // those that go on: they come first, so that what was spent on them is not lost
	queued  int         // in fresh
	timer   *time.Timer // nil: not set
	seen    uint64      // steps, when it was set
}

// HandshakeCounts are how many handshakes ended how. Anybody may read them.
type HandshakeCounts struct {
	Done    atomic.Uint64                   // those that succeeded
	Resumed atomic.Uint64                   // of these, those that resumed a session
	Failed  [HandshakeReasons]atomic.Uint64 // those that failed, by reason
}

// NewHandshakes lets at most so many handshakes compute at a time, at least one. start begins a goroutine that computes; one that
// calls its argument instead has every step of a handshake done by the loop, in the order in which bytes arrive: the simulator's.
func NewHandshakes(slots int, start func(func())) *Handshakes {
	return &Handshakes{slots: max(slots, 1), start: start, patience: slotPatience}
}

// submit puts a handshake that can go on into the queue.
func (s *Handshakes) submit(h *shake, fresh bool) {
	s.mu.Lock()
	var over *shake
	if fresh {
		if s.queued == mostQueued && !h.of.client {
			over = s.fresh.pop()
			s.queued--
		}
		s.fresh.push(h)
		s.queued++
	} else {
		s.begun.push(h)
	}
	begins := s.running < s.slots
	if begins {
		s.running++
	} else {
		s.watchLocked()
	}
	s.mu.Unlock()
	if over != nil {
		over.shed()
	}
	if begins {
		s.start(s.work)
	}
}

// work is one slot: it makes steps until nobody waits.
func (s *Handshakes) work() {
	for h := s.take(0); h != nil; {
		began := time.Now()
		if h.step() {
			s.mu.Lock()
			s.begun.push(h)
			s.mu.Unlock()
		}
		runtime.Gosched() // the loops come first
		h = s.take(time.Since(began))
	}
}

// take is the next handshake; nil ends the slot, which took so long for the last one.
func (s *Handshakes) take(took time.Duration) *shake {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps++
	if s.running > s.slots && took > s.patience { // another goroutine has this one's slot
		s.running--
		return nil
	}
	h := s.begun.pop()
	if h == nil {
		if h = s.fresh.pop(); h == nil {
			s.running--
			return nil
		}
		s.queued--
	}
	return h
}

// watchLocked looks after a while whether the slots get on.
func (s *Handshakes) watchLocked() {
	if s.timer == nil {
		s.seen = s.steps
		s.timer = time.AfterFunc(s.patience, s.look)
	}
}

// look gives those that wait one more slot if nobody has made a step since the timer was set.
func (s *Handshakes) look() {
	s.mu.Lock()
	s.timer = nil
	waits := s.begun.first != nil || s.fresh.first != nil
	more := waits && s.steps == s.seen && s.running < mostSlots
	if more {
		s.running++
	}
	if waits {
		s.watchLocked()
	}
	s.mu.Unlock()
	if more {
		s.start(s.work)
	}
}

// shakeQueue is a FIFO.
type shakeQueue struct{ first, last *shake }

func (q *shakeQueue) push(h *shake) {
	h.behind = nil
	if q.last == nil {
		q.first = h
	} else {
		q.last.behind = h
	}
	q.last = h
}

func (q *shakeQueue) pop() *shake {
	h := q.first
	if h == nil {
		return nil
	}
	if q.first = h.behind; q.first == nil {
		q.last = nil
	}
	h.behind = nil
	return h
}
