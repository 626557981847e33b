package engine

import (
	"net/netip"
)

// arrival is a connection that is about to be taken over.
type arrival struct {
	fd    int
	peer  netip.AddrPort
	early []byte // bytes that were read already
	http  *httpArrival
	tls   bool
	id    uint64 // of the connection; admitConn gives it
}

// admitConn counts a connection against the limits; refused ones must be closed.
func (e *engine) admitConn(a *arrival) (reason string, ok bool) {
	peer := e.countedBy(a)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch key := addressKey(peer); {
	case e.conf.MaxConns > 0 && e.total >= e.conf.MaxConns:
		return "max-conns", false
	case e.addresses != nil && peer.IsValid() && e.addresses[key] >= e.conf.MaxConnsPerAddress:
		return "max-conns-per-address", false
	case e.addresses != nil && peer.IsValid():
		e.addresses[key]++
	}
	e.total++
	a.id = e.stats.accepted.Add(1)
	return "", true
}

// addressKey is what MaxConnsPerAddress counts by: a host has a whole /64 of IPv6.
func addressKey(peer netip.AddrPort) netip.Addr {
	a := peer.Addr().Unmap()
	if a.Is6() {
		p, err := a.WithZone("").Prefix(64)
		if err == nil {
			return p.Addr()
		}
	}
	return a
}

// uncount takes a connection off the limits.
func (e *engine) uncount(peer netip.AddrPort) {
	e.mu.Lock()
	e.total--
	if e.addresses != nil && peer.IsValid() {
		key := addressKey(peer)
		if e.addresses[key]--; e.addresses[key] <= 0 {
			delete(e.addresses, key)
		}
	}
	last := e.total == 0 && e.closing.Load()
	e.mu.Unlock()
	if last {
		e.wakeGone.Do(func() { close(e.gone) })
	}
}

// connGone: a connection has left its loop.
func (e *engine) connGone(c *Conn) {
	if c.flags&bridged != 0 {
		e.stats.bridged.Add(-1)
	}
	e.uncount(c.countedAs())
}

// closed notes the end of a connection that was open.
func (e *engine) closed(c *Conn, was ReadyState, k closing) {
	if was == Open {
		e.stats.open.Add(-1)
	} else {
		e.stats.closing.Add(-1)
	}
	e.countDeflate(c.agreed.Value().deflate, -1)
	e.stats.closes.add(k.code)
	e.log().Debug("gannet: closed", "code", k.code, "reason", k.reason, "clean", k.clean, "err", k.err, "conn", c.id, "remote", c.peer.addrPort())
}
