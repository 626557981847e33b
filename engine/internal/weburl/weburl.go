// Package weburl parses URLs as browsers do (URL Standard, WHATWG), as far as the WebSocket constructor needs it: of
// the schemes ws, wss, http and https. What it makes of a string is what a browser would connect to, byte for byte.
//
// net/url reads RFC 3986, which knows no international hosts, refuses what people type, and leaves alone what has to be
// encoded. The order of reading:
//
//	weburl.go  the parts of a URL, and how they are found
//	host.go    a host: a domain, IPv4 in all its forms, IPv6
//	path.go    a path and its dots; what is percent-encoded where
package weburl

import (
	"errors"
	"strconv"
	"strings"
)

// URL is a parsed URL. All its strings are ASCII.
type URL struct {
	Scheme             string // ws, wss, http or https
	Username, Password string // percent-encoded
	Host               string // in lower case; an IPv6 address in its brackets
	Port               uint16 // meaningful if HasPort: a scheme's default port is none
	HasPort            bool
	Path               string // begins with a slash
	Query              string // without its question mark; meaningful if HasQuery
	HasQuery           bool
	HasFragment        bool // there is one, if only an empty one; what it says is dropped
}

// What is wrong with a URL.
var (
	ErrScheme   = errors.New("the scheme is not ws, wss, http or https")
	ErrRelative = errors.New("the URL is relative, and there is no base")
	ErrNoHost   = errors.New("the URL has no host")
	ErrHost     = errors.New("the URL's host is no domain and no address")
	ErrPort     = errors.New("the URL's port is not a number from 0 to 65535")
	ErrFragment = errors.New("the URL has a fragment, and a WebSocket has none (RFC 6455 3)")
)

// defaultPorts are those of the schemes that are known.
var defaultPorts = map[string]uint16{"ws": 80, "wss": 443, "http": 80, "https": 443}

// webSocketSchemes are what the schemes become.
var webSocketSchemes = map[string]string{"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

// ParseWebSocket is Parse for the URL of a WebSocket: http and https become ws and wss, and a fragment, if only an empty one, is
// an error (WHATWG WebSockets, "obtain a URL record").
func ParseWebSocket(input string, base *URL) (*URL, error) {
	u, err := Parse(input, base)
	if err != nil {
		return nil, err
	}
	if u.HasFragment {
		return nil, ErrFragment
	}
	u.Scheme = webSocketSchemes[u.Scheme]
	return u, nil
}

// Parse parses a URL, one that is relative to base if that is not nil. The error is one of those above.
func Parse(input string, base *URL) (*URL, error) {
	input = clean(input)
	u := new(URL)
	scheme, rest, ok := cutScheme(input)
	switch {
	case !ok && base == nil:
		return nil, ErrRelative
	case !ok:
		u.Scheme, rest = base.Scheme, input
	default:
		if _, known := defaultPorts[scheme]; !known {
			return nil, ErrScheme
		}
		u.Scheme = scheme
	}
	rest, _, u.HasFragment = strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	relative := base != nil && base.Scheme == u.Scheme && slashes(rest) < 2
	if relative {
		u.resolve(rest, hasQuery, base)
	} else if err := u.parseAuthority(rest[slashes(rest):]); err != nil {
		return nil, err
	}
	if hasQuery {
		u.Query, u.HasQuery = encode(query, inQuery), true
	}
	return u, nil
}

// clean drops what the URL Standard ignores: control characters and spaces at both ends, tabs and line ends everywhere.
func clean(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
	return ignored.Replace(s)
}

var ignored = strings.NewReplacer("\t", "", "\n", "", "\r", "")

// cutScheme takes a scheme and its colon off, in lower case.
func cutScheme(s string) (scheme, rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch c := s[i] | 0x20; {
		case 'a' <= c && c <= 'z':
		case i > 0 && (s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.'):
		case i > 0 && s[i] == ':':
			return strings.ToLower(s[:i]), s[i+1:], true
		default:
			return "", s, false
		}
	}
	return "", s, false
}

// slashes counts those at the start; a backslash is one.
func slashes(s string) (n int) {
	for n < len(s) && isSlash(s[n]) {
		n++
	}
	return n
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// resolve takes from base what a relative reference does not say. rest is its path.
func (u *URL) resolve(rest string, hasQuery bool, base *URL) {
	fragment := u.HasFragment
	*u = *base
	u.HasFragment = fragment
	if rest != "" || hasQuery {
		u.Query, u.HasQuery = "", false
	}
	switch {
	case rest == "":
	case isSlash(rest[0]):
		u.setPath(nil, rest[1:])
	default:
		before := strings.Split(base.Path[1:], "/")
		u.setPath(before[:len(before)-1], rest)
	}
}

// parseAuthority parses what follows the slashes: [user[:password]@]host[:port][path].
func (u *URL) parseAuthority(rest string) error {
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/\\"); i >= 0 {
		authority, path = rest[:i], rest[i+1:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		name, password, _ := strings.Cut(authority[:i], ":")
		u.Username, u.Password = encode(name, inUserinfo), encode(password, inUserinfo)
		authority = authority[i+1:]
	}
	host, port := cutPort(authority)
	if host == "" {
		return ErrNoHost
	}
	if err := u.parsePort(port); err != nil {
		return err
	}
	u.setPath(nil, path)
	var err error
	u.Host, err = parseHost(host)
	return err
}

// cutPort cuts at the first colon outside of brackets.
func cutPort(s string) (host, port string) {
	inside := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			inside = true
		case ']':
			inside = false
		case ':':
			if !inside {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

func (u *URL) parsePort(s string) error {
	if s == "" {
		return nil
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return ErrPort
		}
		if n = 10*n + int(s[i]-'0'); n > 65535 {
			return ErrPort
		}
	}
	u.Port, u.HasPort = uint16(n), uint16(n) != defaultPorts[u.Scheme]
	return nil
}

// DialPort is the port to connect to: the URL's own, or its scheme's.
func (u *URL) DialPort() uint16 {
	if u.HasPort {
		return u.Port
	}
	return defaultPorts[u.Scheme]
}

// Authority is host and port, as a Host field has them.
func (u *URL) Authority() string {
	if !u.HasPort {
		return u.Host
	}
	var room [64]byte // one allocation for most
	return string(strconv.AppendUint(append(append(room[:0], u.Host...), ':'), uint64(u.Port), 10))
}

// Origin is the URL's origin (URL Standard 4.7), as a browser writes it.
func (u *URL) Origin() string { return u.Scheme + "://" + u.Authority() }

// Credentials are the user's name and password, decoded; ok is false where the URL has neither.
func (u *URL) Credentials() (user, password string, ok bool) {
	return decode(u.Username), decode(u.Password), u.Username != "" || u.Password != ""
}

// Target is path and query, as a request line has them.
func (u *URL) Target() string {
	if u.HasQuery {
		return u.Path + "?" + u.Query
	}
	return u.Path
}

// String is the URL as the URL Standard serializes it, without a fragment.
func (u *URL) String() string {
	user := u.Username
	if u.Password != "" {
		user += ":" + u.Password
	}
	if user != "" {
		user += "@"
	}
	return u.Scheme + "://" + user + u.Authority() + u.Target()
}
