package agent

import (
	"crypto/tls"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Broker is a NATS server, and who we are for it.
type Broker struct {
	URL   string // nats://host:4222, tls://host:4222; several with commas between them
	Creds string // file of a user's JWT and key (--creds)
	NKey  string // file of a seed (--nkey)

	CA, Cert, Key string // files, PEM, for TLS; a CA or a certificate asks for TLS
	ServerName    string // of the broker's certificate; "": the host's
}

// Dial connects to a broker as name. The connection comes back by itself when it breaks; told hears that.
func (b Broker) Dial(name string, told func(line string)) (*nats.Conn, error) {
	o := []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.Timeout(10 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				told("the connection to the NATS server broke: " + err.Error())
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { told("connected to the NATS server again: " + c.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told("NATS: " + err.Error()) }),
	}
	if b.Creds != "" {
		o = append(o, nats.UserCredentials(b.Creds))
	}
	if b.NKey != "" {
		seed, err := nats.NkeyOptionFromSeed(b.NKey)
		if err != nil {
			return nil, fmt.Errorf("the NATS key in %s: %w", b.NKey, err)
		}
		o = append(o, seed)
	}
	if b.CA != "" {
		o = append(o, nats.RootCAs(b.CA))
	}
	if (b.Cert == "") != (b.Key == "") {
		return nil, fmt.Errorf("a client certificate for NATS needs its key, and a key its certificate")
	}
	if b.Cert != "" {
		o = append(o, nats.ClientCert(b.Cert, b.Key))
	}
	if b.ServerName != "" {
		o = append(o, serverName(b.ServerName))
	}
	c, err := nats.Connect(b.URL, o...)
	if err != nil {
		return nil, fmt.Errorf("the NATS server %s: %w", b.URL, err)
	}
	return c, nil
}

// serverName is the name that the broker's certificate must have.
func serverName(name string) nats.Option {
	return func(o *nats.Options) error {
		if o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.TLSConfig.ServerName = name
		o.Secure = true
		return nil
	}
}
