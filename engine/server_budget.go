package engine

import (
	"sync"
	"sync/atomic"
)

// reserveBytes is what every connection may hold outside the budget.
const reserveBytes = 64 << 10

// holding is what one connection holds of the engine's InboundBudget: in its opening or its inbound, on
// the loop; in its inbox, under that one's lock, where it grows on the loop.
type holding struct {
	bytes  int64 // charged: what it holds beyond the reserve
	holder *holder
}

// holder is a connection with something charged, as the other loops see it.
type holder struct {
	conn     *Conn
	bytes    atomic.Int64
	progress atomic.Int64 // when it last grew
	index    int          // budget.mu
	seen     int64        // budget.mu; bytes, as shed found it
	shed     bool         // budget.mu; chosen
}

// budget is the engine's account of unfinished input. The few connections that hold
// more than their reserve are listed, so that the worst can be found.
type budget struct {
	limit   int64
	used    atomic.Int64
	mu      sync.Mutex
	holders []*holder
	spare   []*holder // for the next ones, at most spareHolders: a long message has one for a moment
}

const spareHolders = 64

// grow charges more, and sheds the worst holder when that passes the budget. On the loop.
func (h *holding) grow(c *Conn, held int64) { h.set(c, held) }

// shrink charges less. Any goroutine.
func (h *holding) shrink(c *Conn, held int64) { h.set(c, held) }

// set makes the charge fit what is held now.
func (h *holding) set(c *Conn, held int64) {
	want := max(held-reserveBytes, 0)
	if want == h.bytes {
		return
	}
	b := &c.loop.engine.budget
	grown := want - h.bytes
	h.bytes = want
	used := b.used.Add(grown)
	switch {
	case want == 0:
		b.forget(h)
		return
	case h.holder == nil:
		h.holder = b.list(c)
	}
	h.holder.bytes.Store(want)
	if grown > 0 {
		h.holder.progress.Store(int64(c.loop.now))
		if used > b.limit {
			b.shed()
		}
	}
}

func (b *budget) list(c *Conn) *holder {
	b.mu.Lock()
	defer b.mu.Unlock()
	var h *holder
	if last := len(b.spare) - 1; last >= 0 {
		h, b.spare = b.spare[last], b.spare[:last]
	} else {
		h = new(holder)
	}
	h.conn, h.index = c, len(b.holders)
	b.holders = append(b.holders, h)
	return h
}

func (b *budget) forget(h *holding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.holders) - 1
	b.holders[h.holder.index] = b.holders[last]
	b.holders[h.holder.index].index = h.holder.index
	b.holders[last] = nil
	if b.holders = b.holders[:last]; last == 0 {
		b.holders = shrunk(b.holders)
	}
	if k := h.holder; len(b.spare) < spareHolders {
		k.conn = nil
		k.bytes.Store(0)
		k.shed = false
		b.spare = append(b.spare, k)
	}
	h.holder = nil
}

// charge accounts for what an unfinished or undecided handshake holds: the bytes received, and the copy of the
// request that Upgrade.Later made.
func (o *opening) charge(c *Conn) {
	held := bufferCost(o.buf) + fieldBytes*int64(cap(o.req.Headers))
	if u := o.late; u != nil {
		held += int64(u.copied)
		if u.req != &o.req {
			held += fieldBytes * int64(cap(u.req.Headers))
		}
	}
	o.budget.grow(c, held)
}

// fieldBytes is what a parsed header field takes beside its text.
const fieldBytes = 48

// shed closes the holder of the most bytes: of those that hold at least half as much as
// the greatest, the one that has stood still the longest. Who asked is beside the point:
// an innocent connection must not pay for the hoarders.
func (b *budget) shed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	over, most := b.lookLocked()
	if over <= 0 || most == 0 {
		return
	}
	worst := b.worstLocked(most)
	worst.shed = true
	worst.conn.notify(todoShed)
	worst.conn.loop.doomed.Store(true)
}

// lookLocked notes what each holder has, once: it may shrink at any time, and what is decided must fit together.
func (b *budget) lookLocked() (over, most int64) {
	over = b.used.Load() - b.limit
	for _, h := range b.holders {
		h.seen = h.bytes.Load()
		if h.shed {
			over -= h.seen // on its way out already
		} else {
			most = max(most, h.seen)
		}
	}
	return over, most
}

// worstLocked is whom to close, of those that lookLocked saw; one of them holds most.
func (b *budget) worstLocked(most int64) (worst *holder) {
	for _, h := range b.holders {
		if h.shed || h.seen < most/2 {
			continue
		}
		if worst == nil || h.progress.Load() < worst.progress.Load() {
			worst = h
		}
	}
	return worst
}

// shedOn are the connections of a loop that were chosen and still hold something.
func (b *budget) shedOn(l *loop) (chosen []*Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.holders {
		if h.conn.loop == l && h.shed {
			chosen = append(chosen, h.conn)
		}
	}
	return chosen
}

// chose tells whether c was chosen and still holds something.
func (b *budget) chose(c *Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.holders {
		if h.conn == c && h.shed {
			return true
		}
	}
	return false
}

// beShed closes a connection that the budget chose, unless it has let go of everything meanwhile.
func (c *Conn) beShed() {
	e := c.loop.engine
	if !e.budget.chose(c) {
		return
	}
	e.stats.causes.add("inbound-budget")
	if c.phase == phaseOpening && c.flags&dialled == 0 {
		c.refuse(budgetSpent)
		return
	}
	c.fail(&CloseError{StatusTryAgainLater, ErrInboundBudget})
	c.dropInbox()
}

// budgetSpent: a handshake that waits for its decision holds what the peer has sent.
var budgetSpent = unavailable("inbound-budget", "the server holds too much for others already")
