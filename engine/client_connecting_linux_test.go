package engine

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// nowhere is an address that answers nothing: one of this machine's, where a listener on that port has a queue that is full, so that
// what else connects there waits. No address outside would do: a router may say at any time that there is no way to it.
func nowhere(t *testing.T, port uint16) []netip.Addr {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for last := byte(2); ; last++ {
		a := netip.AddrFrom4([4]byte{127, 77, byte(t.Name()[len(t.Name())-1]), last})
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}); err != nil && last < 250 {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if err := unix.Listen(fd, 0); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			_ = unix.Connect(s, &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)})
			t.Cleanup(func() { unix.Close(s) })
		}
		return []netip.Addr{a}
	}
}
