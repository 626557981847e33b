package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/sim"
)

var openingTrials = []trial{
	{"decided later", trialLater},
	{"gone before it is decided", trialLaterGone},
	{"a head in pieces", trialHeadInPieces},
	{"over MaxConns", trialMaxConns},
	{"over MaxConnsPerAddress", trialMaxConnsPerAddress},
	{"accept fails for a while", trialAcceptFails},
	{"shutdown", trialShutdown},
	{"shutdown with a decision to come", trialShutdownLater},
}

// Whoever decides, whenever, and whatever happens meanwhile: one answer, OnOpen only behind a 101, and what came behind the
// request is delivered after it.
func trialLater(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly(), HandshakeTimeout: time.Hour, Workers: r.IntN(2)}, func(a *actor) {
		u := a.upgrade
		for range 1 + r.IntN(2) { // once or twice
			u.Later()
		}
		u.SetValue(a)
		a.s.wants(u.SetProtocol("other") != nil && u.SetProtocol("b") == nil && u.AddHeader("X-A", "b") == nil, "the answer's settings")
	})
	a := s.call(64<<10, 64<<10)
	a.knock("Sec-WebSocket-Protocol: a, b\r\nX-Two: 1\r\nX-Two: 2\r\n")
	pipelined := r.IntN(3)
	for i := range pipelined {
		a.message(OpText, fmt.Appendf(nil, "early %d", i), 1+r.IntN(2))
	}
	if s.settle(); r.IntN(2) == 0 {
		s.rough()
	}
	s.pass(between(r, 0, time.Minute))
	for i := range 2 {
		a.message(OpText, fmt.Appendf(nil, "early %d", pipelined+i), 1)
	}
	s.settle()
	u := a.upgrade
	two, first := 0, ""
	for k, v := range u.Headers() {
		if k == "X-Two" {
			two++
		}
		if first == "" {
			first = k + v
		}
	}
	for range u.Headers() {
		break // and nothing after that
	}
	s.wants(u.Target() == "/0" && u.Host() == "sim.test" && two == 2 && first == "Hostsim.test" && len(u.Protocols()) == 2, "the request: %q %d %q", u.Target(), two, first)
	s.wants(a.status == "" && len(a.events) == 0 && s.engine.snapshot().Connecting == 1, "answered %q before anybody decided; %v", a.status, a.events)
	switch r.IntN(4) {
	case 0, 1:
		s.wants(a.upgrade.Accept() == nil && a.upgrade.Accept() == ErrInvalidState && a.upgrade.Refuse(403, "") == ErrInvalidState, "Accept")
		s.settle()
		s.wants(a.status == "101" && a.was("OnOpen") && len(a.messages) == pipelined+2, "%q, %v", a.status, a.events)
		s.wants(a.conn.Value() == a && a.conn.Protocol() == "b" && strings.HasSuffix(a.conn.URL(), "sim.test/0") && u.Target() == "", "what was settled: %q %q", a.conn.Protocol(), a.conn.URL())
		a.conn.SetValue(7)
		s.wants(a.conn.Value() == 7, "SetValue")
		for i, m := range a.messages {
			s.wants(m == fmt.Sprintf("early %d", i), "message %d is %q", i, m)
		}
		a.message(OpText, []byte("then"), 1)
		s.settle()
		s.wants(len(a.messages) == pipelined+3, "what came after OnOpen: %v", a.events)
	case 2:
		s.wants(a.upgrade.Refuse(451, "no") == nil && a.upgrade.Accept() == ErrInvalidState, "Refuse")
		s.settle()
		s.wants(a.status == "451" && a.ended == "end" && len(a.events) == 0 && s.engine.snapshot().Refusals["handler"] == 1, "%q %q %v", a.status, a.ended, a.events)
	case 3:
		_ = a.conn.Close()
		s.wants(a.upgrade.Accept() == ErrClosed, "Accept after Close")
		s.settle()
		s.wants(a.status == "" && a.ended == "reset" && len(a.events) == 0 && a.conn.ReadyState() == Closed, "%q %q %v", a.status, a.ended, a.events)
	}
	s.wants(s.engine.snapshot().Connecting == 0, "%d are CONNECTING", s.engine.snapshot().Connecting)
	return s.finish()
}

