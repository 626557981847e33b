//go:build !race && !poll_opt && !gannetdebug

package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// What an idle wss connection may cost, in bytes, after a long ClientHello and messages of up to 64 KiB: on a loop, what crypto/tls keeps of it and our
// session; on a bridge also two goroutines, whose stacks crypto/tls lets grow, and 2 KiB to read into.
const (
	maxIdleTLSHeap       = 5_000
	maxIdleTLSStacks     = 1 << 10
	maxIdleBridgedHeap   = 64 << 10 // crypto/tls keeps a buffer of the longest record
	maxIdleBridgedStacks = 24 << 10
	fewTLSConns          = 500
)

// TestIdleTLSConnectionMemory measures what README says of a wss connection, a server's.
func TestIdleTLSConnectionMemory(t *testing.T) {
	once(t)
	for _, k := range []struct {
		name         string
		serve        func(*Server, net.Listener) error
		many         int
		heap, stacks float64
		bridged      bool
	}{
		{"on a loop", (*Server).ServeTLS, 10_000, maxIdleTLSHeap, maxIdleTLSStacks, false},
		{"bridged", func(s *Server, ln net.Listener) error { return s.Serve(tls.NewListener(ln, s.conf.TLSConfig)) },
			1_500, maxIdleBridgedHeap, maxIdleBridgedStacks, true},
	} {
		t.Run(k.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := startServerOn(t, echoHandler, Options{Loops: 1, HandshakeTimeout: timeoutOf(30), TLSConfig: ownCertificate(t), Logger: quietLogger}, ln, k.serve)
			h := startHolder(t, overTLSPrefix+ln.Addr().String())
			heap, stacks := idleTLSMemory(t, s, fewTLSConns, k.many, func(conns int) {
				h.hold(t, conns-int(s.Stats().Open))
				for size := 1 << 10; size <= 64<<10; size <<= 3 {
					h.say(t, "size "+strconv.Itoa(size))
				}
			})
			if st := s.Stats(); st.Bridged != 0 != k.bridged {
				t.Errorf("%d are bridged", st.Bridged)
			}
			if heap > k.heap || stacks > k.stacks {
				t.Errorf("at most %.0f bytes of heap and %.0f of stacks are allowed", k.heap, k.stacks)
			}
		})
	}
}

// TestIdleTLSDialMemory measures the same of a client's. Its server is a process of its own.
func TestIdleTLSDialMemory(t *testing.T) {
	once(t)
	url := startEchoChild(t, "wss")
	var answered atomic.Int64
	var failed atomic.Pointer[error]
	c := newClient(t, Funcs{Message: func(*Conn, Message) { answered.Add(1) }, Error: func(_ *Conn, err error) { failed.CompareAndSwap(nil, &err) }},
		ClientOptions{Loops: 1, LocalAddrs: localAddrs(1), ConnectTimeout: timeoutOf(60), TLSTimeout: timeoutOf(60), HandshakeTimeout: timeoutOf(60), Logger: quietLogger})
	heap, stacks := idleTLSMemory(t, c, fewTLSConns, 10_000, func(conns int) {
		for range conns - int(c.Stats().Open) {
			if _, err := c.Start(url, DialOptions{TLSConfig: wordyClient()}); err != nil {
				t.Fatal(err)
			}
		}
		within(t, timeoutOf(60), "all connections OPEN", func() bool {
			if err := failed.Load(); err != nil {
				t.Fatal(*err)
			}
			return int(c.Stats().Open) == conns
		})
		for size := 1 << 10; size <= 64<<10; size <<= 3 {
			answered.Store(0)
			for conn := range c.Conns() {
				if err := conn.SendBinary(make([]byte, size)); err != nil {
					t.Fatal(err)
				}
			}
			within(t, timeoutOf(60), "all answers", func() bool { return int(answered.Load()) == conns })
		}
	})
	if st := c.Stats(); st.Bridged != 0 {
		t.Errorf("%d are bridged", st.Bridged)
	}
	if heap > maxIdleTLSHeap || stacks > maxIdleTLSStacks {
		t.Errorf("at most %d bytes of heap and %d of stacks are allowed", maxIdleTLSHeap, maxIdleTLSStacks)
	}
}

// idleTLSMemory is what one of many connections costs. open has so many of them opened and used.
func idleTLSMemory(t *testing.T, s interface{ Stats() Stats }, few, many int, open func(conns int)) (heap, stacks float64) {
	t.Helper()
	measure := func(conns int) (heap, stacks, rss int64) {
		open(conns)
		if n := s.Stats(); int(n.Open) != conns {
			t.Fatalf("%d connections are open", n.Open)
		}
		heap = settledMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return heap, int64(m.StackInuse), residentBytes(t)
	}
	heap0, stacks0, rss0 := measure(few)
	heap1, stacks1, rss1 := measure(many)
	each := func(before, after int64) float64 { return float64(after-before) / float64(many-few) }
	t.Logf("an idle wss connection: %.0f bytes of heap, %.0f of stacks, %.0f of RSS", each(heap0, heap1), each(stacks0, stacks1), each(rss0, rss1))
	return each(heap0, heap1), each(stacks0, stacks1)
}

// ownCertificate is a server's configuration with a certificate that it has signed itself.
func ownCertificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	what := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	signed, err := x509.CreateCertificate(rand.Reader, what, what, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{signed}, PrivateKey: key}}}
}
