package dom

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/engine/internal/weburl"
)

// FuzzNew: whatever the URL, the base and the protocols are, the constructor answers ErrSyntax or ErrSecurity, or there is a URL that is
// absolute, ws or wss, ASCII, without a fragment, in its final form, what net/url reads as well, and what goes on the wire.
func FuzzNew(f *testing.F) {
	for _, c := range urlCases {
		f.Add(c.in, c.base, "a,b")
	}
	for _, c := range protocolCases {
		f.Add("ws://example.com/", "", strings.Join(c.protocols, ","))
	}
	client := closedClient(f)
	f.Fuzz(func(t *testing.T, in, base, list string) {
		var protocols []string
		if list != "" {
			protocols = strings.Split(list, ",")
		}
		o := Options{Base: base, Protocols: protocols}
		u, err := o.resolve(in)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("%q on %q: %v", in, base, err)
			}
			return
		}
		checkURL(t, u)
		o.SecureContext = true
		if _, err := o.request(in, nil); errors.Is(err, ErrSecurity) != (u.Scheme == "ws") {
			t.Fatalf("%q on %q in a secure context: %v", in, base, err)
		}
		checkConstructed(t, in, o, client, u)
	})
}

// checkConstructed: the constructor goes by the same rules. What it gives to the client, which parses it again, is u in its final form.
func checkConstructed(t *testing.T, in string, o Options, client *engine.Client, u *weburl.URL) {
	o.SecureContext, o.Client = false, client
	_, err := NewWithOptions(in, o)
	bad := slices.Contains(badPorts, int(u.DialPort()))
	switch {
	case errors.Is(err, ErrSecurity) && bad:
	case errors.Is(err, ErrSyntax) && !allowed(o.Protocols):
	case errors.Is(err, engine.ErrClientClosed) && !bad && allowed(o.Protocols):
	default:
		t.Fatalf("%q with %q: %v", in, o.Protocols, err)
	}
}

// checkURL checks what is true of every URL that a WebSocket has.
func checkURL(t *testing.T, u *weburl.URL) {
	s := u.String()
	if u.Scheme != "ws" && u.Scheme != "wss" || !strings.HasPrefix(s, u.Scheme+"://") {
		t.Fatalf("%q: the scheme is %q", s, u.Scheme)
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '#' {
			t.Fatalf("%q holds %q", s, c)
		}
	}
	again, err := weburl.ParseWebSocket(s, nil)
	if err != nil || again.String() != s {
		t.Fatalf("%q becomes %v, %v", s, again, err)
	}
	if !strings.HasPrefix(u.Target(), "/") || !strings.HasSuffix(s, u.Target()) || u.Host == "" || strings.ToLower(u.Host) != u.Host {
		t.Fatalf("%q: target %q, host %q", s, u.Target(), u.Host)
	}
	agreeWithNet(t, u)
}

// agreeWithNet: where package net/url knows a form for it, it finds the same parts.
func agreeWithNet(t *testing.T, u *weburl.URL) {
	n, err := url.Parse(u.String())
	if err != nil {
		return // a host or an escape that RFC 3986 has no form for
	}
	if n.Scheme != u.Scheme || n.Host != u.Authority() || n.Fragment != "" || n.RawQuery != u.Query || n.ForceQuery != (u.HasQuery && u.Query == "") {
		t.Fatalf("%q: net/url has scheme %q, host %q, query %q", u, n.Scheme, n.Host, n.RawQuery)
	}
	if path, _ := url.PathUnescape(u.Path); n.Path != path {
		t.Fatalf("%q: net/url has path %q", u, n.Path)
	}
	if n.User == nil != (u.Username == "" && u.Password == "") {
		t.Fatalf("%q: net/url has user %v", u, n.User)
	}
}

// closedClient refuses whatever the constructor accepts, and runs no goroutine, which would disturb a fuzzer.
func closedClient(f *testing.F) *engine.Client {
	c := lonely(f)
	if err := c.Close(); err != nil {
		f.Fatal(err)
	}
	return c
}

// FuzzProtocols: the constructor takes a list of protocols exactly if a slow reading of the rules does.
func FuzzProtocols(f *testing.F) {
	for _, c := range protocolCases {
		f.Add(strings.Join(c.protocols, "\n"))
	}
	f.Add("a\nA")
	client := closedClient(f)
	f.Fuzz(func(t *testing.T, list string) {
		protocols := strings.Split(list, "\n")
		_, err := NewWithOptions("ws://h", Options{Protocols: protocols, Client: client})
		if errors.Is(err, engine.ErrClientClosed) != allowed(protocols) || errors.Is(err, ErrSyntax) == allowed(protocols) {
			t.Fatalf("%q: %v", protocols, err)
		}
	})
}

// allowed is RFC 9110 5.6.2 and DOM.md, letter by letter.
func allowed(protocols []string) bool {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for i, p := range protocols {
		if p == "" || strings.Trim(p, token) != "" {
			return false
		}
		for j := range p {
			if !strings.Contains(token, p[j:j+1]) {
				return false
			}
		}
		for _, other := range protocols[:i] {
			if strings.EqualFold(other, p) {
				return false
			}
		}
	}
	return true
}
