package netio

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// HasNative tells whether this system's sockets can live on a loop; elsewhere every
// connection takes the Bridge.
const HasNative = true

// Native is a System over the kernel's sockets: one gnet netpoll.Poller, an eventfd
// for Wake and a timerfd for SetTimer, so that a loop has no goroutine but its own.
//
// gnet's Trigger allocates twice per call and its Polling has no time-out, hence the
// two descriptors of ours. Both are edge-triggered: each write, each expiry is a new
// event, so neither is ever read.
type Native struct {
	Buffers Buffers // of the connections that Accept takes and Connect begins; before Run

	poller  *netpoll.Poller
	attach  attachments // what the poller keeps for each descriptor
	onEvent netpoll.PollEventHandler
	handler Handler
	wakeFD  int
	timerFD int
	start   time.Time
	armed   time.Duration // when the timer is due; 0: disarmed
	scratch scratch
	edge    edge
	epoll   int  // the poller's descriptor; -1: not known
	plain   bool // tests: leave the turns to gnet's Polling
	ran     bool // Run was called

	_       [64]byte      // Wake's callers write below, the loop reads above at each event
	woken   atomic.Uint32 // 1: a wake is on its way, or Release began
	writing atomic.Int32  // goroutines between taking woken and having written wakeFD
	yields  yields
}

// scratch is memory for the system calls of the loop's goroutine, here because a
// local variable whose address goes to the kernel may be moved to the heap.
type scratch struct {
	spec    unix.ItimerSpec
	address unix.RawSockaddrAny
	length  uint32
}

var _ System = (*Native)(nil)

// NewNative opens a poller. It holds four descriptors until Release.
func NewNative() (*Native, error) {
	n := &Native{wakeFD: -1, timerFD: -1, epoll: -1, start: time.Now()}
	n.edge.current = -1
	n.onEvent = n.dispatchAlone
	if err := n.open(); err != nil {
		_ = n.Release()
		return nil, err
	}
	return n, nil
}

func (n *Native) open() (err error) {
	if n.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		n.wakeFD = -1
		return os.NewSyscallError("eventfd", err)
	}
	n.timerFD, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		n.timerFD = -1
		return os.NewSyscallError("timerfd_create", err)
	}
	if err = canOpen(2, n.wakeFD); err != nil {
		return err
	}
	if n.poller, err = netpoll.OpenPoller(); err != nil {
		return err
	}
	if err = n.poller.AddRead(n.attach.of(n.wakeFD, n.onEvent), true); err != nil {
		return err
	}
	if err = n.poller.AddRead(n.attach.of(n.timerFD, n.onEvent), true); err != nil {
		return err
	}
	n.epoll = ownEpoll(n)
	n.edge.on = n.epoll >= 0
	return nil
}

// canOpen tries whether so many descriptors are left. gnet v2.10.0 under poll_opt
// dereferences nil in OpenPoller when it gets the first of its two and not the second.
func canOpen(count, fd int) error {
	if count == 0 {
		return nil
	}
	spare, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	defer unix.Close(spare)
	return canOpen(count-1, fd)
}

// Run implements System.
func (n *Native) Run(h Handler) error {
	n.handler = h
	if n.ran {
		n.signalAgain()
	}
	n.ran = true
	err := polling(n) // in the build's attachments file
	if errors.Is(err, gneterrors.ErrEngineShutdown) {
		return nil
	}
	return err
}

// signalAgain makes up for what the goroutine before may have taken along: gnet's Polling keeps the events that it
// has found to itself. The sockets are level-triggered there, and come again.
func (n *Native) signalAgain() {
	n.woken.Store(0)
	n.Wake()
	if n.armed != 0 {
		n.arm()
	}
}

// dispatch is the poller's callback. It answers nil or ErrEngineShutdown: gnet's
// Polling ends for that one and for one more error that it never gets from us.
func (n *Native) dispatch(fd int, ev netpoll.IOEvent, _ netpoll.IOFlags) error {
	switch {
	case fd == n.wakeFD || fd == n.timerFD:
		return n.onSignal(fd)
	case n.edge.on:
		n.arrived(fd, readiness(ev), ev&sticky != 0)
	default:
		n.handler.OnEvent(fd, readiness(ev))
	}
	return nil
}

// dispatchAlone is dispatch where gnet's Polling calls it: each event is a batch.
func (n *Native) dispatchAlone(fd int, ev netpoll.IOEvent, flags netpoll.IOFlags) error {
	err := n.dispatch(fd, ev, flags)
	n.handler.OnBatchEnd()
	return err
}

