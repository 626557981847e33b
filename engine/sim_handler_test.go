package engine

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/pool"
)

// The handler under test, and the goroutines that use its connections from elsewhere:
// both do a random mix of everything a Conn can.

func (m *simulation) handler() Funcs {
	h := Funcs{
		Upgrade:   m.onUpgrade,
		Open:      func(c *Conn) { m.callback(c, (*ledger).onOpen) },
		Message:   m.onMessage,
		Close:     m.onClose,
		Error:     func(c *Conn, err error) { m.callback(c, func(d *ledger) { d.onError(err) }) },
		HighWater: func(c *Conn) { m.callback(c, (*ledger).onHighWater) },
		Drain:     func(c *Conn) { m.callback(c, (*ledger).onDrain) },
		Ping:      func(c *Conn, p []byte) { m.callback(c, func(d *ledger) { d.onPing(p) }) },
		Pong:      func(c *Conn, _ []byte) { m.callback(c, func(d *ledger) { d.enter("OnPong"); d.ponged++ }) },
	}
	if m.rng.IntN(5) == 0 {
		h.Chunk = m.onChunk
	}
	return h
}

// onUpgrade finds the connection's ledger by the target, "/7".
func (m *simulation) onUpgrade(u *Upgrade) {
	id, err := strconv.Atoi(strings.TrimPrefix(u.Target(), "/"))
	if err != nil || id >= len(m.ledgers) || m.ledgers[id].conn != nil {
		m.broke("an upgrade of %q", u.Target())
		return
	}
	d := m.ledgers[id]
	d.conn = u.Conn()
	m.byConn[d.conn] = d
	m.tell(d, "is descriptor %d", d.conn.fd)
	if m.rng.IntN(4) != 0 {
		_ = u.SetLimits(m.randomLimits())
	}
	if m.rng.IntN(6) == 0 {
		m.seal(d)
	}
	if m.rng.IntN(10) == 0 {
		_ = u.NoDeflate()
	}
	switch r := m.rng.IntN(30); {
	case r == 0:
		_ = u.Refuse(403, "no")
	case r < 5:
		u.Later()
		m.late = append(m.late, u)
	}
}

func (m *simulation) randomLimits() Limits {
	high := int64(1+m.rng.IntN(100)) << 10
	most := []int64{-1, 4 << 10, 16 << 10, 64 << 10, 400 << 10, 4 << 20}
	if m.engine.conf.deflate != nil {
		most = most[:4] // what is dropped must leave no trace in the history
		if m.rng.IntN(3) == 0 {
			most = most[1:3]
		}
	}
	max := most[m.rng.IntN(len(most))]
	if max > 0 && high >= max {
		high = max - 1 // the edge: reading pauses just before the queue is full
	}
	return Limits{
		HighWater: high, LowWater: 1 + m.rng.Int64N(high/2), MaxMessageSize: simMaxMessage,
		MaxBufferedAmount: max,
		Overflow:          Overflow(1 + m.rng.IntN(2)),
	}
}

// callback is a callback: the laws look at it, then the handler does something.
func (m *simulation) callback(c *Conn, law func(*ledger)) {
	d := m.byConn[c]
	defer d.leave()
	law(d)
	m.act(d, true)
}

func (m *simulation) onMessage(c *Conn, msg Message) {
	d := m.byConn[c]
	defer d.leave()
	d.onMessage(digestOf(msg.Op, msg.Data))
	if m.quiet {
		return
	}
	switch m.rng.IntN(6) {
	case 0, 1, 2:
		m.send(d, digestOf(msg.Op, msg.Data), func() error { return c.Send(msg.Op, msg.Data) })
	case 3:
		m.send(d, digestOf(msg.Op, msg.Data), func() error { return c.SendOwned(msg.Op, msg.Retain()) })
	}
	m.act(d, true)
}

func (m *simulation) onClose(c *Conn, e CloseEvent) {
	d := m.byConn[c]
	defer d.leave()
	d.onClose(e)
	m.act(d, true)
}

// act does a few random things, mostly to this connection.
func (m *simulation) act(d *ledger, inCallback bool) {
	if inCallback {
		defer m.meanwhile()
	}
	for !m.quiet && m.rng.IntN(5) < 2 {
		on := d
		if m.client != nil && m.rng.IntN(60) == 0 && len(m.ledgers) < simPeers {
			m.begin()
		}
		if m.rng.IntN(6) == 0 {
			on = m.ledgers[m.rng.IntN(len(m.ledgers))]
		}
		if on.conn == nil || m.nested && m.locked(on) {
			continue
		}
		if inCallback && m.rng.IntN(500) == 0 {
			d.codes = append(d.codes, StatusInternalServerError)
			d.asked = true
			panic("the handler's own")
		}
		m.actOn(on)
	}
}

