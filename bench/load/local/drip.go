package local

import "container/heap"

// resumption is a connection that reads on at a time.
type resumption struct {
	at   int64
	peer *peer
}

// resumptions are a heap, the soonest first.
type resumptions []resumption

func (r resumptions) Len() int           { return len(r) }
func (r resumptions) Less(i, k int) bool { return r[i].at < r[k].at }
func (r resumptions) Swap(i, k int)      { r[i], r[k] = r[k], r[i] }

// Push and Pop are heap.Interface's.
func (r *resumptions) Push(x any) { *r = append(*r, x.(resumption)) }

func (r *resumptions) Pop() any {
	all := *r
	last := all[len(all)-1]
	*r = all[:len(all)-1]
	return last
}

func (r resumptions) when() int64 {
	if len(r) == 0 {
		return never
	}
	return r[0].at
}

// drip stops p's reading until what it has read is no more than DripRate allows. In a callback of p's connection.
func (l *lane) drip(p *peer, n int, now int64) {
	p.since = max(p.since, now) + int64(float64(n)*1e9/float64(l.gen.share.Plan.DripRate))
	if l.stage != running {
		return
	}
	p.conn.Pause()
	heap.Push(&l.resuming, resumption{p.since, p})
	l.due.Store(min(l.due.Load(), p.since))
}

// resume lets those read on whose time has come.
func (l *lane) resume(now int64) {
	for l.resuming.when() <= now {
		if p := heap.Pop(&l.resuming).(resumption).peer; p.open {
			p.conn.Resume()
		}
	}
}