// readiness reads the kernel's mask, which holds only what is watched, besides
// errors and hang-ups. Where there is one, TCP and unix sockets are readable and
// writable too, so what is watched is in the mask; alone it counts as both.
//
// gnet watches for EPOLLPRI with every read interest: a byte of urgent data (MSG_OOB)
// came. A read steps over it and so ends the event.
func readiness(ev netpoll.IOEvent) Event {
	var e Event
	if ev&netpoll.ReadEvents != 0 {
		e |= Readable
	}
	if ev&unix.EPOLLOUT != 0 {
		e |= Writable
	}
	if e == 0 {
		e = Readable | Writable
	}
	return e
}

// onSignal serves the two descriptors of ours. Only the eventfd's event leads to OnWake,
// and a turn holds one of each at most, so OnWake runs once a turn at most.
func (n *Native) onSignal(fd int) error {
	if fd == n.timerFD {
		if n.expired() {
			n.Wake()
		}
		return nil
	}
	// Before OnWake: what is posted from here on writes the eventfd again.
	n.woken.Store(0)
	if n.attach.retire() {
		n.Wake()
	}
	if !n.handler.OnWake() {
		return gneterrors.ErrEngineShutdown
	}
	return nil
}

// expired tells whether the timer is due, and disarms it then. It is not if SetTimer
// moved it in the turn that reported its expiry.
func (n *Native) expired() bool {
	if n.armed == 0 {
		return false
	}
	if n.Now() < n.armed {
		n.arm()
		return false
	}
	n.armed = 0
	return true
}

// Wake implements System: one write of the eventfd per batch.
func (n *Native) Wake() {
	n.yields.called()
	if n.woken.Load() != 0 {
		return
	}
	n.writing.Add(1) // before woken is taken: Release waits for whoever took it
	if n.woken.CompareAndSwap(0, 1) {
		// It fails only when the counter is full, after 2^64-2 wakes.
		_, _ = unix.Write(n.wakeFD, one)
	}
	n.writing.Add(-1)
}

// one is what an eventfd adds to its counter.
var one = binary.NativeEndian.AppendUint64(nil, 1)

// Now implements System.
func (n *Native) Now() time.Duration { return time.Since(n.start) }

// SetTimer implements System. Setting the time that is already set costs nothing.
func (n *Native) SetTimer(at time.Duration) {
	if at == n.armed {
		return
	}
	n.armed = at
	n.arm()
}

func (n *Native) arm() {
	n.scratch.spec = unix.ItimerSpec{} // disarms
	if n.armed != 0 {
		// The kernel takes the wait from a later now than ours, so it is never early.
		wait := max(n.armed-n.Now(), 1)
		n.scratch.spec.Value = unix.NsecToTimespec(int64(wait))
	}
	// Fails only for a bad descriptor or time, which are ours.
	if err := unix.TimerfdSettime(n.timerFD, 0, &n.scratch.spec, nil); err != nil {
		panic("netio: timerfd_settime refused a valid time")
	}
}

// Add implements System.
func (n *Native) Add(fd int) error {
	n.edge.watch(fd, Readable|Writable)
	return n.poller.AddRead(n.attach.of(fd, n.onEvent), n.edge.on)
}

// Interest implements System. gnet has neither a write-only nor an empty modify, so
// these two leave the poller and, for write-only, come back. Interest in writing is rare,
// and level-triggered in the kernel.
func (n *Native) Interest(fd int, was, now Interest) error {
	if was == now {
		return nil
	}
	n.edge.watch(fd, now)
	pa := n.attach.of(fd, n.onEvent)
	switch {
	case was == 0:
		return n.watch(pa, now)
	case now == Readable:
		return n.poller.ModRead(pa, n.edge.on)
	case now == Readable|Writable:
		return n.poller.ModReadWrite(pa, false)
	}
	if err := n.poller.Delete(fd); err != nil || now == 0 {
		return err
	}
	return n.watch(pa, now)
}

// watch puts a descriptor that is not in the poller into it.
func (n *Native) watch(pa *netpoll.PollAttachment, now Interest) error {
	switch now {
	case Readable:
		return n.poller.AddRead(pa, n.edge.on)
	case Writable:
		return n.poller.AddWrite(pa, false)
	default:
		return n.poller.AddReadWrite(pa, false)
	}
}

// Remove implements System. A descriptor that is watched for nothing is not in the
// poller, which is the only error this can meet.
func (n *Native) Remove(fd int) {
	n.edge.watch(fd, 0)
	_ = n.poller.Delete(fd)
	if n.attach.drop(fd) {
		n.Wake()
	}
}

// Release implements System.
func (n *Native) Release() error {
	// From here on Wake writes nothing, so it cannot hit a stranger's descriptor that
	// gets the number of the closed one.
	n.woken.Store(1)
	for n.writing.Load() != 0 {
		runtime.Gosched()
	}
	var err error
	for _, fd := range [...]int{n.wakeFD, n.timerFD} {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	if n.poller != nil {
		err = errors.Join(err, n.poller.Close())
	}
	n.wakeFD, n.timerFD, n.poller = -1, -1, nil
	return err
}
