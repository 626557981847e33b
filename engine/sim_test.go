package engine

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// A simulation is a server, or a client, on a machine that exists only in memory (package sim), with peers
// who speak WebSocket, a handler and other goroutines that do random things, and laws that
// are checked after every step. One seed decides everything, on one goroutine, so a run that
// breaks a law can be repeated: GANNET_SIM_SEED=n go test -run TestSim ./engine
// (GANNET_SIM_TRACE=1 shows the system calls; GANNET_SIM_SECONDS=n tries random seeds for so long, GANNET_SIM_TURNS=n
// those from 0 on for so many turns of the loops).
type simulation struct {
	seed    uint64
	rng     *rand.Rand
	world   *sim.World
	engine  *engine
	client  *Client // the engine's; nil: it is a server's
	loops   []*loop
	systems []*simPoller
	ended   []bool
	door    int // a server's listening descriptor
	tls     *simTLS
	tlsDoor int // a server's, over TLS

	background simBackground
	keys       map[string]bool // of requests

	ledgers     []*ledger
	byConn      map[*Conn]*ledger
	holds       []*hold
	late        []*Upgrade
	turns       int
	callbacks   int
	quiet       bool    // the handler and the other goroutines do nothing any more
	nested      bool    // in the middle of something of the engine's
	turning     bool    // a loop is
	working     *ledger // whose callbacks a worker runs right now
	tightBudget bool
	rarelyLong  int // one of so many messages takes several slices, where it is compressed
	tracing     bool
	explores    bool  // other goroutines act at the lock's scheduling points too
	law         error // the first that was broken
}

const (
	// simMaxMessage is the connections' MaxMessageSize, above all that peers send on purpose.
	simMaxMessage = 210 << 10
	// simSteps is how long the storm lasts.
	simSteps = 1500
	// simPeers is the most peers of one run.
	simPeers = 10
	// simCallbacks is more callbacks than any run has.
	simCallbacks = 100_000
	// simSeeds is how many runs TestSim makes: 8 s of them, most of that for compressed messages. The race detector has
	// 40 of them, and TestSimThrong.
	simSeeds = 400
	// simHang is how many seconds one run may take, of a machine that does something else as well; the slowest take one under
	// the race detector.
	simHang = 120
	// settleTurns is in how many turns everything settles once faults stop and peers read: at level 9 a long message is
	// made of slices of 4 KiB, one a turn, and a crowd of them takes turns.
	settleTurns = 4000
)

func newSimulation(seed uint64) *simulation {
	r := rand.New(rand.NewPCG(seed, 6455))
	m := &simulation{seed: seed, rng: r, world: sim.New(seed, sim.Rough()), byConn: map[*Conn]*ledger{}}
	o := Options{
		Loops: 1 + r.IntN(2), Limits: Limits{MaxMessageSize: simMaxMessage}, MaxConns: 6 + r.IntN(20), Logger: slog.New(slog.DiscardHandler),
	}
	randomDeflate(r, &o)
	if r.IntN(4) == 0 {
		o.Workers, o.InboxBytes = 1, 1+r.Int64N([]int64{300, 4 << 10, 64 << 10}[r.IntN(3)])
	}
	m.rarelyLong = []int{5, 40}[r.IntN(2)]
	if k := rand.New(rand.NewPCG(seed, 8446)); k.IntN(3) == 0 { // so that the rest of a seed's run stays as it is
		m.tls = newSimTLS(m.world, k)
		o.TLSConfig = m.tls.server
	}
	if isClients(seed) {
		m.makeClient(o)
	} else {
		m.makeServer(o)
	}
	s := m.engine
	if m.tightBudget = r.IntN(5) == 0; m.tightBudget {
		s.budget.limit = 150 << 10
	}
	own := rand.New(rand.NewPCG(seed, 7692)) // so that the rest of a seed's run stays as it is
	if own.IntN(2) == 0 {
		s.conf.collecting = 1 + own.IntN(2)
	}
	if s.conf.deflate != nil {
		s.conf.frame = []int64{4 << 20, 4 << 20, -1, 1, 2000, 30_000}[own.IntN(6)]
	}
	m.loops, m.systems = simulatedLoops(s, m.world)
	native := m.loops
	if m.tls != nil {
		loops, systems := simulatedSecureLoops(s, m.world, &m.background)
		m.loops, m.systems = append(slices.Clone(native), loops...), append(m.systems, systems...)
	}
	for _, l := range native {
		l.outgoing.Sink = &sealingSink{Sink: l.outgoing.Sink, m: m, loop: l, sealed: map[int32]*sealed{}}
	}
	if o.Workers > 0 {
		s.workers = new(workers) // nobody but work runs them
	}
	m.ended = make([]bool, len(m.loops))
	if m.client == nil {
		m.door = m.world.Listen()
		m.loops[0].addListener(nil, m.door, true)
		if m.tls != nil {
			m.tlsDoor = m.world.Listen()
			s.secure[0].addListener(nil, m.tlsDoor, true)
		}
	}
	m.world.SetPreempt(m.others)
	if m.tracing = os.Getenv("GANNET_SIM_TRACE") != ""; m.tracing {
		m.world.SetTrace(func(s string) { fmt.Fprintln(os.Stderr, m.turns, s) })
	}
	return m
}

