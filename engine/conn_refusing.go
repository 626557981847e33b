package engine

import (
	"net/http"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// How a request is refused: the answer leaves, our half of the stream ends, and the client has time to read why.

// refuse answers a request with an HTTP status and ends the connection.
func (c *Conn) refuse(r *handshake.Refusal) { c.answer(r, false) }

// refuseTo is refuse for a request of any method: a HEAD is answered without the body.
func (c *Conn) refuseTo(req *handshake.Request, r *handshake.Refusal) {
	c.answer(r, string(req.Method) == http.MethodHead)
}

func (c *Conn) answer(r *handshake.Refusal, head bool) {
	l := c.loop
	l.engine.stats.refusals.add(r.Reason)
	l.engine.log().Debug("gannet: handshake refused", "reason", r.Reason, "status", r.Status, "conn", c.id, "remote", c.peer.addrPort(), "route", c.Route())
	c.lock()
	c.out.Raw(c.outCall(), r.Append(nil, l.date.at(l.now), head))
	c.state.Store(uint32(Closed))
	cancel := c.endContextLocked(ErrClosed)
	c.flushCork()
	left := c.out.AllLeft()
	if left {
		c.out.Drop()
	}
	c.unlock()
	cancel()
	l.engine.stats.connecting.Add(-1)
	c.dropOpening()
	c.phase = phaseLingering
	c.flags &^= unread
	c.freshProgress(l.now + lingerBound)
	c.wake(lingerTime / 4)
	if left {
		c.endOutput()
	} else {
		c.flags |= writeWanted
	}
	c.watch()
}

// endOutput ends our half of the stream of a lingering connection.
func (c *Conn) endOutput() {
	if err := c.loop.sys.CloseWrite(int(c.fd)); err != nil {
		c.endLinger()
	}
}

func refusal(status int, reason, detail string) *handshake.Refusal {
	return &handshake.Refusal{Status: status, Reason: reason, Detail: detail}
}

func unavailable(reason, detail string) *handshake.Refusal { return refusal(503, reason, detail) }

var (
	forbiddenOrigin = refusal(403, "origin", "Connections from this origin are not allowed")
	shuttingDown    = unavailable("shutting-down", "The server is shutting down")
	requestTimeout  = refusal(408, "timeout", "The request did not come in time")
	decisionTimeout = unavailable("decision-timeout", "The server did not decide about this request in time")
	internalError   = refusal(500, "handler-panic", "The server failed to decide about this request")
)
