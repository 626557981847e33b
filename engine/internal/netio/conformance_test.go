package netio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

func randomBytes(n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(p)
	return p
}

// echo sends back what arrives, with as much backpressure as the peer exerts: what does
// not fit waits and reading stops.
type echo struct {
	l       *loop
	fd      int
	slab    []byte
	pending []byte
	watched Interest
	end     chan error
}

func startEcho(l *loop, fd int) *echo {
	e := &echo{l: l, fd: fd, slab: make([]byte, 64<<10), watched: Readable, end: make(chan error, 1)}
	l.add(fd, e.onEvent)
	return e
}

func (e *echo) onEvent(ev Event) {
	if ev&Readable != 0 && len(e.pending) == 0 {
		n, err := e.l.Read(e.fd, e.slab)
		if err != nil {
			if err != ErrAgain {
				e.watch(0)
				tell(e.end, err)
			}
			return
		}
		e.pending = e.slab[:n]
	}
	n, err := e.l.Write(e.fd, e.pending)
	e.pending = e.pending[n:]
	if err != nil && err != ErrAgain {
		e.watch(0)
		tell(e.end, err)
		return
	}
	if len(e.pending) > 0 {
		e.watch(Writable)
	} else {
		e.watch(Readable)
	}
}

func (e *echo) watch(now Interest) {
	if err := e.l.Interest(e.fd, e.watched, now); err != nil {
		e.l.t.Errorf("Interest(%d to %d): %v", e.watched, now, err)
	}
	e.watched = now
}

func TestEcho(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		e := startEcho(l, fd)
		sent := randomBytes(3 << 20)
		go func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+rand.IntN(100_000))
				if _, err := peer.Write(rest[:n]); err != nil {
					return // the reader below tells
				}
				rest = rest[n:]
			}
		}()
		got := make([]byte, len(sent))
		_ = peer.SetReadDeadline(time.Now().Add(patience))
		if n, err := io.ReadFull(peer, got); err != nil {
			t.Fatalf("after %d bytes: %v", n, err)
		}
		if !bytes.Equal(got, sent) {
			t.Fatal("the echo differs")
		}
		peer.Close()
		if err := await(t, e.end, "the end of the stream"); err != io.EOF {
			t.Fatalf("read ended with %v", err)
		}
		l.close(fd)
	})
}

// fill writes until there is no room, and returns how much went in.
func fill(t *testing.T, l *loop, fd int, src []byte) int {
	total := 0
	for total < len(src) {
		n, err := l.Write(fd, src[total:min(len(src), total+100_000)])
		total += n
		if err == ErrAgain {
			if n != 0 {
				t.Errorf("ErrAgain with %d bytes", n)
			}
			return total
		}
		if err != nil || n == 0 {
			t.Errorf("Write: %d, %v", n, err)
			return total
		}
	}
	t.Error("the transport never filled up")
	return total
}

func TestWritableWhenThereIsRoomAgain(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		src := randomBytes(64 << 20)
		writable := make(chan Event, 1)
		l.add(fd, func(ev Event) { tell(writable, ev) })
		var n int
		l.do(func() {
			n = fill(t, l, fd, src)
			if err := l.Interest(fd, Readable, Writable); err != nil {
				t.Error(err)
			}
		})
		// The writer behind a bridge and the peer's kernel still take some.
		for {
			more := 0
			time.Sleep(silence)
			l.do(func() { more = fill(t, l, fd, src[n:]) })
			if n += more; more == 0 {
				break
			}
		}
		l.do(func() { // what was told before the last fill
			for len(writable) > 0 {
				<-writable
			}
		})
		l.do(func() {})
		time.Sleep(silence)
		if len(writable) > 0 {
			t.Error("writable while full")
		}
		got := make([]byte, n)
		_ = peer.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(peer, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, src[:n]) {
			t.Fatal("what arrived differs from what was taken")
		}
		if ev := await(t, writable, "room"); ev != Writable {
			t.Fatalf("event %b", ev)
		}
		l.do(func() {
			if n, err := l.Write(fd, src[:1]); n != 1 || err != nil {
				t.Errorf("Write after Writable: %d, %v", n, err)
			}
		})
		l.close(fd)
	})
}

func TestEndOfStreamStays(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		c := collect(l, fd)
		if _, err := peer.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		peer.Close()
		for range 3 { // level-triggered
			if err := await(t, c.ended, "the end"); err != io.EOF {
				t.Fatalf("ended with %v", err)
			}
		}
		l.do(func() {
			if string(c.got) != "last words" {
				t.Errorf("got %q", c.got)
			}
		})
		l.close(fd)
	})
}

// collector reads what arrives, and reports each error of a read.
type collector struct {
	l     *loop
	fd    int
	got   []byte // loop
	ended chan error
}

