package engine

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"io"
	"testing"
	"time"
)

// showing is a client's configuration that trusts an issuer's servers, and shows a certificate if there is one.
func showing(by *issuer, own ...tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(by.cert)
	return &tls.Config{RootCAs: roots, ServerName: "house.example", Certificates: own, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
}

// shake makes a handshake over TCP, with a byte each way behind it: TLS 1.3 tells a client then that it was refused, and gives it its ticket.
func shake(t testing.TB, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, dial := listenTCP(t)
	defer ln.Close()
	type end struct {
		state tls.ConnectionState
		err   error
	}
	served := make(chan end, 1)
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			served <- end{err: err}
			return
		}
		s, one := tls.Server(nc, server), make([]byte, 1)
		defer s.Close()
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(10)))
		if _, err = s.Read(one); err == nil {
			_, err = s.Write(one)
		}
		served <- end{s.ConnectionState(), err}
	}()
	nc, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(10)))
	c := tls.Client(nc, client)
	if _, err = c.Write([]byte("x")); err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
	}
	e := receive(t, served, "the server's end")
	return e.state, cmp.Or(e.err, err)
}

// TestClientCAsReplaced: from the next look on clients of the old authority are refused, resumed sessions too, and those of the new one served.
func TestClientCAsReplaced(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		house, before, after := newIssuer(t, "house"), newIssuer(t, "before"), newIssuer(t, "after")
		own, _, _ := house.pair("server")
		theirs, _, _ := before.pair("theirs")
		ours, _, _ := after.pair("ours")
		s := newShelf(t, before.pem, nil)
		k := s.watchClients()
		server := &tls.Config{Certificates: []tls.Certificate{own}, MaxVersion: version}
		k.Require(server)
		old, young := showing(house, theirs), showing(house, ours)
		said := func(client *tls.Config, resumed, fails bool) {
			t.Helper()
			s.later(lookAgain)
			state, err := shake(t, server, client)
			if (err != nil) != fails || err == nil && (state.DidResume != resumed || len(state.VerifiedChains) == 0) {
				t.Errorf("%s: resumed %v, %d chains, %v", tls.VersionName(version), state.DidResume, len(state.VerifiedChains), err)
			}
		}
		said(old, false, false)
		said(old, true, false)
		said(young, false, true)
		said(showing(house), false, true)
		s.put(s.cert, append(after.pem, before.pem...)) // both: sessions go on
		said(old, true, false)
		said(young, false, false)
		s.put(s.cert, junkCertificate)
		said(old, true, false)
		s.says("a new client authority does not load", 1)
		s.put(s.cert, after.pem)
		said(old, false, true)
		said(young, true, false)
	}
}

// TestClientCAsIfGiven: who may show a certificate need not, and who shows a stranger's is refused.
func TestClientCAsIfGiven(t *testing.T) {
	house, clients := newIssuer(t, "house"), newIssuer(t, "clients")
	own, _, _ := house.pair("server")
	theirs, _, _ := clients.pair("theirs")
	s := newShelf(t, clients.pem, nil)
	server := &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.VerifyClientCertIfGiven}
	s.watchClients().Require(server)
	for want, client := range map[int]*tls.Config{0: showing(house), 1: showing(house, theirs)} {
		if state, err := shake(t, server, client); err != nil || len(state.VerifiedChains) != want {
			t.Errorf("%d chains, %v, want %d", len(state.VerifiedChains), err, want)
		}
	}
	stranger := showing(house, own)
	stranger.Certificates, stranger.GetClientCertificate = nil, func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	if _, err := shake(t, server, stranger); err == nil {
		t.Error("a stranger's certificate was taken")
	}
}

// TestTicketKeysBesideClientCAs: keys for tickets that were set after Require count before and after the authorities change.
func TestTicketKeysBesideClientCAs(t *testing.T) {
	house, clients, more := newIssuer(t, "house"), newIssuer(t, "clients"), newIssuer(t, "more")
	own, _, _ := house.pair("server")
	theirs, _, _ := clients.pair("theirs")
	s := newShelf(t, clients.pem, nil)
	server := &tls.Config{Certificates: []tls.Certificate{own}}
	s.watchClients().Require(server)
	server.SetSessionTicketKeys([][32]byte{{1}})
	client := showing(house, theirs)
	for i := range 4 {
		if state, err := shake(t, server, client); err != nil || state.DidResume != (i > 0 && i != 3) {
			t.Errorf("handshake %d: resumed %v, %v", i, state.DidResume, err)
		}
		switch i {
		case 1:
			s.put(s.cert, append(clients.pem, more.pem...))
			s.later(lookAgain)
		case 2:
			server.SetSessionTicketKeys([][32]byte{{2}})
		}
	}
}

func (s *shelf) watchClients() *ClientCAs {
	s.t.Helper()
	k, err := WatchClientCAs(s.cert, s.logger())
	if err != nil {
		s.t.Fatal(err)
	}
	k.files.now, k.files.due, k.files.patience = s.now, s.now().Add(lookAgain), timeoutOf(60)
	return k
}
