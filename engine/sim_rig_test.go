package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// A rig is a server, or a client, on a simulated machine that behaves, or nearly so, for one short trial: a few connections, one
// rule, and a director who decides what happens when. A simulation draws everything and has general laws; a trial
// draws only sizes and times, and knows exactly what has to come of them. Workers are the director's too, so trials with
// them can be repeated.
type rig struct {
	rng     *rand.Rand
	world   *sim.World
	engine  *engine
	client  *Client // the engine's; nil: it is a server's
	loops   []*loop
	systems []*simPoller
	ended   []bool
	door    int
	actors  []*actor
	blocked bool // the workers are: callbacks wait
	turns   int
	buf     []byte
	law     error

	background simBackground
}

// actor is a peer and what the handler was told of its connection.
type actor struct {
	s       *rig
	id      int
	end     simEnd
	conn    *Conn
	upgrade *Upgrade
	scan    wireScanner
	packer  *simDeflater
	pend    []byte // to be written
	reads   bool   // it takes what comes
	answers bool   // pings and Close frames

	// A server's.
	ask    *simAsk // what it is to be asked; nil: it is a client
	mute   bool    // it does not answer by itself
	key    string  // of the request
	rooms  [2]int
	routes func(attempt int) sim.Route // nil: it is connected at once
	addrs  []netip.Addr                // of its name
	tried  []*tried
	chosen *tried // which of them sends

	left    int           // bytes that left for it
	leftAt  time.Duration // the last of them
	status  string        // of the response
	now     heardOf       // the message that is coming
	heard   []heardOf
	ended   string // "end" or "reset"
	endedAt time.Duration

	events   []noted
	messages []string
	event    CloseEvent
	inside   bool
	on       func(what string) // what the handler does besides
}

// heardOf is a message or control frame that reached the peer.
type heardOf struct {
	op   Opcode
	body string
	at   time.Duration
}

// noted is a callback.
type noted struct {
	what string
	at   time.Duration
}

// rigTurns is in how many turns a trial settles.
const rigTurns = 4000

// newRig is a rig for a trial of what holds for servers' connections and for clients': every other one is a client's.
func newRig(r *rand.Rand, o Options) *rig {
	seed := r.Uint64()
	s := &rig{rng: r, world: sim.New(seed, sim.Faults{}), buf: make([]byte, 64<<10)}
	if seed%2 != 0 {
		return newClientRig(s, clientOptions(o))
	}
	return serverRig(s, o, nil)
}

// newServerRig is a rig for a trial of a server.
func newServerRig(r *rand.Rand, o Options, deciding func(*actor)) *rig {
	return serverRig(&rig{rng: r, world: sim.New(r.Uint64(), sim.Faults{}), buf: make([]byte, 64<<10)}, o, deciding)
}

func serverRig(s *rig, o Options, deciding func(*actor)) *rig {
	if o.Loops == 0 {
		o.Loops = 1
	}
	o.Logger = slog.New(slog.DiscardHandler)
	server, err := NewServer(s.handler(deciding), o)
	if err != nil {
		panic(err)
	}
	s.simulate(&server.engine)
	s.door = s.world.Listen()
	s.loops[0].addListener(nil, s.door, len(s.loops) > 1)
	return s
}

// simulate makes the engine's loops, and takes its workers away.
func (s *rig) simulate(e *engine) {
	s.engine = e
	s.loops, s.systems = simulatedLoops(e, s.world)
	s.ended = make([]bool, len(s.loops))
	if e.conf.Workers > 0 {
		e.workers = new(workers)
	}
}

// rough makes the machine do everything in pieces, without letting time pass.
func (s *rig) rough() *rig {
	s.world.SetFaults(sim.Faults{Partial: 300, Again: 100, LateWake: 100, Spurious: 30})
	return s
}

func (s *rig) broke(format string, args ...any) {
	if s.law == nil {
		s.law = fmt.Errorf("turn %d: "+format, append([]any{s.turns}, args...)...)
	}
}

// wants breaks a law unless it holds.
func (s *rig) wants(holds bool, format string, args ...any) {
	if !holds {
		s.broke(format, args...)
	}
}

