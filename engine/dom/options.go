package dom

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/engine/internal/weburl"
)

// Options are what a connection asks for beyond its URL. The zero value asks for what a page's does, but for the Origin, which only
// browsers have to send. Fields without a comment mean what they do in engine.DialOptions.
type Options struct {
	// Protocols are the sub-protocols to offer, in order of preference: tokens, each once whatever its case. A server that
	// chooses none of them fails the connection.
	Protocols []string
	// Base is the URL of the page, so to say: a URL that is relative is resolved against it. http, https, ws or wss.
	// Default: none, and a relative URL is ErrSyntax.
	Base string
	// SecureContext says that the page, so to say, came by https: then only wss is allowed, and ws is ErrSecurity (mixed content).
	SecureContext bool

	// Client makes the connection. Its own Handler hears nothing of it. Default: DefaultClient().
	Client *engine.Client

	Header    http.Header
	Host      string
	Origin    string
	Jar       http.CookieJar
	TLSConfig *tls.Config
	Proxy     func(*http.Request) (*url.URL, error)
	Unix      string
	AllowPort uint16

	// OpenTimeout bounds everything from New until the connection is open. When it passes the attempt fails. Default: none but those of the client
	// (ConnectTimeout, TLSTimeout, HandshakeTimeout), which bound a part each.
	OpenTimeout time.Duration
	// Limits are the connection's: the fields that are not 0 count, the others are those of the client. CloseTimeout and MaxMessageSize
	// are among them.
	Limits engine.Limits

	// InboxBytes is how many bytes of events may wait for the handlers before no more is read, what they take in memory: an event
	// without data counts 128 bytes. Of a message that is still arriving as much may wait behind them; with none before it, it is
	// taken to its end. Reading goes on at half of it. Default 1 MiB; at least 1.
	InboxBytes int64
	// ReplaceInvalid sends U+FFFD for what is not UTF-8 in a text, as a page's send does for what is no Unicode. Default: such a text is
	// ErrInvalidUTF8, and nothing is sent.
	ReplaceInvalid bool
	// Logger hears of handlers that panic. Default: slog.Default().
	Logger *slog.Logger
}

// misused is an error that is ErrSyntax, and what the format wraps.
func misused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{engine.ErrSyntax}, args...)...)
}

// request is a checked URL with its options: what is given to the client.
type request struct {
	client *engine.Client
	url    *weburl.URL
	dial   engine.DialOptions
}

// request checks what the client does not. h will hear of the connection.
func (o *Options) request(address string, h engine.Handler) (*request, error) {
	u, err := o.resolve(address)
	if err != nil {
		return nil, err
	}
	switch {
	case o.SecureContext && u.Scheme != "wss":
		return nil, fmt.Errorf("%w: a secure context connects to wss only (Mixed Content), and the URL is %s", ErrSecurity, u.Origin())
	case o.OpenTimeout < 0:
		return nil, misused("dom.Options: OpenTimeout is %v, must not be negative", o.OpenTimeout)
	case o.InboxBytes < 0:
		return nil, misused("dom.Options: InboxBytes is %d, must be at least 1", o.InboxBytes)
	}
	r := &request{client: o.Client, url: u, dial: engine.DialOptions{
		Protocols: o.Protocols, Header: o.Header, Host: o.Host, Origin: o.Origin, Jar: o.Jar, TLSConfig: o.TLSConfig, Proxy: o.Proxy, Unix: o.Unix,
		AllowPort: o.AllowPort, Limits: o.Limits, Handler: h,
	}}
	if r.client == nil {
		r.client = DefaultClient()
	}
	return r, nil
}

// resolve parses the URL as the constructor does (WHATWG WebSockets).
func (o *Options) resolve(address string) (*weburl.URL, error) {
	var base *weburl.URL
	if o.Base != "" {
		var err error
		if base, err = weburl.Parse(o.Base, nil); err != nil {
			return nil, misused("dom.Options: Base %q: %v", weburl.Shown(o.Base), err)
		}
	}
	u, err := weburl.ParseWebSocket(address, base)
	if err != nil {
		return nil, misused("the URL %q: %v", weburl.Shown(address), err)
	}
	return u, nil
}

// start begins the connection.
func (r *request) start() (*engine.Conn, error) { return r.client.Start(r.url.String(), r.dial) }
