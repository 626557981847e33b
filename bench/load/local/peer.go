package local

import (
	"sync/atomic"

	"github.com/gannet-ws/gannet/engine"
)

// peer is what there is of a connection besides the engine's own. There may be 100,000 of them, so each byte counts: see TestPeerSize.
type peer struct {
	conn  *engine.Conn // while it is open
	queue []entry      // messages under way, the oldest first, from head on; as long as there are any
	head  uint32
	count uint32
	since int64 // when the attempt began (its opener writes that, before there is a connection); of one that drips, until when it has read enough

	slot     int32  // of its lane
	sent     uint32 // messages; the next one's number
	answered uint32
	unsent   uint32 // of queue, the newest that have not left yet
	life     atomic.Uint32
	lane     uint8
	open     bool
	posted   bool // it is about to send what is unsent
	ours     bool // we close it
}

// The lives of a peer: whoever wants a connection for it claims it, and its last callback frees it.
const (
	free     uint32 = iota
	taken           // it has a connection, or an attempt is under way
	recalled        // as taken, and is to begin again when that is over
)

// claim tells whether p may begin. If it has a connection still, it begins when that has closed. Any goroutine.
func (p *peer) claim() bool {
	for {
		if p.life.CompareAndSwap(free, taken) {
			return true
		}
		if p.life.CompareAndSwap(taken, recalled) || p.life.Load() == recalled {
			return false
		}
	}
}

// entry is a message under way: when it should have left, and when it did.
type entry struct{ due, left int64 }

// at is the i-th oldest.
func (p *peer) at(i uint32) *entry { return &p.queue[(p.head+i)&uint32(len(p.queue)-1)] }

// push adds a message that is due.
func (l *lane) push(p *peer, due int64) {
	if int(p.count) == len(p.queue) {
		l.widen(p)
	}
	p.count++
	*p.at(p.count - 1) = entry{due: due}
	p.unsent++
	l.outstanding++
}

// pop takes the oldest away.
func (l *lane) pop(p *peer) entry {
	e := *p.at(0)
	p.head, p.count = p.head+1, p.count-1
	l.outstanding--
	if p.count == 0 {
		l.shelve(p)
	}
	return e
}

// cut takes the newest n away.
func (l *lane) cut(p *peer, n uint32) {
	p.count -= n
	l.outstanding -= int64(n)
	if p.count == 0 {
		l.shelve(p)
	}
}

// widen gives p a queue of twice the length.
func (l *lane) widen(p *peer) {
	length := max(2*len(p.queue), firstQueue)
	q := l.shelves.take(length)
	for i := range p.count {
		q[i] = *p.at(i)
	}
	l.shelves.put(p.queue)
	p.queue, p.head = q, 0
}

// shelve takes p's queue, which is empty.
func (l *lane) shelve(p *peer) {
	l.shelves.put(p.queue)
	p.queue, p.head = nil, 0
}
