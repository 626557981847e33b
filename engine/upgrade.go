package engine

import (
	"crypto/tls"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// Upgrade is an opening handshake to decide about. It is valid inside OnUpgrade, or,
// after Later, until Accept or Refuse; afterwards its methods answer zero values. What is to be kept is copied by
// the methods that return strings.
//
// When OnUpgrade returns and neither Refuse nor Later was called, the request is accepted.
type Upgrade struct {
	conn     *Conn
	req      *handshake.Request
	protocol string
	header   []handshake.HeaderField
	ctx      any
	limits   *Limits
	refusal  *handshake.Refusal

	later   bool
	kept    atomic.Bool // the loop keeps the request for a late decision
	decided atomic.Bool
	over    atomic.Bool
}

// Method is the request's method: GET.
func (u *Upgrade) Method() string {
	return u.field(func(r *handshake.Request) []byte { return r.Method })
}

// Target is the request target as it was sent, path and query.
func (u *Upgrade) Target() string {
	return u.field(func(r *handshake.Request) []byte { return r.Target })
}

// Host is the Host header.
func (u *Upgrade) Host() string { return u.field(func(r *handshake.Request) []byte { return r.Host }) }

// Origin is the Origin header, or "".
func (u *Upgrade) Origin() string {
	return u.field(func(r *handshake.Request) []byte { return r.Origin })
}

func (u *Upgrade) field(f func(*handshake.Request) []byte) string {
	if u.over.Load() {
		return ""
	}
	return string(f(u.req))
}

// URL parses the target.
func (u *Upgrade) URL() (*url.URL, error) { return url.ParseRequestURI(u.Target()) }

// Header is the first value of a header, named without case, or "".
func (u *Upgrade) Header(name string) string {
	return u.field(func(r *handshake.Request) []byte { return r.Header(name) })
}

// Headers are all headers in the order they came, names as they were written.
func (u *Upgrade) Headers() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if u.over.Load() {
			return
		}
		for _, f := range u.req.Headers {
			if !yield(string(f.Name), string(f.Value)) {
				return
			}
		}
	}
}

// Cookie is the named cookie, or http.ErrNoCookie.
func (u *Upgrade) Cookie(name string) (*http.Cookie, error) {
	r := http.Request{Header: http.Header{}}
	for k, v := range u.Headers() {
		if strings.EqualFold(k, "Cookie") {
			r.Header.Add("Cookie", v)
		}
	}
	return r.Cookie(name)
}

// Protocols are the sub-protocols the client offers, in its order of preference.
func (u *Upgrade) Protocols() []string {
	if u.over.Load() {
		return nil
	}
	out := make([]string, len(u.req.Protocols))
	for i, p := range u.req.Protocols {
		out[i] = string(p)
	}
	return out
}

// RemoteAddr is the peer's address.
func (u *Upgrade) RemoteAddr() net.Addr { return u.conn.RemoteAddr() }

// LocalAddr is our end's address.
func (u *Upgrade) LocalAddr() net.Addr { return u.conn.LocalAddr() }

// TLS is the state of a wss connection, nil for a ws one.
func (u *Upgrade) TLS() *tls.ConnectionState {
	b := u.conn.loop.bridge
	if b == nil {
		return nil
	}
	if t, ok := b.Conn(int(u.conn.fd)).(interface{ ConnectionState() tls.ConnectionState }); ok {
		s := t.ConnectionState()
		return &s
	}
	return nil
}

// Conn is the connection to be. Its state is CONNECTING; it may be kept.
func (u *Upgrade) Conn() *Conn { return u.conn }

// SetProtocol chooses a sub-protocol; one that was not offered is ErrSyntax, because
// the client would have to fail the connection (RFC 6455 4.1).
func (u *Upgrade) SetProtocol(p string) error {
	if p != "" && (u.over.Load() || !u.req.Offers(p)) {
		return fmt.Errorf("gannet: sub-protocol %q was not offered: %w", p, ErrSyntax)
	}
	u.protocol = p
	return nil
}

// AddHeader adds a header to the 101 response. It answers ErrSyntax for what is not a
// header, and for the handshake's own ones.
func (u *Upgrade) AddHeader(name, value string) error {
	if err := handshake.ValidField(name, value); err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	u.header = append(u.header, handshake.HeaderField{Name: name, Value: value})
	return nil
}

// SetContext sets what Conn.Context answers from OnOpen on.
func (u *Upgrade) SetContext(v any) { u.ctx = v }

// SetLimits sets the connection's limits; zero fields take the engine's values.
func (u *Upgrade) SetLimits(l Limits) error {
	l = l.withDefaults(u.conn.loop.engine.conf.limits)
	if err := l.check(); err != nil {
		return err
	}
	u.limits = &l
	return nil
}

// Refuse answers with an HTTP status (300 to 599) and a plain text body. A status out of
// range is ErrSyntax and decides nothing.
func (u *Upgrade) Refuse(status int, body string) error {
	if err := handshake.ValidStatus(status); err != nil {
		return fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return u.decide(refusal(status, "handler", body))
}

// Later postpones the decision: OnUpgrade may return, and another goroutine calls
// Accept or Refuse within HandshakeTimeout. No other method may be called at the same time as another.
func (u *Upgrade) Later() { u.later = true }

// Accept decides, after Later. It answers ErrClosed when the connection is gone or was
// closed, and ErrInvalidState when it was decided before.
func (u *Upgrade) Accept() error {
	if !u.later {
		return ErrInvalidState
	}
	return u.decide(nil)
}

func (u *Upgrade) decide(r *handshake.Refusal) error {
	if u.decided.Load() || !u.later && u.over.Load() {
		return ErrInvalidState
	}
	if u.conn.ReadyState() >= Closing {
		return ErrClosed
	}
	u.refusal = r
	if u.later {
		u.decided.Store(true)
		if u.kept.Load() {
			u.conn.notify(todoDecide)
		}
	}
	return nil
}

// originAllowed asks Options.CheckOrigin, if there is one.
func (u *Upgrade) originAllowed() bool {
	k := u.conn.loop.engine.conf
	if k.CheckOrigin != nil {
		return k.CheckOrigin(u)
	}
	return u.conn.originListed(u.req)
}
