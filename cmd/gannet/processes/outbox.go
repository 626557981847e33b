package processes

import "sync"

// outboxBytes is how much may wait to be told to the others before who says more is paused: some milliseconds' work for the pipes.
const outboxBytes = 4 << 20

// Pauser is a connection that can be kept from saying more: an engine.Conn.
type Pauser interface {
	Pause()
	Resume()
}

// outbox is what the others have not been told yet, in the order in which it was said.
type outbox struct {
	mu      sync.Mutex
	waiting []Message
	bytes   int
	paused  []Pauser
	ready   chan struct{} // something waits
}

// Tell gives a message to all other processes, in the order of calls, and keeps m.Data. It does not wait. When more waits than the
// pipes take, it pauses the connection that said it until they have taken all of that.
func (m *Member) Tell(said Message, from Pauser) {
	o := &m.outbox
	o.mu.Lock()
	o.waiting = append(o.waiting, said)
	o.bytes += len(said.Data)
	if o.bytes > outboxBytes {
		from.Pause()
		o.paused = append(o.paused, from)
	}
	o.mu.Unlock()
	select {
	case o.ready <- struct{}{}:
	default: // it is known
	}
}

// relay tells the group what waits: all of it at a time, and the next when the others have it. So the order is kept.
func (m *Member) relay() {
	for {
		select {
		case <-m.outbox.ready:
		case <-m.orphaned:
			return
		}
		said, paused := m.outbox.take()
		if len(said) == 0 {
			continue // it went with the ones before
		}
		_ = m.asks.Call(groupRelay, said, new(nothing)) // without the group this process ends
		for _, c := range paused {
			c.Resume()
		}
	}
}

func (o *outbox) take() (said []Message, paused []Pauser) {
	o.mu.Lock()
	defer o.mu.Unlock()
	said, paused = o.waiting, o.paused
	o.waiting, o.bytes, o.paused = nil, 0, nil
	return said, paused
}
