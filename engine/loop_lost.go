package engine

import (
	"fmt"
	"time"
)

// lose ends what lives on a loop whose poller has failed: nobody would hear of its connections any
// more. They are lost, and their handlers are told; its listeners are closed, so that the kernel sends nobody there, and
// whoever serves with them alone is told as well. The other loops go on. On the loop.
func (l *loop) lose(err error) {
	l.engine.log().Error("gannet: poller failed; its connections are lost", "loop", l.index, "err", err)
	l.lost.Store(true)
	l.stop = true // nobody lingers, so no clock matters any more
	l.forgetBroadcasts()
	why := fmt.Errorf("gannet: the poller of loop %d failed: %w", l.index, err)
	for _, ln := range l.listeners {
		if ln.until == 0 && !ln.gone {
			l.sys.Remove(ln.fd)
		}
		_ = l.sys.Close(ln.fd) // at once: no event names it any more, and whoever serves with it may be told
		if ln.of != nil {
			ln.of.lose(l, why)
		}
	}
	l.listeners = nil
	for {
		l.serveMail()
		l.loseEach(why)
		if l.conns.Load() == 0 {
			return
		}
		time.Sleep(time.Millisecond) // somebody has a connection's lock, or is about to bring one
	}
}

func (l *loop) loseEach(why error) {
	l.endDials(func(c *Conn) {
		if c.ending == nil || c.ending.last == nil {
			c.failDial(&lostError{why})
			c.settle()
		}
	})
	l.table.each(func(c *Conn) bool {
		switch {
		case c.loop != l:
		case c.phase == phaseLingering:
			c.endLinger()
		case c.ending == nil || c.ending.last == nil: // else its end waits for the lock
			c.finish(closing{code: StatusAbnormalClosure, err: &CloseError{StatusAbnormalClosure, &lostError{why}}, abort: true})
			c.settle()
		}
		l.stepped()
		return true
	})
}

// lose notes that one of v's loops accepts no more. The last one ends v.
func (v *served) lose(l *loop, why error) {
	if v.left.Add(-1) == 0 {
		go v.end(why, false) // not here: it waits for the loops
	}
}