// call dials, with buffers of so many bytes each way.
func (s *rig) call(toEngine, fromEngine int) *actor {
	a := &actor{s: s, id: len(s.actors), reads: true, answers: true}
	if a.end = s.world.Dial(s.door, toEngine, fromEngine); a.end == nil {
		return nil
	}
	a.end.Tap(func(p []byte) { a.left, a.leftAt = a.left+len(p), s.world.Clock() })
	a.scan.to = a
	s.actors = append(s.actors, a)
	return a
}

// comes is a connection that is open: call, a request, and its answer; or it begins here.
func (s *rig) comes(toEngine, fromEngine int) *actor {
	if s.client != nil {
		a := s.begins(toEngine, fromEngine)
		s.settle()
		s.wants(a.was("OnOpen"), "a plain answer does not open: %v, %+v", a.events, a.event)
		return a
	}
	a := s.call(toEngine, fromEngine)
	a.knock("")
	s.settle()
	if a.status != "101" || !a.was("OnOpen") {
		s.broke("a plain request was answered %q", a.status)
	}
	return a
}

func (a *actor) knock(lines string) {
	a.pend = append(a.pend, a.request(lines)...)
}

func (a *actor) request(lines string) string {
	return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: sim.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", a.id, lines)
}

// say sends a frame, or part of a message.
func (a *actor) say(op Opcode, fin bool, p []byte) { a.headed(op, fin, false, p) }

// headed sends a frame; a client's is masked.
func (a *actor) headed(op Opcode, fin, rsv1 bool, p []byte) {
	if a.ask != nil {
		a.pend = codec.AppendFrame(a.pend, op, fin, rsv1, p)
		return
	}
	var key [4]byte
	binary.NativeEndian.PutUint32(key[:], a.s.rng.Uint32())
	a.pend = codec.AppendMaskedFrame(a.pend, op, fin, rsv1, key, p)
}

// message sends a whole message in so many frames, compressed if that was agreed on.
func (a *actor) message(op Opcode, p []byte, frames int) {
	rsv1 := false
	if a.packer != nil {
		p, rsv1 = a.packer.message(p), true
	}
	for k := frames; k > 0; k-- {
		n := len(p)
		if k > 1 {
			n = a.s.rng.IntN(len(p) + 1)
		}
		a.headed(op, k == 1, rsv1, p[:n])
		op, rsv1, p = codec.OpContinuation, false, p[n:]
	}
}

func (a *actor) closes(code int) { a.say(OpClose, true, codec.AppendCloseBody(nil, code, "")) }

// serve writes and reads what there is, and reports whether that was anything.
func (a *actor) serve() (busy bool) {
	for len(a.pend) > 0 && a.ended == "" {
		n, err := a.end.Write(a.pend)
		if a.pend = a.pend[n:]; err != nil {
			a.pend = nil
		}
		if n == 0 {
			break
		}
		busy = true
	}
	for a.reads && a.take(64<<10) {
		busy = true
	}
	return busy
}

// take reads up to n bytes.
func (a *actor) take(n int) bool {
	if a.ended != "" {
		return false
	}
	buf := a.s.buf[:min(n, len(a.s.buf))]
	n, err := a.end.Read(buf)
	switch {
	case n > 0:
		a.scan.feed(buf[:n])
		return true
	case errors.Is(err, sim.ErrReset):
		a.ends("reset")
		return true
	case err != nil && err.Error() == "EOF":
		a.ends("end")
		return true
	}
	return false
}

func (a *actor) ends(how string) {
	a.ended, a.endedAt, a.pend = how, a.s.world.Now(), nil
	a.end.Close()
}

func (a *actor) onHead(head string) {
	if a.ask != nil {
		a.onRequest(head)
		return
	}
	a.status = head[9:12]
	if a.scan.agreed != nil {
		a.packer = newSimDeflater(a.s.rng, a.scan.agreed)
	}
}

func (a *actor) onIllegal(what string) { a.s.broke("the wire shows %s", what) }

