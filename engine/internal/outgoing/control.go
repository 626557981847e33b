package outgoing

import "github.com/gannet-ws/gannet/codec"

// Raw puts bytes into the cork that are no frame: the answer to an opening handshake. Flush sends them.
func (o *Out) Raw(k Call, p []byte) {
	b := o.attach(k)
	dst := b.room(len(p), TailBytes)
	*dst = append(*dst, p...)
	b.placed += uint64(len(p))
}

// Ping sends a ping, and answers Sent; or Full when the network takes nothing and the ping would pass MaxBuffered, whatever
// Limits.Drop says: nobody closes a connection for a ping. One that was promised to its sender is sent in any case. Control
// frames pass what is deferred, but not the queue.
func (o *Out) Ping(k Call, p []byte, promised bool) Verdict {
	b := o.attach(k)
	defer b.leave()
	if most := b.Limits.MaxBuffered; !promised && b.blocked && most >= 0 && b.cost()+uint64(len(p)) > uint64(most) {
		b.refuse()
		return Full
	}
	b.control(codec.OpPing, p)
	return Sent
}

// Probe sends an empty ping, of which PingWaits tells whether it has left.
func (o *Out) Probe(k Call) {
	b := o.attach(k)
	b.control(codec.OpPing, nil)
	b.pingEnd = b.placed
	b.leave()
}

// PingWaits tells whether what Probe sent has not left.
func (o *Out) PingWaits() bool { return o.busy != nil && o.busy.pingEnd > o.busy.left }

// Pong answers a ping. Behind a pong that has not left it is refused, for then only the newest ping is answered
// (RFC 6455 5.5.3): Pong comes due when it has.
func (o *Out) Pong(k Call, p []byte) (ok bool) {
	b := o.attach(k)
	if b.blocked && b.pongEnd > b.left {
		b.pongDue = true
		return false
	}
	b.control(codec.OpPong, p)
	b.pongEnd = b.placed
	b.leave()
	return true
}

// PongAwaited tells whether Pong will come due.
func (o *Out) PongAwaited() bool { return o.busy != nil && o.busy.pongDue }

// Close places the Close frame behind all that was sent. Nothing follows it.
func (o *Out) Close(k Call, body []byte) {
	if o.closed {
		return
	}
	b := o.attach(k)
	b.fallBehind()
	o.closed = true
	b.abortWriter()
	if b.unfinished() {
		b.body = append([]byte{}, body...)
	} else {
		b.control(codec.OpClose, body)
	}
	o.due |= Closing
	b.leave()
}

// CloseWaits tells whether the Close frame waits to be framed.
func (o *Out) CloseWaits() bool { return o.busy != nil && o.busy.body != nil }

// control places a control frame.
func (b *busy) control(op codec.Opcode, p []byte) {
	b.place(op, &piece{p: p, fin: true})
	if b.blocked {
		b.settle()
	} else if !b.Corked || b.Lane.Timed {
		b.flush(nil)
	}
}
