package engine

import (
	"errors"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// More laws of a simulation: what has to come, when somebody waits for it, and in which order connections are served.

// notices is what a ledger knows for them.
type notices struct {
	ponged     int               // OnPong came so often
	terminated bool              // Terminate took the connection out of OPEN
	waiters    []<-chan struct{} // of Drain
	passedBy   int               // turns of its loop in which it had something to say and was not read
	unread     int               // what it had
	stuck      int               // turns in which its unfinished work waited and was not gone on with
	rest       uint64            // of that work
}

// mostPassedBy is more turns than a poller that omits some of what is ready passes anybody by, and mostStuck more than
// all who have work take for one turn each.
const (
	mostPassedBy = 40
	mostStuck    = 150
)

// checkServed: a turn of its loop is over.
func (d *ledger) checkServed() {
	c := d.conn
	if c == nil || c.phase == phaseBuried {
		return
	}
	if n := d.peer.end.Unread(); n == 0 || n != d.unread || c.watched&netio.Readable == 0 {
		d.passedBy, d.unread = 0, n
	} else if d.passedBy++; d.passedBy > mostPassedBy {
		d.broke("%d bytes of the peer's are not read in %d turns", n, d.passedBy)
	}
	rest := uint64(0)
	if in := c.in; in != nil && in.rest != nil {
		rest += uint64(len(in.rest.B) - in.restOff)
	}
	o := c.out.Account()
	rest += o.Long
	waits := o.Collects && !o.Place // for others to have made theirs
	if c.flags&enqueued == 0 || rest != d.rest || waits || d.m.holding(d) {
		d.stuck, d.rest = 0, rest
	} else if d.stuck++; d.stuck > mostStuck {
		d.broke("%d bytes of unfinished work are not gone on with in %d turns", rest, d.stuck)
	}
}

// checkBudget: the budget is what its holders hold.
func (m *simulation) checkBudget() {
	sum := int64(0)
	for _, h := range m.engine.budget.holders {
		sum += h.bytes.Load()
	}
	if used := m.engine.budget.used.Load(); used != sum {
		m.broke("the inbound budget counts %d, its holders hold %d", used, sum)
	}
}

// drainOf is somebody in Drain: what it waits for, until it is over. The connection's lock is free.
func drainOf(c *Conn) <-chan struct{} {
	c.mu.Lock()
	defer c.unlock()
	if done := c.out.Await(); done != nil {
		return done
	}
	done := make(chan struct{})
	close(done)
	return done
}

func isOver(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// checkWaiters: all has left, or the connection has ended.
func (d *ledger) checkWaiters() {
	for _, w := range d.waiters {
		if !isOver(w) {
			d.broke("Drain is not over in %v, BufferedAmount is %d", d.conn.ReadyState(), d.conn.out.Buffered())
		}
	}
	d.waiters = nil
}

// checkError: OnError comes before OnClose exactly when the connection failed, by somebody else than its user.
func (d *ledger) checkError(e CloseEvent) {
	if want := e.Err != nil && (!d.opened || !errors.Is(e.Err, ErrTerminated)); d.err != want {
		d.broke("OnError: %v, OnClose: %+v", d.err, e)
	}
	if d.terminated && (e.WasClean || e.Code != StatusAbnormalClosure && e.Code != d.peer.closeCode) {
		d.broke("terminated, and OnClose says %+v", e)
	}
}

// decided looks at what Accept or Refuse answered.
func (m *simulation) decided(u *Upgrade, before ReadyState, err error) {
	want := error(nil)
	if before >= Closing {
		want = ErrClosed
	}
	if err != want {
		m.broke("a decision in %v answered %v", before, err)
	}
	if err := u.Accept(); err == nil {
		m.broke("a second decision counts")
	}
}
