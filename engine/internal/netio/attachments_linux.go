//go:build !poll_opt

package netio

import "github.com/panjf2000/gnet/v2/pkg/netpoll"

// attachments are what the poller wants to know of a descriptor. In gnet's default
// build the kernel keeps the number alone, so one value serves every call.
type attachments struct {
	one  netpoll.PollAttachment
	wait waiter // by ourselves
}

func (a *attachments) of(fd int, _ netpoll.PollEventHandler) *netpoll.PollAttachment {
	a.one.FD = fd
	return &a.one
}

// drop and retire have nothing to keep here; see the other build.
func (a *attachments) drop(int) (wake bool) { return false }
func (a *attachments) retire() (wake bool)  { return false }

// polling is the poller's Polling, by ourselves if we can.
func polling(n *Native) error {
	if n.epoll >= 0 && !n.plain {
		return n.attach.wait.wait(n)
	}
	return n.poller.Polling(n.onEvent)
}

// ownEpoll is the descriptor that polling waits on itself, or -1.
func ownEpoll(n *Native) int { return epollOf(n.poller, n.wakeFD) }
