package engine

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
)

// TestTLSConfigIsChecked: what can never work is refused when the server is made, and says what to do.
func TestTLSConfigIsChecked(t *testing.T) {
	given := func(change func(*tls.Config)) *tls.Config {
		c := houseTLS()
		change(c)
		return c
	}
	for says, config := range map[string]*tls.Config{
		"no certificate": {},
		"Renegotiation":  given(func(c *tls.Config) { c.Renegotiation = tls.RenegotiateOnceAsClient }),
		`NextProtos is ["h2"], and a WebSocket opens with "http/1.1"`: given(func(c *tls.Config) { c.NextProtos = []string{"h2"} }),
	} {
		_, err := NewServer(echoHandler, Options{TLSConfig: config})
		if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), "Options: TLSConfig") || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	for _, k := range []struct{ given, want []string }{
		{nil, []string{"http/1.1"}},
		{[]string{"h2", "http/1.1"}, []string{"http/1.1"}},
		{[]string{"http/1.1", "acme-tls/1"}, []string{"http/1.1", "acme-tls/1"}},
	} {
		config := given(func(c *tls.Config) { c.NextProtos = slices.Clone(k.given) })
		s, err := NewServer(echoHandler, Options{TLSConfig: config})
		if err != nil {
			t.Error(err)
			continue
		}
		if got := s.conf.TLSConfig.NextProtos; !slices.Equal(got, k.want) || !slices.Equal(config.NextProtos, k.given) {
			t.Errorf("of %q it makes %q, and leaves %q", k.given, got, config.NextProtos)
		}
	}
	for name, c := range map[string]*tls.Config{
		"GetCertificate":     {GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }},
		"GetConfigForClient": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }},
	} {
		if _, err := NewServer(echoHandler, Options{TLSConfig: c}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestServeTLSIsMisused: each mistake is an error that says so.
func TestServeTLSIsMisused(t *testing.T) {
	with := bare(t, echoHandler, Options{TLSConfig: houseTLS()}, false)
	without, err := NewServer(echoHandler, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, _ := listenTCP(t)
	for says, f := range map[string]func() error{
		"ServeTLS needs Options.TLSConfig":             func() error { return without.ServeTLS(ln) },
		"ListenAndServeTLS needs Options.TLSConfig":    func() error { return without.ListenAndServeTLS("tcp", "127.0.0.1:0") },
		"SetSessionTicketKeys needs Options.TLSConfig": func() error { return without.SetSessionTicketKeys(make([][32]byte, 1)) },
		"SetSessionTicketKeys needs a key":             func() error { return with.SetSessionTicketKeys(nil) },
		"ServeTLS needs a net.Listener":                func() error { return with.ServeTLS(nil) },
		"was not made by NewServer":                    func() error { return new(Server).ServeTLS(ln) },
		"not made by NewServer":                        func() error { return new(Server).ListenAndServeTLS("tcp", "127.0.0.1:0") },
		"made by NewServer":                            func() error { return new(Server).SetSessionTicketKeys(make([][32]byte, 1)) },
	} {
		if err := f(); !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	if err := with.ListenAndServeTLS("tcp", "256.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "256.0.0.1") {
		t.Error(err)
	}
}

// TestTLSWithoutLoops: where there are no native loops ServeTLS goes over the bridge; a PROXY header can not come before TLS there, and that is said.
func TestTLSWithoutLoops(t *testing.T) {
	s := bare(t, echoHandler, Options{Loops: 1, TLSConfig: houseTLS(), ProxyProtocol: true}, true)
	ln, _ := listenTCP(t)
	if err := s.ServeTLS(ln); !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), "ProxyProtocol") {
		t.Error(err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error("the listener is not closed:", err)
	}
	if err := s.ListenAndServeTLS("tcp", "127.0.0.1:0"); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
}
