package engine

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestDeflateBudgetHoarders: what was inflated of unfinished messages counts against InboundBudget, as received bytes do,
// and those that hold most are closed (1013).
func TestDeflateBudgetHoarders(t *testing.T) {
	const budget, size = 8 << 20, 1 << 20
	hoarders := max(crowd(60), 20)
	var messages, got, most atomic.Int64
	h, ends := watching(swallowing(&messages, &got))
	s := startServer(t, h, Options{InboundBudget: budget, Deflate: deflateOn()})
	besideInnocent(t, s, func() {
		ends.reset()
		watch, stop := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(watch)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					most.Store(max(most.Load(), s.Stats().InboundBytes))
				}
			}
		}()
		all := make([]*attacker, hoarders)
		for i := range all {
			all[i] = attackDeflate(t, s, fmt.Sprint("/", i), anyDeflate)
			all[i].try(maskedFrame(0x42, unfinished(size))) // 1 KB on the wire
		}
		within(t, timeoutOf(10), "the hoarders in excess are closed", func() bool {
			_, closed := ends.total()
			return closed >= hoarders-budget/(size-reserveBytes)-1
		})
		for i, a := range all {
			a.reset()
			if e := ends.one(t, fmt.Sprint("/", i)); e.Code != 1006 {
				t.Errorf("%+v", e)
			}
		}
		close(stop)
		<-watch
	})
	if st := s.Stats(); st.InboundBytes != 0 || st.Failures[1013] == 0 || most.Load() > 2*budget {
		t.Errorf("%d at the worst, %+v", most.Load(), st)
	}
}

// TestDeflateBudgetWithinOneTurn: bombs that wait together pass the budget by what one step inflates, not by what each of
// them inflates in a turn.
func TestDeflateBudgetWithinOneTurn(t *testing.T) {
	const budget, hoarders = 2 << 20, 40
	var s *Server
	var most atomic.Int64
	hold, held := make(chan struct{}), make(chan struct{})
	h, ends := watching(Funcs{
		Message: func(*Conn, Message) { held <- struct{}{}; <-hold },
		Close:   func(*Conn, CloseEvent) { most.Store(max(most.Load(), s.Stats().InboundBytes)) },
	})
	s = startServer(t, h, Options{InboundBudget: budget, Loops: 1, Deflate: deflateOn()})
	all := make([]*attacker, hoarders)
	for i := range all {
		all[i] = attackDeflate(t, s, fmt.Sprint("/", i), anyDeflate)
	}
	blocker := attackAt(t, s, "/blocker")
	blocker.say(t, string(maskedFrame(0x81, []byte("hold the loop"))))
	<-held
	for _, a := range all { // into the kernel's buffers
		a.say(t, string(maskedFrame(0x42, unfinished(256<<20))))
	}
	close(hold)
	within(t, timeoutOf(20), "all but the last hoarders are closed", func() bool {
		_, closed := ends.total()
		return closed == hoarders
	})
	t.Logf("held %d bytes at the worst, the budget is %d", most.Load(), budget)
	if m := most.Load(); m > budget+slabBytes {
		t.Errorf("held %d bytes at the worst, the budget is %d", m, budget)
	}
}

// TestDeflateMemoryFollowsBytesReceived: 1,000 connections that each begin a compressed message of, as they say, 1 GiB
// and send 10 bytes of it cost less than 64 KiB each, inflaters and windows included.
func TestDeflateMemoryFollowsBytesReceived(t *testing.T) {
	const each = 64 << 10
	conns := crowd(1000)
	var messages, got atomic.Int64
	s := startServer(t, swallowing(&messages, &got), Options{Loops: 2, Deflate: deflateOn()})
	besideInnocent(t, s, func() {
		runtime.GC()
		before, wire := memoryInUse(s), s.Stats().Deflate.WireBytesIn
		all := make([]*attacker, conns)
		for i := range all {
			all[i] = attackDeflate(t, s, "/", anyDeflate)
			all[i].say(t, string(longHead(0x42, 1<<30)), string(masked(append(stored("12345"), stored("")...)[:10])))
		}
		within(t, timeoutOf(10), "all have a message under way", func() bool {
			return s.Stats().Deflate.WireBytesIn >= wire+uint64(10*conns)
		})
		st := s.Stats().Buffers
		runtime.GC()
		grown := (memoryInUse(s) - before) / int64(conns)
		t.Logf("buffers: %d bytes each; memory grew by %d bytes each", st.OutBytes/int64(conns), grown)
		if st.OutBytes/int64(conns) >= 8<<10 || grown >= each {
			t.Errorf("%d bytes of buffers, %d of memory each", st.OutBytes/int64(conns), grown)
		}
		for _, a := range all {
			a.reset()
		}
		within(t, timeoutOf(10), "all are gone", func() bool { return s.Stats().Open <= 1 })
	})
}
