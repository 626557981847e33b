//go:build !linux

package engine

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// nowhere is an address that answers nothing: what is discarded (RFC 6666), where there is a way to it.
func nowhere(t *testing.T, port uint16) []netip.Addr {
	a := addrs("100::1")
	d := net.Dialer{Timeout: 50 * time.Millisecond}
	if _, err := d.Dial("tcp", netip.AddrPortFrom(a[0], port).String()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Skip("no address here that answers nothing")
	}
	return a
}
