package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/proxy"
)

// Proxies: HTTP's CONNECT (RFC 9110 9.3.6) and SOCKS5 (RFC 1928). The proxy gets the name of the target, and resolves it: socks5 and
// socks5h are the same here, as in net/http. What the target's fields say never goes to the proxy, nor its user
// information to the target.

// proxyName is a proxy's URL without its user information, which no error and no log shows.
func proxyName(via *url.URL) string { return via.Scheme + "://" + via.Host }

// proxyPorts are those of proxies whose URL names none.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

func proxyAddr(via *url.URL) string {
	port := via.Port()
	if port == "" {
		port = proxyPorts[via.Scheme]
	}
	return net.JoinHostPort(via.Hostname(), port)
}

// dialProxy reaches the target through the proxy.
func (e *engine) dialProxy(ctx context.Context, p *plan) (nc net.Conn, err error) {
	if p.proxy.Scheme == "http" || p.proxy.Scheme == "https" {
		nc, err = e.dialConnect(ctx, p, p.target())
	} else {
		nc, err = e.dialSOCKS(ctx, p.proxy, p.target())
	}
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			err = errConnectTimeout
		}
		return nil, newDialError("proxy", proxyName(p.proxy), err)
	}
	return nc, nil
}

// netDialer is what package proxy dials with.
type netDialer struct{ e *engine }

func (d netDialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

func (d netDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return d.e.dialNet(ctx, network, addr)
}

func (e *engine) dialSOCKS(ctx context.Context, via *url.URL, target string) (net.Conn, error) {
	var auth *proxy.Auth
	if via.User != nil {
		password, _ := via.User.Password()
		auth = &proxy.Auth{User: via.User.Username(), Password: password}
	}
	d, err := proxy.SOCKS5("tcp", proxyAddr(via), auth, netDialer{e})
	if err != nil {
		return nil, err
	}
	nc, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, socksError(err)
	}
	return nc, nil
}

// socksError tells why: the library says it in words alone.
func socksError(err error) error {
	if known := new(*DialError); errors.As(err, known) { // the proxy was not reached
		return *known
	}
	text := plainDial(err).Error()
	reason := "proxy-refused"
	if strings.Contains(text, "authentication") || strings.Contains(text, "username/password") {
		reason = "proxy-auth"
	}
	return &reasonError{reason, text}
}

// dialConnect asks an HTTP proxy for a tunnel.
func (e *engine) dialConnect(ctx context.Context, p *plan, target string) (net.Conn, error) {
	nc, err := e.dialNet(ctx, "tcp", proxyAddr(p.proxy))
	if err != nil {
		return nil, err
	}
	if p.proxy.Scheme == "https" {
		if nc, err = e.overTLS(ctx, nc, p.proxyTLS(), p.proxy.Host); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	tunnel, err := openTunnel(nc, p.proxy.User, target)
	if !stop() && err == nil { // just too late: nothing would be read from it any more
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return tunnel, nil
}

// tunnelHead is how long a proxy's answer may be.
const tunnelHead = 64 << 10

func openTunnel(nc net.Conn, user *url.Userinfo, target string) (net.Conn, error) {
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: http.Header{"User-Agent": {""}}}
	if user != nil {
		password, _ := user.Password()
		r.Header.Set("Proxy-Authorization", basic(user.Username(), password))
	}
	if err := r.Write(nc); err != nil {
		return nil, plainDial(err)
	}
	limited := &io.LimitedReader{R: nc, N: tunnelHead}
	b := bufio.NewReader(limited)
	answer, err := readFinal(b, r)
	switch {
	case err != nil && limited.N <= 0:
		return nil, &reasonError{"proxy-refused", fmt.Sprintf("its answer to CONNECT has more than %d bytes", tunnelHead)}
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return nil, &reasonError{"proxy-refused", "it ended the connection instead of answering CONNECT"}
	case err != nil:
		return nil, plainDial(err)
	case answer.StatusCode == http.StatusProxyAuthRequired:
		return nil, &reasonError{"proxy-auth", fmt.Sprintf("it answered %q to CONNECT", answer.Status)}
	case answer.StatusCode/100 != 2:
		return nil, &reasonError{"proxy-refused", fmt.Sprintf("it answered %q to CONNECT", answer.Status)}
	}
	if n := b.Buffered(); n > 0 {
		early, _ := b.Peek(n)
		return &replayConn{Conn: nc, first: bytes.Clone(early)}, nil
	}
	return nc, nil
}

// readFinal reads a proxy's answer, past those that are not the last word (RFC 9110 15.2).
func readFinal(b *bufio.Reader, r *http.Request) (*http.Response, error) {
	for {
		answer, err := http.ReadResponse(b, r)
		if err != nil || answer.StatusCode/100 != 1 || answer.StatusCode == http.StatusSwitchingProtocols {
			return answer, err
		}
	}
}
