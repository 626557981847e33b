package engine

import (
	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// The rest of a simulated life after the storm: connections that stand still in the middle of
// their messages long enough for what compresses them to rest, and what comes after that.

// dawdle begins a compressed message, which hurry ends.
func (p *simPeer) dawdle() {
	op, data := randomPayload(p.rng, 1+p.rng.IntN(100_000))
	p.begun = digestOf(op, data)
	payload := p.deflater.message(data)
	n := p.rng.IntN(len(payload))
	p.headed(op, false, true, payload[:n])
	p.later = append([]byte{}, payload[n:]...)
}

func (p *simPeer) hurry() {
	if p.later != nil {
		p.sent = append(p.sent, p.begun)
		p.headed(codec.OpContinuation, true, false, p.later)
		p.later = nil
	}
}

// come has so many peers connect.
func (m *simulation) come(n int) {
	for range n {
		if m.dial(); m.client == nil {
			m.ledgers[len(m.ledgers)-1].peer.end.Widen(16 << (10 + m.rng.IntN(5)))
		}
	}
	m.settle()
	for len(m.late) > 0 {
		m.decide()
	}
	m.settle()
}

// dawdle: messages are begun both ways that nobody goes on with.
func (m *simulation) dawdle() {
	m.come(4)
	for _, d := range m.ledgers {
		if d.conn == nil || d.conn.ReadyState() != Open {
			continue
		}
		if d.peer.deflater != nil && !d.peer.hoarding {
			if d.peer.message(); m.rng.IntN(2) == 0 {
				d.peer.dawdle()
			}
		}
		for m.rng.IntN(4) != 0 && d.conn.ReadyState() == Open && (d.writer == nil || len(d.writer.rest) > 0) {
			m.write(d)
		}
	}
	m.settle()
}

// again: after so long a rest others come. Those who are still there end what they had begun,
// and all have more to say, much of it at once. The machine is slow, but harmless.
func (m *simulation) again() {
	m.come(2)
	m.world.SetFaults(sim.Faults{Partial: 300, Again: 100, SlowClock: 400, LateWake: 100})
	m.rarelyLong = 2
	for _, d := range m.ledgers {
		if d.conn != nil && d.conn.ReadyState() == Open {
			d.peer.rarelyLong = 3
			d.peer.hurry()
			m.endWriter(d)
			m.sayMore(d)
		}
	}
	m.settle()
	m.world.SetFaults(sim.Faults{})
	m.settle()
	for _, d := range m.ledgers {
		d.checkSettled()
	}
}

// sayMore sends and has sent a few messages, and then maybe ends the connection.
func (m *simulation) sayMore(d *ledger) {
	for range 2 + m.rng.IntN(4) {
		op, p := m.payload(d)
		if m.rng.IntN(3) == 0 {
			k, _ := Prepare(op, p)
			m.sendAs(d, digestOf(op, p), posting{whole: true}, func() error { return d.conn.SendPrepared(k) })
		} else {
			m.send(d, digestOf(op, p), func() error { return d.conn.Send(op, p) })
		}
		if !d.peer.hoarding {
			d.peer.message()
		}
	}
	switch m.rng.IntN(4) {
	case 0:
		if !d.peer.hoarding {
			d.peer.over = true
			d.peer.violate()
		}
	case 1, 2:
		if d.conn.ReadyState() == Open {
			d.codes, d.asked = append(d.codes, StatusNormalClosure), true
			_ = d.conn.Close()
		}
	}
}
