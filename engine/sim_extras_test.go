package engine

import (
	"bytes"
	"slices"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// What some connections of a simulation have besides: a sealer (as TLS is one), messages in
// chunks, and broadcasts.

// simSealer makes records of two bytes of length and a payload that is plainly not text.
type simSealer struct{}

func (simSealer) Seal(dst, p []byte) []byte {
	dst = append(dst, byte(len(p)>>8), byte(len(p)))
	for _, x := range p {
		dst = append(dst, x^0xa5)
	}
	return dst
}

// simOpener undoes simSealer. Like any receiver it has nothing of a record before it has all.
type simOpener struct {
	kept []byte
}

func (o *simOpener) open(p []byte) (plain []byte) {
	o.kept = append(o.kept, p...)
	for len(o.kept) >= 2 {
		n := 2 + int(o.kept[0])<<8 + int(o.kept[1])
		if len(o.kept) < n {
			break
		}
		for _, x := range o.kept[2:n] {
			plain = append(plain, x^0xa5)
		}
		o.kept = o.kept[:copy(o.kept, o.kept[n:])]
	}
	return plain
}

// seal puts a sealer under a connection that is not open yet.
func (m *simulation) seal(d *ledger) {
	if d.conn.loop.secure != nil {
		return // it has the real one
	}
	d.conn.loop.outgoing.Sink.(*sealingSink).sealed[d.conn.fd] = &sealed{conn: d.conn}
	d.opener, d.peer.opener = new(simOpener), new(simOpener)
}

// sealingSink is a carrier that seals ahead of the network what some connections send.
type sealingSink struct {
	outgoing.Sink
	m      *simulation
	loop   *loop
	sealed map[int32]*sealed // by descriptor
}

// sealed is one of these connections.
type sealed struct {
	conn    *Conn
	taken   []byte // what was taken and is not answered: it comes again
	wire    []byte // what that became, as far as it has not left
	records []sealedRecord
}

type sealedRecord struct{ wire, plain int }

// sealAhead is how much the sink takes beyond what has left.
const sealAhead = 64 << 10

func (s *sealingSink) Write(fd int, p []byte) (int, error) { return s.Writev(fd, [][]byte{p}) }

func (s *sealingSink) Writev(fd int, v [][]byte) (int, error) {
	k := s.sealed[int32(fd)]
	if k == nil || s.loop.table.get(fd) != k.conn {
		if len(v) == 1 {
			return s.Sink.Write(fd, v[0])
		}
		return s.Sink.Writev(fd, v)
	}
	p := bytes.Join(v, nil)
	if n := min(len(p), len(k.taken)); !bytes.Equal(p[:n], k.taken[:n]) {
		s.m.broke("what was not answered is presented changed")
	}
	k.take(p)
	n, err := s.Sink.Write(fd, k.wire)
	k.wire = k.wire[:copy(k.wire, k.wire[n:])]
	return k.answer(n), err
}

// take seals what of p is new.
func (k *sealed) take(p []byte) {
	for len(k.taken) < len(p) && len(k.wire) < sealAhead {
		part := p[len(k.taken):min(len(p), len(k.taken)+16<<10)]
		before := len(k.wire)
		k.wire = simSealer{}.Seal(k.wire, part)
		k.taken = append(k.taken, part...)
		k.records = append(k.records, sealedRecord{len(k.wire) - before, len(part)})
	}
}

// answer is how much of what was taken has left with n more bytes of the wire: whole records.
func (k *sealed) answer(n int) (left int) {
	for len(k.records) > 0 && n >= k.records[0].wire {
		n -= k.records[0].wire
		left += k.records[0].plain
		k.records = k.records[1:]
	}
	if n > 0 {
		k.records[0].wire -= n
	}
	k.taken = k.taken[:copy(k.taken, k.taken[left:])]
	return left
}

// onChunk takes the place of onMessage where a simulation has chunks.
func (m *simulation) onChunk(c *Conn, k Chunk) {
	d := m.byConn[c]
	defer d.leave()
	if k.First != (d.chunks.op == 0) {
		d.broke("a chunk with First %v inside %+v", k.First, d.chunks)
	}
	if k.First {
		d.chunks = digest{op: k.Op}
	}
	if k.Op != d.chunks.op {
		d.broke("a chunk of opcode %d in a message of %d", k.Op, d.chunks.op)
	}
	d.chunks.add(k.Data)
	if k.Last {
		got := d.chunks
		d.chunks = digest{}
		d.onMessage(got)
	} else {
		d.onPart()
	}
	m.act(d, true)
}

// onPart is a chunk that does not end its message.
func (d *ledger) onPart() {
	d.enter("OnChunk")
	if s := d.conn.ReadyState(); s != Open || d.asked {
		d.broke("OnChunk in %v, after Close returned: %v", s, d.asked)
	}
	if d.delivered >= len(d.peer.sent) && d.peer.broke == 0 && !d.peer.hoarding && d.peer.later == nil {
		d.broke("OnChunk of a message that the peer did not send")
	}
}

// broadcast sends to some of all connections. It has its place among what is sent to each from the call on, wherever the
// loops are.
func (m *simulation) broadcast() {
	n := randomSize(m.rng)
	if m.engine.conf.deflate != nil && m.rng.IntN(20) == 0 {
		n = outgoing.SliceBytes + m.rng.IntN(50<<10)
	}
	op, p := randomPayload(m.rng, n)
	k, err := Prepare(op, p)
	if err != nil {
		m.broke("Prepare: %v", err)
	}
	chosen := map[*ledger]bool{}
	for _, d := range m.ledgers {
		// What may be refused is left out: nobody is told what came of it.
		if d.conn == nil || d.conn.ReadyState() != Open || d.conn.limits.Load().MaxBufferedAmount >= 0 || m.rng.IntN(3) == 0 {
			continue
		}
		chosen[d] = true
		d.expect(&posting{digest: digestOf(op, p), whole: true, number: d.conn.loop.broadcasts.last.Load() + 1})
	}
	m.engine.broadcast(k, func(c *Conn) bool {
		d := m.byConn[c]
		m.release(d)
		if c.mu.TryLock() {
			c.mu.Unlock()
		} else if m.working != d { // a worker may be in the middle of a write
			d.broke("a broadcast asks with the connection's lock held")
			return false
		}
		most := uint64(0) // with what was handed over to wait for it
		for _, p := range d.unleft {
			most += uint64(p.n) + codec.MaxHeaderSize
		}
		d.peak = max(d.peak, d.waiting()+uint64(n)+outgoing.DeferredOverhead, most)
		return chosen[d]
	})
}

// expect books a broadcast's message. BufferedAmount counts it when it has come to the connection.
func (d *ledger) expect(p *posting) {
	d.m.tell(d, "is broadcast %+v behind %d", p.digest, len(d.unleft))
	d.unleft = append(d.unleft, p)
}

// hear counts the broadcasts that have come to the connection. A connection that ended before, or whose writer's message
// closing cut off, gets none.
func (d *ledger) hear() {
	for i := 0; i < len(d.unleft); i++ {
		p := d.unleft[i]
		if p.number == 0 || int32(d.conn.out.Heard()-p.number) < 0 {
			continue
		}
		if p.number = 0; d.conn.out.Buffered() != d.buffered {
			d.buffered += uint64(p.n)
		} else if d.conn.ReadyState() == Open && p.n > 0 {
			d.broke("a broadcast of %d bytes has passed it by", p.n)
		} else if p.n > 0 {
			d.unleft = slices.Delete(d.unleft, i, i+1)
			i--
		}
	}
}