func collect(l *loop, fd int) *collector {
	c := &collector{l: l, fd: fd, ended: make(chan error, 1)}
	l.add(fd, c.onEvent)
	return c
}

func (c *collector) onEvent(Event) {
	var p [4096]byte
	n, err := c.l.Read(c.fd, p[:])
	c.got = append(c.got, p[:n]...)
	if err != nil && err != ErrAgain {
		tell(c.ended, err)
	}
}

func (c *collector) waitFor(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var got string
		c.l.do(func() { got = string(c.got) })
		if got == want {
			return
		}
		if time.Now().After(end) || len(got) > len(want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func TestReset(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		c := collect(l, fd)
		reset(peer)
		err := await(t, c.ended, "the reset")
		if r.resets && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("read ended with %v", err)
		}
		failed := make(chan error, 1)
		l.do(func() { // writing fails as well, at once or when a bridge has tried
			l.events[fd] = func(Event) {
				if _, err := l.Write(fd, []byte("x")); err != nil && err != ErrAgain {
					tell(failed, err)
				}
			}
			if err := l.Interest(fd, Readable, Writable); err != nil {
				t.Error(err)
			}
		})
		await(t, failed, "a write to fail")
		l.close(fd)
	})
}

func TestHalfClose(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		c := collect(l, fd)
		if !r.halves {
			l.do(func() {
				if err := l.CloseWrite(fd); !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("CloseWrite: %v", err)
				}
			})
			l.close(fd)
			return
		}
		l.do(func() {
			if _, err := l.Write(fd, []byte("all I have")); err != nil {
				t.Error(err)
			}
			if err := l.CloseWrite(fd); err != nil {
				t.Error(err)
			}
			if _, err := l.Write(fd, []byte("more")); err == nil {
				t.Error("written after CloseWrite")
			}
		})
		if got := readAll(t, peer); string(got) != "all I have" {
			t.Fatalf("peer got %q", got)
		}
		if _, err := peer.Write([]byte("my turn")); err != nil {
			t.Fatal(err)
		}
		c.waitFor(t, "my turn")
		l.close(fd)
	})
}

func TestPeersHalfClose(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		if !r.halves {
			return // covered by TestEndOfStreamStays
		}
		fd, peer := r.pair(t, l)
		c := collect(l, fd)
		closeWrite(t, peer)
		if err := await(t, c.ended, "the end"); err != io.EOF {
			t.Fatalf("ended with %v", err)
		}
		l.do(func() {
			if _, err := l.Write(fd, []byte("still here")); err != nil {
				t.Error(err)
			}
			l.drop(fd)
		})
		if got := readAll(t, peer); string(got) != "still here" {
			t.Fatalf("peer got %q", got)
		}
	})
}

// TestInterestTransitions goes from each interest to each, with bytes to read and room
// to write: exactly what is watched is reported.
func TestInterestTransitions(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		var seen Event // loop
		l.add(fd, func(ev Event) { seen |= ev })
		wrote := make(chan struct{})
		go func() { peer.Write([]byte("unread")); close(wrote) }()
		await(t, wrote, "the peer's write")
		was := Readable
		step := func(now Interest) {
			t.Helper()
			l.do(func() {
				if err := l.Interest(fd, was, now); err != nil {
					t.Errorf("Interest(%b to %b): %v", was, now, err)
				}
			})
			was = now
			l.do(func() { seen = 0 }) // the turn of the change may have reported what was watched
			var got Event
			for end := time.Now().Add(patience); got != now && time.Now().Before(end); {
				time.Sleep(time.Millisecond / 4)
				l.do(func() { got = seen })
			}
			if now == 0 {
				time.Sleep(time.Millisecond)
			}
			l.do(func() { got = seen })
			if got != now {
				t.Fatalf("watched for %b, reported %b", now, got)
			}
		}
		const none, both = Interest(0), Readable | Writable
		for from := none; from <= both; from++ {
			for to := none; to <= both; to++ {
				step(from)
				step(to)
			}
		}
		l.close(fd)
	})
}

func TestNoInterestIsSilence(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		events := make(chan Event, 1)
		l.add(fd, func(ev Event) { tell(events, ev) })
		l.do(func() {
			if err := l.Interest(fd, Readable, 0); err != nil {
				t.Error(err)
			}
		})
		go func() { peer.Write([]byte("x")); reset(peer) }()
		select {
		case ev := <-events:
			t.Fatalf("event %b without interest", ev)
		case <-time.After(silence):
		}
		l.do(func() {
			if err := l.Interest(fd, 0, Readable); err != nil {
				t.Error(err)
			}
		})
		await(t, events, "what waited")
		l.close(fd)
	})
}

