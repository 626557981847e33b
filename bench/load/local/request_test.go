package local

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

// asking is the URL of a server that looks at each request before it echoes.
func asking(t *testing.T, o engine.Options, scheme string, config *tls.Config, look func(u *engine.Upgrade)) (url string) {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	s, err := engine.NewServer(engine.Funcs{Upgrade: look, Message: echo.Message}, o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		ln = engine.WrapListener(ln, config)
	}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return scheme + "://" + ln.Addr().String()
}

func some(w *load.Tally) bool { return w.Answered >= 100 }

// TestRequest: what a plan says of the request is in it.
func TestRequest(t *testing.T) {
	var good, bad atomic.Int64
	url := asking(t, engine.Options{Deflate: new(deflate.Policy), Protocols: []string{"b"}, Origins: []string{"https://from.example"}}, "ws", nil, func(u *engine.Upgrade) {
		if u.Header("X-One") == "1" && u.Host() == "named.example" && u.Origin() == "https://from.example" && u.Protocol() == "b" && u.Header("Sec-WebSocket-Extensions") != "" {
			good.Add(1)
		} else {
			bad.Add(1)
		}
	})
	w := ran(t, load.Plan{URL: url, Connections: 5, ConnectRate: fast, Rate: 1000, Verify: true, Deflate: true, Protocol: []string{"a", "b"}, Origin: "https://from.example",
		Headers: []load.HeaderField{{Name: "x-one", Value: "1"}, {Name: "host", Value: "named.example"}}}, some)
	sound(t, w)
	if good.Load() != 5 || bad.Load() != 0 {
		t.Errorf("%d requests were right, %d wrong", good.Load(), bad.Load())
	}
}

// certified writes a certificate for 127.0.0.1, which is its own authority, and its key.
func certified(t *testing.T) (certFile, keyFile string, pair tls.Certificate, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for name, b := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if pair, err = tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return certFile, keyFile, pair, pool
}

// TestTLS: a server is believed by the authority that the plan names, or if it need not be believed; and is shown the client's certificate.
func TestTLS(t *testing.T) {
	certFile, keyFile, pair, pool := certified(t)
	url := asking(t, engine.Options{}, "wss", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}, nil)
	plan := load.Plan{URL: url, Connections: 5, ConnectRate: fast, Rate: 1000, Verify: true}
	for _, k := range []load.TLS{{CertFile: certFile, KeyFile: keyFile, CAFile: certFile}, {CertFile: certFile, KeyFile: keyFile, Insecure: true}} {
		plan.TLS = k
		sound(t, ran(t, plan, some))
	}
	plan.TLS = load.TLS{CertFile: certFile, KeyFile: keyFile} // nobody vouches for the server
	g := made(t, plan)
	if err := g.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	w, err := g.End(context.Background())
	if err != nil || w.Errors[load.TLSFailed]["tls: certificate"] != 5 || len(w.Errors) != 1 {
		t.Error(w.Errors, err)
	}
}

// TestTLSFiles: what is wrong with a file is told before anything is begun.
func TestTLSFiles(t *testing.T) {
	certFile, _, _, _ := certified(t)
	other := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for field, k := range map[string]load.TLS{"tls.cert": {CertFile: certFile, KeyFile: other}, "tls.ca": {CAFile: other}} {
		p := load.Plan{URL: "wss://127.0.0.1", Rate: 1, TLS: k}
		_, err := New(load.Share{Plan: p, Connections: 1, ConnectRate: 1}, nil)
		var named *load.PlanError
		if !errors.Is(err, load.ErrPlan) || !errors.As(err, &named) || named.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestSources: connections come from the plan's addresses, in turn.
func TestSources(t *testing.T) {
	var from [4]atomic.Int64
	url := asking(t, engine.Options{}, "ws", nil, func(u *engine.Upgrade) {
		if a, ok := u.RemoteAddr().(*net.TCPAddr); ok && a.IP.To4() != nil && a.IP.To4()[3] < 4 {
			from[a.IP.To4()[3]].Add(1)
		}
	})
	sound(t, ran(t, load.Plan{URL: url, Connections: 30, ConnectRate: fast, Rate: 1000, Sources: []string{"127.0.0.1-127.0.0.3"}}, some))
	for i := 1; i < 4; i++ {
		if n := from[i].Load(); n != 10 {
			t.Errorf("%d of 30 connections came from 127.0.0.%d", n, i)
		}
	}
}
