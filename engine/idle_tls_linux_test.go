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
	"testing"
	"time"
)

// What an idle wss connection may cost, in bytes: two goroutines, whose stacks crypto/tls lets grow, what crypto/tls keeps of
// it, and the bridge's 2 KiB to read into.
const (
	maxIdleTLSHeap   = 24 << 10
	maxIdleTLSStacks = 24 << 10
	fewTLSConns      = 200
	manyTLSConns     = 2_200
)

// TestIdleTLSConnectionMemory measures what README says of a wss connection.
func TestIdleTLSConnectionMemory(t *testing.T) {
	once(t)
	s, err := NewServer(Funcs{}, Options{Loops: 1, HandshakeTimeout: timeoutOf(30)})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := serving(t, s, tls.NewListener(ln, ownCertificate(t)))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-served
	})
	h := startHolder(t, overTLSPrefix+ln.Addr().String())
	measure := func(conns int) (heap, stacks, rss int64) {
		h.hold(t, conns-int(s.Stats().Open))
		if n := s.Stats(); int(n.Open) != conns || int(n.Bridged) != conns {
			t.Fatalf("%d connections are open, %d bridged", n.Open, n.Bridged)
		}
		heap = settledMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return heap, int64(m.StackInuse), residentBytes(t)
	}
	heap0, stacks0, rss0 := measure(fewTLSConns)
	heap1, stacks1, rss1 := measure(manyTLSConns)
	each := func(before, after int64) float64 { return float64(after-before) / (manyTLSConns - fewTLSConns) }
	t.Logf("an idle wss connection: %.0f bytes of heap, %.0f of stacks, %.0f of RSS", each(heap0, heap1), each(stacks0, stacks1), each(rss0, rss1))
	if each(heap0, heap1) > maxIdleTLSHeap || each(stacks0, stacks1) > maxIdleTLSStacks {
		t.Errorf("at most %d bytes of heap and %d of stacks are allowed", maxIdleTLSHeap, maxIdleTLSStacks)
	}
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
