package engine

// grave is a descriptor to close once no event of this turn can name it.
type grave struct {
	fd    int
	abort bool
	then  func() // for whoever waits until it is closed
}

// graves are the descriptors that have left the poller. The poller reports each descriptor once a
// turn, and OnWake at most once a turn, so what was there when a step ended is of an earlier turn when the next
// step begins: another wake's.
type graves struct {
	fifo[grave]
	seen int // of them, how many were there at the last step
	ripe int // how many may be closed
}

// bury closes a descriptor when no event can name it.
func (l *loop) bury(fd int, abort bool) { l.dig(grave{fd: fd, abort: abort}) }

func (l *loop) dig(g grave) {
	l.graves.push(g)
	l.sys.Wake()
}

func (g *graves) begin(*loop) bool {
	g.ripe, g.seen = g.seen, g.len()
	return g.ripe > 0
}

func (g *graves) left() bool { return g.len() > 0 }

func (g *graves) unit(l *loop) bool {
	g.ripe--
	g.seen--
	l.closeNow(g.pop())
	return g.ripe > 0
}

func (l *loop) closeNow(g grave) {
	if g.abort {
		_ = l.sys.Abort(g.fd)
	} else {
		_ = l.sys.Close(g.fd)
	}
	if g.then != nil {
		g.then()
	}
}
