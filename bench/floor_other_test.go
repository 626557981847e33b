//go:build !linux

package bench

import (
	"errors"
	"net"
)

const hasFloor = false

func serveFloor(*net.TCPListener) error { return errors.New("the floor needs epoll") }
