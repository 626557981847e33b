package engine

import "github.com/gannet-ws/gannet/engine/internal/incoming"

// takeControl takes a control frame.
func (l *loop) takeControl(c *Conn, in *inbound, e *incoming.Event) {
	if !c.countControl() {
		c.fail(&CloseError{StatusPolicyViolation, ErrFlood})
		return
	}
	switch e.Kind {
	case incoming.Ping:
		l.onPing(c, in, e.Data)
	case incoming.Pong:
		l.stats.pongsIn.Add(1)
		l.callLent(c, OpPong, c.route().hooks.pong, e.Data)
	case incoming.Close:
		c.onCloseFrame(e.Data)
	}
}

// onPing answers a ping, and tells the handler. With a pong in the queue that the peer
// has not taken yet only the newest ping is answered (RFC 6455 5.5.3).
func (l *loop) onPing(c *Conn, in *inbound, payload []byte) {
	l.stats.pingsIn.Add(1)
	if c.ReadyState() == Open {
		in.pongLen, in.pongOwed = uint8(copy(in.pong[:], payload)), true
		c.answerPing(in)
	}
	l.callLent(c, OpPing, c.route().hooks.ping, payload)
}

// answerPing sends the pong that in keeps, when there is room for one.
func (c *Conn) answerPing(in *inbound) {
	if !in.pongOwed || !c.tryLockOr(todoPong) {
		return
	}
	in.pongOwed = c.ReadyState() == Open && !c.out.Pong(c.outCall(), in.pong[:in.pongLen])
	c.unlock()
}
