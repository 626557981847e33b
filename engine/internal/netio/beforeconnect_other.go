//go:build !linux

package netio

import "syscall"

// BeforeConnect is a net.Dialer's Control; here there is nothing to set. Buffers.SetOn comes afterwards.
func BeforeConnect(Buffers) func(network, addr string, c syscall.RawConn) error { return nil }