// actOn does one random thing to one connection.
func (m *simulation) actOn(d *ledger) {
	c := d.conn
	m.release(d) // as a goroutine would wait for the lock
	switch r := m.rng.IntN(200); {
	case r < 60:
		op, p := m.payload(d)
		if m.rng.IntN(8) == 0 {
			m.sendPlain(d, digestOf(op, p), func() error { return c.Send(op, p, NoCompress) })
			return
		}
		m.send(d, digestOf(op, p), func() error { return c.Send(op, p) })
	case r < 72:
		op, p := m.payload(d)
		b := m.engine.pool.Get(len(p))
		b.B = append(b.B, p...)
		m.send(d, digestOf(op, p), func() error { return m.sendOwned(c, op, b) })
	case r < 100:
		op, p := m.payload(d)
		k, err := Prepare(op, p)
		if err != nil {
			m.broke("Prepare: %v", err)
		}
		m.sendAs(d, digestOf(op, p), posting{whole: true}, func() error { return c.SendPrepared(k) })
	case r < 140:
		m.write(d)
	case r < 150:
		if _ = c.Ping(materials.binary[:m.rng.IntN(126)]); m.rng.IntN(3) == 0 {
			m.release(d)
			d.waiters = append(d.waiters, drainOf(c))
		}
	case r < 165:
		d.paused = m.rng.IntN(2) == 0
		c.setPaused(d.paused)
		if m.rng.IntN(2) == 0 {
			m.retime(d)
		}
	case r < 185:
		m.post(d)
	case r < 190:
		m.retime(d)
	default:
		m.end(d)
	}
	d.watchQueue(0)
	d.checkBuffered()
}

// retime changes a connection's clocks. A ping always comes in time before the idle timeout.
func (m *simulation) retime(d *ledger) {
	ping := time.Duration(1+m.rng.IntN(60)) * time.Second
	if err := d.conn.SetLimits(Limits{PingInterval: ping, IdleTimeout: ping + time.Duration(5+m.rng.IntN(60))*time.Second}); err != nil {
		m.broke("SetLimits: %v", err)
	}
}

func (m *simulation) sendOwned(c *Conn, op Opcode, b *pool.Buffer) error {
	if m.rng.IntN(4) != 0 {
		return c.SendOwned(op, b)
	}
	b.Retain() // somebody else keeps it too
	defer b.Release()
	return c.SendOwned(op, b)
}

// send sends a message by f, and books it.
func (m *simulation) send(d *ledger, k digest, f func() error) { m.sendAs(d, k, posting{}, f) }

// sendPlain is for one that must not be compressed.
func (m *simulation) sendPlain(d *ledger, k digest, f func() error) {
	m.sendAs(d, k, posting{plain: true}, f)
}

// sendAs sends one that is in some respects like another.
func (m *simulation) sendAs(d *ledger, k digest, like posting, f func() error) {
	m.release(d)
	before := d.conn.ReadyState()
	p := d.accept(k)
	p.plain, p.whole = like.plain, like.whole
	err := f()
	d.answered(p, err, before)
	d.watchQueue(0)
}

// post has a function run in the connection's sequence, once.
func (m *simulation) post(d *ledger) {
	number := d.posted
	err := d.conn.Post(func(c *Conn) {
		defer d.leave()
		d.enter("a posting")
		if d.ran > number || c != d.conn {
			d.broke("posting %d runs after %d", number, d.ran)
		}
		d.ran = number + 1
		m.act(d, true)
	})
	if err == nil {
		d.posted++
	} else if s := d.conn.ReadyState(); s != Closed {
		d.broke("Post in %v: %v", s, err)
	}
}

