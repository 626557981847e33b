package connect

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

// Settings are what gannet connect was asked for.
type Settings struct {
	Address   string        // a URL, or what CompleteAddress takes for one
	Protocols []string      // sub-protocols to offer
	Headers   []string      // fields for the request, "Name: value"
	Origin    string        // the request's Origin; "": none
	User      string        // "name:password"; "": the URL's
	Proxy     string        // a URL; "": the environment's; "none": none
	Unix      string        // path of the unix socket to connect to; "": TCP
	TLS       TLS           // for wss
	Deflate   bool          // offer permessage-deflate
	AllowPort uint16        // a port that browsers refuse; 0: none
	Timeout   time.Duration // for all that comes before the connection is open
	Ping      time.Duration // after so long without a byte from the server it is pinged; negative: never

	MaxMessage int64 // the longest message, either way, in bytes
	Binary     bool  // what is sent is binary, and a pipe carries bytes instead of lines
	JSON       bool  // JSON is shown a line for each member
	Timestamps bool  // each line of output says when
	Quiet      bool  // nothing is shown but messages and errors
	PingsSet   bool  // Ping was asked for: pongs are shown

	// Wait is how long messages are still received after stdin has ended, once all has left; negative: until the server closes. nil: at a
	// terminal not at all, in a pipe until the server has answered a ping, and nothing more has come for a second.
	Wait *time.Duration

	HistoryFile string // "": history is kept for this run alone

	In, Out, Err *os.File
}

// dialOptions are what the engine gets, and what can be said to be wrong before anything is dialled.
func (s *Settings) dialOptions(agreed *negotiated) (url string, o engine.DialOptions, err error) {
	if s.Address == "" && s.Unix == "" {
		return "", o, misused("which server? Give a URL, such as wss://example.com/ or :8080")
	}
	address := s.Address
	if address == "" {
		address = "localhost"
	}
	url = CompleteAddress(address, s.TLS.asked())
	if s.TLS.asked() && !isSecure(url) {
		return "", o, misused("--insecure, --ca, --cert, --key and --pin are for wss, and %s is not", printable(redacted(url)))
	}
	o = engine.DialOptions{Protocols: s.Protocols, Origin: s.Origin, Unix: s.Unix, AllowPort: s.AllowPort, Header: http.Header{}}
	if o.TLSConfig, err = s.TLS.config(agreed.secured); err != nil {
		return "", o, &Failure{statusUsage, err}
	}
	if err = s.setHeaders(&o); err == nil {
		err = s.setUser(&o, url)
	}
	if err == nil {
		o.Proxy, err = s.proxy()
	}
	return url, o, err
}

func isSecure(url string) bool {
	scheme, _, _ := strings.Cut(url, ":")
	return strings.EqualFold(scheme, "wss") || strings.EqualFold(scheme, "https")
}

// setHeaders sorts out the fields that have an option of their own.
func (s *Settings) setHeaders(o *engine.DialOptions) error {
	for _, h := range s.Headers {
		name, value, ok := strings.Cut(h, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return misused("--header %q should be 'Name: value'", h)
		}
		switch http.CanonicalHeaderKey(name) {
		case "Host":
			if o.Host != "" {
				return misused("--header gives Host twice")
			}
			o.Host = value
		case "Origin":
			if o.Origin != "" {
				return misused("the Origin is given twice, by --origin or --header")
			}
			o.Origin = value
		default:
			o.Header.Add(name, value)
		}
	}
	return nil
}

// setUser adds --user to the request.
func (s *Settings) setUser(o *engine.DialOptions, address string) error {
	if s.User == "" {
		return nil
	}
	name, password, ok := strings.Cut(s.User, ":")
	switch {
	case !ok:
		return misused("--user should be NAME:PASSWORD")
	case o.Header.Get("Authorization") != "":
		return misused("--user and a --header Authorization do not go together")
	case redacted(address) != address:
		return misused("the URL names a user, and --user does: give one of them")
	}
	r := http.Request{Header: o.Header}
	r.SetBasicAuth(name, password)
	return nil
}

// redacted is a URL without the user in it.
func redacted(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	end := strings.IndexAny(rest, "/?#\\")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		return scheme + "://" + rest[at+1:]
	}
	return address
}

// proxy is how a connection finds its proxy.
func (s *Settings) proxy() (func(*http.Request) (*url.URL, error), error) {
	switch {
	case s.Unix != "" && s.Proxy != "" && s.Proxy != "none":
		return nil, misused("--unix and --proxy do not go together: no proxy leads to a unix socket")
	case s.Unix != "", s.Proxy == "none":
		return nil, nil
	case s.Proxy == "":
		return http.ProxyFromEnvironment, nil
	}
	address := s.Proxy
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, misused("--proxy should be a URL such as http://proxy.example:3128 or socks5://localhost:1080, or none")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return http.ProxyURL(u), nil
	}
	return nil, misused("--proxy: the scheme %q is none of http, https, socks5 and socks5h", u.Scheme)
}

// queuedBytes is how much waits for the network before stdin is read further. BufferedAmount does not tell: a million empty
// messages count nothing there.
const queuedBytes = 1 << 20

// frameBytes is what a message takes in the queue besides its bytes.
const frameBytes = 32

// clientOptions are those of a client with one connection.
func (s *Settings) clientOptions() engine.ClientOptions {
	o := engine.ClientOptions{
		Loops:   1,
		Workers: 1, // so that whoever takes our output slowly pauses the connection, and no loop waits
		// Dial's context ends all three, and says so in our words.
		ConnectTimeout: 2 * s.Timeout, TLSTimeout: 2 * s.Timeout, HandshakeTimeout: 2 * s.Timeout,
		Limits: engine.Limits{
			MaxMessageSize: s.MaxMessage,
			// What is sent is bounded by queuedBytes and a message. The engine must not stop reading because of it: a server that echoes
			// would then wait for us, and we for it.
			MaxBufferedAmount: -1, HighWater: 1 << 40,
			IdleTimeout: -1, PingInterval: s.Ping,
			WriteStallTimeout: -1, // a server that is in no hurry is waited for, as in every pipe
		},
		Logger: noLogger,
	}
	if s.Deflate {
		o.Deflate = &deflate.Policy{}
	}
	return o
}