func (m *simulation) makeServer(o Options) {
	s, err := NewServer(m.handler(), o)
	if err != nil {
		panic(err)
	}
	m.engine = &s.engine
}

// simulatedLoops is what start does, on simulated pollers.
func simulatedLoops(s *engine, w *sim.World) (loops []*loop, systems []*simPoller) {
	var shared *table
	for range s.conf.Loops {
		sys := w.NewSystem()
		l := s.newLoop(sys, nil, shared)
		shared = l.table
		loops, systems = append(loops, l), append(systems, &simPoller{System: sys, handler: l})
	}
	s.native, s.started = loops, true
	s.publishLoops(loops)
	return loops, systems
}

// broke notes that a law was broken.
func (m *simulation) broke(format string, args ...any) {
	if m.law == nil {
		if m.tracing {
			debug.PrintStack()
		}
		m.law = fmt.Errorf("seed %d, turn %d: "+format, append([]any{m.seed, m.turns}, args...)...)
	}
}

// tell adds what the two ends do to the trace.
func (m *simulation) tell(d *ledger, format string, args ...any) {
	if m.tracing {
		fmt.Fprintf(os.Stderr, "%d connection %d: %s\n", m.turns, d.id, fmt.Sprintf(format, args...))
	}
}

// run is a whole life: storm, calm, a rest in the middle of messages, what comes after it, end. It returns the law that was broken.
func (m *simulation) run() error {
	m.explores = m.explore()
	for range simSteps {
		m.step()
		if m.check(); m.law != nil {
			return m.law
		}
	}
	for _, phase := range []func(){m.calm, m.dawdle, m.patience, m.again, m.finish} {
		if phase(); m.law != nil {
			return m.law
		}
	}
	return nil
}

// step is one thing that happens.
func (m *simulation) step() {
	switch r := m.rng.IntN(100); {
	case r < 40:
		m.turn(m.rng.IntN(len(m.loops)))
	case r < 45:
		if !m.work() {
			m.turn(m.rng.IntN(len(m.loops)))
		}
	case r < 85 && len(m.ledgers) > 0:
		m.ledgers[m.rng.IntN(len(m.ledgers))].peer.step()
	case r < 93:
		m.others()
	case r < 95 && len(m.ledgers) < simPeers:
		m.dial()
	case r < 96 && m.client != nil && len(m.ledgers) > 0 && m.rng.IntN(4) == 0:
		m.meddle()
	case r < 96:
		m.broadcast()
	case r < 99:
		m.world.Advance(time.Duration(m.rng.IntN(int(5 * time.Millisecond))))
	case m.rng.IntN(10) == 0:
		m.world.Advance(time.Duration(m.rng.IntN(int(2 * time.Second))))
	}
}

// turn is one turn of a loop.
func (m *simulation) turn(i int) {
	if m.ended[i] {
		return
	}
	m.turns++
	for _, h := range append([]*hold(nil), m.holds...) {
		if h.turns--; h.turns < 0 {
			m.letGo(h) // unless somebody has meanwhile
		}
	}
	m.turning = true
	defer func() {
		m.turning = false
		for _, d := range m.ledgers {
			if d.conn != nil && d.conn.loop == m.loops[i] {
				d.checkServed()
			}
		}
	}()
	if !m.systems[i].turn() {
		m.loops[i].end()
		close(m.loops[i].done)
		m.ended[i] = true
	}
}