// Two connections become readable in one turn; whichever is told first removes and
// closes the other's number from the poller, and it is not heard of in any later turn.
func TestRemoveInTheSameTurn(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		for range 20 {
			a, peerA := r.pair(t, l)
			b, peerB := r.pair(t, l)
			removed, stale := -1, 0
			told := make(chan struct{}, 1)
			remove := func(self, other int) func(Event) {
				return func(Event) {
					switch removed {
					case -1:
						l.Remove(other)
						removed = other
						l.post(func() { tell(told, struct{}{}) })
					case self:
						stale++
					}
				}
			}
			l.add(a, remove(a, b))
			l.add(b, remove(b, a))
			done := make(chan struct{})
			l.do(func() { // while the loop is busy here, both become ready
				go func() { peerA.Write([]byte("x")); peerB.Write([]byte("x")); close(done) }()
				await(t, done, "the peers' writes")
			})
			await(t, told, "an event")
			before := 0
			l.do(func() { before = stale })
			time.Sleep(2 * time.Millisecond)
			l.do(func() {
				if stale != before || stale > 1 {
					t.Errorf("%d stale events, %d of them in later turns", stale, stale-before)
				}
				l.drop(a)
				l.drop(b)
			})
		}
	})
}

func TestWakesAreCoalesced(t *testing.T) {
	forEachRig(t, func(t *testing.T, _ rig, l *loop) {
		for range 100 {
			before, after := 0, 0
			l.do(func() {
				before = l.wakes
				for range 1000 {
					l.Wake()
				}
			})
			time.Sleep(100 * time.Microsecond)
			l.do(func() { after = l.wakes })
			if n := after - before; n < 1 || n > 2 { // the thousand, and do's own
				t.Fatalf("1000 wakes made %d calls", n)
			}
		}
	})
}

func TestNoWakeIsLost(t *testing.T) {
	forEachRig(t, func(t *testing.T, _ rig, l *loop) {
		const senders, each = 8, 2000
		count := 0 // loop
		done := make(chan struct{})
		for range senders {
			go func() {
				for i := range each {
					l.post(func() {
						if count++; count == senders*each {
							close(done)
						}
					})
					if i%64 == 0 {
						runtime.Gosched()
					}
				}
			}()
		}
		await(t, done, "everything posted")
	})
}

// A Wake that races with Release neither blocks nor writes to a descriptor that is gone.
func TestWakeDuringRelease(t *testing.T) {
	for _, r := range append(nativeRigs(), bridgeRigs()...) {
		t.Run(r.name, func(t *testing.T) {
			for range 50 {
				l := startLoop(t, r)
				var wakers sync.WaitGroup
				for range 4 {
					wakers.Go(func() {
						for range 200 {
							l.Wake()
						}
					})
				}
				l.stop()
				wakers.Wait()
			}
		})
	}
}

func TestTimer(t *testing.T) {
	forEachRig(t, func(t *testing.T, _ rig, l *loop) {
		fired := make(chan time.Duration, 16)
		l.do(func() { l.onBareWake = func() { fired <- l.Now() } })
		const hour = time.Hour
		for _, c := range []struct {
			name string
			sets []time.Duration // from now; 0 disarms
		}{
			{"once", []time.Duration{20 * time.Millisecond}},
			{"later", []time.Duration{time.Millisecond, 30 * time.Millisecond}},
			{"sooner", []time.Duration{hour, time.Millisecond}},
			{"again", []time.Duration{hour, 0, 5 * time.Millisecond}},
			{"passed", []time.Duration{-1}},
			{"long passed", []time.Duration{hour, -hour}},
			{"disarmed", []time.Duration{time.Millisecond, 0}},
			{"disarmed twice", []time.Duration{0, 0}},
		} {
			var at time.Duration
			l.do(func() {
				for _, wait := range c.sets {
					if at = 0; wait != 0 {
						at = l.Now() + wait
					}
					l.SetTimer(at)
				}
			})
			if at != 0 {
				if now := await(t, fired, c.name); now < at {
					t.Errorf("%s: fired %v early", c.name, at-now)
				}
			}
			select {
			case <-fired:
				t.Errorf("%s: fired when it should not", c.name)
			case <-time.After(silence):
			}
		}
	})
}

// A timer that is set in the turn that reports its expiry is the new one.
func TestTimerMovedInItsOwnTurn(t *testing.T) {
	forEachRig(t, func(t *testing.T, _ rig, l *loop) {
		fired := make(chan time.Duration, 16)
		var at time.Duration
		l.do(func() {
			l.onBareWake = func() { fired <- l.Now() }
			l.SetTimer(l.Now() + time.Millisecond)
			l.Wake()
			time.Sleep(5 * time.Millisecond) // expires while the loop is busy
			l.post(func() {
				at = l.Now() + 20*time.Millisecond
				l.SetTimer(at)
			})
		})
		now := await(t, fired, "the timer")
		l.do(func() {
			for now < at && len(fired) > 0 { // the first expiry may have come before the move
				now = <-fired
			}
		})
		if now < at {
			if now = await(t, fired, "the moved timer"); now < at {
				t.Errorf("fired %v early", at-now)
			}
		}
	})
}

