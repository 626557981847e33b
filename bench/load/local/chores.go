package local

// chore is something to do with every slot of a lane, a batch at a time: 50,000 connections that are closed, or begin to send, in one
// go would hold the loop for a quarter of a second.
type chore struct {
	at    int64 // not before
	slot  int   // the next one
	visit func(p *peer)
}

// chores are done one after the other.
type chores []chore

func (c chores) when() int64 {
	if len(c) == 0 {
		return never
	}
	return c[0].at
}

// add has visit called for every slot from first on, at at or later. On the loop.
func (l *lane) add(at int64, first int, visit func(p *peer)) {
	l.chores = append(l.chores, chore{at, first, visit})
	l.schedule(l.gen.now())
}

// work does a batch of the first chore.
func (l *lane) work(now int64) {
	if l.chores.when() > now {
		return
	}
	c := &l.chores[0]
	end := max(c.slot, min(c.slot+batch, l.slots()))
	visit := c.visit
	for from := c.slot; from < end; from++ {
		visit(l.peer(from))
	}
	if c.slot = end; end >= l.slots() {
		l.chores = append(l.chores[:0], l.chores[1:]...)
	}
}
