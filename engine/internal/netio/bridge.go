package netio

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Bridge is a System over any net.Conn: two goroutines carry each connection, one
// reading and one writing, and make it look like a non-blocking socket with the
// buffers that a kernel would have. It serves the systems that have no Native, and
// connections that are more than a socket (*tls.Conn, what a proxy library wraps).
//
// A bridged connection costs two goroutines and 2 KiB to read into; while it is busy
// 16 KiB more to read into and one or two buffers of 64 KiB for what is written. A byte
// changes goroutines once each way.
//
// Attach and Conn, like Wake, are safe from any goroutine.
type Bridge struct {
	start   time.Time
	linger  time.Duration // lingerTime, but for tests
	signal  chan struct{} // holds one: Run has something to look at
	woken   atomic.Bool
	fired   atomic.Bool   // the timer did, perhaps before SetTimer moved it
	timer   *time.Timer   // stopped until SetTimer
	armed   time.Duration // loop: when the timer is due; 0: disarmed
	telling *carried      // loop: whose event the handler is being told of

	table atomic.Pointer[[]*page] // grows under mu

	mu    sync.Mutex // taken last, never held in a call to anything
	size  int        // mu; descriptors ever given out
	free  []int      // mu; of these, those to give out again
	ready readyQueue // mu
}

// page is a piece of the table that never moves, so that a descriptor is looked up
// without a lock while the table grows.
type page [64]atomic.Pointer[carried]

var _ System = (*Bridge)(nil)

// errNoListener: a bridge has no listening descriptors; goroutines accept for it.
var errNoListener = errors.New("netio: a bridge accepts nothing")

// NewBridge makes a loop that carries nothing yet.
func NewBridge() *Bridge {
	b := &Bridge{start: time.Now(), linger: lingerTime, signal: make(chan struct{}, 1)}
	b.table.Store(new([]*page))
	b.timer = time.AfterFunc(time.Hour, func() {
		b.fired.Store(true)
		b.poke()
	})
	b.timer.Stop()
	return b
}

// Attach takes over c and returns its descriptor, which is not yet added. From here on
// the bridge alone reads, writes and closes c. Deadlines that were set are lifted.
func (b *Bridge) Attach(c net.Conn) (fd int) {
	_ = c.SetDeadline(time.Time{})
	k := newCarried(b, c)
	b.mu.Lock()
	if n := len(b.free); n > 0 {
		k.fd, b.free = b.free[n-1], b.free[:n-1]
	} else {
		k.fd = b.size
		b.size++
		b.growLocked()
	}
	b.slot(k.fd).Store(k)
	b.mu.Unlock()
	k.carriers.Go(k.read)
	k.carriers.Go(k.write)
	return k.fd
}

// Conn is the connection behind a descriptor, for its addresses and TLS state; nil
// after Close or Abort.
func (b *Bridge) Conn(fd int) net.Conn {
	if k := b.at(fd); k != nil {
		return k.conn
	}
	return nil
}

func (b *Bridge) growLocked() {
	pages := *b.table.Load()
	if b.size > len(pages)*len(page{}) {
		// Readers hold the old slice: append makes a new one or writes past its end.
		pages = append(pages, new(page))
		b.table.Store(&pages)
	}
}

// slot is where a descriptor that was once given out is looked up; nil for others.
func (b *Bridge) slot(fd int) *atomic.Pointer[carried] {
	pages := *b.table.Load()
	if p := fd / len(page{}); fd >= 0 && p < len(pages) {
		return &pages[p][fd%len(page{})]
	}
	return nil
}

func (b *Bridge) at(fd int) *carried {
	if s := b.slot(fd); s != nil {
		return s.Load()
	}
	return nil
}

// take empties a descriptor's slot and gives the number back.
func (b *Bridge) take(fd int) *carried {
	s := b.slot(fd)
	if s == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := s.Swap(nil)
	if k != nil {
		b.free = append(b.free, fd)
	}
	return k
}

// Add implements System.
func (b *Bridge) Add(fd int) error { return b.watch(fd, Readable) }

// Interest implements System.
func (b *Bridge) Interest(fd int, _, now Interest) error { return b.watch(fd, now) }

func (b *Bridge) watch(fd int, now Interest) error {
	k := b.at(fd)
	if k == nil {
		return net.ErrClosed
	}
	k.watch(now)
	return nil
}

// Remove implements System.
func (b *Bridge) Remove(fd int) { _ = b.watch(fd, 0) }

// Accept implements System: always an error.
func (b *Bridge) Accept(int) (int, netip.AddrPort, error) {
	return -1, netip.AddrPort{}, errNoListener
}

// Read implements System.
func (b *Bridge) Read(fd int, p []byte) (int, error) {
	if k := b.at(fd); k != nil {
		return k.take(p)
	}
	return 0, net.ErrClosed
}

// Write implements System.
func (b *Bridge) Write(fd int, p []byte) (int, error) {
	if k := b.at(fd); k != nil {
		return k.put(p)
	}
	return 0, net.ErrClosed
}

// Writev implements System.
func (b *Bridge) Writev(fd int, v [][]byte) (int, error) {
	if k := b.at(fd); k != nil {
		return k.put(v...)
	}
	return 0, net.ErrClosed
}

// CloseWrite implements System.
func (b *Bridge) CloseWrite(fd int) error {
	if k := b.at(fd); k != nil {
		return k.finish()
	}
	return net.ErrClosed
}

// Probe implements System. Behind a TCP or unix socket, also one inside a *tls.Conn, it
// asks the kernel (on Linux); elsewhere it knows only what the two goroutines met.
func (b *Bridge) Probe(fd int) error {
	if k := b.at(fd); k != nil {
		return k.probe()
	}
	return net.ErrClosed
}

// Unacked implements System: what the writing goroutine still has, and on Linux what the
// socket beneath says, also one inside a *tls.Conn. Where there is none, a byte is taken when
// the connection's Write has returned.
func (b *Bridge) Unacked(fd int) (waiting int, taken uint64) {
	if k := b.at(fd); k != nil {
		return k.unacked()
	}
	return 0, 0
}

// Arriving tells whether bytes have arrived that Read does not bring yet: the reading goroutine, of which everything
// else on the machine may be ahead, has to fetch them first. It is for clocks alone, which ask when they are about to end
// a connection, and asks the kernel where Probe does; elsewhere nobody knows, and it is false.
func (b *Bridge) Arriving(fd int) bool {
	k := b.at(fd)
	return k != nil && k.arriving()
}

// Close implements System. What was written is delivered by the connection's writing
// goroutine, for at most 10 seconds.
func (b *Bridge) Close(fd int) error {
	k := b.take(fd)
	if k == nil {
		return net.ErrClosed
	}
	k.close()
	return nil
}

// Abort implements System.
func (b *Bridge) Abort(fd int) error {
	k := b.take(fd)
	if k == nil {
		return net.ErrClosed
	}
	k.abort()
	return nil
}
