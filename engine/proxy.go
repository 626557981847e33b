package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	proxyproto "github.com/pires/go-proxyproto"
)

// maxProxyHeader: a version 1 line is 107 bytes at the most, a version 2 header with its TLVs is rarely above 1 KiB.
const maxProxyHeader = 4 << 10

var badProxyHeader = refusal(400, "proxy-header", "a PROXY protocol header is required in front of the request")

// takeProxyHeader takes the PROXY protocol header off the head that is kept, and the
// peer's address from it. It reports whether the request's own bytes are next.
func (c *Conn) takeProxyHeader(o *opening) bool {
	src := bytes.NewReader(o.buf.B)
	r := bufio.NewReaderSize(src, maxProxyHeader)
	h, err := proxyproto.Read(r)
	switch {
	case err == nil:
	case len(o.buf.B) < maxProxyHeader && isTruncated(err, o.buf.B):
		return false
	default:
		c.refuse(badProxyHeader)
		return false
	}
	o.past = true
	o.buf.B = o.buf.B[:copy(o.buf.B, o.buf.B[len(o.buf.B)-src.Len()-r.Buffered():])]
	if h.Command.IsProxy() {
		c.peer = newPeerAddr(addrPortOf(h.SourceAddr))
		c.flags &^= counted // what was counted is the proxy's own address
		c.loop.engine.uncountAddress(c)
	}
	return len(o.buf.B) > 0
}

// isTruncated tells whether more bytes may make a header of these.
func isTruncated(err error, b []byte) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if n := min(len(b), len(proxyproto.SIGV2)); bytes.Equal(b[:n], proxyproto.SIGV2[:n]) {
		return true
	}
	n := min(len(b), len(proxyproto.SIGV1))
	return bytes.Equal(b[:n], proxyproto.SIGV1[:n]) && !bytes.Contains(b, []byte("\r\n")) && len(b) < 107
}
