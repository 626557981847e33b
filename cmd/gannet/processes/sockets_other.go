//go:build !linux

package processes

import (
	"context"
	"net"
	"os"
)

func listen(context.Context, string, int) ([]*os.File, net.Addr, error) {
	return nil, nil, ErrUnsupported
}

func pair() (net.Conn, *os.File, error) { return nil, nil, ErrUnsupported }
