package engine

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/weburl"
)

// A plan is what Start has made sure of before anything is sent: what can be told without the network is an error there, and no event later.

// plan is a checked URL with its options.
type plan struct {
	DialOptions
	limits    *limits
	url       *weburl.URL // ws or wss
	authority string      // of url: host and port
	tls       *tls.Config // nil for ws
	proxy     *url.URL    // nil: none
	host      string      // for the Host field
	fields    []handshake.HeaderField
}

func newPlan(address string, o DialOptions) (*plan, error) {
	u, err := weburl.ParseWebSocket(address, nil)
	if err != nil {
		return nil, misused("the URL %q can not be dialled: %v", weburl.Shown(address), err)
	}
	p := &plan{DialOptions: o, url: u, authority: u.Authority()}
	p.host = p.authority
	p.Protocols = slices.Clone(o.Protocols)
	for _, check := range [...]func() error{p.checkPort, p.checkProtocols, p.setHost, p.setTLS, p.setFields, p.setProxy} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// target is the host and port to connect to, as package net has it.
func (p *plan) target() string {
	return net.JoinHostPort(strings.Trim(p.url.Host, "[]"), strconv.Itoa(int(p.url.DialPort())))
}

func (p *plan) secure() bool { return p.url.Scheme == "wss" }

func (p *plan) checkPort() error {
	port := p.url.DialPort()
	if _, bad := slices.BinarySearch(badPorts, port); bad && (port != p.AllowPort || port == 0) {
		return &portError{port}
	}
	return nil
}

// checkProtocols checks sub-protocols as the WebSocket constructor does.
func (p *plan) checkProtocols() error {
	for i, name := range p.Protocols {
		if err := handshake.ValidProtocols([]string{name}); err != nil {
			return misused("DialOptions: Protocols: %v", err)
		}
		for _, before := range p.Protocols[:i] {
			if strings.EqualFold(before, name) {
				return misused("DialOptions: Protocols: %q is offered twice", name)
			}
		}
	}
	return nil
}

func (p *plan) setHost() error {
	if h := p.DialOptions.Host; h != "" {
		if !handshake.ValidHost(h) {
			return misused("DialOptions: Host is %.200q, which is no host and port", h)
		}
		p.host = h
	}
	return nil
}

// setTLS completes DialOptions.TLSConfig.
func (p *plan) setTLS() error {
	if p.TLSConfig != nil && p.TLSConfig.Renegotiation != tls.RenegotiateNever {
		return misused("DialOptions: TLSConfig: Renegotiation is not supported")
	}
	p.TLSConfig = p.TLSConfig.Clone() // the caller's own may change; an https proxy looks at it later
	if !p.secure() {
		return nil
	}
	if p.tls = p.TLSConfig.Clone(); p.tls == nil {
		p.tls = new(tls.Config)
	}
	if p.tls.ServerName == "" {
		name, _, err := net.SplitHostPort(p.host)
		if err != nil {
			name = p.host
		}
		p.tls.ServerName = strings.Trim(name, "[]")
	}
	p.tls.NextProtos = []string{alpnHTTP}
	return nil
}

// setProxy asks for the proxy.
func (p *plan) setProxy() error {
	if p.Proxy == nil {
		return nil
	}
	if p.Unix != "" {
		return misused("DialOptions: Proxy and Unix are both set, and no proxy leads to a unix socket")
	}
	via, err := p.Proxy(&http.Request{Method: http.MethodGet, URL: p.httpURL(), Host: p.host, Header: http.Header{}})
	switch {
	case err != nil:
		return misused("DialOptions: Proxy: %s", weburl.Shown(err.Error())) // it quotes what it could not parse
	case via == nil:
		return nil
	case proxyPorts[via.Scheme] == "":
		return misused("DialOptions: Proxy: the scheme %.20q is none of http, https, socks5 and socks5h", via.Scheme)
	case via.Hostname() == "":
		return misused("DialOptions: Proxy: the URL has no host")
	}
	own := *via // http.ProxyURL answers the caller's own
	p.proxy = &own
	return nil
}

// httpURL is the URL as proxies and cookie jars know it.
func (p *plan) httpURL() *url.URL {
	scheme := "http"
	if p.secure() {
		scheme = "https"
	}
	u, err := url.Parse(scheme + "://" + p.authority + p.url.Target())
	if err != nil { // what net/url knows no form for
		u = &url.URL{Scheme: scheme, Host: p.authority, Path: "/"}
	}
	return u
}

// setFields checks and keeps what the request has besides the handshake's own fields.
func (p *plan) setFields() error {
	if !handshake.ValidValue(p.Origin) {
		return misused("DialOptions: Origin is %.200q, which no field can hold", p.Origin)
	}
	if user, password, ok := p.url.Credentials(); ok && len(p.own("Authorization")) == 0 {
		p.add("Authorization", basic(user, password))
	}
	if err := p.setCookies(); err != nil {
		return err
	}
	for _, name := range sortedNames(p.Header) {
		if strings.EqualFold(name, "Cookie") {
			continue // it is with the jar's
		}
		for _, value := range p.Header[name] {
			if err := handshake.ValidAskField(name, value); err != nil {
				return misused("DialOptions: Header: %v", err)
			}
			p.add(name, value)
		}
	}
	return nil
}

// setCookies makes one field of the jar's cookies and those of Header (RFC 6265 5.4).
func (p *plan) setCookies() error {
	var all []string
	if p.Jar != nil {
		for _, k := range p.Jar.Cookies(p.httpURL()) {
			if pair := (&http.Cookie{Name: k.Name, Value: k.Value, Quoted: k.Quoted}).String(); pair != "" {
				all = append(all, pair)
			}
		}
	}
	all = append(all, p.own("Cookie")...)
	if len(all) == 0 {
		return nil
	}
	value := strings.Join(all, "; ")
	if err := handshake.ValidAskField("Cookie", value); err != nil {
		return misused("DialOptions: Header and Jar: %v", err)
	}
	p.add("Cookie", value)
	return nil
}

// own are the values of a field of Header, whose keys need not be in canonical form.
func (p *plan) own(name string) (values []string) {
	if len(p.Header) == 0 {
		return nil
	}
	for _, key := range sortedNames(p.Header) {
		if strings.EqualFold(key, name) {
			values = append(values, p.Header[key]...)
		}
	}
	return values
}

func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (p *plan) add(name, value string) {
	p.fields = append(p.fields, handshake.HeaderField{Name: name, Value: value})
}

// badPorts are those that browsers do not connect to (Fetch 2.9), sorted.
var badPorts = []uint16{
	0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115,
	117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601,
	636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
}
