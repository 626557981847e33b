package engine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// The listeners of doors, each with what connects to it.

func listenTCP(t testing.TB) (net.Listener, func() (net.Conn, error)) {
	t.Helper()
	return listenNet(t, "tcp", "127.0.0.1:0")
}

func listenUnixSocket(t testing.TB) (net.Listener, func() (net.Conn, error)) {
	t.Helper()
	return listenNet(t, "unix", filepath.Join(t.TempDir(), "s"))
}

func listenNet(t testing.TB, network, addr string) (net.Listener, func() (net.Conn, error)) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().String()
	return ln, func() (net.Conn, error) { return net.Dial(network, at) }
}

func listenTLS(t testing.TB) (net.Listener, func() (net.Conn, error)) {
	t.Helper()
	ln, dial := underTLS(listenTCP)(t)
	return tls.NewListener(ln, houseTLS()), dial
}

// underTLS is for a server that ends TLS itself: whoever connects speaks it.
func underTLS(listen func(testing.TB) (net.Listener, func() (net.Conn, error))) func(testing.TB) (net.Listener, func() (net.Conn, error)) {
	return func(t testing.TB) (net.Listener, func() (net.Conn, error)) {
		t.Helper()
		ln, dial := listen(t)
		return ln, func() (net.Conn, error) {
			nc, err := dial()
			if err != nil {
				return nil, err
			}
			return tls.Client(nc, guestTLS()), nil
		}
	}
}

// houseCertificate signs itself.
var houseCertificate = sync.OnceValue(func() tls.Certificate { return makeCertificate("house.example") })

// makeCertificate makes a key, and signs it with itself.
func makeCertificate(name string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// hidden makes of a listener one of no known type, whose connections are none either.
func hidden(listen func(testing.TB) (net.Listener, func() (net.Conn, error))) func(testing.TB) (net.Listener, func() (net.Conn, error)) {
	return func(t testing.TB) (net.Listener, func() (net.Conn, error)) {
		ln, dial := listen(t)
		return hiding{ln}, dial
	}
}

type hiding struct{ net.Listener }

// hiddenConn is a TCP connection that package netio does not know as one.
type hiddenConn struct{ *net.TCPConn }

func (h hiding) Accept() (net.Conn, error) {
	nc, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hiddenConn{nc.(*net.TCPConn)}, nil
}

// pipeListener accepts one end of net.Pipe: no buffer, no half-close, no address.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func listenPipe(testing.TB) (net.Listener, func() (net.Conn, error)) {
	p := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	return p, p.dial
}

func (p *pipeListener) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-p.conns:
		return nc, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipeListener) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipeListener) Addr() net.Addr { return pipeAddress{} }

type pipeAddress struct{}

func (pipeAddress) Network() string { return "pipe" }
func (pipeAddress) String() string  { return "pipe" }
