package engine

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode"
)

// What the errors of a client say: each reads as one sentence, in the client's words, and says what a person can do.

// closedPort is an address of this machine that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// TestDialErrorsReadAlike: what the system says is said once, and in the same form, whoever connects.
func TestDialErrorsReadAlike(t *testing.T) {
	at := closedPort(t)
	two := names{"two.example": addrs("127.0.0.1", "127.0.0.2")}
	refused := func(to string) string {
		return "gannet: connect " + to + ": connection refused: is the server running, and is this its port?"
	}
	named := "two.example:" + port(t, at)
	each := fmt.Sprintf("gannet: connect %s: 127.0.0.1:%s: connection refused; 127.0.0.2:%s: connection refused: is the server running, and is this its port?",
		named, port(t, at), port(t, at))
	missing := t.TempDir() + "/none"
	for way, k := range map[string]struct {
		o   ClientOptions
		set func(*Client)
	}{
		"native":      {ClientOptions{Resolver: two}, func(*Client) {}},
		"bridge":      {ClientOptions{Resolver: two}, onBridges},
		"DialContext": {ClientOptions{DialContext: new(net.Dialer).DialContext}, func(*Client) {}},
	} {
		c := newClient(t, Funcs{}, k.o)
		k.set(c)
		wants := map[string]string{"ws://" + at: refused(at), "wss://" + at: refused(at)}
		if k.o.DialContext == nil {
			wants["ws://"+named], wants["wss://"+named] = each, each
		}
		for address, want := range wants {
			if _, err := c.Dial(t.Context(), address, DialOptions{}); err == nil || err.Error() != want {
				t.Errorf("%s: %s:\n%v, want\n%s", way, address, err, want)
			}
		}
		want := "gannet: connect " + missing + ": no such file or directory: is the name right?"
		if _, err := c.Dial(t.Context(), "ws://h", DialOptions{Unix: missing}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", way, err, want)
		}
		for _, scheme := range []string{"http", "https", "socks5"} {
			via := &url.URL{Scheme: scheme, Host: at}
			_, err := c.Dial(t.Context(), "ws://h.example", DialOptions{Proxy: http.ProxyURL(via)})
			want := "gannet: proxy " + via.String() + ": connect " + at + ": connection refused: is the proxy running, and is this its port?"
			if err == nil || err.Error() != want {
				t.Errorf("%s: %v, want\n%s", way, err, want)
			}
		}
	}
}

