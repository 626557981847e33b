package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// A rig's client: its actors play servers, and the trial says what the network does.

// newClientRig is a rig of a client.
func newClientRig(s *rig, o ClientOptions) *rig {
	if o.Loops == 0 {
		o.Loops = 1
	}
	o.Logger = slog.New(slog.DiscardHandler)
	h := s.handler(nil)
	h.Upgrade = nil // a server's
	if o.Resolver == nil {
		o.Resolver = simNames(s.resolve)
	}
	c, err := NewClient(h, o)
	if err != nil {
		panic(err)
	}
	s.client = c
	s.simulate(&c.engine)
	s.engine.background = s.background.begin
	s.world.SetNetwork(s.connects)
	return s
}

// begins starts a connection to an address, and makes its actor, whose buffers hold so many bytes each way.
func (s *rig) begins(toEngine, fromEngine int) *actor {
	host := strings.TrimSuffix(netip.AddrPortFrom(simAddr(len(s.actors), 0), 80).String(), ":80")
	return s.dials(toEngine, fromEngine, simAsk{host: host})
}

// dials is begins, of a connection that asks for something.
func (s *rig) dials(toEngine, fromEngine int, ask simAsk) *actor {
	a := &actor{s: s, id: len(s.actors), reads: true, answers: true, rooms: [2]int{toEngine, fromEngine}}
	ask.target = fmt.Sprintf("/%d", a.id)
	ask.url = "ws://" + ask.host + ask.target
	if x := s.engine.conf.deflate; x != nil {
		ask.offer = x.Offer()
	}
	a.ask, a.end, a.scan.to, a.scan.client = &ask, s.world.NewPeer(0, 0), a, true
	s.actors = append(s.actors, a)
	c, err := s.client.Start(ask.url, ask.DialOptions)
	if err != nil {
		s.broke("Start: %v", err)
		s.actors = s.actors[:a.id]
		return a
	}
	a.conn = c
	return a
}

// connects is the network: what comes of an attempt is the actor's to say, or it is connected at once.
func (s *rig) connects(to netio.Target) sim.Route {
	id := idOfAddr(to.Addr.Addr())
	if id >= len(s.actors) {
		s.broke("an attempt to connect to %v", to.Addr)
		return sim.Route{Refuses: syscall.EINVAL}
	}
	a := s.actors[id]
	r := sim.Route{Peer: s.world.NewPeer(a.rooms[0], a.rooms[1])}
	n := len(a.tried)
	if a.routes != nil {
		peer := r.Peer
		r = a.routes(n)
		r.Peer = peer
	}
	k := &tried{end: r.Peer, at: s.world.Clock(), addr: to.Addr.Addr(), refused: r.Refuses != nil}
	a.tried = append(a.tried, k)
	k.end.Tap(func(p []byte) {
		s.wants(a.chosen == nil || a.chosen == k, "sends to two servers")
		a.chosen, a.end = k, k.end
		a.left, a.leftAt = a.left+len(p), s.world.Clock()
	})
	return r
}

// resolve answers for names, "n7.test", with what their actors say.
func (s *rig) resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	id, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "n"), ".test"))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if a := s.actors[id].addrs; a != nil {
		return a, nil
	}
	return nil, errors.New("no such name")
}

// onRequest is an actor's answer, if it gives one.
func (a *actor) onRequest(request string) {
	key, wrong := a.ask.check(request)
	if wrong != nil {
		a.s.broke("%v", wrong)
		return
	}
	a.key = key
	if a.mute {
		return
	}
	k := simAnswer{status: "101 Switching Protocols", upgrade: "websocket", connection: "Upgrade", accept: simAcceptKey(key)}
	if len(a.ask.Protocols) > 0 {
		k.protocol = a.ask.Protocols[0]
	}
	a.pend = append([]byte(k.String()), a.pend...)
}

// neverOpens: OnError and OnClose, and nothing else, with an error that is of a kind.
func (a *actor) neverOpens(why any) {
	s, e := a.s, a.event
	s.wants(len(a.events) == 2 && a.events[0].what == "OnError" && a.events[1].what == "OnClose", "never OPEN: %v", a.events)
	s.wants(e.Code == StatusAbnormalClosure && !e.WasClean && a.conn.ReadyState() == Closed, "%+v in %v", e, a.conn.ReadyState())
	switch want := why.(type) {
	case error:
		s.wants(errors.Is(e.Err, want), "the error is %v, not %v", e.Err, want)
	case string:
		var h *HandshakeError
		s.wants(errors.As(e.Err, &h) && h.Reason == want, "the error is %v, not %q", e.Err, want)
	}
	for _, k := range a.tried {
		s.wants(k.refused || k.end.Left(), "a descriptor is kept")
	}
	connecting := int64(0)
	for _, b := range s.actors {
		if b.ask != nil && len(b.events) == 0 {
			connecting++
		}
	}
	s.wants(s.engine.snapshot().Connecting == connecting, "%d are CONNECTING, not %d", s.engine.snapshot().Connecting, connecting)
}

// header is the header of a frame whose payload the trial makes itself.
func (a *actor) header(op Opcode, n uint64) {
	if a.ask != nil {
		a.pend = codec.AppendHeader(a.pend, op, true, false, n)
	} else {
		a.pend = codec.AppendMaskedHeader(a.pend, op, true, false, n, [4]byte{})
	}
}

// descriptors are those of connections.
func (s *rig) descriptors() int {
	if s.client != nil {
		return s.world.OpenDescriptors()
	}
	return s.world.OpenDescriptors() - 1
}
