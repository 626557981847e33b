package netio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"
	"unsafe"
)

// wrapped is a server's *tls.Conn over a Transport, whose handshake is over, and its peer.
func wrapped(t *testing.T, version uint16) (ours, peer *tls.Conn) {
	t.Helper()
	a, b := tcpPair(t)
	ours, peer = tls.Server(NewTransport(a), serverConfig()), tls.Client(b, clientConfig(version))
	for _, c := range []*tls.Conn{ours, peer} {
		_ = c.SetDeadline(time.Now().Add(patience))
	}
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	if err := ours.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := await(t, done, "the handshake"); err != nil {
		t.Fatal(err)
	}
	return ours, peer
}

// A connection moves onto the loop and back again, with all that was read of it and not taken: half a record, a whole one, plaintext.
func TestSecureAdoptAndDetach(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		ours, peer := wrapped(t, v)
		stream := randomBytes(100_000)
		go func() {
			for at := 0; at < len(stream); at += 10_000 {
				if _, err := peer.Write(stream[at : at+10_000]); err != nil {
					t.Error(err)
				}
			}
		}()
		var got []byte
		take := func(n int) {
			p := make([]byte, n)
			if _, err := io.ReadFull(ours, p); err != nil {
				t.Fatal(err)
			}
			got = append(got, p...)
		}
		take(777)
		l := startLoop(t, secureRig())
		for round := range 3 {
			moved, below, ok := TransportOf(ours)
			if !ok {
				t.Fatal("not movable")
			}
			fd, ok, err := DupConn(below)
			if !ok || err != nil {
				t.Fatal(err)
			}
			want := len(got) + 20_000
			enough := make(chan struct{}, 1)
			l.do(func() {
				if err := l.System.(*Secure).Adopt(fd, moved); err != nil {
					t.Error(err)
				}
			})
			below.Close()
			l.add(fd, func(Event) {
				if len(got) >= want {
					tell(enough, struct{}{})
					return
				}
				p := make([]byte, 3000+round)
				n, err := l.Read(fd, p)
				if err != nil && err != ErrAgain {
					t.Errorf("Read: %v", err)
				}
				got = append(got, p[:n]...)
			})
			await(t, enough, "the bytes")
			l.do(func() {
				if n, err := l.Write(fd, []byte("from the loop")); n != 13 || err != nil {
					t.Error(n, err)
				}
				l.Remove(fd)
				delete(l.events, fd)
				back, err := l.System.(*Secure).Detach(fd)
				if err != nil {
					t.Error(err)
					return
				}
				ours = back.(*tls.Conn)
				_ = ours.SetDeadline(time.Now().Add(patience))
				_ = l.Close(fd) // a plain descriptor now
			})
			heard := make([]byte, 13)
			if _, err := io.ReadFull(peer, heard); err != nil || string(heard) != "from the loop" {
				t.Fatalf("%q, %v", heard, err)
			}
			take(5000)
		}
		take(len(stream) - len(got))
		if !bytes.Equal(got, stream) {
			t.Fatal("read something else")
		}
		if _, err := ours.Write([]byte("bye")); err != nil {
			t.Fatal(err)
		}
		ours.Close()
		if got := readAll(t, peer); string(got) != "bye" {
			t.Fatalf("%q", got)
		}
	})
}

// What the loop has sealed leaves before what the new owner writes.
func TestSecureDetachKeepsWhatIsSealed(t *testing.T) {
	ours, peer := wrapped(t, tls.VersionTLS13)
	l := startLoop(t, secureRig())
	_, below, _ := TransportOf(ours)
	fd, _, err := DupConn(below)
	if err != nil {
		t.Fatal(err)
	}
	stream := randomBytes(64 << 20)
	sent, sealed := 0, 0
	l.do(func() {
		s := l.System.(*Secure)
		if err := s.Adopt(fd, ours); err != nil {
			t.Error(err)
		}
		below.Close()
		sent = fill(t, l, fd, stream)
		if k := s.table.at(fd); k.out != nil {
			for _, p := range k.out.pieces[k.out.first:k.out.last] {
				sealed += int(p.plain)
			}
		}
	})
	if sealed == 0 {
		t.Fatal("nothing is sealed ahead")
	}
	var got []byte
	l.do(func() {
		back, err := l.System.(*Secure).Detach(fd)
		if err != nil {
			t.Error(err)
			return
		}
		ours = back.(*tls.Conn)
		_ = l.Close(fd)
	})
	go func() {
		if _, err := ours.Write([]byte("behind")); err != nil {
			t.Error(err)
		}
		ours.Close()
	}()
	got = readAll(t, peer)
	if want := append(stream[:sent+sealed:sent+sealed], "behind"...); !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, want %d", len(got), len(want))
	}
}

// What cannot move stays where it is.
func TestSecureAdoptRefuses(t *testing.T) {
	a, b := tcpPair(t)
	defer a.Close()
	l := startLoop(t, secureRig())
	others, _ := wrapped(t, tls.VersionTLS13)
	for name, c := range map[string]*tls.Conn{
		"another's":    tls.Server(a, serverConfig()),
		"no handshake": tls.Server(NewTransport(b), serverConfig()),
	} {
		l.do(func() {
			if err := l.System.(*Secure).Adopt(1<<10, c); !errors.Is(err, errNotMovable) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	if _, _, ok := TransportOf(a); ok {
		t.Error("no TLS at all can move")
	}
	l.do(func() {
		if _, err := l.System.(*Secure).Detach(1 << 10); !errors.Is(err, errNotMovable) {
			t.Error(err)
		}
	})
	others.Close()
}

// Between two Reads crypto/tls has no buffer, but for the beginning of a record; and a connection that is not read while something lies in the
// loop's memory keeps that in memory of its own.
func TestSecureKeepsNoBuffer(t *testing.T) {
	if !tlsFields().proved {
		t.Fatal("this crypto/tls keeps what it reads elsewhere")
	}
	forEachLine(t, func(t *testing.T, l *line) {
		raw, hand, _ := tlsFields().of(l.k.tls)
		for round := range 3 {
			if raw.Cap()+hand.Cap() != 0 || l.k.lent != nil || l.k.part != nil {
				t.Fatalf("round %d: %d and %d bytes are kept", round, raw.Cap(), hand.Cap())
			}
			stream := randomBytes(40_000)
			l.say(stream)
			p, err := l.read(100) // plaintext and records lie there
			if err != nil {
				t.Fatal(err)
			}
			if round > 0 {
				for _, now := range [...]Interest{0, Readable} {
					if err := l.s.Interest(lineFD, l.k.want, now); err != nil {
						t.Fatal(err)
					}
				}
				if l.k.lent != nil {
					t.Fatal("it keeps the loop's memory")
				}
			}
			for len(p) < len(stream) {
				more, err := l.read(1 << 16)
				if err != nil {
					t.Fatal(err)
				}
				p = append(p, more...)
			}
			if !bytes.Equal(p, stream) {
				t.Fatal("read something else")
			}
			if n, err := l.s.Write(lineFD, p[:1000]); n != 1000 || err != nil {
				t.Fatal(n, err)
			}
			if all, err := l.hear(); !bytes.Equal(all, p[:1000]) || err != nil {
				t.Fatal(len(all), err)
			}
		}
	})
}

// Whoever is there before its first record costs its session and nothing else.
func TestSecureSilentSize(t *testing.T) {
	if n := unsafe.Sizeof(session{}); n > 320 {
		t.Errorf("a session takes %d bytes", n)
	}
}
