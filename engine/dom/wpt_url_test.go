package dom

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine"
)

// urlCase is what the constructor makes of a URL: the url attribute, or an error.
type urlCase struct {
	rule, in, base, want string
	err                  error
}

var urlCases = []urlCase{
	// The constructor, steps 2 to 7.
	{"WS constructor 2: an absolute URL", "ws://example.com/a", "", "ws://example.com/a", nil},
	{"WS constructor 6: wss", "wss://example.com/a", "", "wss://example.com/a", nil},
	{"WS constructor 4: http becomes ws", "http://example.com/a", "", "ws://example.com/a", nil},
	{"WS constructor 5: https becomes wss", "https://example.com/a", "", "wss://example.com/a", nil},
	{"WS constructor 6: the scheme", "ftp://example.com/", "", "", ErrSyntax},
	{"WS constructor 6: the scheme", "about:blank", "", "", ErrSyntax},
	{"WS constructor 6: the scheme", "mailto:example@example.org", "", "", ErrSyntax},
	{"WS constructor 6: the scheme", "javascript:0", "", "", ErrSyntax},
	{"WS constructor 6: the scheme", "data:text/plain,a", "", "", ErrSyntax},
	{"WS constructor 6: the scheme", "file:///tmp/a", "", "", ErrSyntax},
	{"WS constructor 6: the scheme", "wsx://example.com", "", "", ErrSyntax},
	{"WS constructor 6: the scheme", "about:blank", "https://example.com/", "", ErrSyntax},
	{"WS constructor 7: a fragment", "ws://example.com/#test", "", "", ErrSyntax},
	{"WS constructor 7: an empty fragment", "ws://example.com/#", "", "", ErrSyntax},
	{"WS constructor 7: a fragment of a relative URL", "#a", "wss://example.com/", "", ErrSyntax},
	{"WS constructor 7: %23 is no fragment", "ws://example.com/%23a", "", "ws://example.com/%23a", nil},
	{"WS constructor 7: the base's fragment is not the URL's", "a", "https://example.com/b#c", "wss://example.com/a", nil},
	{"WS constructor 3: relative without a base", "/chat", "", "", ErrSyntax},
	{"WS constructor 3: relative without a base", "chat", "", "", ErrSyntax},
	{"WS constructor 3: relative without a base", "//example.com/", "", "", ErrSyntax},
	{"WS constructor 3: relative without a base", "", "", "", ErrSyntax},
	{"WS constructor 3: relative without a base", "?a", "", "", ErrSyntax},
	{"WS constructor 1: the base URL", "/chat", "https://example.com/a/b?c", "wss://example.com/chat", nil},
	{"WS constructor 1: the base URL", "chat", "http://example.com/a/b?c", "ws://example.com/a/chat", nil},
	{"WS constructor 1: the base URL", "?q", "http://example.com/a/b?c", "ws://example.com/a/b?q", nil},
	{"WS constructor 1: the base URL", "", "http://example.com/a/b?c", "ws://example.com/a/b?c", nil},
	{"WS constructor 1: the base URL", "//other.example/x", "https://example.com/a", "wss://other.example/x", nil},
	{"WS constructor 1: the base URL", "../../x", "https://example.com/a/b/c/d", "wss://example.com/a/x", nil},
	{"WS constructor 1: the base URL", "ws://other.example", "https://example.com/a", "ws://other.example/", nil},
	{"URL 4.4 scheme state: another special scheme than the base's needs no slashes", "ws:other", "https://example.com/a", "ws://other/", nil},
	{"URL 4.4 special relative or authority state", "wss:x", "wss://example.com/a/b", "wss://example.com/a/x", nil},
	{"URL 4.4: the base's port stays", "x", "https://example.com:8443/", "wss://example.com:8443/x", nil},
	{"URL 4.4: the base's credentials stay", "x", "https://u:p@example.com/", "wss://u:p@example.com/x", nil},
	{"URL 4.4: http's default port is dropped before the scheme is ws", "http://example.com:80/", "", "ws://example.com/", nil},
	{"URL 4.4: https's default port is none of http's", "http://example.com:443/", "", "ws://example.com:443/", nil},
	{"URL 4.4: not null and not a URL: a base that is none", "x", "mailto:a", "", ErrSyntax},

	// The serialization.
	{"URL 4.5: / for an empty path", "ws://example.com", "", "ws://example.com/", nil},
	{"URL 4.4 scheme state: lower case", "WS://example.com/", "", "ws://example.com/", nil},
	{"URL 3.5: the host in lower case", "ws://EXAMPLE.Com/A", "", "ws://example.com/A", nil},
	{"URL 4.4 port state: ws's default port", "ws://example.com:80/", "", "ws://example.com/", nil},
	{"URL 4.4 port state: wss's default port", "wss://example.com:443/", "", "wss://example.com/", nil},
	{"URL 4.4 port state: another one's default port", "wss://example.com:80/", "", "wss://example.com:80/", nil},
	{"URL 4.4 port state: empty", "ws://example.com:/", "", "ws://example.com/", nil},
	{"URL 4.4 port state: leading zeros", "ws://example.com:0008080/", "", "ws://example.com:8080/", nil},
	{"URL 4.4 port state: 65535", "ws://example.com:65535/", "", "ws://example.com:65535/", nil},
	{"URL 4.4 port state: over 65535", "ws://example.com:65536/", "", "", ErrSyntax},
	{"URL 4.4 port state: over what an int holds", "ws://example.com:18446744073709551696/", "", "", ErrSyntax},
	{"URL 4.4 port state: a sign", "ws://example.com:-1/", "", "", ErrSyntax},
	{"URL 4.4 port state: a plus", "ws://example.com:+80/", "", "", ErrSyntax},
	{"URL 4.4 port state: a letter", "ws://example.com:8080x/", "", "", ErrSyntax},
	{"URL 4.4 port state: a space", "ws://example.com:80 80/", "", "", ErrSyntax},
	{"URL 4.4 query state: U+0000", "ws://example.com/?x\x00y", "", "ws://example.com/?x%00y", nil},
	{"URL 4.4 query state: beyond ASCII", "ws://example.com/?€", "", "ws://example.com/?%E2%82%AC", nil},
	{"URL 1.3 special-query percent-encode set", "ws://example.com/?a b\"<>'", "", "ws://example.com/?a%20b%22%3C%3E%27", nil},
	{"URL 4.4 query state: what is encoded stays", "ws://example.com/?%zz%20", "", "ws://example.com/?%zz%20", nil},
	{"URL 4.4 query state: an empty query stays", "ws://example.com/?", "", "ws://example.com/?", nil},
	{"URL 4.4 path state: beyond ASCII", "ws://example.com/åäö", "", "ws://example.com/%C3%A5%C3%A4%C3%B6", nil},
	{"URL 4.4 path state: spaces inside", "ws://example.com/a b  c", "", "ws://example.com/a%20b%20%20c", nil},
	{"URL 1.3 path percent-encode set", "ws://example.com/a\"<>`{}", "", "ws://example.com/a%22%3C%3E%60%7B%7D", nil},
	{"URL 4.4 path state: dots", "ws://example.com/a/./b/../c", "", "ws://example.com/a/c", nil},
	{"URL 4.4 path state: encoded dots", "ws://example.com/a/%2E%2e/c", "", "ws://example.com/c", nil},
	{"URL 4.4 path state: dots above the root", "ws://example.com/../../c", "", "ws://example.com/c", nil},
	{"URL 4.4 path state: a backslash", "ws://example.com\\a\\b", "", "ws://example.com/a/b", nil},
	{"URL 4.4: spaces and control characters around", " \x01ws://example.com/ \x1f", "", "ws://example.com/", nil},
	{"URL 4.4: tabs and line ends are dropped", "ws://exa\tmple.com/a\r\nb", "", "ws://example.com/ab", nil},
	{"URL 4.4 special authority slashes state", "ws:example.com", "", "ws://example.com/", nil},
	{"URL 4.4 special authority ignore slashes state", "ws:////example.com//a", "", "ws://example.com//a", nil},
	{"URL 4.5: credentials", "ws://user:pass@example.com/", "", "ws://user:pass@example.com/", nil},
	{"URL 4.5: no password", "ws://user:@example.com/", "", "ws://user@example.com/", nil},
	{"URL 1.3 userinfo percent-encode set", "ws://a b:c|d@example.com/", "", "ws://a%20b:c%7Cd@example.com/", nil},
	{"URL 4.4 authority state: the last @", "ws://a@b@example.com/", "", "ws://a%40b@example.com/", nil},
	{"WebIDL USVString: what is not UTF-8", "ws://example.com/\xed\xa0\x80", "", "ws://example.com/%EF%BF%BD%EF%BF%BD%EF%BF%BD", nil},

	// Hosts.
	{"URL 3.5: an international domain", "ws://bücher.example/", "", "ws://xn--bcher-kva.example/", nil},
	{"URL 3.5: UTS 46 maps", "ws://Ｂücher。example/", "", "ws://xn--bcher-kva.example/", nil},
	{"URL 3.5: not transitional", "ws://straße.example/", "", "ws://xn--strae-oqa.example/", nil},
	{"URL 3.5: percent-decoded first", "ws://%65xample.com/", "", "ws://example.com/", nil},
	{"URL 3.5: forbidden code points: a space", "ws://exa mple.com/", "", "", ErrSyntax},
	{"URL 3.5: forbidden code points: an encoded space", "ws://exa%20mple.com/", "", "", ErrSyntax},
	{"URL 3.5: forbidden code points: U+0000", "ws://exa\x00mple.com/", "", "", ErrSyntax},
	{"URL 3.5: forbidden code points: <", "ws://exa<mple.com/", "", "", ErrSyntax},
	{"URL 3.5: forbidden code points: ^", "ws://exa^mple.com/", "", "", ErrSyntax},
	{"URL 3.5: forbidden code points: |", "ws://exa|mple.com/", "", "", ErrSyntax},
	{"URL 3.5: an underscore is allowed", "ws://exa_mple.com/", "", "ws://exa_mple.com/", nil},
	{"URL 3.5: invalid punycode", "ws://xn--a/", "", "", ErrSyntax},
	{"URL 4.4 host state: empty", "ws://", "", "", ErrSyntax},
	{"URL 4.4 host state: empty before a port", "ws://:8080/", "", "", ErrSyntax},
	{"URL 4.4 host state: empty after credentials", "ws://user@/", "", "", ErrSyntax},
	{"URL 4.4 host state: empty before a query", "ws://?a", "", "", ErrSyntax},
	{"URL 3.5 IPv4 parser: hexadecimal", "ws://0x7f.0.0.1:8080/", "", "ws://127.0.0.1:8080/", nil},
	{"URL 3.5 IPv4 parser: octal", "ws://0177.0.0.01:8080/", "", "ws://127.0.0.1:8080/", nil},
	{"URL 3.5 IPv4 parser: one number", "ws://2130706433:8080/", "", "ws://127.0.0.1:8080/", nil},
	{"URL 3.5 IPv4 parser: two numbers", "ws://127.1:8080/", "", "ws://127.0.0.1:8080/", nil},
	{"URL 3.5 IPv4 parser: a dot at the end", "ws://127.0.0.1.:8080/", "", "ws://127.0.0.1:8080/", nil},
	{"URL 3.5 IPv4 parser: over 255", "ws://256.0.0.1/", "", "", ErrSyntax},
	{"URL 3.5 IPv4 parser: five numbers", "ws://1.2.3.4.5/", "", "", ErrSyntax},
	{"URL 3.5 ends in a number: and is no address", "ws://a.1/", "", "", ErrSyntax},
	{"URL 3.5 IPv6 parser", "ws://[0:0:0:0:0:0:0:1]:8080/", "", "ws://[::1]:8080/", nil},
	{"URL 3.5 IPv6 serializer: lower case, the longest zeros", "ws://[2001:DB8:0:0:1:0:0:0]:8080/", "", "ws://[2001:db8:0:0:1::]:8080/", nil},
	{"URL 3.5 IPv6 parser: IPv4 inside", "ws://[::ffff:1.2.3.4]:8080/", "", "ws://[::ffff:102:304]:8080/", nil},
	{"URL 3.5 IPv6 parser: no zone", "ws://[fe80::1%25eth0]/", "", "", ErrSyntax},
	{"URL 3.5 IPv6 parser: not closed", "ws://[::1/", "", "", ErrSyntax},
	{"URL 3.5 IPv6 parser: nine pieces", "ws://[1:2:3:4:5:6:7:8:9]/", "", "", ErrSyntax},
}

