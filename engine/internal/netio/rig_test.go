package netio

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// A rig is a System with a way to make connections on it: the conformance tests run
// on each.
type rig struct {
	name string
	open func(t testing.TB) System
	// pair makes a connection: a descriptor that is not yet added, and its peer.
	pair func(t testing.TB, l *loop) (fd int, peer net.Conn)
	// halves: the transport can close one direction. resets: it has RST.
	// kernel: Probe can see behind unread bytes. sealed: it is a *Secure, whose Write may take more than it answers.
	halves, resets, kernel, sealed bool
	mallocs                        float64 // a message at most
	// Of a sealed one: what is below, and what makes that TLS.
	below func(t testing.TB, l *loop) (fd int, peer net.Conn)
	make  func(s *Secure, fd int)
	alone bool // each event is a batch
}

// loop runs a System in a goroutine of its own and lets a test act on it.
type loop struct {
	System
	t     testing.TB
	done  chan error
	wakes int // loop

	onBareWake func() // loop; called by OnWake when nothing was posted

	mu      sync.Mutex
	posted  []func()
	stopped bool

	events map[int]func(ev Event) // loop; by descriptor

	reported int   // loop; events since the last batch ended
	batches  []int // loop; how many events each batch had, of those that had any
}

func (l *loop) OnBatchEnd() {
	if l.reported > 0 {
		l.batches = append(l.batches, l.reported)
	}
	l.reported = 0
}

func (l *loop) OnEvent(fd int, ev Event) {
	l.reported++
	if f := l.events[fd]; f != nil {
		f(ev)
	}
}

func (l *loop) OnWake() bool {
	l.wakes++
	l.mu.Lock()
	posted, stopped := l.posted, l.stopped
	l.posted = nil
	l.mu.Unlock()
	for _, f := range posted {
		f()
	}
	if len(posted) == 0 && l.onBareWake != nil && !stopped {
		l.onBareWake()
	}
	return !stopped
}

// startLoop runs r's System until the test ends.
func startLoop(t testing.TB, r rig) *loop {
	l := &loop{System: r.open(t), t: t, done: make(chan error, 1), events: map[int]func(Event){}}
	go func() { l.done <- l.Run(l) }()
	t.Cleanup(l.stop)
	return l
}

func (l *loop) stop() {
	l.mu.Lock()
	again := l.stopped
	l.stopped = true
	l.mu.Unlock()
	if again {
		return
	}
	l.Wake()
	select {
	case err := <-l.done:
		if err != nil {
			l.t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		l.t.Fatal("Run did not return")
	}
	if b, ok := l.System.(*Bridge); ok { // those that the test has left
		for fd := range l.events {
			_ = b.Abort(fd)
		}
	}
	if err := l.Release(); err != nil {
		l.t.Errorf("Release: %v", err)
	}
	l.Wake() // must be harmless
}

// do runs f on the loop and waits for it.
func (l *loop) do(f func()) {
	l.t.Helper()
	done := make(chan struct{})
	l.post(func() { f(); close(done) })
	await(l.t, done, "the loop")
}

func (l *loop) post(f func()) {
	l.mu.Lock()
	l.posted = append(l.posted, f)
	l.mu.Unlock()
	l.Wake()
}

// add puts fd on the loop with a handler of its events.
func (l *loop) add(fd int, f func(ev Event)) {
	l.t.Helper()
	l.do(func() {
		l.events[fd] = f
		if err := l.Add(fd); err != nil {
			l.t.Errorf("Add: %v", err)
		}
	})
}

// close takes fd off the loop and closes it.
func (l *loop) close(fd int) {
	l.t.Helper()
	l.do(func() { l.drop(fd) })
}

func (l *loop) drop(fd int) {
	delete(l.events, fd)
	l.Remove(fd)
	if err := l.Close(fd); err != nil {
		l.t.Errorf("Close: %v", err)
	}
}

const (
	patience = time.Minute           // for what must happen: a busy machine stops a process for seconds
	silence  = 30 * time.Millisecond // for what must not
)

func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// tell sends without blocking: a level-triggered event may come again.
func tell[T any](c chan T, v T) {
	select {
	case c <- v:
	default:
	}
}

// forEachRig runs a test on every System with every kind of connection.
func forEachRig(t *testing.T, f func(t *testing.T, r rig, l *loop)) {
	for _, r := range allRigs() {
		t.Run(r.name, func(t *testing.T) { f(t, r, startLoop(t, r)) })
	}
}

func allRigs() []rig { return slices.Concat(nativeRigs(), secureRigs(), bridgeRigs()) }

func bridgeRigs() []rig {
	kinds := []struct {
		name                   string
		pair                   func(t testing.TB) (ours, peer net.Conn)
		halves, resets, kernel bool
		mallocs                float64
	}{
		{"pipe", pipePair, false, false, false, 0.01},
		{"tcp", tcpPair, true, true, HasNative, 0.01},
		{"unix", unixPair, true, false, HasNative, 0.01},
		{"tls", tlsPair, true, true, HasNative, 2.01}, // one on each side
	}
	var rigs []rig
	for _, k := range kinds {
		rigs = append(rigs, rig{
			name: "bridge/" + k.name,
			open: func(testing.TB) System { return NewBridge() },
			pair: func(t testing.TB, l *loop) (int, net.Conn) {
				ours, peer := k.pair(t)
				return l.System.(*Bridge).Attach(ours), peer
			},
			halves: k.halves, resets: k.resets, kernel: k.kernel, mallocs: k.mallocs,
		})
	}
	return rigs
}

func pipePair(testing.TB) (ours, peer net.Conn) { return net.Pipe() }

func tcpPair(t testing.TB) (ours, peer net.Conn) {
	return socketPair(t, "tcp", "127.0.0.1:0")
}

func unixPair(t testing.TB) (ours, peer net.Conn) {
	return socketPair(t, "unix", filepath.Join(t.TempDir(), "s"))
}

func socketPair(t testing.TB, network, addr string) (ours, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err = net.Dial(network, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	if ours, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, peer
}

var testCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func tlsPair(t testing.TB) (ours, peer net.Conn) {
	a, b := tcpPair(t)
	server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{testCertificate()}})
	client := tls.Client(b, &tls.Config{InsecureSkipVerify: true})
	failed := make(chan error, 1)
	go func() { failed <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return server, client
}

// reset makes a peer end its connection with RST.
func reset(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.Close()
}

// closeWrite ends a peer's half of the stream.
func closeWrite(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.(closeWriter).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// readAll reads a peer's connection to its end.
func readAll(t testing.TB, c net.Conn) []byte {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(all), err)
	}
	return all
}
