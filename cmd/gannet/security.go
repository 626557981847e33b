package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/cmd/gannet/connect"
	"github.com/gannet-ws/gannet/engine"
)

// security is what gannet serve needs for TLS.
type security struct {
	config      *tls.Config
	selfSigned  *tls.Certificate // of --self-signed, once signFor has made it
	certificate func() *tls.Certificate
	clientCA    bool
}

func secureFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "cert", OnlyOnce: true, Usage: "speak TLS (https, wss), with the certificate and its chain in this PEM `file`; a new one that replaces it is used without a restart"},
		&cli.StringFlag{Name: "key", OnlyOnce: true, Usage: "PEM `file` of its key, if it is not in the same one"},
		&cli.BoolFlag{Name: "self-signed", OnlyOnce: true, Usage: "speak TLS with a certificate that is made for this run and signs itself; its key stays in memory"},
		&cli.StringFlag{Name: "client-ca", OnlyOnce: true, Usage: "demand of each client a certificate that one of those in this PEM `file` has signed; with --cert or --self-signed"},
	}
}

// newSecurity is what the flags say of TLS; nil: none.
func newSecurity(c *cli.Command, log *slog.Logger) (*security, error) {
	if err := secureSaidRight(c); err != nil || !c.Bool("self-signed") && !c.IsSet("cert") {
		return nil, err
	}
	s := &security{config: new(tls.Config), clientCA: c.IsSet("client-ca")}
	s.certificate = func() *tls.Certificate { return s.selfSigned }
	s.config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.selfSigned, nil }
	if c.IsSet("cert") {
		k, err := engine.WatchCertificate(c.String("cert"), c.String("key"), log)
		if err != nil {
			return nil, fmt.Errorf("--cert and --key: %w", err)
		}
		s.config.GetCertificate = k.GetCertificate
		s.certificate = func() *tls.Certificate { now, _ := k.GetCertificate(nil); return now }
	}
	if s.clientCA {
		k, err := engine.WatchClientCAs(c.String("client-ca"), log)
		if err != nil {
			return nil, fmt.Errorf("--client-ca: %w", err)
		}
		k.Require(s.config)
	}
	return s, nil
}

// secureSaidRight refuses what does not go together.
func secureSaidRight(c *cli.Command) error {
	for _, name := range []string{"cert", "key", "client-ca"} {
		if c.IsSet(name) && c.String(name) == "" {
			return fmt.Errorf("--%s is empty, must be the path of a PEM file", name)
		}
	}
	own := c.Bool("self-signed")
	switch {
	case own && (c.IsSet("cert") || c.IsSet("key")):
		return errors.New("--self-signed makes a certificate, and --cert and --key name one: give one of them")
	case c.IsSet("key") && !c.IsSet("cert"):
		return errors.New("--key needs --cert, the certificate that it belongs to")
	case c.IsSet("client-ca") && !own && !c.IsSet("cert"):
		return errors.New("--client-ca needs TLS: give --cert and --key, or --self-signed")
	}
	return nil
}

// selfSignedTime is how long a certificate of --self-signed lasts: longer than a trial, and no longer.
const selfSignedTime = 30 * 24 * time.Hour

// signFor makes the certificate of --self-signed, for where the server listens. Before it serves.
func (s *security) signFor(addr string, at []net.Addr) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // RFC 5280 4.1.2.2
	if err != nil {
		return err
	}
	names, addresses := namesOf(addr, at)
	what := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "gannet serve --self-signed"}, DNSNames: names, IPAddresses: addresses,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(selfSignedTime), // clocks differ
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, what, what, key.Public(), key)
	if err != nil {
		return fmt.Errorf("--self-signed: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	s.selfSigned = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return nil
}

// namesOf are the names and addresses by which clients may know a server that was told to listen on addr, and does at these: always those of this
// machine for itself, and all that it has where the server listens on all.
func namesOf(addr string, at []net.Addr) (names []string, addresses []net.IP) {
	names, addresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	name := func(s string) {
		if s != "" && net.ParseIP(s) == nil && !slices.Contains(names, s) {
			names = append(names, s)
		}
	}
	address := func(ip net.IP) {
		if !slices.ContainsFunc(addresses, ip.Equal) {
			addresses = append(addresses, ip)
		}
	}
	if host, _, err := net.SplitHostPort(addr); err == nil {
		name(host)
	}
	for _, a := range at {
		switch tcp, ok := a.(*net.TCPAddr); {
		case !ok:
		case !tcp.IP.IsUnspecified():
			address(tcp.IP)
		default:
			host, _ := os.Hostname() // without it clients take an address
			name(host)
			all, _ := net.InterfaceAddrs()
			for _, one := range all {
				if prefix, ok := one.(*net.IPNet); ok {
					address(prefix.IP)
				}
			}
		}
	}
	return names, addresses
}

// connectFlags is what gannet connect needs besides the address.
func (s *security) connectFlags() string {
	flags := " --pin " + connect.PinOf(s.certificate().Leaf).String()
	if s.clientCA {
		flags += " --cert YOURS.pem"
	}
	return flags
}
