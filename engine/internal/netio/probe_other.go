//go:build !linux

package netio

import "net"

// probeConn knows nothing here: a paused connection's end shows when it is read again,
// or when a write fails.
func probeConn(net.Conn) error { return nil }

// unackedConn knows nothing here either.
func unackedConn(net.Conn) (waiting int, taken uint64, counts bool) { return 0, 0, false }

// unreadConn knows nothing here: what a reading goroutine has not fetched has not arrived.
func unreadConn(net.Conn) (n int) { return 0 }
