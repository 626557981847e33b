package outgoing

import "github.com/gannet-ws/gannet/pool"

// Flush writes what waits in the cork and in the queue, and gives back what was kept for that.
func (o *Out) Flush(k Call) {
	b := o.busy
	if b == nil {
		return
	}
	if b.isPlain() {
		if b.Call = k; b.flushPlain() {
			b.detach()
			return
		}
	}
	o.attach(k)
	b.flush(nil)
	b.detachIdle()
}

// HasRoom goes on, now that the sink has room, and reports whether it is full again.
func (o *Out) HasRoom(k Call) (full bool) {
	if o.busy == nil {
		return false
	}
	b := o.attach(k)
	b.blocked = false
	if b.flush(nil); b.blocked {
		b.countWaiting()
		return true
	}
	if b.unfinished() {
		o.due |= Slices
	}
	b.detachIdle()
	return false
}

// flush writes what is queued, then what is corked, then direct, which is lent
// (a payload or a prepared frame whose bytes are counted in placed already). What the sink
// has no room for is queued.
func (b *busy) flush(direct []byte) {
	for budget := FlushBytes; !b.blocked && !b.failed && b.left != b.placed && b.ready(); {
		n, err := b.writeOnce(direct, budget)
		direct = b.advance(n, direct)
		budget -= n
		b.afterWrite(err, budget)
	}
	b.placeDirect(direct)
	b.settle()
}

// ready tells whether what leaves next is there.
func (b *busy) ready() bool { return b.head == len(b.queue) || b.queue[b.head].ready() }

// afterWrite notes that the sink is full or broken. With the budget spent it counts as
// full: the caller goes on when it has served the others.
func (b *busy) afterWrite(err error, budget int) {
	switch {
	case err == nil && (budget > 0 || b.left == b.placed):
	case err == nil || err == b.Lane.Full:
		b.blocked = true
		b.out.due |= Room
	default:
		b.failed = true
		b.out.due |= Broken
	}
}

// writeOnce is one call of the sink, of at most most bytes.
func (b *busy) writeOnce(direct []byte, most int) (int, error) {
	sink := b.Lane.Sink
	if b.head == len(b.queue) {
		switch {
		case len(direct) == 0:
			return sink.Write(b.ID, b.cork)
		case len(b.cork) == 0:
			return sink.Write(b.ID, direct[:min(len(direct), most)])
		}
	}
	v := &b.vectors
	k := 0
	for i := b.head; i < len(b.queue) && k < maxVectors && b.queue[i].ready(); i++ {
		v[k] = b.queue[i].bytes()
		k++
	}
	if k == len(b.queue)-b.head {
		v[k], v[k+1] = b.cork, direct
		k += 2
	}
	for i := range v[:k] {
		v[i] = v[i][:min(len(v[i]), most)]
		most -= len(v[i])
	}
	n, err := sink.Writev(b.ID, v[:k])
	clear(v[:k])
	return n, err
}

// advance takes n bytes, which have left, off the queue, the cork and direct.
func (b *busy) advance(n int, direct []byte) []byte {
	b.left += uint64(n)
	for n > 0 && b.head < len(b.queue) {
		s := &b.queue[b.head]
		k := len(s.bytes())
		if n < k {
			s.off += n
			return direct
		}
		n -= k
		s.release()
		b.head++
	}
	if b.head == len(b.queue) {
		b.queue, b.head = b.queue[:0], 0
	}
	if n < len(b.cork) {
		b.cork = b.cork[:copy(b.cork, b.cork[n:])]
		return direct
	}
	n -= len(b.cork)
	b.cork = b.cork[:0]
	return direct[n:]
}

// directness is whose the payload is that leaves from where it lies.
type directness uint8

const (
	directCopied directness = iota // a buffer that is released next: what has not left is copied
	directStable                   // nobody changes it
	directLent                     // the sender's, until its call returns: what has not left is copied without the lock
)

// placeDirect queues what is left of the cork and of a direct payload.
func (b *busy) placeDirect(direct []byte) {
	switch {
	case len(direct) == 0 && (len(b.cork) == 0 || !b.blocked), b.failed:
		return
	case len(direct) != 0 && b.direct == directStable:
		b.push(segment{raw: direct})
		return
	case b.direct == directLent && len(direct) > CopyBytes:
		b.lent = &Rest{p: direct}
		b.push(segment{rest: b.lent})
		return
	}
	buf := b.Lane.Pool.Get(max(len(b.cork)+len(direct), TailBytes))
	buf.B = append(append(buf.B, b.cork...), direct...)
	b.cork = b.cork[:0]
	b.queue = append(b.queue, segment{buf: buf, end: -1})
}

// Rest is what the sink did not take of a long payload that its sender lends. Its place in the queue is taken; its
// bytes come when the sender has copied them, which needs no lock: Lent, Copy, Kept.
type Rest struct {
	p    []byte       // the sender's
	buf  *pool.Buffer // the copy; nil until it is made, and nothing behind it leaves before
	gone bool         // the connection is CLOSED: nobody needs it any more
}

// Lent is what the caller of the call at hand has to copy when it has let go of the lock; nil if there is nothing.
func (o *Out) Lent() *Rest {
	if o.busy == nil {
		return nil
	}
	r := o.busy.lent
	o.busy.lent = nil
	return r
}

// Copy is the copy. Without the lock.
func (r *Rest) Copy(p *pool.Pool) *pool.Buffer {
	b := p.Get(len(r.p))
	b.B = append(b.B, r.p...)
	r.p = nil
	return b
}

// Kept puts the copy where its place is, and goes on.
func (o *Out) Kept(k Call, r *Rest, copied *pool.Buffer) {
	if r.gone {
		copied.Release()
		return
	}
	r.buf = copied
	b := o.attach(k)
	b.flush(nil)
	b.leave()
}
