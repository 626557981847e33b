package local

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

// mostQueued is what one connection may have waiting to be sent: a server that reads nothing is charged with messages that were not sent, and
// the generator keeps its memory.
const mostQueued = 4 << 20

// clientOptions are those of each lane.
func clientOptions(p *load.Plan, log *slog.Logger) (engine.ClientOptions, error) {
	sources, err := load.SourceAddrs(p.Sources)
	if err != nil {
		return engine.ClientOptions{}, err
	}
	timeout := time.Duration(p.ConnectTimeout)
	o := engine.ClientOptions{
		Loops: 1, ConnectTimeout: timeout, TLSTimeout: timeout, HandshakeTimeout: timeout, LocalAddrs: sources, Logger: log,
		Limits: engine.Limits{
			MaxBufferedAmount: mostQueued, Overflow: engine.DropMessage,
			// The load decides when something is sent and closed, and the server how long it may take.
			IdleTimeout: -1, PingInterval: -1, PongTimeout: -1, WriteStallTimeout: -1,
			CloseTimeout: time.Duration(p.AnswerTimeout),
		},
	}
	if p.Deflate {
		o.Deflate = new(deflate.Policy)
	}
	if p.Scenario == load.Drip {
		o.ReceiveBuffer = min(max(p.DripRate, 4<<10), 64<<10) // so that what is not read is the server's to hold
	}
	return o, nil
}

// dialOptions are those of each connection.
func dialOptions(p *load.Plan) (engine.DialOptions, error) {
	o := engine.DialOptions{Protocols: p.Protocol, Origin: p.Origin}
	for _, f := range p.Headers {
		if http.CanonicalHeaderKey(f.Name) == "Host" {
			o.Host = f.Value
			continue
		}
		if o.Header == nil {
			o.Header = http.Header{}
		}
		o.Header.Add(f.Name, f.Value)
	}
	u, err := url.Parse(p.URL)
	if err != nil {
		return o, &load.PlanError{Field: "url", Err: err}
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		o.AllowPort = uint16(port) // whoever loads a port has chosen it
	}
	if u.Scheme == "wss" || u.Scheme == "https" {
		o.TLSConfig, err = tlsConfig(&p.TLS)
	}
	return o, err
}

// tlsConfig reads the certificates.
func tlsConfig(t *load.TLS) (*tls.Config, error) {
	k := &tls.Config{ServerName: t.ServerName, InsecureSkipVerify: t.Insecure, ClientSessionCache: nil}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, &load.PlanError{Field: "tls.cert", Err: fmt.Errorf("%w: tls.cert and tls.key are PEM files of a certificate and its key", err)}
		}
		k.Certificates = []tls.Certificate{pair}
	}
	if t.CAFile != "" {
		b, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, &load.PlanError{Field: "tls.ca", Err: err}
		}
		if k.RootCAs, err = x509.SystemCertPool(); err != nil {
			k.RootCAs = x509.NewCertPool()
		}
		if !k.RootCAs.AppendCertsFromPEM(b) {
			return nil, &load.PlanError{Field: "tls.ca", Err: fmt.Errorf("%s holds no certificate in PEM", t.CAFile)}
		}
	}
	return k, nil
}
