package netio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
)

// Only whole records have left: Write answers their plaintext, and what it has sealed ahead is not sealed again, however the engine cuts
// what it presents the next time.
func TestSecureWriteAnswersWholeRecords(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		rng := rand.New(rand.NewPCG(1, 2))
		stream := randomBytes(1 << 20)
		l.sock.room = 0
		left := 0
		var heard []byte
		for left < len(stream) {
			l.sock.room = rng.IntN(40_000)
			if rng.IntN(4) == 0 {
				l.sock.room = rng.IntN(100)
			}
			presented := stream[left:min(len(stream), left+1+rng.IntN(200_000))]
			n, err := l.present(rng, presented)
			if n > len(presented) || n > 0 && err != nil || n == 0 && err != ErrAgain {
				t.Fatalf("Write of %d: %d, %v", len(presented), n, err)
			}
			left += n
			all, err := l.hear()
			if err != nil {
				t.Fatal(err)
			}
			heard = append(heard, all...)
			if len(heard) < left {
				t.Fatalf("Write has answered %d bytes, and the peer can open %d", left, len(heard))
			}
			if len(heard) > left+sealAhead {
				t.Fatalf("the peer has opened %d bytes, of which Write answered %d", len(heard), left)
			}
		}
		if l.sock.room = 1 << 20; l.k.out != nil {
			t.Fatal("something is sealed, and all was answered")
		}
		if !bytes.Equal(heard, stream) {
			t.Fatal("the peer has read something else")
		}
	})
}

// present writes p as one slice or as several.
func (l *line) present(rng *rand.Rand, p []byte) (int, error) {
	if rng.IntN(2) == 0 {
		return l.s.Write(lineFD, p)
	}
	var v [][]byte
	for len(p) > 0 {
		n := min(len(p), rng.IntN(1+[]int{10, 5000, 100_000}[rng.IntN(3)]))
		v, p = append(v, p[:n]), p[n:]
	}
	return l.s.Writev(lineFD, v)
}

// Fewer bytes may be presented than were sealed: what is answered never exceeds them, and the rest is answered later, with no event of the
// socket's if it has left long ago.
func TestSecureWriteOfLess(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		stream := randomBytes(50_000)
		l.sock.room = 0
		if n, err := l.s.Write(lineFD, stream); n != 0 || err != ErrAgain {
			t.Fatal(n, err)
		}
		l.sock.room = 1 << 20
		if n, err := l.s.Write(lineFD, stream[:10]); n != 10 || err != nil {
			t.Fatal(n, err)
		}
		l.sock.room = 0
		if err := l.s.Interest(lineFD, Readable, Writable); err != nil {
			t.Fatal(err)
		}
		if ev := l.turn(); ev != Writable {
			t.Fatalf("event %b", ev)
		}
		if n, err := l.s.Write(lineFD, stream[10:]); n != len(stream)-10 || err != nil {
			t.Fatal(n, err)
		}
		if all, err := l.hear(); !bytes.Equal(all, stream) || err != nil {
			t.Fatal(len(all), err)
		}
	})
}

// Small slices share a record, and a message costs one call of the socket.
func TestSecureWritesOnce(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		v := [][]byte{[]byte("head"), nil, randomBytes(900), []byte("tail")}
		l.sock.writes = 0
		before := len(l.sock.out)
		if n, err := l.s.Writev(lineFD, v); n != 908 || err != nil {
			t.Fatal(n, err)
		}
		if over := len(l.sock.out) - before - 908; l.sock.writes != 1 || over > 40 {
			t.Fatalf("%d writes, %d bytes more than the plaintext", l.sock.writes, over)
		}
		if all, _ := l.hear(); !bytes.Equal(all, bytes.Join(v, nil)) {
			t.Fatal("the peer has read something else")
		}
	})
}

