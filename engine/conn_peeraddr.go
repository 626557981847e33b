package engine

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// peerAddr is the peer's address, kept from accept: the kernel forgets it after a
// reset, just when OnClose logs it.
type peerAddr struct {
	ip   [16]byte
	port uint16
}

func newPeerAddr(a netip.AddrPort) peerAddr {
	if !a.IsValid() {
		return peerAddr{}
	}
	p := peerAddr{a.Addr().As16(), a.Port()}
	if z := a.Addr().Zone(); z != "" && [8]byte(p.ip[:8]) == linkLocal {
		if n := zones.number(z); n != 0 {
			p.ip[0], p.ip[1] = zoned[0], zoned[1]
			binary.BigEndian.PutUint16(p.ip[2:], n)
		}
	}
	return p
}

func (p peerAddr) addrPort() netip.AddrPort {
	zone := ""
	if [2]byte(p.ip[:2]) == zoned {
		if zone = zones.name(binary.BigEndian.Uint16(p.ip[2:])); zone != "" {
			copy(p.ip[:], linkLocal[:])
		}
	}
	return netip.AddrPortFrom(netip.AddrFrom16(p.ip).Unmap().WithZone(zone), p.port)
}

// peerAddrPort is the peer's address; invalid if it has none.
func (c *Conn) peerAddrPort() netip.AddrPort {
	if c.peer == (peerAddr{}) {
		return netip.AddrPort{}
	}
	return c.peer.addrPort()
}

// Only link-local addresses have a zone, and they all begin alike (RFC 4291 2.5.6); so the number of
// the zone is kept in their place, behind what no peer's address begins with, a multicast address that is
// reserved (2.7). It costs a connection nothing.
var (
	linkLocal = [8]byte{0xfe, 0x80}
	zoned     = [2]byte{0xff, 0x00}
)

// zones are the names of the network interfaces that peers with link-local addresses came by. There
// are as many as the machine has interfaces; names beyond mostZones, and longer ones than longestZone, are forgotten: by ServeHTTP a
// middleware may have taken the address from a header.
var zones zoneTable

const (
	mostZones   = 1 << 12
	longestZone = 64
)

type zoneTable struct {
	mu    sync.RWMutex
	names []string // number 1 is names[0]
}

// number is a name's, which it keeps; 0 when there are too many, or it is too long.
func (t *zoneTable) number(name string) uint16 {
	if len(name) > longestZone {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, n := range t.names {
		if n == name {
			return uint16(i + 1)
		}
	}
	if len(t.names) == mostZones {
		return 0
	}
	t.names = append(t.names, name)
	return uint16(len(t.names))
}

// name is "" for 0, and for what is no number of ours.
func (t *zoneTable) name(number uint16) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if number == 0 || int(number) > len(t.names) {
		return ""
	}
	return t.names[number-1]
}
