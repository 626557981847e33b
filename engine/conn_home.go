package engine

import (
	"sync/atomic"
	"unsafe"
)

// A connection that comes by ServeHTTP moves once: net/http has its transport until somebody has decided, and only then it is
// known which kind of loop can carry that. Until then it lives in a limbo (server_limbo.go). The move is made by the new loop, under mu, and
// while the connection is CONNECTING. So c.loop may be read by that loop and its workers, by whoever holds mu, and by
// whoever has seen that the state is OPEN; all others, who may have the connection from Upgrade.Conn, ask home.
//
// The unsafe is the atomic half of that: a field of type atomic.Pointer would make every other reading a call as well. It would break if
// somebody wrote c.loop without it; TestConnOfServeHTTPIsUsedWhileItMoves, under the race detector, would tell.

func (c *Conn) loopWord() *unsafe.Pointer { return (*unsafe.Pointer)(unsafe.Pointer(&c.loop)) }

// home is the loop that the connection lives on now; nil for the zero Conn.
func (c *Conn) home() *loop { return (*loop)(atomic.LoadPointer(c.loopWord())) }

// post leaves a letter to the loop that the connection lives on. Any goroutine. It reports false once that has ended.
func (c *Conn) post(t task) bool {
	for {
		l := c.home()
		if l.post(t) {
			return true
		}
		if c.home() == l {
			return false
		}
	}
}

// moveTo makes l the connection's loop, and fd its descriptor. What was posted to it before is left to l, behind what l is doing. On l.
func (c *Conn) moveTo(l *loop, fd int) {
	c.lock()
	from := c.loop
	m := &from.mailbox
	m.mu.Lock()
	c.fd = int32(fd)
	for _, t := range m.tasks {
		l.post(t)
	}
	m.tasks, m.closed = nil, true
	atomic.StorePointer(c.loopWord(), unsafe.Pointer(l)) // last: who posts to l from here on comes behind those
	m.mu.Unlock()
	c.unlock()
}