// TestDialFieldErrors: a field that can not be sent is refused in the client's words.
func TestDialFieldErrors(t *testing.T) {
	c := newClient(t, Funcs{}, ClientOptions{})
	for _, k := range []struct {
		o    DialOptions
		says string
	}{
		{DialOptions{Header: http.Header{"Upgrade": {"x"}}}, "Header: Upgrade is the handshake's own"},
		{DialOptions{Header: http.Header{"Sec-WebSocket-Key": {"x"}}}, "Header: Sec-WebSocket-Key is the handshake's own"},
		{DialOptions{Header: http.Header{"Host": {"x"}}}, "Header: Host has an option of its own"},
		{DialOptions{Header: http.Header{"a b": {"x"}}}, `Header: the name "a b" is not a token`},
		{DialOptions{Header: http.Header{"A": {"x\r\ny"}}}, "Header: the value of A contains a control character"},
		{DialOptions{Header: http.Header{"A": {"é"}}}, "Header: the value of A is not ASCII"},
		{DialOptions{Header: http.Header{"Cookie": {"a=\n"}}}, "Header and Jar: the value of Cookie contains a control character"},
		{DialOptions{Protocols: []string{"a b"}}, `Protocols: "a b" is not a token (letters, digits and !#$%&'*+-.^_` + "`" + `|~)`},
		{DialOptions{Protocols: []string{"a", "A"}}, `Protocols: "A" is offered twice`},
	} {
		_, err := c.Start("ws://192.0.2.1", k.o)
		if want := ErrSyntax.Error() + ": DialOptions: " + k.says; !errors.Is(err, ErrSyntax) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestAnswerErrorsReadWell: each fault of an answer reads on from "gannet: ".
func TestAnswerErrorsReadWell(t *testing.T) {
	answers := map[string]func(*http.Request) string{
		"not-http":     func(*http.Request) string { return "220 hello\r\n" },
		"http-1.0":     func(r *http.Request) string { return strings.Replace(switching(r), "1.1", "1.0", 1) },
		"wrong-accept": func(r *http.Request) string { return switching(r, "-Sec-WebSocket-Accept", "Sec-WebSocket-Accept: x") },
		"no-protocol":  func(r *http.Request) string { return switching(r) },
		"extension": func(r *http.Request) string {
			return switching(r, "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Extensions: x")
		},
		"bare-lf":       func(*http.Request) string { return "HTTP/1.1 101 x\n" },
		"head-too-long": func(*http.Request) string { return "HTTP/1.1 101 " + strings.Repeat("x", 20<<10) },
	}
	c := newClient(t, Funcs{}, ClientOptions{})
	for reason, answer := range answers {
		at, _ := answersOnce(t, answer)
		_, err := c.Dial(t.Context(), at, DialOptions{Protocols: []string{"a"}})
		var h *HandshakeError
		if !errors.As(err, &h) || h.Reason != reason {
			t.Errorf("%s: %v", reason, err)
			continue
		}
		text, ok := strings.CutPrefix(err.Error(), "gannet: ")
		if !ok || text == "" || unicode.IsUpper(rune(text[0])) || strings.HasSuffix(text, ".") {
			t.Errorf("%s: %q", reason, err)
		}
	}
}

// TestDialPlainToTLS: a ws URL whose port speaks TLS fails at once and says so, whatever a server does with a request that is not
// encrypted: it sends an alert, answers in plain HTTP with a page (net/http, nginx, Apache), or hangs up.
func TestDialPlainToTLS(t *testing.T) {
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	web.StartTLS()
	defer web.Close()
	page := func(words string) string {
		at, _ := answersOnce(t, func(*http.Request) string {
			return fmt.Sprintf("HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s", len(words), words)
		})
		return at
	}
	for name, at := range map[string]string{
		"net/http":   strings.Replace(web.URL, "https", "ws", 1),
		"crypto/tls": "ws://" + tlsEnd(t, web.TLS),
		"nginx":      page("<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>"),
		"Apache":     page("<p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />"),
		"OpenSSL":    scripted(t, func(net.Conn, *bufio.Reader, *http.Request) {}),
	} {
		for way, set := range waysToTransport {
			c := newClient(t, Funcs{}, ClientOptions{})
			set(c)
			_, err := c.Dial(t.Context(), at, DialOptions{})
			var h *HandshakeError
			if !errors.As(err, &h) || !strings.Contains(err.Error(), "wss") || strings.Count(err.Error(), "gannet: ") != 1 {
				t.Errorf("%s, %s: %v", name, way, err)
			}
		}
	}
	// What is no such page, and what has begun to answer, says nothing of TLS.
	for name, answer := range map[string]string{"400": "HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nhttp", "half an answer": "HTTP/1.1 101 Sw", "a hint": "HTTP/1.1 103 x\r\n\r\n"} {
		at := scripted(t, func(nc net.Conn, _ *bufio.Reader, _ *http.Request) { _, _ = io.WriteString(nc, answer) })
		c := newClient(t, Funcs{}, ClientOptions{})
		if _, err := c.Dial(t.Context(), at, DialOptions{}); err == nil || strings.Contains(err.Error(), "wss") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// tlsEnd is a server of crypto/tls alone: it sends an alert.
func tlsEnd(t *testing.T, config *tls.Config) string {
	t.Helper()
	return takes(t, func(nc net.Conn) {
		_ = tls.Server(nc, config).Handshake()
		_ = nc.(*net.TCPConn).CloseWrite() // what of the request is not read would reset the connection
		_, _ = io.Copy(io.Discard, nc)
	})
}

// TestStatusAdvice: what a status says to whoever reads the error.
func TestStatusAdvice(t *testing.T) {
	c := newClient(t, Funcs{}, ClientOptions{})
	for status, says := range map[string]string{
		"502 Bad Gateway":     "502 Bad Gateway: the proxy in front of the server does not reach it",
		"504 Gateway Timeout": "504 Gateway Timeout: the proxy in front of the server had no answer",
		"404 Not Found":       "404 Not Found: is the path right?",
		"401 Unauthorized":    "401 Unauthorized: credentials are missing or wrong",
		"403 Forbidden":       "403 Forbidden: it may not allow this Origin",
		"426 x":               "426 Upgrade Required: it wants another version",
		"503 x":               "503 Service Unavailable: try again later",
		"418 x":               "418 I'm a teapot",
	} {
		at, _ := answersOnce(t, func(*http.Request) string { return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n" })
		if _, err := c.Dial(t.Context(), at, DialOptions{}); err == nil || !strings.HasPrefix(err.Error(), "gannet: the server answered "+says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