func urlRows() (rows []row) {
	for i, c := range urlCases {
		rows = append(rows, row{c.rule, fmt.Sprintf("%03d %q on %q", i, c.in, c.base), func(t *testing.T) {
			w, err := NewWithOptions(c.in, Options{Base: c.base, Client: lonely(t)})
			switch {
			case !errors.Is(err, c.err):
				t.Fatalf("%v, want %v", err, c.err)
			case err != nil:
				if w != nil {
					t.Error("there is a WebSocket beside the error")
				}
				return
			}
			if w.URL() != c.want || w.ReadyState() != Connecting {
				t.Errorf("%q in %v, want %q in CONNECTING", w.URL(), w.ReadyState(), c.want)
			}
		}})
	}
	secure := func(in, base string, err error) row {
		return row{"Mixed Content: a secure context connects to wss (DOM.md: ErrSecurity)", "secure " + in + base, func(t *testing.T) {
			if _, got := NewWithOptions(in, Options{Base: base, SecureContext: true, Client: lonely(t)}); !errors.Is(got, err) {
				t.Errorf("%v, want %v", got, err)
			}
		}}
	}
	return append(rows,
		secure("ws://example.com", "", ErrSecurity), secure("http://example.com", "", ErrSecurity), secure("wss://example.com", "", nil),
		secure("https://example.com", "", nil), secure("/a", "https://example.com", nil), secure("/a", "http://example.com", ErrSecurity),
		secure("ws://exa mple.com", "", ErrSyntax), secure("ws://example.com/#", "", ErrSyntax),
	)
}