// However a request is cut, and whatever comes right behind it: the same answer (RFC 6455 4.2).
func trialHeadInPieces(r *rand.Rand) error {
	o := Options{Limits: quietly(), MaxHandshakeBytes: 512}
	s := newServerRig(r, o, nil)
	a, over := s.call(64<<10, 64<<10), s.call(64<<10, 64<<10)
	a.knock("")
	fits := 512 - len(a.pend) // with so many bytes more it is as long as it may be
	a.pend = nil
	a.knock("X: " + strings.Repeat("y", fits-len("X: \r\n")) + "\r\n")
	over.knock("X: " + strings.Repeat("y", fits-len("X: \r\n")+1) + "\r\n")
	a.message(OpText, []byte("behind"), 1)
	for _, k := range []*actor{a, over} {
		all := k.pend
		for len(all) > 0 {
			n := 1 + r.IntN(len(all))
			k.pend, all = append([]byte{}, all[:n]...), all[n:]
			s.settle()
		}
	}
	s.wants(a.status == "101" && len(a.messages) == 1, "a head of MaxHandshakeBytes: %q %v", a.status, a.events)
	s.wants(over.status == "431" && over.ended == "end" && len(over.events) == 0, "one byte more: %q %q", over.status, over.ended)
	return s.finish()
}

func trialMaxConns(r *rand.Rand) error {
	most := 1 + r.IntN(5)
	s := newServerRig(r, Options{Limits: quietly(), MaxConns: most, Loops: 1 + r.IntN(3)}, nil)
	for range most {
		s.comes(64<<10, 64<<10)
	}
	a := s.call(64<<10, 64<<10)
	s.settle()
	s.wants(a.status == "503" && a.ended == "end" && s.engine.snapshot().Refusals["max-conns"] == 1, "one over MaxConns: %q %q", a.status, a.ended)
	gone := s.actors[r.IntN(most)]
	gone.end.Reset()
	s.settle()
	s.wants(gone.was("OnClose"), "a reset is not noticed")
	s.comes(64<<10, 64<<10)
	return s.finish()
}

func trialMaxConnsPerAddress(r *rand.Rand) error {
	most := 1 + r.IntN(4)
	s := newServerRig(r, Options{Limits: quietly(), MaxConnsPerAddress: most}, nil)
	var same []*actor
	for range most + 1 {
		a := s.call(64<<10, 64<<10)
		a.end.MoveTo(s.actors[0].end.Addr())
		a.knock("")
		same = append(same, a)
	}
	other := s.call(64<<10, 64<<10)
	other.knock("")
	s.settle()
	refused := 0
	for _, a := range same {
		if a.status == "503" && a.ended == "end" {
			refused++
		}
	}
	s.wants(refused == 1 && other.status == "101", "%d of %d of one address are refused, the other got %q", refused, most+1, other.status)
	return s.finish()
}

// Out of descriptors: those that are open never notice, and who waited is served when some are free.
func trialAcceptFails(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly(), Loops: 1 + r.IntN(2)}, nil)
	a := s.comes(64<<10, 64<<10)
	s.world.SetFaults(sim.Faults{NoDescriptors: 1000})
	for range 1 + r.IntN(80) {
		s.call(64<<10, 64<<10).knock("")
	}
	began, turns := s.world.Now(), s.turns
	s.pass(between(r, 10*time.Millisecond, 10*time.Second))
	took := s.world.Now() - began
	s.wants(s.turns-turns <= 20+2*int(took/minAcceptPause), "%d turns in %v: it spins", s.turns-turns, took)
	s.wants(took < 10*time.Second || s.engine.snapshot().AcceptErrors > 3, "%d errors in %v", s.engine.snapshot().AcceptErrors, took)
	a.message(OpText, []byte("x"), 1)
	s.settle()
	s.wants(len(a.messages) == 1, "an open connection notices")
	s.world.SetFaults(sim.Faults{})
	s.pass(maxAcceptPause + grain)
	for _, k := range s.actors {
		s.wants(k.was("OnOpen"), "actor %d of %d is not served", k.id, len(s.actors))
	}
	return s.finish()
}