// A session that is idle keeps no buffer.
func TestSecureIdleKeepsNothing(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.sock.room = 1000
		_, _ = l.s.Write(lineFD, make([]byte, 100_000))
		if l.k.out == nil {
			t.Fatal("nothing waits")
		}
		l.sock.room = 1 << 20
		if n, err := l.s.Write(lineFD, make([]byte, 100_000)); n != 100_000 || err != nil {
			t.Fatal(n, err)
		}
		if l.k.out != nil || l.k.pending.Load() != 0 {
			t.Fatal("all has left, and a buffer is kept")
		}
	})
}

// What tls holds comes by turns, without an event of the socket's.
func TestSecureReadableWhileItHolds(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		sent := randomBytes(20_000)
		for _, n := range []int{1000, 3000, 16_000} {
			l.say(sent[:n])
			sent = sent[n:]
		}
		want := randomBytes(20_000)
		var got []byte
		for turns := 0; len(got) < len(want); turns++ {
			if l.turn() != Readable {
				t.Fatalf("no event after %d bytes", len(got))
			}
			p, err := l.read(777)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p...)
			if turns == 5 { // interest goes and comes back
				if err := l.s.Interest(lineFD, Readable, 0); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					if ev := l.turn(); ev != 0 {
						t.Fatalf("event %b without interest", ev)
					}
				}
				if err := l.s.Interest(lineFD, 0, Readable); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatal("read something else")
		}
		for range 3 {
			if l.turn() != 0 {
				t.Fatal("an event, and there is nothing to read")
			}
		}
	})
}

// One turn reads all whole records that have come, and a socket that has answered less than was asked for is not asked again.
func TestSecureReadsWithoutAskingTwice(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.say(make([]byte, 1000)) // tls's buffer grows
		_, _ = l.read(1 << 16)
		l.say(make([]byte, 300))
		l.sock.reads = 0
		if p, err := l.read(1 << 16); len(p) != 300 || err != nil {
			t.Fatal(len(p), err)
		}
		if l.sock.reads != 1 {
			t.Fatalf("%d reads of the socket for one small record", l.sock.reads)
		}
		for range 5 {
			l.say(make([]byte, 100))
		}
		if p, err := l.read(1 << 16); len(p) != 500 || err != nil {
			t.Fatal(len(p), err)
		}
	})
}

// Records are cut anywhere.
func TestSecureReadsRecordsInPieces(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		for _, most := range []int{1, 2, 3, 4, 5, 6, 7, 21, 22, 100} {
			l.sock.most = most
			sent := randomBytes(2000)
			l.say(sent[:1500])
			l.say(sent[1500:])
			var got []byte
			for range 20_000 {
				if l.turn() == 0 {
					break
				}
				p, err := l.read(1 << 16)
				if err != nil && err != ErrAgain {
					t.Fatal(err)
				}
				got = append(got, p...)
			}
			if !bytes.Equal(got, sent) {
				t.Fatalf("cut at %d: read %d bytes", most, len(got))
			}
		}
	})
}

// Only close_notify ends the stream; else it was cut.
func TestSecureEnds(t *testing.T) {
	for name, end := range map[string]struct {
		how  func(l *line)
		want error
	}{
		"close_notify": {func(l *line) { _ = l.peer.CloseWrite() }, io.EOF},
		"both": {func(l *line) {
			_ = l.peer.CloseWrite()
			l.sock.end = io.EOF
		}, io.EOF},
		"between records": {func(l *line) { l.sock.end = io.EOF }, io.ErrUnexpectedEOF},
		"inside a record": {func(l *line) {
			l.say([]byte("cut"))
			l.sock.in = l.sock.in[:len(l.sock.in)-1]
			l.sock.end = io.EOF
		}, io.ErrUnexpectedEOF},
		"inside a header": {func(l *line) {
			l.say([]byte("cut"))
			l.sock.in = l.sock.in[:len(l.sock.in)-22]
			l.sock.end = io.EOF
		}, io.ErrUnexpectedEOF},
		"reset": {func(l *line) { l.sock.end = syscall.ECONNRESET }, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			forEachLine(t, func(t *testing.T, l *line) {
				l.say([]byte("last words"))
				end.how(l)
				if l.turn()&Readable == 0 {
					t.Fatal("no event")
				}
				p, err := l.read(1 << 16)
				if string(p) != "last words" || err != nil {
					t.Fatalf("%q, %v", p, err)
				}
				for range 3 { // level-triggered
					if l.turn()&Readable == 0 {
						t.Fatal("the end is not told")
					}
					if _, err := l.read(100); err != end.want {
						t.Fatalf("ended with %v, want %v", err, end.want)
					}
				}
			})
		})
	}
}

