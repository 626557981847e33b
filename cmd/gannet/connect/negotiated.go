package connect

import (
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"

	"github.com/gannet-ws/gannet/engine"
)

// noLogger: what the engine has to say of one connection is in its close event.
var noLogger = slog.New(slog.DiscardHandler)

// negotiated is what the handshake of TLS came to. It is heard of before the connection is open.
type negotiated struct {
	mu    sync.Mutex
	state *tls.ConnectionState
}

func (n *negotiated) secured(s tls.ConnectionState) {
	n.mu.Lock()
	n.state = &s
	n.mu.Unlock()
}

// describe says what was agreed for a connection that is open, and if it was not asked whose certificate it is, which one.
func (n *negotiated) describe(c *engine.Conn, unknown bool) string {
	text := "connected to " + c.URL()
	if a := c.RemoteAddr(); a != nil && a.String() != "" {
		text += " at " + a.String()
	}
	var all []string
	if p := c.Protocol(); p != "" {
		all = append(all, "sub-protocol "+p)
	}
	if x := c.Extensions(); x != "" {
		all = append(all, x)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state != nil {
		all = append(all, tls.VersionName(n.state.Version)+" "+tls.CipherSuiteName(n.state.CipherSuite))
		if unknown {
			all = append(all, "the certificate's pin is "+PinOf(n.state.PeerCertificates[0]).String())
		}
	}
	if len(all) > 0 {
		text += " (" + strings.Join(all, ", ") + ")"
	}
	return text
}