// wireCase is what the server is asked for.
type wireCase struct{ rule, path, target, authorization string }

var wireCases = []wireCase{
	{"WS establish: the request's target is the url attribute's", "/?x\x00y", "/?x%00y", ""},
	{"URL query state", "/?€", "/?%E2%82%AC", ""},
	{"URL path state", "/åäö", "/%C3%A5%C3%A4%C3%B6", ""},
	{"URL path state", "/a b", "/a%20b", ""},
	{"URL path state", "/a/../b", "/b", ""},
	{"RFC 6455 4.1: an empty path is /", "", "/", ""},
	{"URL query state: a query without a path", "?q", "/?q", ""},
	{"URL path state: %2F is no slash", "/a%2Fb", "/a%2Fb", ""},
	{"Fetch, HTTP-network-or-cache fetch: credentials of the URL", "user:pass@", "/", "user:pass"},
	{"Fetch: credentials are decoded", "us%20er:p%40ss@", "/", "us er:p@ss"},
	{"Fetch: a user without a password", "user@", "/", "user:"},
	{"Fetch: credentials beyond ASCII, in UTF-8", "ü:€@", "/", "ü:€"},
}

func wireRows() (rows []row) {
	for _, c := range wireCases {
		rows = append(rows, row{c.rule, fmt.Sprintf("%q", c.path), func(t *testing.T) {
			got := make(chan [3]string, 1)
			url := peers(t, func(p *peer) {
				got <- [3]string{p.req.RequestURI, p.req.Header.Get("Authorization"), p.req.Host}
			})
			host := strings.TrimPrefix(url, "ws://")
			in := url + c.path
			if strings.HasSuffix(c.path, "@") {
				in = "ws://" + c.path + host
			}
			w := open(t, in, Options{})
			run(t, w)
			want := [3]string{c.target, "", host}
			if c.authorization != "" {
				want[1] = "Basic " + base64.StdEncoding.EncodeToString([]byte(c.authorization))
			}
			if asked := receive(t, got, "a request"); asked != want {
				t.Errorf("asked for %q, want %q", asked, want)
			}
			if !strings.HasSuffix(w.URL(), host+c.target) {
				t.Errorf("the url attribute is %q", w.URL())
			}
		}})
	}
	return rows
}

