package netio

import (
	"net"
	"time"
)

// Detach gives back the net.Conn behind a descriptor, which was removed before and is
// free afterwards, with the bytes that were read from it and not taken. It waits until
// the connection's goroutines have ended and what was written is delivered, so it is for
// a goroutine of its own, not for the loop.
func (b *Bridge) Detach(fd int) (net.Conn, []byte, error) {
	k := b.take(fd)
	if k == nil {
		return nil, nil, net.ErrClosed
	}
	read := k.detach()
	// Only a deadline ends a Read without ending the connection; crypto/tls, too, goes
	// on after one.
	if err := k.conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		k.abort()
		return nil, nil, err
	}
	k.carriers.Wait()
	err := k.conn.SetReadDeadline(time.Time{})
	return k.conn, append(read, k.late...), err
}

// detach lets the carriers end and takes over what the reader left.
func (k *carried) detach() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	read := append([]byte(nil), k.in...)
	k.detached, k.watched, k.in = true, 0, nil
	k.mayRead.Signal()
	k.mayWrite.Signal()
	return read
}
