package enginetest

import (
	"iter"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// Settle waits until nothing happens any more, in the place of a sleep: what was sent has arrived, the callbacks that it causes have
// returned, on workers too, and what they sent has arrived as well. So a test may then look at what did not happen. It sees what
// goes over the pipes of this server, and its callbacks. A goroutine of the program's own is seen when it sends.
//
// Where a peer is not read (Pause, HighWater, a Raw that does not read) it settles when nothing has moved for a quarter of a second.
func (s *Server) Settle(t testing.TB) {
	t.Helper()
	over := time.Now().Add(patienceOf(t))
	for quiet, since := 0, time.Now(); ; {
		before := s.pipes.moved.Load()
		ran := s.goRound(s.Server.Conns()) && s.goRound(s.client.Conns())
		time.Sleep(200 * time.Microsecond)
		switch {
		case s.pipes.moved.Load() != before || !ran:
			quiet, since = 0, time.Now()
		case s.atRest():
			quiet++
		case time.Since(since) > 250*time.Millisecond:
			return
		}
		if quiet == 5 {
			return
		}
		if time.Now().After(over) {
			t.Fatalf("enginetest: something goes on and on, or a callback does not return. The server: %+v", s.Server.Stats())
		}
	}
}

// atRest tells whether every end that is open waits in Read, and nothing is to be sent.
func (s *Server) atRest() bool {
	p := s.pipes
	return p.idle.Load() >= p.open.Load() && p.writes.Load() == 0 &&
		s.Server.Stats().QueuedBytes == 0 && s.client.Stats().QueuedBytes == 0
}

// goRound has each connection run something in its sequence, behind the callbacks that wait there, and tells whether all did.
func (s *Server) goRound(conns iter.Seq[*engine.Conn]) bool {
	for c := range conns {
		ran := make(chan struct{})
		if c.Post(func(*engine.Conn) { close(ran) }) != nil {
			continue
		}
		select {
		case <-ran:
		case <-time.After(time.Second):
			return c.ReadyState() == engine.Closed // else a callback takes its time
		}
	}
	return true
}