type protocolCase struct {
	rule      string
	protocols []string
	err       error
}

var protocolCases = []protocolCase{
	{"WS constructor 9: none", nil, nil},
	{"WS constructor 9: one", []string{"chat"}, nil},
	{"WS constructor 9: several", []string{"b", "a", "c"}, nil},
	{"RFC 9110 5.6.2: all that a token may hold", []string{"!#$%&'*+-.^_`|~09azAZ"}, nil},
	{"WS constructor 9: empty", []string{""}, ErrSyntax},
	{"WS constructor 9: one of several is empty", []string{"a", ""}, ErrSyntax},
	{"WS constructor 9: twice", []string{"a", "a"}, ErrSyntax},
	{"WS constructor 9: twice, not side by side", []string{"a", "b", "a"}, ErrSyntax},
	{"DOM.md: twice, compared without case", []string{"chat", "CHAT"}, ErrSyntax},
	{"RFC 9110 5.6.2: a space", []string{"a b"}, ErrSyntax},
	{"RFC 9110 5.6.2: a space at an end", []string{"a "}, ErrSyntax},
	{"RFC 9110 5.6.2: a tab", []string{"a\tb"}, ErrSyntax},
	{"RFC 9110 5.6.2: a comma", []string{"a,b"}, ErrSyntax},
	{"RFC 9110 5.6.2: beyond ASCII", []string{"\u0080"}, ErrSyntax},
	{"RFC 9110 5.6.2: beyond ASCII", []string{"chät"}, ErrSyntax},
	{"RFC 9110 5.6.2: U+0000", []string{"\x00"}, ErrSyntax},
	{"RFC 9110 5.6.2: U+007F", []string{"a\x7f"}, ErrSyntax},
	{"RFC 9110 5.6.2: a line end", []string{"a\r\nX: y"}, ErrSyntax},
	{"RFC 9110 5.6.2: the first beyond ~", []string{"\x7e", "\x7f"}, ErrSyntax},
}