// work is what a worker does next, if there is something: a batch of one connection's callbacks, between which the
// loops may turn. Nobody else has the connection's lock meanwhile, for the worker would wait for it, and that here is for ever.
func (m *simulation) work() bool {
	w := m.engine.workers
	if w == nil || m.nested || m.working != nil || w.waiting() == 0 {
		return false
	}
	k := worker{pool: w}
	k.next()
	m.working = m.byConn[k.conn]
	m.release(m.working)
	k.serve()
	m.working = nil
	return true
}

// meanwhile is what the loops do while a worker's callback runs.
func (m *simulation) meanwhile() {
	for m.working != nil && !m.turning && !m.nested && m.rng.IntN(4) == 0 {
		m.turn(m.rng.IntN(len(m.loops)))
	}
}

// dial has another connection come, or begin.
func (m *simulation) dial() {
	if m.client != nil {
		m.begin()
		return
	}
	rooms := []int{200, 4 << 10, 64 << 10, 256 << 10}
	door := m.door
	if m.tls != nil && m.tls.rng.IntN(4) != 0 {
		door = m.tlsDoor
	}
	raw := m.world.Dial(door, rooms[m.rng.IntN(4)], rooms[m.rng.IntN(4)])
	end := simEnd(raw)
	if door != m.door {
		end = m.tls.calls(raw)
	}
	d := &ledger{m: m, id: len(m.ledgers)}
	d.wire.to = d
	d.peer = newSimPeer(m.rng, end, d.id)
	d.peer.rarelyLong = m.rarelyLong
	end.Tap(d.onWire)
	m.ledgers = append(m.ledgers, d)
}

// hold is another goroutine that is in the middle of a Send: it has the connection's lock.
type hold struct {
	d     *ledger
	turns int
	sent  bool
}

func (m *simulation) holding(d *ledger) bool {
	for _, h := range m.holds {
		if h.d == d {
			return true
		}
	}
	return false
}

// release lets whoever holds d's lock finish, as a goroutine that waits for it would.
func (m *simulation) release(d *ledger) {
	for i := 0; i < len(m.holds); i++ {
		if m.holds[i].d == d {
			m.letGo(m.holds[i])
			i = -1 // others may have come and gone meanwhile
		}
	}
}

// locked tells whether d's lock is taken, by another goroutine or by the engine right now.
func (m *simulation) locked(d *ledger) bool {
	if !d.conn.mu.TryLock() {
		return true
	}
	d.conn.mu.Unlock()
	return false
}

// letGo ends another goroutine's Send.
func (m *simulation) letGo(h *hold) {
	for i, o := range m.holds {
		if o == h {
			m.holds = append(m.holds[:i], m.holds[i+1:]...)
			if !h.sent {
				m.sendHeld(h.d)
			}
			h.d.conn.unlock()
			h.d.watchQueue(0)
			return
		}
	}
}

// sendHeld is the middle of Send.
func (m *simulation) sendHeld(d *ledger) {
	op, p := m.payload(d)
	before := d.conn.ReadyState()
	k := d.accept(digestOf(op, p))
	err := d.conn.sendLocked(&outgoing.Message{Op: op, P: p, Compress: d.conn.compressAs(op, len(p), nil)})
	d.answered(k, err, before)
	d.watchQueue(0)
}

// others is what goroutines other than the loops do, between turns and in the middle of them.
func (m *simulation) others() {
	if m.quiet || m.nested || len(m.ledgers) == 0 {
		return
	}
	m.nested = true
	defer func() { m.nested = false }()
	d := m.ledgers[m.rng.IntN(len(m.ledgers))]
	switch r := m.rng.IntN(10); {
	case r == 0 && len(m.late) > 0 && !m.sealing(m.late[0].conn):
		m.decide()
	case r < 3 && len(m.background.waiting) > 0:
		m.background.run()
	case r < 5 && len(m.holds) > 0:
		if h := m.holds[m.rng.IntN(len(m.holds))]; !m.sealing(h.d.conn) {
			m.letGo(h)
		}
	case d.conn == nil || m.sealing(d.conn) || d.asking > 0 || d == m.working || m.locked(d):
	case r < 8 && d.conn.ReadyState() != Connecting:
		d.conn.mu.Lock()
		h := &hold{d: d, turns: m.rng.IntN(6), sent: m.rng.IntN(2) == 0}
		if h.sent {
			m.sendHeld(d)
		}
		m.holds = append(m.holds, h)
	default:
		m.actOn(d)
	}
}