// Shutdown: what is queued leaves, then 1001; who has not asked yet, and who waits to be accepted, gets a 503 and no reset.
func trialShutdown(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly(), Loops: 1 + r.IntN(2)}, nil)
	var open []*actor
	for range 1 + r.IntN(4) {
		a := s.comes(64<<10, 1000)
		a.fill(r.IntN(60_000))
		open = append(open, a)
	}
	half := s.call(64<<10, 64<<10)
	half.pend = []byte("GET / HT")
	s.settle()
	var waiting []*actor
	for range 1 + r.IntN(100) {
		a := s.call(64<<10, 64<<10)
		a.knock("")
		a.serve()
		waiting = append(waiting, a)
	}
	for _, a := range open {
		a.reads = true
	}
	s.goAway()
	for _, a := range append(waiting, half) {
		s.wants(a.status == "503" && a.ended == "end" || a.status == "101" && a.closeCode() == StatusGoingAway, "actor %d, who waited, got %q and then %q", a.id, a.status, a.ended)
	}
	for _, a := range open {
		s.wants(a.closeCode() == StatusGoingAway && a.event.WasClean && a.event.Code == StatusGoingAway && len(a.got(OpBinary)) == 1 && a.conn.BufferedAmount() == 0,
			"an open one got %d: %+v", a.closeCode(), a.event)
	}
	select {
	case <-s.engine.gone:
	default:
		s.broke("all are gone, and Shutdown does not hear of it")
	}
	s.wants(s.world.Dial(s.door, 1, 1) == nil, "it still listens")
	return s.finish()
}

// What somebody is to decide yet is his to end, and is told 1001 after its 101.
func trialShutdownLater(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly(), HandshakeTimeout: time.Hour}, func(a *actor) { a.upgrade.Later() })
	a := s.call(64<<10, 64<<10)
	a.knock("")
	s.settle()
	s.goAway()
	s.wants(a.status == "" && a.ended == "", "%q %q before it was decided", a.status, a.ended)
	select {
	case <-s.engine.gone:
		s.broke("Shutdown is over with a handshake undecided")
	default:
	}
	if r.IntN(2) == 0 {
		s.wants(a.upgrade.Refuse(403, "no") == nil, "Refuse")
		s.settle()
		s.wants(a.status == "403" && a.ended == "end", "%q %q", a.status, a.ended)
		return s.finish()
	}
	s.wants(a.upgrade.Accept() == nil, "Accept")
	s.settle()
	s.wants(a.status == "101" && a.closeCode() == StatusGoingAway && a.event.WasClean, "%q %d %v", a.status, a.closeCode(), a.events)
	return s.finish()
}

// A client that goes while somebody thinks about its request is missed: Accept answers ErrClosed, as its doc says, nothing
// opens, and its place is free.
func trialLaterGone(r *rand.Rand) error {
	s := newServerRig(r, Options{Limits: quietly(), HandshakeTimeout: time.Hour, MaxConns: 1}, func(a *actor) { a.upgrade.Later() })
	a := s.call(64<<10, 64<<10)
	a.knock("")
	if r.IntN(2) == 0 { // its first words do not hide its end
		a.message(OpText, make([]byte, r.IntN(100_000)), 1)
	}
	s.pass(between(r, 0, time.Minute))
	if r.IntN(2) == 0 {
		a.end.Reset()
	} else {
		a.end.Close()
	}
	s.pass(time.Second)
	s.wants(a.upgrade.Accept() == ErrClosed, "Accept when the client has gone")
	s.settle()
	s.wants(len(a.events) == 0 && a.conn.ReadyState() == Closed && s.engine.snapshot().Connecting == 0, "%v, %v", a.events, a.conn.ReadyState())
	b := s.call(64<<10, 64<<10)
	b.knock("")
	s.settle()
	s.wants(b.upgrade != nil && b.upgrade.Accept() == nil, "its place is taken")
	s.settle()
	return s.finish()
}