// CloseWrite sends close_notify behind what is sealed, and ends the inner half when that has left.
func TestSecureCloseWrite(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.sock.room = 10
		stream := randomBytes(30_000)
		if n, err := l.s.Write(lineFD, stream); n != 0 || err != ErrAgain {
			t.Fatal(n, err)
		}
		if err := l.s.CloseWrite(lineFD); err != nil {
			t.Fatal(err)
		}
		if l.sock.ended {
			t.Fatal("the inner half ended before what is sealed had left")
		}
		if l.sock.watched&Writable == 0 {
			t.Fatal("nobody waits for room")
		}
		l.sock.room = 1 << 20
		l.turn()
		if !l.sock.ended {
			t.Fatal("the inner half goes on")
		}
		if all, err := l.hear(); !bytes.Equal(all, stream) || err != io.EOF {
			t.Fatalf("%d bytes, %v", len(all), err)
		}
		if _, err := l.s.Write(lineFD, nil); err != nil {
			t.Fatal(err)
		}
		for l.k.gone > 0 {
			if _, err := l.s.Write(lineFD, stream); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.s.Write(lineFD, []byte("more")); !errors.Is(err, io.ErrClosedPipe) {
			t.Fatal(err)
		}
		l.say([]byte("my turn"))
		if p, err := l.read(100); string(p) != "my turn" || err != nil {
			t.Fatalf("%q, %v", p, err)
		}
	})
}

// An error of the socket is its own, not crypto/tls's.
func TestSecureWriteError(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.sock.broken = syscall.EPIPE
		if n, err := l.s.Write(lineFD, []byte("x")); n != 0 || err != syscall.EPIPE {
			t.Fatal(n, err)
		}
		l.say([]byte("what I said before"))
		if p, err := l.read(100); len(p) == 0 || err != nil {
			t.Fatal(err)
		}
		if n, err := l.s.Write(lineFD, []byte("x")); n != 0 || err != syscall.EPIPE {
			t.Fatal(n, err)
		}
	})
}

// Close delivers what is sealed, and close_notify, before it lets go of the descriptor; its time is bounded.
func TestSecureCloseDelivers(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		stream := randomBytes(30_000)
		l.sock.room = 100
		_, _ = l.s.Write(lineFD, stream)
		l.s.Remove(lineFD)
		if err := l.s.Close(lineFD); err != nil {
			t.Fatal(err)
		}
		if l.sock.closed != "" || l.sock.watched != Writable {
			t.Fatalf("%s, watched for %b", l.sock.closed, l.sock.watched)
		}
		l.sock.room = 1 << 20
		for range 4 {
			if l.turn() != 0 {
				t.Fatal("the engine hears of a descriptor that it closed")
			}
		}
		if l.sock.closed != "closed" || l.sock.added {
			t.Fatal("not closed")
		}
		if all, err := l.hear(); !bytes.Equal(all, stream) || err != io.EOF {
			t.Fatalf("%d bytes, %v", len(all), err)
		}
	})
}

func TestSecureCloseGivesUp(t *testing.T) {
	l := newLine(t, tls.VersionTLS13, true)
	l.sock.room = 100
	_, _ = l.s.Write(lineFD, randomBytes(30_000))
	l.s.Remove(lineFD)
	_ = l.s.Close(lineFD)
	l.sock.now += lingerTime - 1
	l.turn()
	if l.sock.closed != "" {
		t.Fatal("too early")
	}
	l.sock.now++
	for range 4 {
		l.turn()
	}
	if l.sock.closed != "aborted" {
		t.Fatal("a peer that does not read is waited for")
	}
}

