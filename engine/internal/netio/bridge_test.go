package netio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// carriers counts the goroutines that carry connections, or are about to: one that has not
// run yet is only known to be a WaitGroup's.
func carriers() (n int) {
	buf := make([]byte, 1<<20)
	for runtime.Stack(buf, true) == len(buf) {
		buf = make([]byte, 2*len(buf))
	}
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		_, frames, _ := strings.Cut(stack, "\n")
		if strings.Contains(frames, "netio.(*carried).") || strings.HasPrefix(frames, "sync.(*WaitGroup).Go.func1(") {
			n++
		}
	}
	return n
}

func wantNoCarriers(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); carriers() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("goroutines are left:\n%s", buf[:runtime.Stack(buf, true)])
		}
	}
}

// Goroutines end however a connection ends, with the peer idle, gone, or not reading.
func TestCarriersEnd(t *testing.T) {
	endings := map[string]func(l *loop, fd int){
		"close": func(l *loop, fd int) { l.drop(fd) },
		"abort": func(l *loop, fd int) { l.Remove(fd); l.Abort(fd) },
		"close with output": func(l *loop, fd int) {
			l.Write(fd, make([]byte, 1000))
			l.drop(fd)
		},
		"abort when full": func(l *loop, fd int) {
			for n := 1; n > 0; {
				n, _ = l.Write(fd, make([]byte, 100_000))
			}
			l.Remove(fd)
			l.Abort(fd)
		},
		"close when full": func(l *loop, fd int) {
			for n := 1; n > 0; {
				n, _ = l.Write(fd, make([]byte, 100_000))
			}
			l.drop(fd)
		},
		"half-close, close": func(l *loop, fd int) { l.CloseWrite(fd); l.drop(fd) },
		"paused":            func(l *loop, fd int) { l.Interest(fd, Readable, 0); l.drop(fd) },
	}
	peers := map[string]func(c net.Conn){
		"idle":    func(net.Conn) {},
		"gone":    func(c net.Conn) { c.Close() },
		"reset":   reset,
		"talking": func(c net.Conn) { go c.Write(make([]byte, 1<<20)) },
	}
	for _, r := range bridgeRigs() {
		for what, end := range endings {
			for who, act := range peers {
				t.Run(r.name+"/"+what+"/"+who, func(t *testing.T) {
					l := startLoop(t, r)
					l.System.(*Bridge).linger = 20 * time.Millisecond
					fd, peer := r.pair(t, l)
					defer peer.Close()
					l.add(fd, func(Event) {})
					act(peer)
					l.do(func() { end(l, fd) })
					wantNoCarriers(t)
				})
			}
		}
	}
}

// A peer that does not read cannot hold a closed connection for longer than the linger
// time, and one that does gets everything.
func TestCloseLingers(t *testing.T) {
	for _, reads := range []bool{false, true} {
		r := bridgeRigs()[0] // a pipe, which buffers nothing
		l := startLoop(t, r)
		const linger = 50 * time.Millisecond
		l.System.(*Bridge).linger = linger
		if reads {
			l.System.(*Bridge).linger = time.Hour
		}
		fd, peer := r.pair(t, l)
		sent := randomBytes(outLimit)
		l.add(fd, func(Event) {})
		start := time.Now()
		l.do(func() {
			if n, err := l.Write(fd, sent); n != len(sent) || err != nil {
				t.Error(n, err)
			}
			l.drop(fd)
		})
		if reads {
			if got := readAll(t, peer); !bytes.Equal(got, sent) {
				t.Errorf("peer got %d bytes", len(got))
			}
		}
		wantNoCarriers(t)
		if took := time.Since(start); !reads && took < linger {
			t.Errorf("given up after %v", took)
		}
	}
}

