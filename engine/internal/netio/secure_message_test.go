package netio

import (
	"crypto/tls"
	"io"
	"testing"
)

// A message of the handshake's that comes after it in the smallest records is no way to hold up a loop: crypto/tls reads on until such a message is
// whole, and one Read of ours takes no more than the loop's memory holds.
func TestSecureMessageInSmallRecords(t *testing.T) {
	u := newUpdater(t)
	u.record(recordHandshake, []byte{11, 4, 0, 0}) // a Certificate of 256 KiB
	for range 20_000 {
		u.record(recordHandshake, []byte{0})
	}
	for len(u.sock.in) > 0 {
		before := len(u.sock.in)
		if n, err := u.read(1 << 16); len(n) != 0 || err != ErrAgain {
			t.Fatal(len(n), err)
		}
		if took := before - len(u.sock.in); took > len(lentBuffer{}) {
			t.Fatalf("one Read took %d bytes", took)
		}
		if u.turn()&Readable == 0 && len(u.sock.in) > 0 {
			t.Fatal("nobody hears of the rest")
		}
	}
}

// A message that never comes to its end is not kept for ever.
func TestSecureMessageThatIsTooLong(t *testing.T) {
	u := newUpdater(t)
	u.record(recordHandshake, []byte{11, 4, 0, 0})
	for range 16 {
		u.record(recordHandshake, make([]byte, recordPlain-1))
	}
	for range 20 {
		if _, err := u.read(1 << 16); err != ErrAgain {
			if err == nil || err == io.EOF {
				t.Fatal(err)
			}
			return
		}
		if _, hand, _ := u.s.fields.of(u.k.tls); hand.Len() > mostMessage+recordPlain {
			t.Fatalf("%d bytes of it are kept", hand.Len())
		}
	}
	t.Fatal("it is kept")
}

// A connection that is read keeps nothing of the loop's memory while a record of TLS 1.2 that is longer than any part has not come to its end, and
// nothing of crypto/tls's own when what came with the handshake was read.
func TestSecureKeepsNoMoreThanHasCome(t *testing.T) {
	l := newLine(t, tls.VersionTLS12, true)
	l.sock.in = append([]byte{23, 3, 3, 0x47, 0}, make([]byte, 17_000)...)
	if _, err := l.read(1 << 16); err != ErrAgain {
		t.Fatal(err)
	}
	if raw, _, _ := l.s.fields.of(l.k.tls); l.k.lent != nil || raw.Len() != 17_005 || raw.Cap() > 24<<10 {
		t.Fatalf("of %d bytes it keeps %d, and the loop's memory: %v", raw.Len(), raw.Cap(), l.k.lent != nil)
	}
	l = newLine(t, tls.VersionTLS13, true)
	l.say(make([]byte, 1000))
	l.k.early, l.sock.in = l.sock.in, nil
	if p, err := l.read(1 << 16); len(p) != 1000 || err != nil {
		t.Fatal(len(p), err)
	}
	if raw, _, _ := l.s.fields.of(l.k.tls); raw.Cap() != 0 {
		t.Fatalf("%d bytes are kept", raw.Cap())
	}
}

// What somebody's holding of the lock had put off before the end does not take the last step from a closed connection.
func TestSecureCloseBehindTheLock(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.sock.room = 0
		if _, err := l.s.Write(lineFD, []byte("x")); err != ErrAgain {
			t.Fatal(err)
		}
		l.k.mu.Lock()
		if _, err := l.read(1); err != ErrAgain {
			t.Fatal(err)
		}
		l.k.mu.Unlock()
		l.s.Remove(lineFD)
		if err := l.s.Close(lineFD); err != nil {
			t.Fatal(err)
		}
		l.sock.room = 1 << 20
		l.s.OnWake()
		for range 4 {
			l.turn()
		}
		if l.sock.closed != "closed" {
			t.Fatal("all has left, and the descriptor stays")
		}
	})
}

// Whoever waits for a processor with a first record is read no further than that could be, and hears the rest later.
func TestSecureWaitingHandshakeKeepsLittle(t *testing.T) {
	var begin func()
	l := &line{t: t, sock: &fakeSocket{}}
	l.s = NewSecure(l.sock, NewHandshakes(1, func(f func()) { begin = f }))
	l.s.handler = l
	l.s.Server(lineFD, serverConfig())
	k := l.s.table.at(lineFD)
	if err := l.s.Add(lineFD); err != nil {
		t.Fatal(err)
	}
	l.still = true
	_ = tls.Client(peerEnd{l: l}, clientConfig(tls.VersionTLS13)).Handshake()
	l.sock.in = append(l.sock.in, make([]byte, 200<<10)...)
	for range 20 {
		l.turn()
	}
	if n := len(k.shake.in); n < firstLimit || n > 2*firstLimit || l.sock.watched != 0 {
		t.Fatalf("%d bytes, watched for %b", n, l.sock.watched)
	}
	l.sock.room = 1 << 20
	begin()
	for range 20 {
		l.turn()
	}
	if _, err := l.s.Read(lineFD, make([]byte, 100)); err == ErrAgain || err == nil {
		t.Fatal("what came behind is not read", err)
	}
}