// atSchedulingPoint: c's lock is about to be tried or was just given up. That is when the
// goroutine that has it, if one has, lets go for choice.
func (m *simulation) atSchedulingPoint(c *Conn) {
	if m.nested {
		return
	}
	if m.rng.IntN(3) != 0 {
		m.world.Elsewhere(m.others)
		return
	}
	m.nested = true
	m.world.Elsewhere(func() { m.release(m.byConn[c]) })
	m.nested = false
}

// decide decides about an upgrade that waits.
func (m *simulation) decide() {
	u := m.late[0]
	m.late = m.late[1:]
	before := u.conn.ReadyState()
	if m.rng.IntN(4) == 0 {
		m.decided(u, before, u.Refuse(401, "no"))
	} else {
		m.decided(u, before, u.Accept())
	}
}

// check looks at what must hold after every step.
func (m *simulation) check() {
	if err := m.world.Breach(); err != nil {
		m.broke("%v", err)
	}
	m.checkBudget()
	for _, d := range m.ledgers {
		d.checkTLS()
		c := d.conn
		if c == nil {
			continue
		}
		d.checkBuffered()
		d.checkReset()
		d.checkTended()
		d.watchQueue(0)
		if c.corked.Load() {
			d.broke("corked although no callback runs")
		}
	}
	m.checkPlaces()
}

// calm: the faults stop, and peers read and finish what they began. All must settle, with
// hardly any time passing.
func (m *simulation) calm() {
	m.world.SetFaults(sim.Faults{})
	for len(m.holds) > 0 {
		m.letGo(m.holds[0])
	}
	m.quiet = true
	for len(m.late) > 0 {
		m.decide()
	}
	for _, d := range m.ledgers {
		d.peer.over = true
		d.peer.end.Widen(256 << 10)
		if d.conn != nil {
			m.endWriter(d)
			d.conn.Resume()
		}
	}
	m.settle()
	for _, d := range m.ledgers { // those whose queue was full
		if d.conn != nil && d.opened && d.writer != nil {
			m.endWriter(d)
		}
	}
	m.settle()
	for _, d := range m.ledgers {
		d.checkSettled()
	}
}

// settle turns everything until nothing is left to do.
func (m *simulation) settle() {
	for range settleTurns {
		busy := m.background.run()
		for _, d := range m.ledgers {
			busy = d.peer.serve() || busy
		}
		busy = m.work() || busy
		for i := range m.loops {
			if !m.ended[i] && !m.systems[i].Idle() {
				busy = true
				m.turn(i)
			}
		}
		if m.check(); !busy || m.law != nil {
			return
		}
	}
	m.broke("nothing is settled after %d turns of calm", settleTurns)
}

// patience lets hours pass: who answers stays, who does not goes.
func (m *simulation) patience() {
	open := map[*ledger]bool{}
	for _, d := range m.ledgers {
		open[d] = d.conn != nil && d.conn.ReadyState() == Open
	}
	until := m.world.Now() + 10*time.Minute
	for m.law == nil && m.world.Now() < until {
		next := until
		if at := m.world.NextAnswer(); at > m.world.Now() {
			next = min(next, at)
		}
		for i, s := range m.systems {
			if t := s.Timer(); t != 0 && !m.ended[i] {
				next = min(next, t)
			}
		}
		m.world.Advance(max(next-m.world.Now(), 0))
		m.settle()
	}
	for _, d := range m.ledgers {
		d.checkPatience(open[d])
	}
}

// finish ends the engine as Shutdown and Close do, and looks for what is left.
func (m *simulation) finish() {
	s := m.engine
	s.beginClosing()
	if m.client == nil {
		m.loops[0].post(task{call: func() { m.loops[0].closeListener(m.door, true, func() {}) }})
		if m.tls != nil {
			l := s.secure[0]
			l.post(task{call: func() { l.closeListener(m.tlsDoor, true, func() {}) }})
		}
	}
	for _, l := range m.loops {
		l.post(task{call: l.goAway})
	}
	m.settle()
	for _, l := range m.loops {
		l.post(task{call: l.terminateAll})
	}
	m.settle()
	for i := range m.loops {
		if !m.ended[i] {
			m.broke("loop %d does not end", i)
			return
		}
	}
	for _, d := range m.ledgers {
		d.peer.serve()
		d.checkEnd()
	}
	m.checkNothingLeft()
}