func (a *actor) onFrame(op Opcode, _, _ bool, _ uint64) {
	if op != codec.OpContinuation {
		a.now = heardOf{op: op}
	}
}

func (a *actor) onData(p []byte) { a.now.body += string(p) }

func (a *actor) onMessageEnd() {
	a.now.at = a.s.world.Now()
	a.heard = append(a.heard, a.now)
}

func (a *actor) onControl(op Opcode, p []byte) {
	a.heard = append(a.heard, heardOf{op, string(p), a.s.world.Now()})
	switch {
	case !a.answers:
	case op == OpPing:
		a.say(OpPong, true, p)
	case op == OpClose:
		a.say(OpClose, true, p[:min(len(p), 2)])
	}
}

// got are the frames of one opcode that the peer has.
func (a *actor) got(op Opcode) (all []heardOf) {
	for _, h := range a.heard {
		if h.op == op {
			all = append(all, h)
		}
	}
	return all
}

// closeCode is what our Close frame said; 0: none came.
func (a *actor) closeCode() int {
	all := a.got(OpClose)
	switch {
	case len(all) == 0:
		return 0
	case len(all[0].body) < 2:
		return StatusNoStatusRcvd
	}
	return int(all[0].body[0])<<8 | int(all[0].body[1])
}

func (s *rig) handler(deciding func(*actor)) Funcs {
	note := func(what string) func(*Conn) { return func(c *Conn) { s.of(c).note(what, nil) } }
	return Funcs{
		Upgrade: func(u *Upgrade) {
			id, _ := strconv.Atoi(strings.TrimPrefix(u.Target(), "/"))
			a := s.actors[id]
			a.conn, a.upgrade = u.Conn(), u
			if deciding != nil {
				deciding(a)
			}
		},
		Open:      note("OnOpen"),
		HighWater: note("OnHighWater"),
		Drain:     note("OnDrain"),
		Message: func(c *Conn, m Message) {
			s.of(c).note("OnMessage", func(a *actor) { a.messages = append(a.messages, string(m.Data)) })
		},
		Ping:  func(c *Conn, p []byte) { s.of(c).note("OnPing", nil) },
		Pong:  func(c *Conn, p []byte) { s.of(c).note("OnPong", nil) },
		Error: func(c *Conn, err error) { s.of(c).note("OnError", nil) },
		Close: func(c *Conn, e CloseEvent) { s.of(c).note("OnClose", func(a *actor) { a.event = e }) },
	}
}

func (s *rig) of(c *Conn) *actor {
	for _, a := range s.actors {
		if a.conn == c {
			return a
		}
	}
	panic("a callback of a connection that nobody knows")
}

// note notes a callback; OnMessage, OnPing and OnPong come in OPEN alone, or after CloseWrite, and nothing after OnClose.
func (a *actor) note(what string, f func(*actor)) {
	s := a.s
	s.wants(!a.inside, "%s inside another callback", what)
	first := what == "OnOpen" || a.ask != nil && what == "OnError"
	s.wants(!a.was("OnClose") && (first || len(a.events) > 0) && (what != "OnOpen" || len(a.events) == 0), "%s after %v", what, a.events)
	a.events = append(a.events, noted{what, s.world.Now()})
	if f != nil {
		f(a)
	}
	switch state := a.conn.ReadyState(); what {
	case "OnError", "OnClose":
		s.wants(state == Closed, "%s in %v", what, state)
	case "OnMessage", "OnPing", "OnPong":
		s.wants(a.conn.hears(), "%s in %v", what, state)
	}
	a.inside = true
	defer func() { a.inside = false }()
	if a.on != nil {
		a.on(what)
	}
}

// was tells whether a callback came, and when is when, the first time.
func (a *actor) was(what string) bool { return a.count(what) > 0 }

func (a *actor) count(what string) (n int) {
	for _, e := range a.events {
		if e.what == what {
			n++
		}
	}
	return n
}

func (a *actor) when(what string) time.Duration {
	for _, e := range a.events {
		if e.what == what {
			return e.at
		}
	}
	return -1
}
