//go:build !linux

package netio

import (
	"errors"
	"net"
)

// HasNative tells whether this system's sockets can live on a loop. Here they cannot:
// gnet's kqueue poller is unable to drop read interest, and Windows has none. Every
// connection takes the Bridge.
const HasNative = false

// Native does not exist on this system.
type Native struct {
	System
	Buffers Buffers
}

// Set does nothing.
func (b Buffers) Set(fd int) {}

// NewNative answers errors.ErrUnsupported.
func NewNative() (*Native, error) { return nil, errors.ErrUnsupported }

// Listen answers errors.ErrUnsupported: use net.Listen.
func Listen(network, addr string, reusePort bool, b Buffers) (fd int, at net.Addr, err error) {
	return -1, nil, errors.ErrUnsupported
}

// ListenGroup answers errors.ErrUnsupported: use net.Listen.
func ListenGroup(network, addr string, n int, b Buffers) (fds []int, at net.Addr, err error) {
	return nil, nil, errors.ErrUnsupported
}

// DupListener answers that ln cannot be had.
func DupListener(ln net.Listener) (fd int, ok bool, err error) { return -1, false, nil }

// DupConn answers that c cannot be had.
func DupConn(c net.Conn) (fd int, ok bool, err error) { return -1, false, nil }

// TakeListener answers errors.ErrUnsupported.
func TakeListener(fd int) (net.Listener, error) { return nil, errors.ErrUnsupported }

// LocalAddr answers nil.
func LocalAddr(fd int) net.Addr { return nil }

// PeerAddr answers nil.
func PeerAddr(fd int) net.Addr { return nil }