func protocolRows() (rows []row) {
	for _, c := range "()<>@,;:\\\"/[]?={}" {
		rows = append(rows, protocolRow(protocolCase{"RFC 9110 5.6.2: a delimiter", []string{"a" + string(c)}, ErrSyntax}))
	}
	for _, c := range protocolCases {
		rows = append(rows, protocolRow(c))
	}
	return rows
}

func protocolRow(c protocolCase) row {
	return row{c.rule, fmt.Sprintf("%q", c.protocols), func(t *testing.T) {
		asked := make(chan []string, 1)
		url := peers(t, func(p *peer) { asked <- p.req.Header["Sec-Websocket-Protocol"] })
		w, err := New(url, c.protocols...)
		if !errors.Is(err, c.err) {
			t.Fatalf("%v, want %v", err, c.err)
		}
		if err != nil {
			return
		}
		run(t, w)
		var want []string // WS establish: no header without protocols
		if len(c.protocols) > 0 {
			want = []string{strings.Join(c.protocols, ", ")}
		}
		if got := receive(t, asked, "a request"); !slices.Equal(got, want) {
			t.Errorf("asked for %q, want %q", got, want)
		}
		if w.Protocol() != "" {
			t.Error("there is a protocol, and no connection:", w.Protocol())
		}
	}}
}

