package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"
)

const (
	// maxProxyLine is the longest version 1 header, its CR LF included.
	maxProxyLine = 107
	// proxyFixed is the part of a version 2 header that says how long the rest is.
	proxyFixed = 16
	// maxProxyHeader bounds a version 2 header. With a client's certificate in it, it has about 2 KiB.
	maxProxyHeader = proxyFixed + 4<<10
	// proxyLocal is version 2 with the command LOCAL: the proxy speaks for itself, a
	// health check say, and whatever addresses follow are to be ignored.
	proxyLocal = 0x20
)

var badProxyHeader = refusal(400, "proxy-header", "A PROXY protocol header is required in front of the request")

// takeProxyHeader takes the PROXY protocol header off the head that is kept, and the
// peer's address from it. It reports whether the request's own bytes are next.
func (c *Conn) takeProxyHeader(o *opening) bool {
	end, ok := proxyHeaderEnd(o.buf.B)
	if ok && end == 0 {
		return false // more bytes are needed
	}
	peer, ok := parseProxyHeader(o.buf.B[:end], ok)
	if !ok {
		c.refuse(badProxyHeader)
		return false
	}
	o.past = true
	o.buf.B = o.buf.B[:copy(o.buf.B, o.buf.B[end:])]
	if peer.IsValid() && !c.loop.engine.admitProxied(c, peer) {
		c.refuse(tooMany("max-conns-per-address"))
		return false
	}
	if c.loop.secure != nil {
		c.beginTLSBehind(o)
		return false
	}
	return len(o.buf.B) > 0
}

// proxyHeaderEnd finds the end of the header that b begins with: 0 while it is
// unfinished. It is not ok when b begins with none.
func proxyHeaderEnd(b []byte) (end int, ok bool) {
	if begins(b, proxyproto.SIGV2) {
		if len(b) < proxyFixed {
			return 0, true
		}
		end = proxyFixed + int(binary.BigEndian.Uint16(b[proxyFixed-2:]))
		if len(b) < end {
			return 0, end <= maxProxyHeader
		}
		return end, end <= maxProxyHeader
	}
	line := b[:min(len(b), maxProxyLine)]
	end = bytes.IndexByte(line, '\n') + 1
	return end, begins(b, proxyproto.SIGV1) && (end > 0 || len(b) < maxProxyLine)
}

// begins tells whether b starts with a signature, as far as it goes.
func begins(b, signature []byte) bool {
	n := min(len(b), len(signature))
	return bytes.Equal(b[:n], signature[:n])
}

// parseProxyHeader reads a whole header. The address is invalid when the proxy names
// none that can be used: then the connection's own stands.
func parseProxyHeader(b []byte, whole bool) (peer netip.AddrPort, ok bool) {
	if !whole {
		return peer, false
	}
	if begins(b, proxyproto.SIGV2) && b[proxyFixed-4] == proxyLocal {
		return peer, true
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), len(b)))
	if err != nil || !h.Command.IsProxy() {
		return peer, err == nil
	}
	return addrPortOf(h.SourceAddr), true
}
