package local

import (
	"encoding/binary"

	"github.com/gannet-ws/gannet/engine"
)

// sideline does what is due besides messages: pings, connections that leave, those that read on, chores. On the loop.
func (l *lane) sideline(now int64) {
	for range batch {
		_, slot, ok := l.pings.pop(now)
		if !ok {
			break
		}
		if p := l.peer(slot); p.open && !p.ours {
			var b [8]byte
			binary.BigEndian.PutUint64(b[:], uint64(now))
			_ = p.conn.Ping(b[:]) // it may be closing: then nothing is to be measured
		}
	}
	for range batch {
		_, slot, ok := l.leaving.pop(now)
		if !ok {
			break
		}
		l.bid(l.peer(slot))
	}
	l.resume(now)
	l.work(now)
}

// bid has p's connection closed in order. On the loop.
func (l *lane) bid(p *peer) {
	if p.open && !p.ours {
		p.ours = true
		_ = p.conn.Close()
	}
}

// OnPong measures what sideline sent.
func (h handler) OnPong(c *engine.Conn, payload []byte) {
	l := h.laneOf(c)
	if len(payload) != 8 || l.stage == connecting {
		return
	}
	sent := int64(binary.BigEndian.Uint64(payload))
	if now := l.gen.now(); l.measured(sent) && sent <= now {
		record(l.tally.Pings, now-sent)
	}
}
