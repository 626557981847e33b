package engine

import (
	"crypto/tls"
	"net/netip"
)

// arrival is a connection that is about to be taken over.
type arrival struct {
	fd    int
	peer  netip.AddrPort
	early []byte // bytes that were read already
	tls   bool
	id    uint64 // of the connection; admitConn gives it

	upgrade *Upgrade  // by ServeHTTP: it was decided about, answered and counted
	moved   *tls.Conn // of it, where it moves to a loop with its TLS
}

// admitConn counts a connection against the limits; refused ones must be closed.
func (e *engine) admitConn(a *arrival) (reason string, ok bool) {
	a.id, reason, ok = e.admit(e.countedBy(a))
	return reason, ok
}

// admit is admitConn for what counts as that address.
func (e *engine) admit(peer netip.AddrPort) (id uint64, reason string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch key := addressKey(peer); {
	case e.conf.MaxConns > 0 && e.total >= e.conf.MaxConns:
		return 0, "max-conns", false
	case e.addresses != nil && peer.IsValid() && e.addresses[key] >= e.conf.MaxConnsPerAddress:
		return 0, "max-conns-per-address", false
	case e.addresses != nil && peer.IsValid():
		e.addresses[key]++
	}
	e.total++
	return e.stats.accepted.Add(1), "", true
}

// recount has a connection that is counted already count as another address, if there is room for that.
func (e *engine) recount(was, now netip.AddrPort) (ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.addresses == nil {
		return true
	}
	e.forgetLocked(was)
	if !now.IsValid() {
		return true
	}
	key := addressKey(now)
	if e.addresses[key] >= e.conf.MaxConnsPerAddress {
		if was.IsValid() {
			e.addresses[addressKey(was)]++
		}
		return false
	}
	e.addresses[key]++
	return true
}

// forgetLocked takes a connection off those of its address. Under mu.
func (e *engine) forgetLocked(peer netip.AddrPort) {
	if e.addresses != nil && peer.IsValid() {
		key := addressKey(peer)
		if e.addresses[key]--; e.addresses[key] <= 0 {
			delete(e.addresses, key)
		}
	}
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
	e.forgetLocked(peer)
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
