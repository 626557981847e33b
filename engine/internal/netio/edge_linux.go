package netio

import (
	"slices"

	"golang.org/x/sys/unix"
)

// edge makes descriptors that the kernel reports once per arrival (EPOLLET) as
// level-triggered as System promises. The kernel looks at each level-triggered
// descriptor a second time, in the turn after the one that reported it, only to find
// that it was read: 2 to 3 % of a small echo. Here only those come again
// whose last read left something.
//
// A read that did not fill its slice, or found nothing, has emptied the socket (epoll(7)
// says so of streams): whatever comes later is a new arrival. The end of the stream is not one,
// nor is what lies behind a byte of urgent data, so a descriptor that was reported with
// either comes again until a read finds nothing or the descriptor is given up.
type edge struct {
	on      bool
	current int  // the descriptor being reported, -1 when it was given up meanwhile
	emptied bool // by its last read
	stays   bool // it comes again until a read finds nothing

	again   []unread // to be reported in the next turn
	serving []unread // being reported in this one

	// What is left of the interest in descriptors that lost some in this turn, and of
	// which the kernel's list may still say what it was.
	left map[int]Interest
}

// unread is a descriptor that comes again; fd is -1 when it was given up.
type unread struct {
	fd    int
	stays bool // until a read finds nothing
}

// sticky are the conditions of which a short read does not tell.
const sticky = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR | unix.EPOLLPRI

// report reports one descriptor, and notes whether it comes again.
func (n *Native) report(fd int, ev Event, stays bool) {
	e := &n.edge
	if len(e.left) != 0 {
		if left, less := e.left[fd]; less {
			if ev &= left; ev == 0 {
				return
			}
		}
	}
	e.current, e.emptied, e.stays = fd, ev&Readable == 0, stays
	n.handler.OnEvent(fd, ev)
	n.reported()
}

// reported ends what report began.
func (n *Native) reported() {
	if e := &n.edge; e.current >= 0 && (!e.emptied || e.stays) {
		e.again = append(e.again, unread{e.current, e.stays})
	}
	n.edge.current = -1
}

// arrived reports what the kernel found. A descriptor that was to come again comes once.
func (n *Native) arrived(fd int, ev Event, stays bool) {
	for i := range n.edge.serving {
		if u := &n.edge.serving[i]; u.fd == fd {
			stays = stays || u.stays
			u.fd = -1
		}
	}
	n.report(fd, ev, stays)
}

// reportAgain reports what an earlier turn left.
func (n *Native) reportAgain() {
	for i := range n.edge.serving {
		u := n.edge.serving[i]
		n.edge.serving[i].fd = -1 // once, even if the handler does not return
		if u.fd >= 0 {
			n.report(u.fd, Readable, u.stays)
		}
	}
	n.edge.serving = n.edge.serving[:0]
}

// turn begins a turn: what was left before is served in it.
func (e *edge) turn() {
	e.again, e.serving = e.serving[:0], e.again
	if len(e.left) != 0 {
		clear(e.left)
	}
}

// read notes what a read of fd found: want bytes were asked for.
func (e *edge) read(fd, got, want int) {
	if fd == e.current {
		e.emptied = got < want
	}
}

// nothing notes that fd has nothing to read: not even the end of the stream.
func (n *Native) nothing(fd int) {
	if e := &n.edge; fd == e.current {
		e.current = -1
	}
}

// watch is called when fd's interest changes, before the kernel hears of it, or with all
// of it when fd is new. The kernel then reports anew what there is.
func (e *edge) watch(fd int, now Interest) {
	if !e.on {
		return
	}
	e.forget(fd)
	if now == Readable|Writable {
		delete(e.left, fd)
		return
	}
	if e.left == nil {
		e.left = make(map[int]Interest)
	}
	e.left[fd] = now
}

func (e *edge) forget(fd int) {
	if fd == e.current {
		e.current = -1
	}
	for _, list := range [...][]unread{e.again, e.serving} {
		if i := slices.IndexFunc(list, func(u unread) bool { return u.fd == fd }); i >= 0 {
			list[i].fd = -1
		}
	}
}
