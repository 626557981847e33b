package rig

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

// Ports hands out listening ports below the range that the kernel gives to outgoing connections: the load's own
// connections could otherwise sit on the port of the next server. Each server gets a fresh one, so that
// connections in TIME_WAIT never meet a new server.
type Ports struct{ next, first, end int }

// NewPorts hands out the ports from 21000 to 27999. Where it begins depends on the process, so that two that run at the
// same time seldom reach for the same port.
func NewPorts() *Ports {
	const first, end, stride = 21000, 28000, 101
	return &Ports{next: first + os.Getpid()*stride%(end-first), first: first, end: end}
}

// Take finds a port that nobody listens on.
func (p *Ports) Take() (int, error) {
	for range p.end - p.first {
		port := p.next
		if p.next++; p.next == p.end {
			p.next = p.first
		}
		listener, err := net.Listen("tcp", LocalAddr(port))
		if err != nil {
			continue
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("no free port from %d to %d", p.first, p.end-1)
}

// LocalAddr is a port of 127.0.0.1.
func LocalAddr(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
