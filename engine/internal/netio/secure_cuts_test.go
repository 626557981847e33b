package netio_test

import (
	"io"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

const wide = 1 << 20 // a buffer that is never full

// TestSecureInPieces: everything the peer ever sends, its handshake and tickets too, comes in pieces of one size.
func TestSecureInPieces(t *testing.T) {
	forEachRole(t, func(t *testing.T, r role) {
		for size := 1; size < 120; size += 2 {
			l := newLine(t, r, uint64(size), wide, wide)
			l.inPieces(size)
			l.open()
			var want []byte
			for _, n := range []int{1, 0, 700, 3000} {
				p := pattern(n, uint64(n))
				want = append(want, p...)
				l.say(p)
				l.send(p)
				if n < 1000 { // the last two come together
					if heard, _ := l.settle(); string(heard) != string(p) {
						t.Fatalf("pieces of %d: the peer heard %d bytes of %d", size, len(heard), n)
					}
				}
			}
			l.peer.CloseWrite()
			if heard, _ := l.settle(); len(heard) != 3000 {
				t.Errorf("pieces of %d: the peer heard %d bytes at last", size, len(heard))
			}
			if err := sameBytes(l.got, want); err != nil || l.ended != io.EOF {
				t.Fatalf("pieces of %d: %v, ended with %v", size, err, l.ended)
			}
			l.close()
		}
	})
}

// sealedRecords has the peer seal so many records of n bytes each, which do not leave: what they are on the wire.
func (l *line) sealedRecords(count, n int) (wire []byte) {
	l.t.Helper()
	for i := range count {
		wire = append(wire, l.peer.Seal(pattern(n, uint64(i)))...)
	}
	return wire
}

// TestSecureCutAnywhere: three records are cut in two at each place. A record is delivered when its last byte has come, no sooner and no later,
// and the loop is quiet between.
func TestSecureCutAnywhere(t *testing.T) {
	const count, n = 3, 40
	forEachRole(t, func(t *testing.T, r role) {
		l := newLine(t, r, 1, wide, wide)
		l.open()
		for cut := 0; ; cut++ {
			wire := l.sealedRecords(count, n)
			if cut > len(wire) {
				break
			}
			before := len(l.got)
			l.peer.Inject(wire[:cut])
			l.turns()
			if got, want := len(l.got)-before, cut/(len(wire)/count)*n; got != want {
				t.Fatalf("cut at %d of %d: %d bytes were delivered, not %d", cut, len(wire), got, want)
			}
			l.peer.Inject(wire[cut:])
			if l.turns(); len(l.got)-before != count*n || l.ended != nil {
				t.Fatalf("cut at %d of %d: %d bytes were delivered in the end, ended %v", cut, len(wire), len(l.got)-before, l.ended)
			}
		}
		l.close()
	})
}

// TestSecureEndsAnywhere: the stream ends at each byte of three records and of close_notify behind them. It is clean only behind all of that.
func TestSecureEndsAnywhere(t *testing.T) {
	const count, n = 3, 40
	forEachRole(t, func(t *testing.T, r role) {
		for cut, last := 0, 1; cut <= last; cut++ {
			l := newLine(t, r, 1, wide, wide)
			l.open()
			wire := l.sealedRecords(count, n)
			record := len(wire) / count
			wire = append(wire, l.peer.SealEnd()...)
			last = len(wire)
			l.peer.Inject(wire[:cut])
			l.peer.Truncate()
			l.turns()
			want := error(io.ErrUnexpectedEOF)
			if cut == len(wire) {
				want = io.EOF
			}
			if got := min(cut/record, count) * n; len(l.got) != got || l.ended != want {
				t.Fatalf("ended at %d of %d: %d bytes were delivered, not %d; %v, not %v", cut, len(wire), len(l.got), got, l.ended, want)
			}
			l.close()
		}
	})
}

// TestSecureLittleRoom: what leaves goes through a network that takes few bytes, and the peer reads in small pieces, late.
func TestSecureLittleRoom(t *testing.T) {
	forEachRole(t, func(t *testing.T, r role) {
		for _, c := range []struct{ room, most, size int }{
			{1, 0, 3000}, {7, 1, 400}, {100, 0, 200_000}, {119, 5000, 200_000}, {16 << 10, 0, 1 << 20}, {64 << 10, 100_000, 3 << 20},
		} {
			l := newLine(t, r, uint64(c.room), wide, c.room)
			l.most = c.most
			l.open()
			p := pattern(c.size, 3)
			l.send(p)
			heard, _ := l.settle()
			if err := sameBytes(heard, p); err != nil {
				t.Fatalf("room for %d bytes: the peer heard %v", c.room, err)
			}
			if l.answer != len(p) || len(l.present) > 0 || l.failed != nil {
				t.Fatalf("room for %d bytes: %d are answered of %d, %v", c.room, l.answer, len(p), l.failed)
			}
			l.close()
		}
	})
}

// TestSecurePlaintextIsHeld: a loop that reads less than a record brings hears of the rest each turn, also when it stopped watching and began
// again, and without a byte from the network.
func TestSecurePlaintextIsHeld(t *testing.T) {
	forEachRole(t, func(t *testing.T, r role) {
		for _, size := range []int{1, 7, 100, 16 << 10} {
			l := newLine(t, r, 5, wide, wide)
			l.open()
			l.room = 0
			p := pattern(40*size, 9)
			l.say(p)
			for i := range 4 { // level-triggered: nobody reads
				l.events = 0
				if l.heardWithin(20); l.events&netio.Readable == 0 {
					t.Fatalf("reads of %d: no event of what is held, the %dth time", size, i)
				}
			}
			for len(l.got) < len(p) {
				l.watch(0)
				l.events = 0
				for range 3 {
					l.sys.Turn(l.sys.handler)
				}
				if l.events != 0 {
					t.Fatal("an event without interest")
				}
				l.watch(netio.Readable)
				l.room = size
				before := len(l.got)
				if l.heardWithin(20); len(l.got) == before {
					t.Fatalf("reads of %d: after %d bytes of %d nothing is heard of the rest", size, before, len(p))
				}
			}
			if err := sameBytes(l.got, p); err != nil {
				t.Fatal(err)
			}
			l.close()
		}
	})
}

// heardWithin turns the poller until an event has come, at most so often.
func (l *line) heardWithin(turns int) {
	for range turns {
		if l.events != 0 || l.sys.Idle() {
			return
		}
		l.sys.Turn(l.sys.handler)
	}
}

// TestSecureHandshakeLater: the goroutine of a handshake comes late. Until it has run nobody spins, and afterwards all is told.
func TestSecureHandshakeLater(t *testing.T) {
	forEachRole(t, func(t *testing.T, r role) {
		l := newLine(t, r, 8, wide, wide)
		l.defers = true
		rounds := 0
		for ; !l.peer.Open() || len(l.later) > 0; rounds++ {
			if l.peer.Flush(); rounds > 20 {
				t.Fatalf("no handshake: %v, %v", l.peer.Err(), l.ended)
			}
			_, _ = l.peer.Read(make([]byte, 32<<10))
			l.turns() // and is quiet
			if _, err := l.secure.Read(l.fd, make([]byte, 10)); len(l.later) > 0 && err != netio.ErrAgain {
				t.Fatalf("Read in a handshake: %v", err)
			}
			if n, err := l.secure.Write(l.fd, []byte("early")); len(l.later) > 0 && (n != 0 || err != netio.ErrAgain) {
				t.Fatalf("Write in a handshake: %d, %v", n, err)
			}
			l.runLater()
		}
		l.open()
		l.close()
	})
}

// TestSecureHalves: each end closes its half, and goes on with the other.
func TestSecureHalves(t *testing.T) {
	forEachRole(t, func(t *testing.T, r role) {
		l := newLine(t, r, 4, wide, 300)
		l.open()
		p := pattern(2000, 1)
		l.send(p)
		heard, _ := l.settle()
		if err := l.secure.CloseWrite(l.fd); err != nil {
			t.Fatal(err)
		}
		if n, err := l.secure.Write(l.fd, p); n != 0 || err == nil || err == netio.ErrAgain {
			t.Errorf("Write after CloseWrite: %d, %v", n, err)
		}
		rest, ended := l.settle()
		if err := sameBytes(append(heard, rest...), p); err != nil || ended != io.EOF {
			t.Fatalf("the peer heard %v, ended %v", err, ended)
		}
		l.say([]byte("my turn"))
		l.peer.CloseWrite()
		l.settle()
		if string(l.got) != "my turn" || l.ended != io.EOF {
			t.Errorf("heard %q, ended %v", l.got, l.ended)
		}
		l.close()
	})
}

// TestSecureEndBehindWhatIsSealed: CloseWrite is called while sealed bytes wait for room: the peer has them all, and then the end.
func TestSecureEndBehindWhatIsSealed(t *testing.T) {
	forEachRole(t, func(t *testing.T, r role) {
		for _, room := range []int{1, 50, 1000, 20_000} {
			l := newLine(t, r, 4, wide, room)
			l.open()
			p := pattern(30_000, 1)
			l.send(p)
			if err := l.secure.CloseWrite(l.fd); err != nil {
				t.Fatal(err)
			}
			l.present = nil // all of it was sealed ahead; the carrier alone brings it away
			l.watch(netio.Readable)
			heard, ended := l.settle()
			if err := sameBytes(heard, p); err != nil || ended != io.EOF {
				t.Fatalf("room for %d: the peer heard %v, ended %v", room, err, ended)
			}
			l.close()
		}
	})
}

// TestSecureCutsBySeed: cuts, room, sizes, pauses and the order of things are drawn.
func TestSecureCutsBySeed(t *testing.T) {
	forEachRole(t, func(t *testing.T, r role) {
		for seed := range uint64(60) {
			rng := rand.New(rand.NewPCG(seed, 12))
			rooms := []int{40, 700, 20_000, wide}
			l := newLine(t, r, seed, rooms[rng.IntN(4)], rooms[rng.IntN(4)])
			l.world.SetFaults(sim.Faults{Partial: 300, Again: 100, Spurious: 50, Omit: 100, LateWake: 200})
			l.peer.Cut = func(n int) int { return 1 + rng.IntN(min(n, 1+rng.IntN(3000))) }
			l.defers = rng.IntN(2) == 0
			exchangeBySeed(t, l, rng)
			l.world.SetFaults(sim.Faults{})
			l.close()
		}
	})
}

// exchangeBySeed has both ends send something, until all of it has come.
func exchangeBySeed(t *testing.T, l *line, rng *rand.Rand) {
	t.Helper()
	down, up := pattern(rng.IntN(120_000), 1), pattern(rng.IntN(120_000), 2)
	toSend, toSay := down, up
	var heard []byte
	buf := make([]byte, 32<<10)
	for steps := 0; len(heard) < len(down) || len(l.got) < len(up) || len(l.present) > 0; steps++ {
		if steps > 1_000_000 {
			t.Fatalf("heard %d of %d, got %d of %d, %d present", len(heard), len(down), len(l.got), len(up), len(l.present))
		}
		switch rng.IntN(8) {
		case 0, 1:
			l.sys.Turn(l.sys.handler)
		case 2:
			if n := min(len(toSend), rng.IntN(9000)); n > 0 && l.peer.Open() {
				l.send(toSend[:n])
				toSend = toSend[n:]
			}
		case 3:
			n, err := l.peer.Write(toSay[:min(len(toSay), rng.IntN(9000))])
			if toSay = toSay[n:]; err != nil {
				t.Fatal(err)
			}
		case 4:
			l.room = 1 + rng.IntN(20_000)
			l.runLater()
		case 5:
			l.peer.Flush()
		default:
			n, err := l.peer.Read(buf[:1+rng.IntN(8000)])
			if heard = append(heard, buf[:n]...); err != nil && err != netio.ErrAgain {
				t.Fatalf("the peer's Read: %v", err)
			}
		}
	}
	if err := sameBytes(heard, down); err != nil {
		t.Fatalf("the peer heard %v", err)
	}
	if err := sameBytes(l.got, up); err != nil {
		t.Fatalf("the carrier heard %v", err)
	}
}
