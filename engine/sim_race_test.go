package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// A throng is the simulated machine under real goroutines: loops, workers, peers and senders,
// each its own. It cannot be repeated, so its laws are fewer; the race detector adds its own.
type throng struct {
	t       *testing.T
	world   *sim.World
	server  *Server
	members []*member
	byConn  sync.Map // *Conn to *member
	stop    atomic.Bool
	opened  atomic.Int64
	closed  atomic.Int64
}

const (
	throngPeers   = 12
	throngSenders = 4
	throngTime    = 1500 * time.Millisecond
)

// member is one connection.
type member struct {
	c      *throng
	conn   atomic.Pointer[Conn] // from OnUpgrade on
	inside atomic.Bool          // a callback runs
	closed atomic.Bool
	clean  bool // written by OnClose, read when all is over

	mu        sync.Mutex // peer and delivered
	peer      *simPeer
	delivered int

	accepted [throngSenders]uint32 // by sender; read when all is over
	received [throngSenders]uint32
	head     []byte // of the message that the peer is reading
}

// member hears of what the peer reads. Data frames carry their sender and its count.
func (b *member) onHead(head string) { b.peer.onHead(head) }
func (b *member) onFrame(op Opcode, _, _ bool, _ uint64) {
	if op != 0 {
		b.head = b.head[:0]
	}
}
func (b *member) onData(p []byte) {
	b.head = append(b.head, p[:min(len(p), 8-min(len(b.head), 8))]...)
}
func (b *member) onControl(op Opcode, body []byte) { b.peer.onControl(op, body) }
func (b *member) onIllegal(what string)            { b.c.t.Error("the wire shows", what) }

func (b *member) onMessageEnd() {
	if len(b.head) < 8 {
		b.c.t.Errorf("a message of %d bytes that nobody sent", len(b.head))
		return
	}
	sender, n := binary.BigEndian.Uint32(b.head)%throngSenders, binary.BigEndian.Uint32(b.head[4:])
	if n != b.received[sender]+1 {
		b.c.t.Errorf("sender %d: message %d follows %d", sender, n, b.received[sender])
	}
	b.received[sender] = n
}

// enter and leave surround a callback.
func (b *member) enter(what string) {
	if !b.inside.CompareAndSwap(false, true) {
		b.c.t.Error(what, "inside another callback")
	}
	if b.closed.Load() {
		b.c.t.Error(what, "after OnClose")
	}
}

func (b *member) leave() { b.inside.Store(false) }

func (w *throng) handler() Funcs {
	in := func(c *Conn, what string, f func(*member)) {
		b, _ := w.byConn.Load(c)
		m := b.(*member)
		m.enter(what)
		defer m.leave()
		f(m)
	}
	nothing := func(*member) {}
	return Funcs{
		Upgrade: func(u *Upgrade) {
			var id int
			if _, err := fmt.Sscanf(u.Target(), "/%d", &id); err != nil {
				w.t.Error(err)
				return
			}
			w.members[id].conn.Store(u.Conn())
			w.byConn.Store(u.Conn(), w.members[id])
		},
		Open: func(c *Conn) { in(c, "OnOpen", func(*member) { w.opened.Add(1) }) },
		Message: func(c *Conn, m Message) {
			in(c, "OnMessage", func(b *member) { b.take(m) })
		},
		HighWater: func(c *Conn) { in(c, "OnHighWater", nothing) },
		Drain:     func(c *Conn) { in(c, "OnDrain", nothing) },
		Ping:      func(c *Conn, _ []byte) { in(c, "OnPing", nothing) },
		Error:     func(c *Conn, _ error) { in(c, "OnError", nothing) },
		Close: func(c *Conn, e CloseEvent) {
			in(c, "OnClose", func(b *member) {
				w.closed.Add(1)
				b.clean = e.WasClean
				b.closed.Store(true)
			})
		},
	}
}

// take compares a message with what the peer sent.
func (b *member) take(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.delivered >= len(b.peer.sent) || digestOf(m.Op, m.Data) != b.peer.sent[b.delivered] {
		b.c.t.Errorf("message %d of %d is not what was sent", b.delivered, len(b.peer.sent))
	}
	b.delivered++
}

// send is one goroutine that uses all connections.
func (w *throng) send(id int) {
	r := rand.New(rand.NewPCG(uint64(id), 99))
	for !w.stop.Load() {
		if b := w.members[r.IntN(len(w.members))]; b.conn.Load() != nil {
			w.use(b, id, r)
		}
	}
}

// use does one random thing.
func (w *throng) use(b *member, id int, r *rand.Rand) {
	c := b.conn.Load()
	switch k := r.IntN(100); {
	case k < 70:
		b.sendOne(id, r)
	case k < 75:
		_ = c.Ping(materials.binary[:r.IntN(126)])
	case k < 80:
		c.setPaused(r.IntN(3) == 0)
	case k < 88:
		_ = c.Post(func(*Conn) { b.enter("a posting"); b.leave() })
	case k < 93:
		_ = c.SetLimits(Limits{HighWater: 1 << (10 + r.IntN(10))})
	case k < 97:
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		_ = c.Drain(ctx)
		cancel()
	case k == 98 && r.IntN(20) == 0:
		_ = c.Close()
	case k == 99 && r.IntN(40) == 0:
		c.Terminate()
	default:
		c.BufferedAmount()
	}
}

