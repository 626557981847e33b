package engine

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// hoard announces a message of total bytes and sends some of it.
func hoard(t *testing.T, s *Server, path string, total, some int) *attacker {
	t.Helper()
	a := attackAt(t, s, path)
	a.say(t, string(frameHead(0x82, uint64(total))), string(make([]byte, some)))
	return a
}

// TestInboundBudgetHoarders: many connections that each hoard an unfinished message of 1 MiB
// pass the budget. Those that hold most are closed (1013), what is held stays at the budget,
// and the innocent is never touched.
func TestInboundBudgetHoarders(t *testing.T) {
	const budget, each = 8 << 20, 1<<20 - 10
	hoarders := max(crowd(60), 20)
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{InboundBudget: budget})
	besideInnocent(t, s, func() {
		ends.reset()
		var most atomic.Int64
		watch := make(chan struct{})
		go func() {
			defer close(watch)
			for s.Stats().Open < 2 {
				time.Sleep(time.Millisecond)
			}
			for s.Stats().Open > 1 {
				most.Store(max(most.Load(), s.Stats().InboundBytes))
				time.Sleep(time.Millisecond)
			}
		}()
		all := make([]*attacker, hoarders)
		for i := range all {
			all[i] = attackAt(t, s, fmt.Sprintf("/%d", i))
		}
		for _, a := range all {
			a.try(append(frameHead(0x82, 1<<20), make([]byte, each)...))
		}
		// At most 8 fit, with 64 KiB outside the budget each.
		within(t, timeoutOf(10), "the hoarders in excess are closed", func() bool {
			_, closed := ends.total()
			return closed >= hoarders-9
		})
		for _, a := range all {
			a.reset()
		}
		<-watch
		for i := range all {
			if e := ends.one(t, fmt.Sprintf("/%d", i)); e.Code != 1006 {
				t.Errorf("%+v", e)
			}
		}
		// Whoever passes the budget may choose somebody of the other loop, and that one has to
		// get a processor first: TestInboundBudgetWithinOneTurn is about what is exact.
		if m := most.Load(); m > 2*budget {
			t.Errorf("held %d bytes at the worst, the budget is %d", m, budget)
		}
	})
	if st := s.Stats(); st.InboundBytes != 0 || st.Causes["inbound-budget"] < uint64(hoarders-9) || st.Failures[1013] < uint64(hoarders-9) {
		t.Errorf("%+v", st)
	}
}

// TestInboundBudgetClosesTheWorst: of those that hold at least half of the most, the one
// that has stood still the longest; not whoever asks, not the small, not who gets on.
func TestInboundBudgetClosesTheWorst(t *testing.T) {
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{InboundBudget: 8 << 20, Loops: 1})
	held := func(n int64) {
		t.Helper()
		within(t, timeoutOf(5), "what was sent is held", func() bool { return s.Stats().InboundBytes == n })
		time.Sleep(10 * time.Millisecond) // the clock goes on between two of them
	}
	const mib, r = 1 << 20, reserveBytes
	small := hoard(t, s, "/small", 8*mib, mib)
	held(mib - r)
	standing := hoard(t, s, "/standing", 8*mib, 2*mib)
	held(3*mib - 2*r)
	busy := hoard(t, s, "/busy", 8*mib, 2*mib)
	held(5*mib - 3*r)
	busy.say(t, string(make([]byte, mib)))
	held(6*mib - 3*r)
	asking := hoard(t, s, "/asking", 8*mib, mib)
	held(7*mib - 4*r)
	asking.say(t, string(make([]byte, 2*mib)))
	standing.expectClose(t, 1013)
	if e := ends.one(t, "/standing"); closeCodeOf(e.Err) != 1013 {
		t.Errorf("%+v", e)
	}
	held(7*mib - 3*r)
	if _, closed := ends.total(); closed != 1 {
		t.Error(closed, "closed, wanted one")
	}
	busy.say(t, string(make([]byte, 2*mib))) // now it is the one that holds most; asking stands still
	asking.expectClose(t, 1013)
	for _, a := range []*attacker{small, busy} {
		a.reset()
	}
	ends.one(t, "/small")
	ends.one(t, "/busy")
	within(t, timeoutOf(5), "nothing is held", func() bool { return s.Stats().InboundBytes == 0 })
}

// TestInboundBudgetCountsWhatWaits: what was read and not yet decoded is held too, and a
// message that is finished, or a connection that goes, gives its share back.
func TestInboundBudgetCountsWhatWaits(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{InboundBudget: 4 << 20})
	r.open()
	payload := make([]byte, 1<<20)
	r.feed(frameHead(0x82, uint64(len(payload))), payload[:900_000])
	if n := r.s.Stats().InboundBytes; n != 900_000-reserveBytes {
		t.Error(n, "bytes charged")
	}
	r.feed(payload[900_000:])
	if n := r.s.Stats().InboundBytes; n != 0 {
		t.Error(n, "bytes charged for a message that was delivered")
	}
	r.feed(maskedFrame(0x02, payload))
	r.end()
}

// TestInboundBudgetOneAlone: a single message over the budget is its holder's end.
func TestInboundBudgetOneAlone(t *testing.T) {
	r := newTapeRig(t, Funcs{Message: func(*Conn, Message) { t.Error("delivered") }}, Options{InboundBudget: 1 << 20})
	r.open()
	r.feed(frameHead(0x82, 2<<20))
	for range 4 {
		r.feed(make([]byte, 400_000))
	}
	if code := r.closeCode(); code != 1013 {
		t.Error("Close", code)
	}
	if st := r.s.Stats(); st.InboundBytes != 0 || st.Buffers.LargeOut != 0 {
		t.Errorf("%+v", st)
	}
	r.end()
}

// TestInboundBudgetWithinOneTurn: what is over the budget is given back before the loop
// turns to the next connection, however many have something to read at once.
func TestInboundBudgetWithinOneTurn(t *testing.T) {
	const budget, hoarders = 2 << 20, 40
	var s *Server
	var most atomic.Int64
	hold, held := make(chan struct{}), make(chan struct{})
	h, ends := watching(Funcs{
		Message: func(*Conn, Message) { held <- struct{}{}; <-hold },
		Close:   func(*Conn, CloseEvent) { most.Store(max(most.Load(), s.Stats().InboundBytes)) },
	})
	s = startServer(t, h, Options{InboundBudget: budget, Loops: 1})
	all := make([]*attacker, hoarders)
	for i := range all {
		all[i] = attackAt(t, s, fmt.Sprintf("/%d", i))
	}
	blocker := attackAt(t, s, "/blocker")
	blocker.say(t, string(maskedFrame(0x81, []byte("hold the loop"))))
	<-held
	for _, a := range all { // into the kernel's buffers
		a.say(t, string(frameHead(0x82, 1<<30)), string(make([]byte, 300_000)))
	}
	close(hold)
	within(t, timeoutOf(10), "the hoarders in excess are closed", func() bool {
		_, closed := ends.total()
		return closed >= hoarders-budget/(300_000-reserveBytes)-1
	})
	if m := most.Load(); m > budget+slabBytes {
		t.Errorf("held %d bytes at the worst, the budget is %d", m, budget)
	}
}
