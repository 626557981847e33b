//go:build gannetdebug

package engine

// scheduling is what other goroutines do at the scheduling points of an engine's connections; the simulator's.
type scheduling struct{ at func(*Conn) }

// schedulingPoint is a place where another goroutine could take its turn, between two steps of the protocol of
// conn_lock.go for c.
func schedulingPoint(c *Conn) {
	l := c.home()
	if l == nil { // the zero Conn has none
		return
	}
	if at := l.engine.scheduling.at; at != nil {
		at(c)
	}
}
