package netio_test

import (
	"io"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// What comes while the carrier has something else to do first.

// TestSecureMuchBehindTheHandshake: a peer whose handshake is over sends more than the carrier takes while its own is not. Reading stops, and goes on
// afterwards; nothing is lost.
func TestSecureMuchBehindTheHandshake(t *testing.T) {
	r := roles[0] // whose handshake the client ends, and so is open first
	for _, size := range []int{1, 1000, 70_000, 300_000} {
		l := newLine(t, r, 6, wide, wide)
		l.defers = true
		for !l.peer.Open() {
			l.peer.Flush()
			_, _ = l.peer.Read(make([]byte, 32<<10))
			l.turns()
			if !l.peer.Open() { // its last flight stays in the queue
				l.runLater()
			}
		}
		p := pattern(size, 3)
		for rest := p; len(rest) > 0; {
			n, err := l.peer.Write(rest)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			l.turns()
		}
		if l.turns(); len(l.later) == 0 || len(l.got) > 0 {
			t.Fatalf("of %d bytes %d came before the handshake ended, %d steps wait", size, len(l.got), len(l.later))
		}
		l.settle()
		if err := sameBytes(l.got, p); err != nil {
			t.Errorf("behind the handshake came %v", err)
		}
		l.close()
	}
}

// TestSecureAlertLeaves: a record that was tampered with is an error for ever, and the peer is told, however little room there is when that is found out.
func TestSecureAlertLeaves(t *testing.T) {
	forEachRole(t, func(t *testing.T, r role) {
		for _, full := range []bool{false, true} {
			l := newLine(t, r, 6, wide, 200)
			l.open()
			if full {
				l.send(pattern(20_000, 1))
				l.present = nil // what was sealed stays, and nobody writes any more
				l.watch(netio.Readable)
			}
			wire := l.peer.Seal([]byte("x"))
			wire[len(wire)-1] ^= 1
			l.peer.Inject(wire)
			l.turns()
			if l.ended == nil || l.ended == io.EOF || len(l.got) > 0 {
				t.Fatalf("a forged record: %d bytes, %v", len(l.got), l.ended)
			}
			_, ended := l.settle()
			if ended == nil || !strings.Contains(ended.Error(), "remote error") {
				t.Errorf("full %v: the peer is not told: %v", full, ended)
			}
			l.close()
		}
	})
}

// TestSecureCloseDelivers: Close comes while sealed bytes wait for room. The peer has them all, and close_notify, and then the descriptor is closed.
func TestSecureCloseDelivers(t *testing.T) {
	forEachRole(t, func(t *testing.T, r role) {
		for _, room := range []int{1, 300, 5000, wide} {
			l := newLine(t, r, 7, wide, room)
			l.open()
			p := pattern(20_000, 2)
			l.send(p)
			l.secure.Remove(l.fd)
			if err := l.secure.Close(l.fd); err != nil {
				t.Fatal(err)
			}
			heard, ended := l.settle()
			if err := sameBytes(heard, p); err != nil || ended != io.EOF {
				t.Errorf("room for %d: the peer heard %v, ended %v", room, err, ended)
			}
			if n := l.world.OpenDescriptors(); n != 1 { // where it was accepted
				t.Errorf("room for %d: %d descriptors are open", room, n)
			}
		}
	})
}
