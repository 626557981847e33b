package netio

import (
	"net"
	"time"
)

// Detach gives back the net.Conn behind a descriptor, which was removed before and is
// free afterwards, with the bytes that were read from it and not taken. It waits for the
// connection's reader, so it is for a goroutine of its own, not for the loop.
func (b *Bridge) Detach(fd int) (net.Conn, []byte, error) {
	k := b.take(fd)
	if k == nil {
		return nil, nil, net.ErrClosed
	}
	return k.detach()
}

func (k *carried) detach() (net.Conn, []byte, error) {
	k.mu.Lock()
	k.detached, k.watched = true, 0
	read := append([]byte(nil), k.in...)
	k.in = nil
	k.mayRead.Signal()
	k.mayWrite.Signal()
	k.mu.Unlock()
	// Only a deadline ends a Read without ending the connection.
	if err := k.conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, nil, err
	}
	<-k.readEnd
	err := k.conn.SetReadDeadline(time.Time{})
	return k.conn, append(read, k.late...), err
}
