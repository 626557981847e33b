//go:build !linux

package netio

import (
	"errors"
	"net"
)

// FileConn is for native descriptors, which this system has none of.
func FileConn(int) (net.Conn, error) { return nil, errors.ErrUnsupported }
