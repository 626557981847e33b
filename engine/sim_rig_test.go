package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// A rig is a server on a simulated machine that behaves, or nearly so, for one short trial: a few connections, one
// rule, and a director who decides what happens when. A simulation draws everything and has general laws; a trial
// draws only sizes and times, and knows exactly what has to come of them. Workers are the director's too, so trials with
// them can be repeated.
type rig struct {
	rng     *rand.Rand
	world   *sim.World
	server  *Server
	loops   []*loop
	systems []*sim.System
	ended   []bool
	door    int
	actors  []*actor
	blocked bool // the workers are: callbacks wait
	turns   int
	buf     []byte
	law     error
}

// actor is a peer and what the handler was told of its connection.
type actor struct {
	s       *rig
	id      int
	end     *sim.Peer
	conn    *Conn
	upgrade *Upgrade
	scan    wireScanner
	packer  *simDeflater
	pend    []byte // to be written
	reads   bool   // it takes what comes
	answers bool   // pings and Close frames

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

func newRig(r *rand.Rand, o Options, deciding func(*actor)) *rig {
	s := &rig{rng: r, world: sim.New(r.Uint64(), sim.Faults{}), buf: make([]byte, 64<<10)}
	if o.Loops == 0 {
		o.Loops = 1
	}
	o.Logger = slog.New(slog.DiscardHandler)
	server, err := NewServer(s.handler(deciding), o)
	if err != nil {
		panic(err)
	}
	s.server = server
	s.loops, s.systems = simulatedLoops(server, s.world)
	s.ended = make([]bool, len(s.loops))
	if o.Workers > 0 {
		server.workers = new(workers)
	}
	s.door = s.world.Listen()
	s.loops[0].addListener(nil, s.door, len(s.loops) > 1)
	return s
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

// comes is call, a request, and its answer.
func (s *rig) comes(toEngine, fromEngine int) *actor {
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
func (a *actor) say(op Opcode, fin bool, p []byte) {
	var key [4]byte
	binary.NativeEndian.PutUint32(key[:], a.s.rng.Uint32())
	a.pend = codec.AppendMaskedFrame(a.pend, op, fin, false, key, p)
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
		var key [4]byte
		binary.NativeEndian.PutUint32(key[:], a.s.rng.Uint32())
		a.pend = codec.AppendMaskedFrame(a.pend, op, k == 1, rsv1, key, p[:n])
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

// note notes a callback; OnMessage, OnPing and OnPong come in OPEN alone, and nothing after OnClose.
func (a *actor) note(what string, f func(*actor)) {
	s := a.s
	s.wants(!a.inside, "%s inside another callback", what)
	s.wants(!a.was("OnClose") && (what == "OnOpen") == (len(a.events) == 0), "%s after %v", what, a.events)
	a.events = append(a.events, noted{what, s.world.Now()})
	if f != nil {
		f(a)
	}
	switch state := a.conn.ReadyState(); what {
	case "OnError", "OnClose":
		s.wants(state == Closed, "%s in %v", what, state)
	case "OnMessage", "OnPing", "OnPong":
		s.wants(state == Open, "%s in %v", what, state)
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