// badPorts are Fetch's.
var badPorts = []int{
	0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139,
	143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723,
	2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
}

// portRows: one row for each bad port, and for each port beside one that is not bad itself.
func portRows() (rows []row) {
	dials := func(t *testing.T, url string, o Options) (tried bool, err error) {
		o.Client, err = engine.NewClient(engine.Funcs{}, engine.ClientOptions{Loops: 1, Logger: quiet, DialContext: dialTells(&tried)})
		if err != nil {
			t.Fatal(err)
		}
		defer o.Client.Close()
		w, err := NewWithOptions(url, o)
		if err == nil {
			run(t, w)
		}
		return tried, err
	}
	for _, p := range badPorts {
		rows = append(rows, row{"Fetch, bad ports (DOM.md: ErrSecurity at once)", fmt.Sprint(p), func(t *testing.T) {
			for _, scheme := range []string{"ws", "wss", "http"} {
				if tried, err := dials(t, fmt.Sprintf("%s://h:%d/", scheme, p), Options{}); tried || !errors.Is(err, ErrSecurity) {
					t.Error(scheme, tried, err)
				}
			}
			if p == 0 {
				return // nobody can be there
			}
			if tried, err := dials(t, fmt.Sprintf("ws://h:%d/", p), Options{AllowPort: uint16(p)}); !tried || err != nil {
				t.Error("allowed:", tried, err)
			}
		}})
		if next := p + 1; !slices.Contains(badPorts, next) && next != 80 {
			rows = append(rows, row{"Fetch, bad ports: this is none", fmt.Sprint(next), func(t *testing.T) {
				if tried, err := dials(t, fmt.Sprintf("ws://h:%d/", next), Options{}); !tried || err != nil {
					t.Error(tried, err)
				}
			}})
		}
	}
	return rows
}

func constantRows() (rows []row) {
	for i, c := range []struct {
		state ReadyState
		name  string
	}{{Connecting, "CONNECTING"}, {Open, "OPEN"}, {Closing, "CLOSING"}, {Closed, "CLOSED"}} {
		rows = append(rows, row{"WS 3.1: the constants", c.name, func(t *testing.T) {
			if int(c.state) != i || c.state.String() != c.name {
				t.Error(int(c.state), c.state)
			}
		}})
	}
	fresh := func(name, rule string, check func(w *WebSocket) bool) row {
		return row{rule, name, func(t *testing.T) {
			if w := open(t, "wss://example.com:8443/", Options{Client: lonely(t)}); !check(w) {
				t.Error("not so")
			}
		}}
	}
	return append(rows,
		fresh("readyState", "WS 3.1: a new one is CONNECTING", func(w *WebSocket) bool { return w.ReadyState() == Connecting }),
		fresh("protocol", "WS 3.1: protocol is initially empty", func(w *WebSocket) bool { return w.Protocol() == "" }),
		fresh("extensions", "WS 3.1: extensions is initially empty", func(w *WebSocket) bool { return w.Extensions() == "" }),
		fresh("bufferedAmount", "WS 3.1: bufferedAmount is initially 0", func(w *WebSocket) bool { return w.BufferedAmount() == 0 }),
		fresh("binaryType", "WS 3.1: binaryType is initially blob", func(w *WebSocket) bool { return w.BinaryType() == "blob" }),
		fresh("url", "WS 3.1: url is there at once", func(w *WebSocket) bool { return w.URL() == "wss://example.com:8443/" }),
	)
}