// Abort delivers nothing.
func TestSecureAbort(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.sock.room = 100
		_, _ = l.s.Write(lineFD, randomBytes(30_000))
		l.s.Remove(lineFD)
		if err := l.s.Abort(lineFD); err != nil || l.sock.closed != "aborted" {
			t.Fatal(err, l.sock.closed)
		}
	})
}

// An alert is delivered even by Abort, and the peer can read it before the descriptor goes.
func TestSecureAlertIsDelivered(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.say([]byte("x"))
		l.sock.in[len(l.sock.in)-1] ^= 1
		l.sock.room = 0
		if _, err := l.read(100); err == nil || err == ErrAgain || err == io.EOF {
			t.Fatal(err)
		}
		l.s.Remove(lineFD)
		_ = l.s.Abort(lineFD)
		l.sock.room = 100
		l.turn()
		if l.sock.closed != "" || !l.sock.ended {
			t.Fatal("the peer could not read it")
		}
		if _, err := l.hear(); err == nil || err == io.EOF {
			t.Fatalf("the peer reads %v", err)
		}
		l.sock.end = io.EOF
		for range 4 {
			l.turn()
		}
		if l.sock.closed != "closed" {
			t.Fatal("not closed")
		}
	})
}

// The loop does not wait for a goroutine that seals: it comes again.
func TestSecureLoopDoesNotWait(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.say([]byte("hello"))
		l.k.mu.Lock()
		if l.turn() != Readable {
			t.Fatal("no event")
		}
		if _, err := l.read(100); err != ErrAgain {
			t.Fatal(err)
		}
		if err := l.s.CloseWrite(lineFD); err != nil || l.sock.ended {
			t.Fatal(err, l.sock.ended)
		}
		l.sock.watched = 0 // no event of the socket's
		l.k.inner = 0
		l.k.mu.Unlock()
		l.turn()
		if !l.sock.ended {
			t.Fatal("CloseWrite is forgotten")
		}
		l.sock.watched, l.k.inner = Readable, Readable
		if l.turn() != Readable {
			t.Fatal("no event")
		}
		if p, err := l.read(100); string(p) != "hello" || err != nil {
			t.Fatal(string(p), err)
		}
	})
}

// A handler may end the loop's goroutine in an event; the next one hears of what the session holds.
func TestSecureHandlerEnds(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		l.say([]byte("one"))
		l.say([]byte("two"))
		ended := make(chan struct{})
		l.onRead = func() {
			if p, err := l.read(2); string(p) != "on" || err != nil {
				t.Error(string(p), err)
			}
			runtime.Goexit()
		}
		go func() {
			defer close(ended)
			l.turn()
		}()
		await(t, ended, "the goroutine")
		l.onRead = nil
		if err := l.s.Run(l); err != nil {
			t.Fatal(err)
		}
		if l.turn() != Readable {
			t.Fatal("no event")
		}
		if p, err := l.read(100); string(p) != "etwo" || err != nil {
			t.Fatal(string(p), err)
		}
	})
}

// The engine's timer and those of closed connections share the inner one.
func TestSecureTimers(t *testing.T) {
	l := newLine(t, tls.VersionTLS13, true)
	l.s.SetTimer(50)
	if l.sock.timer != 50 {
		t.Fatal(l.sock.timer)
	}
	l.sock.room = 0
	_, _ = l.s.Write(lineFD, []byte("x"))
	l.s.Remove(lineFD)
	_ = l.s.Close(lineFD)
	if l.sock.timer != 50 {
		t.Fatal(l.sock.timer)
	}
	l.sock.now = 50
	l.turn()
	if l.sock.timer != lingerTime {
		t.Fatal(l.sock.timer)
	}
	l.s.SetTimer(100)
	l.s.SetTimer(0)
	if l.sock.timer != lingerTime {
		t.Fatal(l.sock.timer)
	}
	l.sock.now = lingerTime
	l.turn()
	if l.sock.timer != 0 {
		t.Fatal(l.sock.timer)
	}
}
