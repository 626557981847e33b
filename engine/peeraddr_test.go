package engine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// An address comes out as it went in: with its zone, without which nobody can answer a link-local
// one (RFC 4007 11).
func TestPeerAddrKeepsZone(t *testing.T) {
	for _, s := range []string{
		"[fe80::1%3]:80", "[fe80::1%4]:80", "[fe80::1]:80", "[fe80::ffff:ffff:ffff:ffff%eth0]:65535", "[fe80::%lo]:1", "127.0.0.1:9",
		"[::1]:80", "[2001:db8::1]:443", "[fe80:0:1::1]:80", "[fe80:1::1]:80", "[fe90::1]:80", "[ff02::1]:80", "[::]:1", "0.0.0.0:1",
	} {
		want := netip.MustParseAddrPort(s)
		if got := newPeerAddr(want).addrPort(); got != want {
			t.Errorf("%v became %v", want, got)
		}
	}
	if got := newPeerAddr(netip.MustParseAddrPort("[::ffff:1.2.3.4]:5")).addrPort(); got.String() != "1.2.3.4:5" {
		t.Error(got)
	}
	if got := newPeerAddr(netip.AddrPort{}); got != (peerAddr{}) {
		t.Error(got)
	}
}

// What is kept of zones is bounded, and an address whose zone is not kept is still the address.
func TestZonesAreBounded(t *testing.T) {
	var table zoneTable
	if n := table.number(strings.Repeat("z", longestZone+1)); n != 0 || len(table.names) != 0 {
		t.Error("a header's length is kept for good:", n)
	}
	if table.number(strings.Repeat("z", longestZone)) != 1 {
		t.Error("an interface's name is not kept")
	}
	table.names = nil
	for i := range mostZones + 10 {
		name := fmt.Sprint("z", i)
		n := table.number(name)
		if want := name; i >= mostZones && n != 0 || i < mostZones && (table.name(n) != want || table.number(name) != n) {
			t.Fatal(name, n, table.name(n))
		}
	}
	if table.name(0) != "" || table.name(mostZones+1) != "" {
		t.Error("a number of nobody's has a name")
	}
}

// RemoteAddr, and what the limit per address counts by: a host has one place there, whatever its zone.
func TestRemoteAddrHasZone(t *testing.T) {
	var c *Conn
	r := newTapeRig(t, Funcs{Open: func(o *Conn) { c = o }}, Options{})
	r.l.adopt(arrival{fd: tapeFD, peer: netip.MustParseAddrPort("[fe80::2%7]:1234")})
	r.feed([]byte(requestFor("/")))
	if c == nil || c.RemoteAddr().String() != "[fe80::2%7]:1234" {
		t.Fatal(c)
	}
	a, b := netip.MustParseAddrPort("[fe80::2%7]:1"), netip.MustParseAddrPort("[fe80::2]:1")
	if addressKey(a) != addressKey(b) || addressKey(newPeerAddr(a).addrPort()) != addressKey(b) {
		t.Error(addressKey(a), addressKey(b))
	}
}
