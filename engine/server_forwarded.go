package engine

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// trusted are the proxies of which a request's word about its client is taken: Options.TrustedProxies.
type trusted struct {
	prefixes []netip.Prefix
	unix     bool // peers without an IP address
	field    handshake.ForwardedField
}

// newTrusted is nil without TrustedProxies.
func newTrusted(o *Options) (*trusted, error) {
	refused := func(format string, args ...any) (*trusted, error) {
		return nil, fmt.Errorf("gannet: Options: %s: %w", fmt.Sprintf(format, args...), ErrSyntax)
	}
	if len(o.TrustedProxies) == 0 {
		if o.ForwardedHeader != "" {
			return refused("ForwardedHeader is set and TrustedProxies is not: nobody's header would be read")
		}
		return nil, nil
	}
	if o.ProxyProtocol {
		return refused("ProxyProtocol and TrustedProxies are both set: the peer's address comes from one of them")
	}
	t := &trusted{field: handshake.XForwardedFor}
	if o.ForwardedHeader != "" {
		if t.field = handshake.ForwardedFieldNamed(o.ForwardedHeader); t.field == 0 {
			return refused("ForwardedHeader is %q, must be X-Forwarded-For or Forwarded", o.ForwardedHeader)
		}
	}
	for _, s := range o.TrustedProxies {
		if s == "unix" {
			t.unix = true
			continue
		}
		p, ok := parseTrusted(s)
		if !ok {
			return refused(`TrustedProxies has %q, must be an IP address, a prefix such as "10.0.0.0/8", or "unix"`, s)
		}
		t.prefixes = append(t.prefixes, p)
	}
	return t, nil
}

// parseTrusted reads an address or a prefix. IPv4 is written as such inside of IPv6, too.
func parseTrusted(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, false
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// has tells whether a proxy of that address is trusted.
func (t *trusted) has(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range t.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// hasPeer tells whether a connection's peer is; it has no address if it came by a unix socket.
func (t *trusted) hasPeer(peer netip.AddrPort) bool {
	if t == nil {
		return false
	}
	if !peer.IsValid() {
		return t.unix
	}
	return t.has(peer.Addr())
}

// forwarded is what a request says of its client.
type forwarded struct {
	client    netip.AddrPort // invalid: nothing
	tls, said bool           // how the client came, where said is set
}

// readForwarded reads what a request that came from peer says of its client: nothing, unless peer is trusted.
func (t *trusted) readForwarded(peer netip.AddrPort, req *handshake.Request) (f forwarded) {
	if t.hasPeer(peer) {
		f.client = req.Client(t.field, t.has)
		f.tls, f.said = req.ForwardedTLS()
	}
	return f
}

// takeForwarded takes over what a trusted proxy's request says of its client. It is false when it has refused that one, for
// MaxConnsPerAddress.
func (c *Conn) takeForwarded(req *handshake.Request) (admitted bool) {
	e, peer := c.loop.engine, c.peerAddrPort()
	if e.conf.trusted == nil || !peer.IsValid() && !c.byUnix() {
		return true
	}
	f := e.conf.trusted.readForwarded(peer, req)
	if f.said {
		if c.flags &^= overTLS; f.tls {
			c.flags |= overTLS
		}
	}
	switch {
	case !f.client.IsValid():
		return true
	case e.conf.trusted.has(f.client.Addr()): // it counts for nobody, as its own connections do
		c.peer = newPeerAddr(f.client)
		return true
	}
	if !e.admitProxied(c, f.client) {
		c.refuse(tooMany("max-conns-per-address"))
		return false
	}
	return true
}

// byUnix tells whether a connection whose peer has no IP address came by a unix socket: a bridge carries other kinds as well. On
// the loop.
func (c *Conn) byUnix() bool {
	b := c.loop.bridge
	if b == nil {
		return true
	}
	nc := b.Conn(int(c.fd))
	return nc != nil && isUnix(nc.LocalAddr())
}
