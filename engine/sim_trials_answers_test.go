package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// Connections that begin here: answers right and wrong, and each way to end before OPEN.

var answerTrials = []trial{
	{"an answer in pieces", trialAnswerInPieces},
	{"a wrong answer", trialWrongAnswer},
	{"no answer in time", trialNoAnswer},
	{"the server goes before OPEN", trialServerGoes},
	{"given up before OPEN", trialGivenUp},
	{"given up, and then named", trialNamedLate},
	{"a client's shutdown", trialClientShutdown},
	{"begun when the client ends", trialBegunLate},
	{"at MaxConns", trialClientMaxConns},
	{"keys", trialKeys},
}

// However an answer is cut, and whatever comes right behind it: OnOpen, then the messages (RFC 6455 4.1).
func trialAnswerInPieces(r *rand.Rand) error {
	s, a := dialRig(r, ClientOptions{Workers: r.IntN(2)}, families(1, 0), nil)
	ask := simAsk{}
	ask.Protocols = []string{"a", "b"}
	b := s.named(ask, []netip.Addr{simAddr(1, 0)}, nil)
	a.mute, b.mute = true, true
	s.settle()
	for _, k := range []*actor{a, b} {
		answer := rightAnswer(r, k.ask, k.key)
		k.pend = []byte(answer.String())
		for i := range 3 {
			k.message(OpText, fmt.Appendf(nil, "early %d", i), 1+r.IntN(2))
		}
		all := k.pend
		for len(all) > 0 {
			n := 1 + r.IntN(len(all))
			k.pend, all = append([]byte{}, all[:n]...), all[n:]
			s.settle()
		}
		s.wants(k.was("OnOpen") && len(k.messages) == 3 && k.events[0].what == "OnOpen", "%v", k.events)
		for i, m := range k.messages {
			s.wants(m == fmt.Sprintf("early %d", i), "message %d is %q", i, m)
		}
		s.wants(k.conn.Protocol() == answer.protocol && k.conn.URL() == k.ask.url, "agreed on %q, %s", k.conn.Protocol(), k.conn.URL())
		s.wants(k.conn.SendText("hello") == nil, "Send")
		s.settle()
		s.wants(len(k.got(OpText)) == 1 && k.got(OpText)[0].body == "hello", "%v", k.heard)
	}
	return s.finish()
}

// Whatever is wrong with an answer, wherever it is cut, has its name; nothing opens, and what comes behind it is nobody's.
func trialWrongAnswer(r *rand.Rand) error {
	for i := range answerFaults {
		f := &answerFaults[i]
		s, a := dialRig(r, ClientOptions{Workers: r.IntN(2)}, families(1, 0), nil)
		ask := simAsk{}
		ask.Protocols = []string{"chat"}
		b := s.named(ask, []netip.Addr{simAddr(1, 0)}, nil)
		a.mute, b.mute = true, true
		for _, k := range []*actor{a, b} {
			if f.when != nil && !f.when(k.ask) {
				_ = k.conn.Close()
				continue
			}
			s.settle()
			k.pend = []byte(f.answer(r, k.ask, k.key))
			k.message(OpText, []byte("behind"), 1)
			if all := k.pend; r.IntN(2) == 0 {
				n := r.IntN(len(all))
				k.pend = append([]byte{}, all[:n]...)
				s.settle()
				k.pend = append(k.pend, all[n:]...)
			}
			s.settle()
			k.neverOpens(f.reason)
			s.wants(s.engine.snapshot().DialsFailed[f.reason] > 0, "%s is not counted", f.reason)
		}
		if err := s.finish(); err != nil {
			return fmt.Errorf("fault %d, %s: %w", i, f.reason, err)
		}
	}
	return nil
}

// A server that says nothing, or a byte now and then, has HandshakeTimeout for its answer.
func trialNoAnswer(r *rand.Rand) error {
	timeout := between(r, 200*time.Millisecond, 20*time.Second)
	s, a := dialRig(r, ClientOptions{HandshakeTimeout: timeout}, families(1, 0), func(int) sim.Route { return sim.Route{After: 100 * time.Millisecond} })
	a.mute = true
	began := s.world.Now() + 100*time.Millisecond
	s.pass(100 * time.Millisecond)
	s.wants(a.key != "", "no request")
	answer := rightAnswer(r, a.ask, a.key)
	head := []byte(answer.String())
	for s.law == nil && r.IntN(8) != 0 && s.world.Now() < began+timeout*3/4 {
		n := 1 + r.IntN(4)
		a.pend, head = append(a.pend, head[:n]...), head[n:]
		s.pass(between(r, 0, timeout/8))
	}
	s.pass(began + timeout - early - s.world.Now())
	s.wants(len(a.events) == 0, "too early: %v", a.events)
	s.pass(early + late)
	a.cameBetween("OnClose", began, timeout, timeout)
	a.neverOpens("timeout")
	return s.finish()
}