// Backpressure: a peer that is not read can push one buffer into the bridge, no more.
func TestUnreadPeerIsBounded(t *testing.T) {
	r := bridgeRigs()[0]
	l := startLoop(t, r)
	fd, peer := r.pair(t, l)
	l.add(fd, func(Event) {})
	_ = peer.SetWriteDeadline(time.Now().Add(silence))
	n, err := peer.Write(make([]byte, 10<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) || n > bigRead {
		t.Errorf("pushed %d bytes: %v", n, err)
	}
	l.close(fd)
}

// The limit on what is written and not delivered.
func TestWrittenBytesAreBounded(t *testing.T) {
	r := bridgeRigs()[0]
	l := startLoop(t, r)
	fd, peer := r.pair(t, l)
	defer peer.Close()
	l.add(fd, func(Event) {})
	l.do(func() {
		if n := fill(t, l, fd, make([]byte, 1<<20)); n != outLimit {
			t.Errorf("took %d bytes, want %d", n, outLimit)
		}
	})
	time.Sleep(time.Millisecond) // the writer has taken them, the peer has not
	l.do(func() {
		if n, err := l.Write(fd, []byte("x")); n != 0 || err != ErrAgain {
			t.Errorf("one more: %d, %v", n, err)
		}
		l.Remove(fd)
		l.Abort(fd)
	})
}

// brokenConn fails every write and has something to read.
type brokenConn struct {
	net.Conn
	failed error
}

func (c brokenConn) Write([]byte) (int, error) { return 0, c.failed }

// When writing fails, what the peer said before is still read, and then the failure is
// what ends the connection.
func TestFailedWriteEndsReading(t *testing.T) {
	b := NewBridge()
	l := &loop{System: b, t: t, done: make(chan error, 1), events: map[int]func(Event){}}
	go func() { l.done <- l.Run(l) }()
	t.Cleanup(l.stop)
	ours, peer := net.Pipe()
	failed := errors.New("no way out")
	fd := b.Attach(brokenConn{ours, failed})
	c := collect(l, fd)
	l.do(func() {
		if n, err := l.Write(fd, []byte("lost")); n != 4 || err != nil {
			t.Error(n, err)
		}
	})
	if _, err := peer.Write([]byte("goodbye")); err != nil {
		t.Fatal(err)
	}
	c.waitFor(t, "goodbye")
	if err := await(t, c.ended, "the failure"); err != failed {
		t.Errorf("ended with %v", err)
	}
	l.do(func() {
		if err := l.Probe(fd); err != failed {
			t.Errorf("Probe: %v", err)
		}
		if _, err := l.Write(fd, []byte("x")); err != failed {
			t.Errorf("Write: %v", err)
		}
	})
	l.close(fd)
	wantNoCarriers(t)
}

func TestAttachLiftsDeadlines(t *testing.T) {
	r := bridgeRigs()[1]
	l := startLoop(t, r)
	ours, peer := tcpPair(t)
	_ = ours.SetDeadline(time.Now().Add(-time.Second))
	fd := l.System.(*Bridge).Attach(ours)
	startEcho(l, fd)
	if _, err := peer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_ = peer.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	l.close(fd)
}

func TestPlainErrors(t *testing.T) {
	ours, peer := tcpPair(t)
	_ = ours.SetReadDeadline(time.Now().Add(-1))
	_, timeout := ours.Read(make([]byte, 1))
	ours.Close()
	_, closed := ours.Read(make([]byte, 1))
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	peer.Close()
	other := errors.New("other")
	for _, c := range []struct{ err, want error }{
		{io.EOF, io.EOF}, {io.ErrUnexpectedEOF, io.ErrUnexpectedEOF}, {other, other},
		{timeout, os.ErrDeadlineExceeded}, {closed, net.ErrClosed},
	} {
		if got := plainError(c.err); got != c.want {
			t.Errorf("%v became %v", c.err, got)
		}
	}
	if got := plainError(refused); got == refused || !errors.Is(refused, got) {
		t.Errorf("%v became %v", refused, got)
	}
}

func TestUnknownDescriptors(t *testing.T) {
	b := NewBridge()
	ours, peer := net.Pipe()
	defer peer.Close()
	fd := b.Attach(ours)
	if b.Conn(fd) != ours {
		t.Error("Conn is another")
	}
	if err := b.Close(fd); err != nil {
		t.Error(err)
	}
	for _, fd := range []int{fd, -1, 63, 64, 1 << 30} {
		_, readErr := b.Read(fd, make([]byte, 1))
		_, writeErr := b.Write(fd, make([]byte, 1))
		_, writevErr := b.Writev(fd, [][]byte{{1}})
		for what, err := range map[string]error{
			"Read": readErr, "Write": writeErr, "Writev": writevErr, "Add": b.Add(fd),
			"Interest": b.Interest(fd, 0, Readable), "CloseWrite": b.CloseWrite(fd),
			"Probe": b.Probe(fd), "Close": b.Close(fd), "Abort": b.Abort(fd),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s(%d): %v", what, fd, err)
			}
		}
		b.Remove(fd)
		if b.Conn(fd) != nil {
			t.Errorf("descriptor %d has a connection", fd)
		}
	}
	if _, _, err := b.Accept(0); err == nil || err == ErrAgain {
		t.Errorf("Accept: %v", err)
	}
	wantNoCarriers(t)
}

// Descriptors are dense and used again, from any goroutine, while others are looked up.
func TestDescriptorsAreReused(t *testing.T) {
	b := NewBridge()
	const many = 300 // several pages
	fds := make(chan int, many)
	for range many {
		go func() {
			ours, _ := net.Pipe()
			fd := b.Attach(ours)
			if b.Conn(fd) != ours {
				t.Errorf("descriptor %d is another's", fd)
			}
			fds <- fd
		}()
	}
	seen := map[int]bool{}
	for range many {
		fd := <-fds
		if fd < 0 || fd >= many || seen[fd] {
			t.Errorf("descriptor %d", fd)
		}
		seen[fd] = true
	}
	for fd := range seen {
		if err := b.Abort(fd); err != nil {
			t.Error(err)
		}
	}
	ours, peer := net.Pipe()
	if fd := b.Attach(ours); fd >= many {
		t.Errorf("descriptor %d though %d are free", fd, many)
	} else if err := b.Close(fd); err != nil {
		t.Error(err)
	}
	peer.Close()
	wantNoCarriers(t)
}
