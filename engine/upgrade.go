package engine

import (
	"bytes"
	"crypto/tls"
	"iter"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// Upgrade is an opening handshake to decide about. It is valid inside OnUpgrade, or,
// after Later, until Accept or Refuse or until the connection is gone; afterwards its
// methods (but Conn) answer zero values, and those that would change it ErrInvalidState.
// The strings that they return are copies.
//
// When OnUpgrade returns and neither Refuse nor Later was called, the request is accepted.
type Upgrade struct {
	conn     *Conn
	req      *handshake.Request
	head     []byte // what req is a view of, for Later to copy; empty when req's memory is its own
	protocol string
	mismatch *handshake.Refusal // what ProtocolPolicy makes of it, unless SetProtocol is called
	header   []handshake.HeaderField
	value    any
	plain    bool          // NoDeflate
	answered bool          // 101, by ServeHTTP
	path     *http.Request // knows the path's values; nil without a Mux, and by ServeHTTP

	later    bool
	copied   int         // bytes of the request that are kept for Later
	kept     atomic.Bool // the loop waits for a late decision
	over     atomic.Bool // the methods answer zero values
	decision atomic.Pointer[decision]

	request *http.Request // what Request answers; nil until somebody asks
	context atomic.Pointer[upgradeContext]
}

// decision is the answer to a handshake: refused, or accepted when refusal is nil. Only
// the first one counts. With gone it is nobody's: there is nothing to decide any more, and why.
type decision struct {
	refusal *handshake.Refusal
	gone    error
}

var accepted = new(decision)

// ended tells whether there is nothing to decide any more; for the zero Upgrade there never was.
func (u *Upgrade) ended() bool { return u.conn == nil || u.over.Load() }

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

// Origin is the Origin header, or "": where there is none, which no browser leaves out, and where it is empty, which no
// browser sends. Request().Header tells the two apart.
func (u *Upgrade) Origin() string {
	return u.field(func(r *handshake.Request) []byte { return r.Origin })
}

func (u *Upgrade) field(f func(*handshake.Request) []byte) string {
	if u.ended() {
		return ""
	}
	return string(f(u.req))
}

// URL is the parsed target. By ServeHTTP it is a copy of the request's, from which a router may have taken a prefix; Target is as it was sent.
func (u *Upgrade) URL() (*url.URL, error) {
	if m := u.limbo(); m != nil {
		to := *m.request.URL
		return &to, nil
	}
	return url.ParseRequestURI(u.Target())
}

// limbo is where the connection is while net/http has its transport; nil for others, and once it was decided.
func (u *Upgrade) limbo() *limbo {
	if u.ended() {
		return nil
	}
	return limboOf(u.conn.home())
}

// Header is the first value of a header, named without case, or "".
func (u *Upgrade) Header(name string) string {
	return u.field(func(r *handshake.Request) []byte { return r.Header(name) })
}

// Headers are all headers in the order they came, names as they were written.
func (u *Upgrade) Headers() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if u.ended() {
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
	if u.ended() {
		return nil
	}
	out := make([]string, len(u.req.Protocols))
	for i, p := range u.req.Protocols {
		out[i] = string(p)
	}
	return out
}

// RemoteAddr is the peer's address; by ServeHTTP what the request's RemoteAddr says, which a middleware may have written.
func (u *Upgrade) RemoteAddr() net.Addr {
	if u.ended() {
		return nil
	}
	return u.conn.RemoteAddr()
}

// LocalAddr is our end's address.
func (u *Upgrade) LocalAddr() net.Addr {
	if u.ended() {
		return nil
	}
	return u.conn.LocalAddr()
}

// TLS is the state of a wss connection, nil for a ws one, and where a proxy ends TLS: what was agreed on by ALPN, the name that the client asked for, the
// certificates that it has shown (Options.TLSConfig.ClientAuth).
func (u *Upgrade) TLS() *tls.ConnectionState {
	if u.ended() {
		return nil
	}
	if m := u.limbo(); m != nil {
		return m.request.TLS
	}
	return u.conn.tlsState()
}

// Conn is the connection to be. Its state is CONNECTING; it may be kept.
func (u *Upgrade) Conn() *Conn { return u.conn }

// Protocol is the sub-protocol that the answer will name, or "": what SetProtocol chose, else what Options.Protocols pick.
func (u *Upgrade) Protocol() string {
	if u.ended() {
		return ""
	}
	return u.protocol
}

// SetProtocol chooses a sub-protocol, or with "" none, in the place of what Options.Protocols and
// Options.ProtocolPolicy say. One that was not offered is ErrSyntax, because the client would have to fail
// the connection (RFC 6455 4.1).
func (u *Upgrade) SetProtocol(p string) error {
	if u.ended() {
		return ErrInvalidState
	}
	if p != "" && !u.req.Offers(p) {
		return misused("sub-protocol %q was not offered: the client offers %q, and one that is not of them it would have to refuse (RFC 6455 4.1)", p, u.Protocols())
	}
	u.protocol, u.mismatch = p, nil
	return nil
}

// AddHeader adds a field to the answer, be it the 101 or what Refuse sends: WWW-Authenticate, Location, Retry-After, Set-Cookie.
// Several of one name all leave, in order; of Content-Type the last. A 101 has no content, so what describes that (Content-Type, Content-Encoding
// and their like) leaves with a refusal alone. By ServeHTTP the fields come to those that middleware has set. It answers ErrSyntax for what is
// not a field, and for those that are the server's own: Content-Length, Transfer-Encoding, Trailer, TE, Connection,
// Keep-Alive, Proxy-Connection, Upgrade and all that begin with Sec-WebSocket-. Once Refuse was called it is ErrInvalidState.
func (u *Upgrade) AddHeader(name, value string) error {
	if u.ended() || u.decision.Load() != nil {
		return ErrInvalidState
	}
	if err := handshake.ValidField(name, value); err != nil {
		return misused("Upgrade.AddHeader: %w", err)
	}
	u.header = append(u.header, handshake.HeaderField{Name: name, Value: value})
	return nil
}

// SetValue sets what Conn.Value answers from OnOpen on; without it that is what Conn.SetValue was given before. Once the handshake was decided it does nothing.
func (u *Upgrade) SetValue(v any) {
	if !u.ended() {
		u.value = v
	}
}

// Limits are the limits that the connection will have.
func (u *Upgrade) Limits() Limits {
	if u.ended() {
		return Limits{}
	}
	return u.conn.Limits()
}

// SetLimits changes the limits that the connection will have, as Conn.SetLimits does, which may be
// called on Conn as well: it is the same.
func (u *Upgrade) SetLimits(l Limits) error {
	if u.ended() {
		return ErrInvalidState
	}
	return u.conn.SetLimits(l)
}

// NoDeflate declines permessage-deflate for this connection, whatever Options.Deflate says. It answers ErrInvalidState when
// the handshake was decided before.
func (u *Upgrade) NoDeflate() error {
	if u.ended() {
		return ErrInvalidState
	}
	u.plain = true
	return nil
}

// Refuse answers with an HTTP status (300 to 599), the fields that AddHeader was given, and body as it is. Without a Content-Type of
// AddHeader's it is text/plain; charset=utf-8, and no browser may guess otherwise (X-Content-Type-Options: nosniff). Content-Length, Date and
// "Connection: close" are the server's to add; a 304 has no body. A status out of range is ErrSyntax and decides nothing. Errors otherwise: see Accept.
func (u *Upgrade) Refuse(status int, body string) error {
	if err := handshake.ValidStatus(status); err != nil {
		return misused("Upgrade.Refuse: %w", err)
	}
	f := refusal(status, "handler", body)
	f.Given, f.Header = true, slices.Clone(u.header)
	return u.decide(&decision{refusal: f})
}

// Later postpones the decision: OnUpgrade may return, and another goroutine calls
// Accept or Refuse within HandshakeTimeout. It is called inside OnUpgrade, before that
// goroutine gets to see u: the request is copied. From then on one goroutine at a time
// may use u, but for Accept and Refuse, which any number may call.
func (u *Upgrade) Later() {
	if u.later || u.ended() {
		return
	}
	u.later = true
	if len(u.head) == 0 { // it came from net/http, and its memory is its own
		return
	}
	// The garbage collector's memory, not the pool's: nobody tells the goroutine that
	// decides when the connection is gone, and it may be reading just then.
	var p handshake.Parser
	req := new(handshake.Request)
	if _, err := p.Parse(bytes.Clone(u.head), req, u.conn.loop.engine.conf.headLimits()); err != nil {
		panic("engine: a request that parsed does not parse again")
	}
	u.req, u.head, u.copied = req, nil, len(u.head)
}

// Accept decides, after Later; where Options.ProtocolPolicy refuses the request, and SetProtocol was not called, it is refused. It answers ErrInvalidState when it was decided before, and
// ErrClosed when the connection is gone, which is noticed within a quarter of a second, or was closed. A client
// that has ended its half of the stream counts as gone: it can not take part in a closing handshake any more.
func (u *Upgrade) Accept() error {
	if !u.later {
		return ErrInvalidState
	}
	return u.decide(u.acceptance())
}

// acceptance is the decision of whoever does not refuse.
func (u *Upgrade) acceptance() *decision {
	if u.mismatch != nil {
		return &decision{refusal: u.mismatch}
	}
	return accepted
}

func (u *Upgrade) decide(d *decision) error {
	switch {
	case u.conn == nil:
		return ErrInvalidState
	case u.decision.Load() != nil:
		return u.decided()
	case u.conn.ReadyState() >= Closing || u.later && u.conn.requestEnded(): // inside OnUpgrade a refusal counts: without it the request is accepted
		return ErrClosed
	case !u.decision.CompareAndSwap(nil, d):
		return u.decided()
	}
	if u.later {
		u.end(nil)
		if u.kept.Load() {
			u.conn.notify(todoDecide)
		}
	}
	return nil
}

// decided is what whoever comes too late is told.
func (u *Upgrade) decided() error {
	if u.decision.Load().gone != nil {
		return ErrClosed
	}
	return ErrInvalidState
}

// giveUp decides in nobody's name, unless somebody has decided.
func (u *Upgrade) giveUp(f *handshake.Refusal, why error) {
	u.decision.CompareAndSwap(nil, &decision{f, why})
}

// outcome is why a connection by ServeHTTP did not open.
func (u *Upgrade) outcome() error {
	if d := u.decision.Load(); d != nil && d.gone != nil {
		return d.gone
	}
	return ErrClosed
}

// enter takes the request through the entrance, as far as that decides without OnUpgrade.
func (u *Upgrade) enter() *handshake.Refusal {
	r := u.conn.route()
	in := r.entrance
	u.protocol, u.mismatch = in.protocolFor(u.req)
	if !u.originAllowed(in) {
		u.conn.loop.engine.logOrigin(in, u.req, u.conn.loop.time())
		return forbiddenOrigin
	}
	if r.hooks.upgrade == nil {
		return u.mismatch
	}
	return nil
}

func (u *Upgrade) originAllowed(in *entrance) bool {
	if in.check != nil {
		return in.check(u)
	}
	return in.admits(u.req, u.conn.flags&overTLS != 0)
}
