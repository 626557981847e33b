//go:build !poll_opt

package netio

import (
	"reflect"
	"unsafe"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// waitEvents is how many descriptors one turn serves at most; with more ready, the
// kernel goes on with the others in the next turn.
const waitEvents = 512

// waiter is Polling with an event list that keeps its size. gnet's grows when it is
// full and shrinks when less than half full, each time by making a new one: with 100
// busy connections that is 0.025 mallocs a message (TestEchoMallocs counts them), 25
// times what an engine may have. Everything else is as in Polling.
type waiter struct {
	list      [waitEvents]unix.EpollEvent
	at, found int  // list[at:found] is to be dispatched yet
	busy      bool // in the middle of a turn
}

// epollOf finds the poller's epoll descriptor, which gnet does not export, or answers
// -1. Reading a field by its name is a guess about another's package, so the kernel is
// asked for proof: the descriptor is the poller's if member, which was registered
// through the poller, is registered in it.
func epollOf(p *netpoll.Poller, member int) int {
	field := reflect.ValueOf(p).Elem().FieldByName("fd")
	if !field.IsValid() || !field.CanInt() {
		return -1
	}
	fd := int(field.Int())
	if unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, member, &unix.EpollEvent{}) != unix.EEXIST {
		return -1
	}
	return fd
}

// wait turns the loop until the callback ends it. After a turn with events it looks
// once more without sleeping; when that finds nothing it may let other goroutines of this
// processor run (yields) and sleeps.
//
// Where a turn stands is kept, so that another goroutine can go on with it: what the kernel reports
// by the edge it reports once.
func (w *waiter) wait(n *Native) error {
	sleep := true
	if w.busy {
		n.reported()
		sleep = false
	}
	for {
		if !w.busy {
			found, err := w.look(n.epoll, sleep)
			if sleep {
				n.yields.come()
			}
			if err != 0 && err != unix.EINTR {
				return err
			}
			n.edge.turn()
			if found == 0 && len(n.edge.serving) == 0 {
				sleep = true
				n.yields.leave()
				continue
			}
			w.at, w.found, w.busy = 0, found, true
			sleep = false
		}
		for w.at < w.found {
			ev := &w.list[w.at]
			w.at++
			if n.dispatch(int(ev.Fd), ev.Events, 0) != nil {
				n.handler.OnBatchEnd()
				return gneterrors.ErrEngineShutdown
			}
		}
		n.reportAgain()
		w.busy = false
		n.handler.OnBatchEnd()
	}
}

// look is epoll_wait. Only where it may sleep does the scheduler hear of it; see rawLimit.
func (w *waiter) look(epoll int, sleep bool) (n int, errno unix.Errno) {
	var got uintptr
	if sleep {
		const forever = ^uintptr(0)
		got, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
			uintptr(unsafe.Pointer(&w.list[0])), waitEvents, forever, 0, 0)
	} else {
		got, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
			uintptr(unsafe.Pointer(&w.list[0])), waitEvents, 0, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(got), 0
}
