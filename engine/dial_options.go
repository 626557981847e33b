package engine

import (
	"crypto/tls"
	"net/http"
	"net/url"
)

// DialOptions are what one connection asks for. The zero value asks for nothing but the URL. What can not be sent, or contradicts
// itself, is ErrSyntax before anything is. Start and Dial copy what they need: only Jar, and the functions, are used later.
type DialOptions struct {
	// Protocols are the sub-protocols to offer, in order of preference: tokens, each once whatever its case. A server that
	// chooses none of them fails the connection.
	Protocols []string
	// Header is added to the request: tokens, and values in ASCII without line ends. Host, Origin and Cookie have options of their own, of which
	// Cookie may be set here as well; what the handshake itself is made of (Upgrade, Connection, Sec-WebSocket-*), what would give it a body, and
	// Proxy-Authorization are refused. An Authorization here stands in the place of the URL's user and password, which are else sent as
	// Basic (RFC 7617), and to nobody but the server.
	Header http.Header
	// Host is what the Host field says, a host and perhaps a port, and with TLS the name that the server has to prove, unless
	// TLSConfig.ServerName says another. Default: the URL's, without the scheme's default port.
	Host string
	// Origin is what the Origin field says. Default: no such field, which only browsers have to send.
	Origin string
	// Jar gives the request its cookies, and takes those of the answer, also of one that refuses: on the loop, before OnOpen or OnError,
	// so it must not take long. The URL that it is asked for has the scheme http or https.
	Jar http.CookieJar
	// TLSConfig is for wss, and has no effect on ws. Default: the system's roots, and TLS 1.2 or later. ServerName is set where it is empty, NextProtos is
	// always http/1.1 alone (RFC 6455 4.1 knows no other), and Renegotiation is refused. It is cloned. An https proxy is
	// trusted by its roots as well, and sees none of its certificates.
	TLSConfig *tls.Config
	// Proxy is the URL of the proxy for a request (see http.ProxyURL and http.ProxyFromEnvironment), nil for none: http and
	// https proxies by CONNECT, socks5 and socks5h, which are the same: the proxy resolves the name. Its user information is sent to it and to nobody else. The request
	// that it is asked about has the scheme http or https. http.ProxyFromEnvironment never gives one for localhost and 127.0.0.0/8. Not with Unix.
	Proxy func(*http.Request) (*url.URL, error)
	// Unix is the path of the unix socket to connect to; "@name" is an abstract one. The URL says the rest.
	Unix string
	// Value is what Conn.Value answers from the beginning, so that every callback finds it: the first of them may run before the
	// caller has done anything with what Start returned.
	Value any
	// KeepHeader keeps the answer's fields for Conn.Header, in so much memory.
	KeepHeader bool
	// AllowPort lets a connection go to one of the ports that browsers refuse (Fetch, "bad ports"), which speak other
	// protocols. They are refused to guard a program that dials URLs it was given.
	AllowPort uint16
	// Handler hears of this connection, in the place of the client's own. What holds for that one, holds for it: see NewClient.
	Handler Handler
	// Limits are what this connection starts with: the fields that are not 0 count, the others are those of ClientOptions.Limits.
	Limits Limits
}