// end closes a connection in one of the ways there are.
func (m *simulation) end(d *ledger) {
	c := d.conn
	before := c.ReadyState()
	var err error
	switch m.rng.IntN(6) {
	case 0:
		d.codes = append(d.codes, StatusNormalClosure)
		err = c.Close()
	case 1:
		code := 4000 + m.rng.IntN(1000)
		d.codes = append(d.codes, code)
		err = c.CloseWith(code, "enough")
	case 2:
		d.codes = append(d.codes, StatusNoStatusRcvd)
		err = c.CloseNoStatus()
	case 3:
		if err := c.CloseWith(1005, ""); !errors.Is(err, ErrInvalidAccess) || c.ReadyState() != before {
			d.broke("CloseWith(1005) answered %v", err)
		}
		return
	case 4:
		if m.rng.IntN(2) == 0 {
			c.Terminate()
			d.terminated = d.terminated || before == Open
			d.asked = before != Connecting
			d.gaveUp = d.gaveUp || before == Connecting
		}
		return
	default:
		return
	}
	if err != nil {
		d.broke("closing: %v", err)
	}
	if s := c.ReadyState(); before == Open && s < Closing {
		d.broke("%v after Close", s)
	}
	if before == Open {
		d.asked = true
	}
	if before == Connecting {
		d.gaveUp = true
	}
}

// simWriter is an open NewWriter.
type simWriter struct {
	io.WriteCloser
	*posting
	op   Opcode
	rest []byte
}

// write begins a message in fragments, goes on with the open one, or ends it.
func (m *simulation) write(d *ledger) {
	if d.writing {
		return // one goroutine at a time
	}
	d.writing = true
	defer func() { d.writing = false }()
	before := d.conn.ReadyState()
	w := d.writer
	switch {
	case w == nil && before == Open:
		w = new(simWriter)
		w.op, w.rest = m.payload(d)
		w.posting = &posting{digest: digest{op: w.op}, open: true, frames: true}
		m.tell(d, "opens a writer behind %d", len(d.unleft))
		d.unleft = append(d.unleft, w.posting)
		w.WriteCloser = d.conn.NewWriter(w.op)
		w.writer, _ = w.WriteCloser.(*messageWriter)
		d.writer = w
	case w == nil:
		if _, err := d.conn.NewWriter(OpText).Write(materials.text[:1]); err == nil {
			d.broke("a writer was opened in %v", before)
		}
	case len(w.rest) > 0 && m.rng.IntN(4) != 0:
		m.writeSome(d, w)
	default:
		m.endWriter(d)
	}
}

func (m *simulation) writeSome(d *ledger, w *simWriter) {
	_ = m.fragment(d, w, w.rest[:1+m.rng.IntN(len(w.rest))])
}

// fragment writes p, and books it.
func (m *simulation) fragment(d *ledger, w *simWriter, p []byte) error {
	m.release(d)
	before := d.conn.ReadyState()
	earlier, cuts := w.digest, w.cuts
	d.buffered += uint64(len(p))
	d.asking++
	w.add(p)
	w.cuts = append(w.cuts, w.n)
	n, err := w.Write(p)
	m.tell(d, "writes %d: %v", len(p), err)
	d.asking--
	if err != nil {
		w.digest, w.cuts = earlier, cuts
	}
	switch {
	case err == nil && n == len(p) && before == Open:
		w.rest = w.rest[n:]
		d.watchQueue(0)
		return nil
	case err == ErrBufferFull && before == Open:
		d.buffered -= uint64(len(p))
		d.peak, d.over = max(d.peak, uint64(d.conn.limits.Load().HighWater)+1), true
		return err // it can be tried again
	case err == ErrSlowConsumer && before == Open:
		d.buffered -= uint64(len(p))
		d.tooSlow()
	case err == ErrClosed && before >= Closing: // counted all the same
	default:
		d.broke("Write in %v answered %d, %v", before, n, err)
	}
	d.writer = nil
	return err
}

// endWriter closes the open writer, if there is one. A text may not end inside a code
// point, so what is left of it is written first.
func (m *simulation) endWriter(d *ledger) {
	w := d.writer
	if w == nil {
		return
	}
	m.release(d)
	if w.op == OpText && d.conn.ReadyState() == Open && len(w.rest) > 0 && m.fragment(d, w, w.rest) != nil {
		return
	}
	m.release(d)
	before := d.conn.ReadyState()
	w.open = before != Open // set before Close: the message may leave inside
	d.ending = true
	err := w.Close()
	d.ending = false
	m.tell(d, "closes the writer: %v", err)
	d.watchQueue(0)
	if before == Open && err != nil || before != Open && err != ErrClosed {
		d.broke("closing a writer in %v: %v", before, err)
	}
	w.open = err != nil
	d.writer = nil
}
