package sim

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// Faults say how often the machine misbehaves: thousandths of the occasions, 0 to 1000.
type Faults struct {
	Partial       int // a read or write moves fewer bytes than it could
	Again         int // a read or write answers ErrAgain although it need not
	Omit          int // a ready descriptor is left out of a turn
	Spurious      int // a watched descriptor is reported though nothing happened
	LateWake      int // OnWake waits for another turn
	IdleWake      int // OnWake runs though nobody asked
	LateTimer     int // the timer waits for another turn
	NoDescriptors int // accept and connect answer EMFILE
	NoMemory      int // a descriptor cannot be added to the poller, or watched for something else
	Break         int // a read or write finds that the connection broke
	Preempt       int // another goroutine acts in the middle of a system call
	SlowClock     int // time passes between two looks at the clock in one turn
}

// Rough is a bad day of the machine.
func Rough() Faults {
	return Faults{
		Partial: 300, Again: 60, Omit: 150, Spurious: 40, LateWake: 250, IdleWake: 40, LateTimer: 300,
		NoDescriptors: 30, NoMemory: 4, Break: 1, Preempt: 60, SlowClock: 400,
	}
}

// World is one simulated machine with its network.
type World struct {
	mu      sync.Mutex
	rng     *rand.Rand
	faults  Faults
	now     time.Duration
	sockets []*socket // by descriptor; nil where it is free
	nextID  uint16
	history uint32 // checksum of everything that happened
	breach  error  // the first one
	denied  uint64

	network    func(netio.Target) Route
	preempt    func()
	preempting bool // what is called is another goroutine's
	trace      func(string)
}

// New makes a world in which everything follows from seed and from what is called.
func New(seed uint64, f Faults) *World {
	return &World{
		rng: rand.New(rand.NewPCG(seed, 0x67616e6e6574)), faults: f,
		now: time.Second, // so that 0 is in the past
	}
}

// SetFaults changes how the machine behaves from now on. Faults{} makes it perfect.
func (w *World) SetFaults(f Faults) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = f
}

// SetPreempt names what other goroutines do in the middle of a system call of a loop's.
// It runs on the caller's goroutine and never inside itself. The engine may hold locks
// there, so it only tries for one.
func (w *World) SetPreempt(f func()) { w.preempt = f }

// Elsewhere runs f as another goroutine would run it in the middle of what a loop does. Inside it there is no preempting,
// and its calls are not the loop's: it may write on what the loop's event has just removed.
func (w *World) Elsewhere(f func()) {
	before := w.setPreempting(true)
	f()
	w.setPreempting(before)
}

func (w *World) setPreempting(is bool) (was bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was, w.preempting = w.preempting, is
	return was
}

// SetTrace has every system call described. nil ends it.
func (w *World) SetTrace(f func(string)) { w.trace = f }

// Now is the simulated time.
func (w *World) Now() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Clock is Now for a Tap, which is called in the middle of a system call.
func (w *World) Clock() time.Duration { return w.now }

// Advance lets time pass.
func (w *World) Advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now += d
}

// Denied is how often the machine had no descriptor or no memory. It may be asked inside SetNetwork's function.
func (w *World) Denied() uint64 { return w.denied }

// Breach is the first thing that a System was asked for against netio's contract.
func (w *World) Breach() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.breach
}

// History is a checksum of every system call so far: equal for equal runs.
func (w *World) History() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.history
}

// OpenDescriptors is how many descriptors have not been closed.
func (w *World) OpenDescriptors() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sockets {
		if s != nil {
			n++
		}
	}
	return n
}

// Listen opens a listening descriptor.
func (w *World) Listen() (fd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open(&socket{listening: true})
}

// Dial connects a new peer to a listening descriptor, with buffers of so many bytes in
// each direction. The peer may write before it is accepted. It is nil once the
// listener was closed.
func (w *World) Dial(listener, toEngine, fromEngine int) *Peer {
	w.mu.Lock()
	defer w.mu.Unlock()
	ln := w.at(listener)
	if ln == nil || !ln.listening {
		return nil
	}
	w.nextID++
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(w.nextID >> 8), byte(w.nextID)}), 40000+w.nextID)
	p := &Peer{world: w, socket: &socket{addr: addr, inRoom: toEngine, outRoom: fromEngine}}
	p.socket.peer = p
	ln.backlog = append(ln.backlog, p.socket)
	return p
}

// open gives s the lowest free number, as the kernel does.
func (w *World) open(s *socket) int {
	for fd, taken := range w.sockets {
		if taken == nil {
			w.sockets[fd], s.fd = s, fd
			return fd
		}
	}
	w.sockets = append(w.sockets, s)
	s.fd = len(w.sockets) - 1
	return s.fd
}

func (w *World) at(fd int) *socket {
	if fd < 0 || fd >= len(w.sockets) {
		return nil
	}
	return w.sockets[fd]
}

// denies is chance, for what the machine has none left of.
func (w *World) denies(perMille int) bool {
	if !w.chance(perMille) {
		return false
	}
	w.denied++
	return true
}

// chance is true so many times in a thousand.
func (w *World) chance(perMille int) bool {
	return perMille > 0 && w.rng.IntN(1000) < perMille
}

// some is how many of n bytes are moved this time: at least one.
func (w *World) some(n int) int {
	if n > 1 && w.chance(w.faults.Partial) {
		return 1 + w.rng.IntN(n)
	}
	return n
}

func (w *World) breached(format string, args ...any) {
	if w.breach == nil {
		w.breach = fmt.Errorf("sim: "+format, args...)
	}
}

// note records a system call.
func (w *World) note(call string, fd, result int) {
	w.history = crc32.Update(w.history, crc32.IEEETable, []byte{call[0], call[len(call)-1], byte(fd), byte(result), byte(result >> 8), byte(result >> 16)})
	if w.trace != nil {
		w.trace(fmt.Sprintf("%v %s %d: %d", w.now, call, fd, result))
	}
}