// sendOne sends a message that says who sent it, and as which of its own.
func (b *member) sendOne(id int, r *rand.Rand) {
	n := b.accepted[id] + 1
	data := b.c.server.pool.Get(8 + randomSize(r))
	defer data.Release()
	data.B = binary.BigEndian.AppendUint32(data.B, uint32(id))
	data.B = binary.BigEndian.AppendUint32(data.B, n)
	from := materials.binary
	if r.IntN(2) == 0 {
		from = materials.phrases[r.IntN(100_000):]
	}
	data.B = append(data.B, from[:cap(data.B)-8]...)
	var err error
	switch r.IntN(5) {
	case 0:
		err = b.conn.Load().Send(OpBinary, data.B, NoCompress)
	case 1:
		err = b.conn.Load().Send(OpBinary, data.B)
	case 2:
		k, _ := Prepare(OpBinary, data.B)
		err = b.conn.Load().SendPrepared(k)
	default:
		data.Retain()
		err = b.conn.Load().SendOwned(OpBinary, data)
	}
	if err == nil {
		b.accepted[id] = n
	}
}

// play lets the peers act, until done; then they only read and answer.
func (w *throng) play(done <-chan struct{}) {
	r := rand.New(rand.NewPCG(7, 7))
	for {
		select {
		case <-done:
			return
		default:
		}
		b := w.members[r.IntN(len(w.members))]
		b.mu.Lock()
		if w.stop.Load() {
			b.peer.over = true
			b.peer.serve()
		} else {
			b.peer.step()
		}
		b.mu.Unlock()
	}
}

func newThrong(t *testing.T, workers int) (w *throng, door int) {
	w = &throng{t: t}
	faults := sim.Rough()
	faults.Preempt, faults.SlowClock, faults.NoMemory, faults.NoDescriptors, faults.Break = 0, 0, 0, 0, 0
	w.world = sim.New(rand.Uint64(), faults)
	s, err := NewServer(w.handler(), Options{
		Loops: 2, Workers: workers, InboxBytes: 64 << 10, HandshakeTimeout: 24 * time.Hour, Logger: slog.New(slog.DiscardHandler),
		Limits: Limits{MaxMessageSize: simMaxMessage, HighWater: 64 << 10, MaxBufferedAmount: 1 << 20, Overflow: DropMessage,
			IdleTimeout: -1, PingInterval: -1, PongTimeout: -1, WriteStallTimeout: -1, CloseTimeout: 24 * time.Hour},
		Deflate: &deflate.Policy{MinSize: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.server = s
	loops, _ := simulatedLoops(&s.engine, w.world)
	if workers > 0 {
		s.workers = startWorkers(workers)
	}
	door = w.world.Listen()
	loops[0].addListener(nil, door, true)
	for i := range throngPeers {
		r := rand.New(rand.NewPCG(uint64(i), 3))
		b := &member{c: w, peer: newSimPeer(r, w.world.Dial(door, 64<<10, 16<<10), i)}
		b.peer.scanner.to, b.peer.scanner.skims = b, false
		b.peer.deafClose, b.peer.hoards, b.peer.bursts = false, false, i%3 == 0
		w.members = append(w.members, b)
	}
	for _, l := range loops {
		go l.run()
	}
	return w, door
}

func TestSimThrong(t *testing.T) {
	for _, workers := range []int{0, 3} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			// A short life on a busy machine may end before any peer has compressed: then another one follows.
			for compressed, try := false, 0; !compressed; try++ {
				if try == 20 {
					t.Fatal("no message was compressed")
				}
				w, door := newThrong(t, workers)
				w.live(door)
				compressed = w.checkEnd()
			}
		})
	}
}

// live runs a throng to its end.
func (w *throng) live(door int) {
	done := make(chan struct{})
	var peers, senders sync.WaitGroup
	peers.Go(func() { w.play(done) })
	for id := range throngSenders {
		senders.Go(func() { w.send(id) })
	}
	time.Sleep(throngTime)
	w.stop.Store(true)
	senders.Wait()
	w.world.SetFaults(sim.Faults{})
	for _, b := range w.members {
		if c := b.conn.Load(); c != nil {
			c.Resume()
		}
	}
	l := w.server.native[0]
	l.post(task{call: func() { l.closeListener(door, true, func() {}) }})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		w.t.Error("Shutdown:", err)
	}
	close(done)
	peers.Wait()
}

// checkEnd reports whether messages were compressed both ways.
func (w *throng) checkEnd() bool {
	t, st := w.t, w.server.Stats()
	if err := w.world.Breach(); err != nil {
		t.Error(err)
	}
	if w.opened.Load() != w.closed.Load() || w.opened.Load() == 0 {
		t.Errorf("OnOpen %d times, OnClose %d times", w.opened.Load(), w.closed.Load())
	}
	if st.Buffers.Out != 0 || st.InboundBytes != 0 || w.world.OpenDescriptors() != 0 {
		t.Errorf("left over: %d buffers %v, %d inbound bytes, %d descriptors", st.Buffers.Out, w.server.pool.Leaks(), st.InboundBytes, w.world.OpenDescriptors())
	}
	clean := 0
	for i, b := range w.members {
		if !b.clean {
			continue
		}
		clean++
		if b.peer.polite && b.received != b.accepted {
			t.Errorf("member %d closed cleanly: received %d, accepted %d", i, b.received, b.accepted)
		}
	}
	t.Logf("%d opened, %d closed cleanly, %d messages in (%d compressed), %d out (%d)", w.opened.Load(), clean,
		st.MessagesIn, st.Deflate.MessagesIn, st.MessagesOut, st.Deflate.MessagesOut)
	return st.Deflate.MessagesIn != 0 && st.Deflate.MessagesOut != 0
}
