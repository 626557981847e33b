package engine

import "iter"

// Conns iterates over the connections that are OPEN or CLOSING. Those that come or go
// meanwhile may or may not be seen. Any goroutine.
func (s *Server) Conns() iter.Seq[*Conn] { return s.openConns() }

func (e *engine) openConns() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		seen := map[*table]bool{}
		for _, l := range e.allLoops() {
			if seen[l.table] {
				continue
			}
			seen[l.table] = true
			if !l.table.each(func(c *Conn) bool {
				if st := c.ReadyState(); st != Open && st != Closing {
					return true
				}
				return yield(c)
			}) {
				return
			}
		}
	}
}

// Broadcast sends p to every connection that keep accepts (nil: all). It returns before they have
// it: each loop goes through its own connections, a bounded time at once, with its other work between. For each
// connection the order of calls holds: what the caller sends to it afterwards comes after p. keep runs on the
// loops and must not block. A connection is among all from the moment it is OPEN: p may come before what its OnOpen sends, if another
// goroutine broadcasts just then. A connection that refuses the message (closing, or over MaxBufferedAmount) is passed over.
//
// Whoever broadcasts in a callback of a connection, faster than the loops can send, hears that connection's next message when they
// have caught up. Others should bound how much they broadcast themselves: Stats.BroadcastBytes tells what is under way.
//
// Where permessage-deflate is agreed on, p is compressed here, once for each kind of window: at
// most three times, 4 ms or more for 1 MiB.
func (s *Server) Broadcast(p *Prepared, keep func(*Conn) bool) { s.broadcast(p, keep) }

func (e *engine) broadcast(p *Prepared, keep func(*Conn) bool) {
	if err := p.usable(); err != nil {
		if e.conf != nil {
			e.log().Error("gannet: Broadcast sent nothing", "err", err)
		}
		return
	}
	if e.conf == nil {
		return // the zero Server has no connections
	}
	e.compressForAll(p)
	for _, l := range e.allLoops() {
		l.announce(p, keep)
	}
	e.holdBroadcaster()
}

// compressForAll compresses p for each window that connections have agreed on, so that no
// loop has to.
func (e *engine) compressForAll(p *Prepared) {
	n := len(p.made.Payload())
	if e.conf.deflate == nil || p.asItIs || n < e.conf.deflateMin || !e.choosesCompress(p.made.Op(), n) {
		return
	}
	for bits := range e.windows {
		if e.windows[bits].Load() > 0 {
			p.made.Compress(e.conf.deflate, uint8(bits))
		}
	}
}

// keeps calls the user's filter; its panic, or its end of the goroutine, is no reason to lose the loop.
func (l *loop) keeps(c *Conn, keep func(*Conn) bool) (yes bool) {
	asking := true
	defer func() {
		if asking {
			r := recover()
			l.engine.blamedFor("Broadcast's keep", "the connection is passed over", r)
			yes = false
			if r == nil {
				l.exits(nil)
			}
		}
	}()
	yes = keep(c)
	asking = false
	l.stepped()
	return yes
}
