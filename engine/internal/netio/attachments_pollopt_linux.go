//go:build poll_opt

package netio

import "github.com/panjf2000/gnet/v2/pkg/netpoll"

// attachments are what the poller wants to know of a descriptor. Under gnet's tag
// poll_opt the kernel keeps a pointer to it, which the garbage collector cannot see:
// each must stay reachable here while its descriptor is in the poller, and after that
// until no event of the same turn can bring it back.
//
// No hook marks the end of a turn, but the wake descriptor is reported once a turn at
// most: two wakes after a descriptor left, the turn it left in is over. So drop and
// retire ask for wakes until nothing waits. It costs about 60 bytes a connection; the
// default build has nothing of it.
type attachments struct {
	live map[int]*netpoll.PollAttachment
	left []*netpoll.PollAttachment // since the last wake
	gone []*netpoll.PollAttachment // before it
}

func (a *attachments) of(fd int, f netpoll.PollEventHandler) *netpoll.PollAttachment {
	pa := a.live[fd]
	if pa == nil {
		if a.live == nil {
			a.live = make(map[int]*netpoll.PollAttachment)
		}
		pa = &netpoll.PollAttachment{FD: fd, Callback: f}
		a.live[fd] = pa
	}
	return pa
}

// drop is called when fd leaves the poller for good.
func (a *attachments) drop(fd int) (wake bool) {
	pa := a.live[fd]
	if pa == nil {
		return false
	}
	delete(a.live, fd)
	a.left = append(a.left, pa)
	return true
}

// retire is called at each wake, and frees what left before the one before.
func (a *attachments) retire() (wake bool) {
	clear(a.gone)
	a.gone, a.left = a.left, a.gone[:0]
	return len(a.gone) != 0
}

// polling leaves the turns to gnet, whose event list here holds those pointers; it
// allocates when it changes its size.
func polling(n *Native) error { return n.poller.Polling() }

// ownEpoll: gnet's Polling is the only one that reads this build's events.
func ownEpoll(*Native) int { return -1 }