func (m *simulation) checkNothingLeft() {
	s := m.engine
	st := s.snapshot()
	if st.Buffers.Out != 0 {
		m.broke("%d buffers are still out: %v", st.Buffers.Out, s.pool.Leaks())
	}
	if n := m.world.OpenDescriptors(); n != 0 {
		m.broke("%d descriptors were never closed", n)
	}
	if st.InboundBytes != 0 || len(s.budget.holders) != 0 {
		m.broke("the inbound budget still counts %d bytes of %d connections", st.InboundBytes, len(s.budget.holders))
	}
	if st.Open != 0 || st.Connecting != 0 || s.total != 0 {
		m.broke("open %d, connecting %d, counted %d", st.Open, st.Connecting, s.total)
	}
	for i, l := range m.loops {
		if n := l.wheel.Len() + l.ready.len() + l.resting.len() + l.graves.len() + len(l.mailbox.tasks); n != 0 || l.conns.Load() != 0 {
			m.broke("loop %d keeps %d timers, turns, graves and letters, %d connections", i, n, l.conns.Load())
		}
	}
	m.loops[0].table.each(func(c *Conn) bool {
		m.broke("connection %d is still in the table", m.byConn[c].id)
		return false
	})
	if err := m.world.Breach(); err != nil {
		m.broke("%v", err)
	}
}

// TestSim runs some seeds, until one breaks a law.
func TestSim(t *testing.T) {
	if seed, ok := simNumber(t, "SEED"); ok {
		simulate(t, seed)
		return
	}
	if seconds, ok := simNumber(t, "SECONDS"); ok {
		n := 0
		for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end) && !t.Failed(); n++ {
			simulate(t, rand.Uint64())
			playTrials(t, rand.Uint64())
		}
		t.Logf("%d seeds", n)
		return
	}
	seeds, most := uint64(simSeeds), uint64(math.MaxUint64)
	switch {
	case raceEnabled:
		seeds /= 10
	case testing.Short(): // the other passes play them all
		seeds /= 4
	}
	if turns, ok := simNumber(t, "TURNS"); ok {
		seeds, most = turns, turns
	}
	for seed, turns := uint64(0), uint64(0); seed < seeds && turns < most && !t.Failed(); seed++ {
		turns += uint64(simulate(t, seed))
	}
}

// simNumber is what an environment variable asks for, if it is set.
func simNumber(t *testing.T, name string) (n uint64, ok bool) {
	t.Helper()
	text := os.Getenv("GANNET_SIM_" + name)
	if text == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n, true
}

// simulate runs one seed, and returns its turns. A run that hangs is a broken law too: somebody waits for a lock.
func simulate(t *testing.T, seed uint64) (turns int) {
	t.Helper()
	defer simWatchdog(fmt.Sprintf("seed %d", seed))()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("seed %d: panic: %v\n%s", seed, r, debug.Stack())
		}
	}()
	m := newSimulation(seed)
	if err := m.run(); err != nil {
		t.Error(err)
	}
	return m.turns
}

// simWatchdog ends the process, with all stacks, unless it is stopped in time. It counts
// seconds one by one: a machine that stands still for a while is no hang.
func simWatchdog(what string) (stop func()) {
	done := make(chan struct{})
	go func() {
		for range simHang {
			select {
			case <-done:
				return
			case <-time.After(time.Second):
			}
		}
		debug.SetTraceback("all")
		panic(what + " hangs")
	}()
	return func() { close(done) }
}

// TestSimRepeats: equal seeds are equal runs, or no seed is worth keeping.
func TestSimRepeats(t *testing.T) {
	seeds := uint64(10)
	if raceEnabled {
		seeds = 2
	}
	for seed := range seeds {
		a, b := newSimulation(seed), newSimulation(seed)
		errA, errB := a.run(), b.run()
		if a.world.History() != b.world.History() || a.turns != b.turns || (errA == nil) != (errB == nil) {
			t.Errorf("seed %d: %d turns, then %d; %v, then %v", seed, a.turns, b.turns, errA, errB)
		}
	}
}