// A server that ends before it has answered, at any moment and in any way, is a failed attempt.
func trialServerGoes(r *rand.Rand) error {
	s, a := dialRig(r, ClientOptions{Workers: r.IntN(2)}, families(1, 0), func(int) sim.Route { return sim.Route{After: 50 * time.Millisecond} })
	a.mute = true
	early := r.IntN(3) == 0 // it takes the connection, and is gone before it is asked
	if early {
		s.turnAll()
		s.background.run()
		s.turnAll()
	} else {
		s.pass(100 * time.Millisecond)
		answer := rightAnswer(r, a.ask, a.key)
		head := answer.String()
		a.pend = append(a.pend, head[:r.IntN(len(head))]...)
		a.serve()
	}
	end := a.end
	if early && len(a.tried) > 0 {
		end = a.tried[0].end
	}
	how := r.IntN(3)
	switch how {
	case 0:
		end.Reset()
	case 1:
		end.Close()
	case 2:
		end.CloseWrite()
	}
	s.pass(time.Second)
	s.wants(len(a.events) == 2, "%v", a.events)
	a.neverOpens(nil)
	return s.finish()
}

// dialStages are how far an attempt has come.
var dialStages = []string{"begun", "resolving", "connecting", "side by side", "answering", "in the answer"}

// stage brings an attempt so far.
func (a *actor) stage(name string) {
	s := a.s
	a.mute = true
	switch name {
	case "begun":
	case "resolving":
		s.turnAll()
	case "connecting":
		a.routes = func(int) sim.Route { return silent }
		s.settle()
		s.wants(len(a.tried) == 1, "%d attempts", len(a.tried))
	case "side by side":
		a.routes = func(int) sim.Route { return silent }
		s.pass(2*connectStagger + 2*late)
		s.wants(len(a.tried) == 3, "%d attempts", len(a.tried))
	case "answering":
		s.settle()
		s.wants(a.key != "", "no request")
	case "in the answer":
		s.settle()
		a.pend = []byte("HTTP/1.1 101 Switch")
		s.settle()
	}
}

// Close, CloseWith, Terminate, and the end of a context of Dial's: OnError and OnClose come after it has returned, nothing opens
// whatever comes then, and the server sees a reset.
func trialGivenUp(r *rand.Rand) error {
	name := dialStages[r.IntN(len(dialStages))]
	s, a := dialRig(r, ClientOptions{Workers: r.IntN(2)}, families(3, 0), nil)
	a.stage(name)
	c := a.conn
	cause := errors.New("enough")
	how := r.IntN(4)
	[]func(){
		func() { _ = c.Close() }, func() { _ = c.CloseWith(4000, "x") }, c.Terminate, func() { c.giveUp(cause) },
	}[how]()
	s.wants(c.ReadyState() == Closing && len(a.events) == 0, "%s: %v, %v as it returns", name, c.ReadyState(), a.events)
	s.wants(c.SendText("x") == ErrClosed && c.BufferedAmount() == 1 && c.Close() == nil, "Send and Close after that")
	if a.key != "" && r.IntN(2) == 0 { // it comes too late
		answer := rightAnswer(r, a.ask, a.key)
		a.pend = append(a.pend[:0:0], answer.String()...)
		a.serve()
	}
	s.pass(time.Second)
	if how == 3 {
		a.neverOpens(cause)
	} else {
		a.neverOpens(ErrTerminated)
	}
	s.wants(a.chosen == nil || a.ended == "reset", "%s: the server sees %q", name, a.ended)
	s.wants(s.world.OpenDescriptors() == 0, "%s: %d descriptors", name, s.world.OpenDescriptors())
	tried := len(a.tried)
	s.pass(time.Minute)
	s.wants(len(a.tried) == tried, "%s: another address is tried", name)
	return s.finish()
}

// A name that is resolved when nobody wants it any more is nobody's.
func trialNamedLate(r *rand.Rand) error {
	s, a := dialRig(r, ClientOptions{}, families(1, 0), nil)
	s.turnAll()
	late := s.background.waiting
	s.background.waiting = nil
	a.conn.Terminate()
	s.settle()
	a.neverOpens(ErrTerminated)
	for _, f := range late {
		f()
	}
	s.settle()
	s.wants(len(a.tried) == 0 && len(a.events) == 2, "%d attempts, %v", len(a.tried), a.events)
	return s.finish()
}

