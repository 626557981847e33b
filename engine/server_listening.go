package engine

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// listening is what a server listens on.
type listening struct {
	mu     sync.Mutex
	closed bool
	all    []*served
}

// served is one Serve or ListenAndServe under way.
type served struct {
	at    net.Addr
	fds   []int
	loops []*loop
	left  atomic.Int32 // loops that accept
	ln    net.Listener // Serve's; nil for ListenAndServe's native ones
	owner syscall.RawConn
	unix  socketFile // to remove; of ListenAndServe
	file  socketFile // which ln removes
	stays bool       // the socket lives on, and with it who waits in its queue (systemds)
	done  chan struct{}
	once  sync.Once             // end
	over  sync.Once             // done is closed
	ended atomic.Pointer[error] // what Serve answers; nil: ErrServerClosed
}

// Addr is the address of the listener that was served first, of those that are; nil when there is none.
func (s *Server) Addr() net.Addr {
	if all := s.Addrs(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// Addrs are the addresses of the listeners that are served, in the order in which Serve and ListenAndServe were called:
// any number of them may be under way at a time, each in a goroutine of its own. Of port 0 it is the port that was chosen.
func (s *Server) Addrs() []net.Addr { return s.listening.addrs() }

func (g *listening) addrs() (all []net.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.all {
		all = append(all, v.at)
	}
	return all
}

// add notes v and runs begin, unless the server is closed already. Under the lock, so
// that what begin posts to the loops comes before what closeAll does.
func (g *listening) add(v *served, begin func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.all = append(g.all, v)
	begin()
	return true
}

// closeAll ends all of Serve's calls and waits until no loop accepts any more.
func (g *listening) closeAll(e *engine, drain bool) {
	g.mu.Lock()
	g.closed = true
	all := g.all
	g.mu.Unlock()
	for _, v := range all {
		v.end(ErrServerClosed, drain)
	}
}

// remove forgets a v that has ended.
func (g *listening) remove(v *served) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = slices.DeleteFunc(slices.Clone(g.all), func(o *served) bool { return o == v })
}

// end ends v, once, with what its Serve answers. Not on a loop.
func (v *served) end(err error, drain bool) {
	v.once.Do(func() {
		v.ended.Store(&err)
		v.close(drain)
	})
}

// closedByOwner tells whether the caller of Serve has closed its listener.
func (v *served) closedByOwner() bool {
	return v.owner != nil && errors.Is(v.owner.Control(func(uintptr) {}), net.ErrClosed)
}

// retires tells whether nobody is accepted any more: the listener was closed by its owner, which ends v; or the server ends, and
// who comes is left to the next process.
func (v *served) retires(e *engine) bool {
	if v.closedByOwner() {
		go v.endClosed()
		return true
	}
	return v.stays && e.closing.Load()
}

// wait waits for the end of v, which its listener's owner may bring about.
func (v *served) wait() error {
	var ask <-chan time.Time
	if v.owner != nil {
		t := time.NewTicker(ownerInterval)
		defer t.Stop()
		ask = t.C
	}
	for {
		select {
		case <-v.done:
			return v.answer()
		case <-ask:
			if v.closedByOwner() {
				v.endClosed()
			}
		}
	}
}

// answer is what Serve answers, once done is closed.
func (v *served) answer() error {
	if err := v.ended.Load(); err != nil {
		return *err
	}
	return ErrServerClosed
}

// endClosed ends v as net/http's Serve ends when somebody closes its listener.
func (v *served) endClosed() {
	v.end(acceptError(&net.OpError{Op: "accept", Net: v.at.Network(), Addr: v.at, Err: net.ErrClosed}), false)
}

func acceptError(err error) error { return fmt.Errorf("gannet: accept: %w", err) }

func (v *served) close(drain bool) {
	// The file first: as long as the socket is open nobody else's file can have its number.
	v.unix.remove()
	var left sync.WaitGroup
	for i, fd := range v.fds {
		l := v.loops[i]
		left.Add(1)
		if !l.post(task{call: func() { l.closeListener(fd, drain && !v.stays, left.Done) }}) {
			left.Done()
		}
	}
	left.Wait()
	if v.ln != nil {
		v.file.spare(v.ln)
		_ = v.ln.Close()
	}
	v.letGo()
}

// letGo lets Serve return.
func (v *served) letGo() { v.over.Do(func() { close(v.done) }) }

// letGo lets all of Serve's calls return, though a loop that is blocked may not have closed its listeners.
func (g *listening) letGo() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.all {
		v.letGo()
	}
}
