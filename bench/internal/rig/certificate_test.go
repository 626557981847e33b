package rig

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

// TestWriteCertificate: the files are a pair that 127.0.0.1 is trusted with.
func TestWriteCertificate(t *testing.T) {
	cert, key, err := WriteCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"}); err != nil {
		t.Error(err)
	}
}