// Shutdown gives up what is CONNECTING, whatever it waits for, says 1001 to who is OPEN, and is over when all are gone.
func trialClientShutdown(r *rand.Rand) error {
	s, a := dialRig(r, ClientOptions{Workers: r.IntN(2), Loops: 1 + r.IntN(2)}, families(1, 0), nil)
	s.settle()
	var others []*actor
	for _, name := range dialStages {
		id := len(s.actors)
		b := s.named(simAsk{}, []netip.Addr{simAddr(id, 0), simAddr(id, 2), simAddr(id, 4)}, nil)
		b.stage(name)
		others = append(others, b)
	}
	s.goAway()
	s.pass(time.Second)
	s.wants(a.event.Code == StatusGoingAway && a.event.WasClean && a.closeCode() == StatusGoingAway, "who is OPEN: %+v", a.event)
	for i, b := range others {
		s.wants(b.was("OnClose"), "%s: %v", dialStages[i], b.events)
		b.neverOpens(ErrClientClosed)
	}
	select {
	case <-s.engine.gone:
	default:
		s.broke("all are gone, and Shutdown does not hear of it")
	}
	_, err := s.client.Start("ws://10.1.0.0", DialOptions{})
	s.wants(err == ErrClientClosed, "Start after that: %v", err)
	return s.finish()
}

// A connection whose beginning crosses Shutdown, or Close, ends with it.
func trialBegunLate(r *rand.Rand) error {
	s, a := dialRig(r, ClientOptions{}, families(1, 0), func(int) sim.Route { return silent })
	s.settle()
	address := []string{"ws://10.1.0.0/", "ws://n0.test/"}[r.IntN(2)]
	conn, err := s.client.prepare(context.Background(), address, DialOptions{})
	s.wants(err == nil, "%v", err)
	b := &actor{s: s, id: len(s.actors), conn: conn, ask: a.ask, end: s.world.NewPeer(0, 0), addrs: a.addrs}
	s.actors = append(s.actors, b)
	s.goAway() // here, in the middle of Start
	s.wants(conn.begin(), "the loops have ended")
	s.settle()
	b.neverOpens(ErrClientClosed)
	a.neverOpens(ErrClientClosed)
	return s.finish()
}

// MaxConns counts those that are CONNECTING, and each place is given back, however the attempt ends.
func trialClientMaxConns(r *rand.Rand) error {
	most := 1 + r.IntN(3)
	s, a := dialRig(r, ClientOptions{MaxConns: most}, families(3, 0), nil)
	a.stage(dialStages[r.IntN(len(dialStages))])
	some := []*actor{a}
	for round := 0; round < 6 && s.law == nil; round++ {
		for len(some) < most {
			id := len(s.actors)
			b := s.named(simAsk{}, []netip.Addr{simAddr(id, 0), simAddr(id, 2), simAddr(id, 4)}, nil)
			if b.conn == nil {
				return s.law
			}
			b.stage(dialStages[r.IntN(len(dialStages))])
			some = append(some, b)
		}
		_, err := s.client.Start("ws://10.1.0.0", DialOptions{})
		s.wants(err == ErrTooManyConns, "round %d: Start at MaxConns: %v", round, err)
		for _, b := range some {
			switch r.IntN(3) {
			case 0:
				_ = b.conn.Close()
			case 1:
				b.end.Reset()
			}
		}
		s.pass(30 * time.Second)
		some = nil
	}
	return s.finish()
}

// Every connection has a key of its own, every frame a masking key of its own (RFC 6455 4.1, 5.3), and what the caller
// gave is not changed.
func trialKeys(r *rand.Rand) error {
	s, _ := dialRig(r, ClientOptions{}, families(1, 0), nil)
	keys, masks := map[string]bool{}, map[[4]byte]int{}
	for range 20 {
		a := s.begins(64<<10, 64<<10)
		s.settle()
		s.wants(!keys[a.key] && a.key != "", "the key %q again", a.key)
		keys[a.key] = true
		for range 10 {
			way := sendWays[r.IntN(len(sendWays))]
			n := r.IntN(300)
			p := append([]byte{}, materials.binary[:n]...)
			s.wants(way.send(a.conn, p) == nil && string(p) == string(materials.binary[:n]), "%s changes what it was given", way.name)
			s.settle()
			got := a.got(OpBinary)
			s.wants(len(got) > 0 && got[len(got)-1].body == string(p), "%s arrives changed", way.name)
			masks[a.scan.mask.key]++
		}
	}
	s.wants(len(masks) > 195, "%d masking keys of 200 frames", len(masks))
	return s.finish()
}