func TestCloseDelivers(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		sent := randomBytes(48 << 10)
		l.add(fd, func(Event) {})
		l.do(func() {
			if n, err := l.Write(fd, sent); n != len(sent) || err != nil {
				t.Errorf("Write: %d, %v", n, err)
			}
			l.drop(fd)
		})
		if got := readAll(t, peer); !bytes.Equal(got, sent) {
			t.Fatalf("peer got %d bytes of %d", len(got), len(sent))
		}
	})
}

func TestAbortTellsAtOnce(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, peer := r.pair(t, l)
		l.add(fd, func(Event) {})
		l.do(func() {
			fill(t, l, fd, make([]byte, 64<<20))
			l.Remove(fd)
			if err := l.Abort(fd); err != nil {
				t.Error(err)
			}
		})
		_ = peer.SetReadDeadline(time.Now().Add(patience))
		_, err := io.Copy(io.Discard, peer)
		if r.resets && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("peer's stream ended with %v", err)
		}
		if _, isTLS := peer.(*tls.Conn); !isTLS && !r.resets && err != nil {
			t.Fatalf("peer's stream ended with %v", err)
		}
	})
}

func TestWritev(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		for _, count := range []int{0, 1, 2, 15, 16, 17, 100, 1024, 1025, 3000} {
			fd, peer := r.pair(t, l)
			var v [][]byte
			for i := range count {
				v = append(v, randomBytes(i%7)) // some are empty
			}
			want := bytes.Join(v, nil)
			got := make(chan []byte, 1)
			go func() { got <- readAll(t, peer) }()
			l.add(fd, func(Event) {})
			l.do(func() { writevAllOf(t, l, fd, v, len(want)); l.drop(fd) })
			if got := await(t, got, "the peer"); !bytes.Equal(got, want) {
				t.Fatalf("%d slices: peer got %d bytes of %d", count, len(got), len(want))
			}
		}
	})
}

// writevAllOf goes on after partial writes.
func writevAllOf(t *testing.T, l *loop, fd int, v [][]byte, total int) {
	for written := 0; ; {
		n, err := l.Writev(fd, v)
		written += n
		if err != nil || n == 0 && written < total {
			t.Errorf("Writev: %d, %v after %d of %d bytes", n, err, written, total)
			return
		}
		if written == total {
			return
		}
		for n > 0 || len(v[0]) == 0 {
			took := min(n, len(v[0]))
			v[0] = v[0][took:]
			n -= took
			if len(v[0]) == 0 {
				v = v[1:]
			}
		}
	}
}

func TestEmptySlices(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		fd, _ := r.pair(t, l)
		l.add(fd, func(Event) {})
		l.do(func() {
			for what, call := range map[string]func() (int, error){
				"Read":   func() (int, error) { return l.Read(fd, nil) },
				"Write":  func() (int, error) { return l.Write(fd, nil) },
				"Writev": func() (int, error) { return l.Writev(fd, [][]byte{nil, {}}) },
			} {
				if n, err := call(); n != 0 || err != nil {
					t.Errorf("%s of nothing: %d, %v", what, n, err)
				}
			}
			if n, err := l.Read(fd, make([]byte, 8)); n != 0 || err != ErrAgain {
				t.Errorf("Read of an idle connection: %d, %v", n, err)
			}
			l.drop(fd)
		})
	})
}

func TestProbe(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, c net.Conn){
		"reset": func(_ *testing.T, c net.Conn) { reset(c) },
		"end":   func(t *testing.T, c net.Conn) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			forEachRig(t, func(t *testing.T, r rig, l *loop) {
				if !r.kernel {
					return
				}
				fd, peer := r.pair(t, l)
				l.add(fd, func(Event) {})
				probe := func() (err error) { l.do(func() { err = l.Probe(fd) }); return err }
				l.do(func() {
					if err := l.Interest(fd, Readable, 0); err != nil {
						t.Error(err)
					}
				})
				if _, err := peer.Write(randomBytes(10_000)); err != nil { // stays unread
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
				if err := probe(); err != nil {
					t.Fatalf("a living peer: %v", err)
				}
				end(t, peer)
				err := probe()
				for end := time.Now().Add(patience); err == nil && time.Now().Before(end); err = probe() {
					time.Sleep(time.Millisecond)
				}
				if r.resets && name == "reset" && !errors.Is(err, syscall.ECONNRESET) || err == nil {
					t.Fatalf("a peer that is gone: %v", err)
				}
				l.close(fd)
			})
		})
	}
}
