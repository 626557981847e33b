package main

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	gannetconnect "github.com/gannet-ws/gannet/cmd/gannet/connect"
)

// TestConnectStatuses: the exit status says how it closed, and the line on stderr says it with the code's name.
func TestConnectStatuses(t *testing.T) {
	t.Parallel()
	for _, k := range []struct {
		name   string
		serve  func(net.Conn)
		status int
		said   string
	}{
		{"1000", closingWith(1000, ""), 0, "closed: 1000 (normal closure)\n"},
		{"1001", closingWith(1001, "restart"), 0, "closed: 1001 (going away) \"restart\"\n"},
		{"1005", func(c net.Conn) {
			_ = ws.WriteFrame(c, ws.NewCloseFrame(nil))
			_, _ = io.Copy(io.Discard, c)
		}, 0, "closed: 1005 (no status received)\n"},
		{"1008", closingWith(1008, "no\x1b[2J"), 3, "closed: 1008 (policy violation) \"no\\x1b[2J\"\n"},
		{"1011", closingWith(1011, ""), 3, "closed: 1011 (internal server error)\n"},
		{"1013", closingWith(1013, ""), 3, "closed: 1013 (try again later)\n"},
		{"4001", closingWith(4001, "mine"), 3, "closed: 4001 (an application's own code) \"mine\"\n"},
		{"lost", func(net.Conn) {}, 4, "closed: 1006 (abnormal closure): connection lost without a Close frame\n"},
		{"reset", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, 4, "closed: 1006 (abnormal closure): "},
		{"masked", func(c net.Conn) {
			_ = ws.WriteFrame(c, ws.MaskFrame(ws.NewTextFrame([]byte("x"))))
			_, _ = io.Copy(io.Discard, c)
		}, 4, "closed: 1006 (abnormal closure): frame from a server is masked\n"},
		{"too big", func(c net.Conn) {
			_ = ws.WriteFrame(c, ws.NewTextFrame(make([]byte, 2000)))
			_, _ = io.Copy(io.Discard, c)
		}, 4, "closed: 1006 (abnormal closure): the peer's message is over MaxMessageSize\n"},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			addr := upgraded(t, k.serve)
			_, said, status := runConnect(t, "", "--wait=-1s", "--max-message", "1000", addr)
			if status != k.status || !strings.Contains(said, k.said) || strings.Count(said, "closed: ") != 1 || strings.Contains(said, "gannet: ") {
				t.Errorf("status %d, %s", status, said)
			}
			_, said, status = runConnect(t, "", "--wait=-1s", "--max-message", "1000", "--quiet", addr)
			if status != k.status || (said == "") != (status == 0) || strings.Count(said, "gannet: ") > 1 {
				t.Errorf("quiet: status %d, %s", status, said)
			}
		})
	}
}

// closingWith is a server that closes.
func closingWith(code ws.StatusCode, reason string) func(net.Conn) {
	return func(c net.Conn) {
		_ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(code, reason)))
		_, _ = io.Copy(io.Discard, c)
	}
}

// TestConnectRefused: a server's no is said once, with its body, and with nothing in it that steers a terminal.
func TestConnectRefused(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string][]string{
		"HTTP/1.1 403 Forbidden\nContent-Length: 12\n\nnot from you":                                                 {"gannet: the server answered 403 Forbidden", "its answer says:\n  not from you\n"},
		"HTTP/1.1 401 Unauthorized\nContent-Length: 0\n\n":                                                           {"answered 401 Unauthorized", "credentials"},
		"HTTP/1.1 404 Not Found\n\nline one\nline\x1b[2J two":                                                        {"answered 404 Not Found", "\n  line one\n  line\\x1b[2J two\n"},
		"HTTP/1.1 302 Found\nLocation: ws://elsewhere/\n\n":                                                          {"302 Found", `"ws://elsewhere/"`, "not followed"},
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi":                                                                   {"200 OK", "is the path right"},
		"HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: wrong\n\n": {"gannet: "},
		"SSH-2.0-OpenSSH\n": {"gannet: ", "try wss:// instead of ws://"},
		"":                  {"gannet: ", "try wss:// instead of ws://"},
	} {
		out, said, status := runConnect(t, "x\n", refusing(t, answer))
		if status != 1 || out != "" || strings.Count(said, "gannet: ") != 1 || strings.Contains(said, "close code") {
			t.Errorf("%q: status %d, %q, %s", answer, status, out, said)
		}
		for _, w := range want {
			if strings.Count(said, w) != 1 {
				t.Errorf("%q: %q is not once in %s", answer, w, said)
			}
		}
	}
}

// TestConnectReachesNobody: each way to fail before a handshake.
func TestConnectReachesNobody(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	page := httptest.NewServer(http.NotFoundHandler())
	defer page.Close()
	silent := answering(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, k := range []struct{ args, said string }{
		{gone.Addr().String(), "gannet: connect " + gone.Addr().String()},
		{"ws://nowhere.invalid", "gannet: resolve nowhere.invalid"},
		{"--unix /nowhere/s", "gannet: connect /nowhere/s"},
		{"--timeout 300ms " + silent, "gannet: no connection within 300ms; --timeout allows more"},
		{"--timeout 300ms wss://" + silent, "gannet: no connection within 300ms; --timeout allows more"},
		{"wss://" + upgraded(t, echoing), "does it speak TLS there?"},
		{"wss://" + strings.TrimPrefix(page.URL, "http://"), "does the server speak ws there"},
		{"--proxy " + gone.Addr().String() + " ws://example.invalid/", "gannet: proxy http://" + gone.Addr().String()},
	} {
		out, said, status := runConnect(t, "", strings.Fields(k.args)...)
		if status != 1 || out != "" || !strings.Contains(said, k.said) || strings.Count(said, "gannet: ") != 1 {
			t.Errorf("%s: status %d, %s", k.args, status, said)
		}
	}
}

// TestConnectUsage: an argument that can not be is 2, and is said before anything is dialled.
func TestConnectUsage(t *testing.T) {
	t.Parallel()
	file := pemFile(t, "empty.pem")
	for args, want := range map[string]string{
		"":                                "which server?",
		"ws://a ws://b":                   `"ws://b" is a second one`,
		"ftp://example.com":               "ftp",
		"ws://exa mple":                   "second one",
		"ws://example.com/#x":             "fragment",
		"ws://example.com:99999":          "99999",
		"ws://example.com:22":             "--allow-port",
		"ws://":                           "can not be dialled",
		"--nope x":                        "-nope",
		"--protocol a,,b x":               "gannet: --protocol: ",
		"--protocol a,A x":                "twice",
		"--protocol a(b x":                "gannet: --protocol: ",
		"--header novalue x":              "'Name: value'",
		"--header :x x":                   "'Name: value'",
		"--header Sec-WebSocket-Key:x x":  "gannet: --header: ",
		"--header Host:a/b x":             "gannet: --header Host is",
		"--header Host:a -H host:b x":     "Host twice",
		"--origin a -H Origin:b x":        "Origin is given twice",
		"--user me x":                     "NAME:PASSWORD",
		"--user a:b ws://c:d@x":           "names a user",
		"--user a:b -H Authorization:c x": "do not go together",
		"--proxy ftp://p x":               "http, https, socks5 and socks5h",
		"--proxy http:// x":               "--proxy",
		"--pin abc x":                     "--pin",
		"--pin " + strings.Repeat("ab", 32) + " ws://x": "wss",
		"--insecure ws://x":                             "wss",
		"--insecure --ca " + file + " wss://x":          "give one of them",
		"--ca /nowhere wss://x":                         "--ca",
		"--ca " + file + " wss://x":                     "no certificate",
		"--key " + file + " wss://x":                    "--key needs --cert",
		"--cert " + file + " wss://x":                   "--cert",
		"--allow-port 0 x":                              "--allow-port",
		"--allow-port 70000 x":                          "--allow-port",
		"--timeout 0 x":                                 "--timeout",
		"--timeout -1s x":                               "timeout",
		"--timeout soon x":                              "timeout",
		"--ping 0 x":                                    "--ping",
		"--max-message 0 x":                             "--max-message",
		"--max-message 2147483648 x":                    "--max-message",
		"--binary --json x":                             "--binary",
		"--binary --timestamps x":                       "--binary",
		"--origin a --origin b x":                       "origin",
		"--unix /s --deflate=perhaps":                   "deflate",
		"--unix /s --proxy http://p":                    "do not go together",
		"ws://example.com:22 --allow-port 23":           "--allow-port",
		"ws://example.com --nope":                       "-nope",
		"--wait never ws://example.com":                 "wait",
		"--ping 9999h example.com":                      "--ping",
	} {
		out, said, status := runConnect(t, "", strings.Fields(args)...)
		if status != 2 || out != "" || !strings.Contains(said, want) || !strings.HasPrefix(said, "gannet: ") || strings.Count(said, "gannet: ") != 1 {
			t.Errorf("%s: status %d, %s", args, status, said)
		}
	}
}

// TestConnectAllowPort: the port that is let through is dialled, on which nobody is.
func TestConnectAllowPort(t *testing.T) {
	t.Parallel()
	if _, said, status := runConnect(t, "", "--allow-port", "1", "127.0.0.1:1"); status != 1 || !strings.Contains(said, "gannet: connect 127.0.0.1:1") {
		t.Error(status, said)
	}
}

// TestConnectTrusts: whom each option trusts. What fails names the certificate's pin, with which it works.
func TestConnectTrusts(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	good, expired := ca.issue(t, false, "localhost"), ca.issue(t, true, "localhost")
	addr, old := secured(t, &tls.Config{Certificates: []tls.Certificate{good}}), secured(t, &tls.Config{Certificates: []tls.Certificate{expired}})
	unnamed := ca.issue(t, false)
	unnamed.Certificate[0] = signedFor(t, ca, unnamed, "other.example")
	misnamed := secured(t, &tls.Config{Certificates: []tls.Certificate{unnamed}})
	pin, wrong := pinOf(t, good), pinOf(t, expired)
	digits := hexPin(t, pin)
	for _, k := range []struct {
		args   string
		status int
		said   string
	}{
		{"wss://" + addr, 1, "the certificate's pin is " + pin},
		{"--ca " + ca.file + " " + addr, 0, "TLS 1.3 TLS_"},
		{"--ca " + other.file + " " + addr, 1, "the certificate's pin is " + pin},
		{"--ca " + ca.file + " " + old, 1, "the certificate's pin is " + wrong},
		{"--ca " + ca.file + " " + misnamed, 1, "the certificate's pin is "},
		{"--ca " + ca.file + " -H Host:other.example " + misnamed, 0, ""},
		{"--insecure " + addr, 0, "TLS 1.3"},
		{"-k " + old, 0, ""},
		{"--pin " + pin + " " + addr, 0, "TLS 1.3"},
		{"--pin " + strings.TrimPrefix(pin, "sha256//") + " " + addr, 0, ""},
		{"--pin " + digits + " " + addr, 0, ""},
		{"--pin " + wrong + " " + addr, 1, "gannet: the server has another key than --pin says: the certificate's pin is " + pin},
		{"--pin " + wrong + " --pin " + pin + " " + addr, 0, ""},
		{"--pin " + wrong + " " + old, 0, ""}, // a pin is of the key, and asks for no date
		{"--ca " + ca.file + " --pin " + wrong + " " + old, 1, "expired"},
		{"--ca " + ca.file + " --pin " + pin + " " + addr, 0, ""},
		{"--ca " + ca.file + " --pin " + wrong + " " + addr, 1, "another key"},
		{"--insecure --pin " + wrong + " " + addr, 1, "another key"},
		{"--insecure --pin " + pin + " " + addr, 0, ""},
	} {
		out, said, status := runConnect(t, "x\n", strings.Fields(k.args)...)
		if status != k.status || (out == "x\n") != (status == 0) || !strings.Contains(said, k.said) || strings.Count(said, "gannet: ") > 1 {
			t.Errorf("%s: status %d, %q, %s", k.args, status, out, said)
		}
	}
}

func pinOf(t *testing.T, c tls.Certificate) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return gannetconnect.PinOf(leaf).String()
}

func hexPin(t *testing.T, text string) string {
	t.Helper()
	p, err := gannetconnect.ParsePin(text)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(p[:])
}

// signedFor is a certificate of the same key for one name alone.
func signedFor(t *testing.T, a *authority, c tls.Certificate, name string) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: a.certificate.SerialNumber, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	return signed(t, template, a.certificate, c.PrivateKey.(*ecdsa.PrivateKey), a.key)
}

// TestConnectIdentifies: a server that wants to know who we are is shown --cert, whose key lies in the same file or in another one.
func TestConnectIdentifies(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	clients := x509.NewCertPool()
	clients.AddCert(ca.certificate)
	addr := secured(t, &tls.Config{Certificates: []tls.Certificate{ca.issue(t, false)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients})
	own := ca.issue(t, false)
	key, err := x509.MarshalECPrivateKey(own.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	cert, secret := &pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]}, &pem.Block{Type: "EC PRIVATE KEY", Bytes: key}
	both, certAlone, keyAlone := pemFile(t, "both.pem", secret, cert), pemFile(t, "cert.pem", cert), pemFile(t, "key.pem", secret)
	for _, args := range [][]string{{"--cert", both}, {"--cert", certAlone, "--key", keyAlone}} {
		if out, said, status := runConnect(t, "x\n", append(args, "--ca", ca.file, addr)...); out != "x\n" || status != 0 {
			t.Error(args, status, said)
		}
	}
	if _, said, status := runConnect(t, "", "--ca", ca.file, addr); status != 1 || strings.Count(said, "gannet: ") != 1 {
		t.Error("without a certificate:", status, said)
	} else if !strings.Contains(said, "--cert names it") {
		t.Error(said)
	}
}

// TestConnectByProxy: by CONNECT, with the proxy's credentials, and by what the environment names, unless --proxy none says no.
func TestConnectByProxy(t *testing.T) {
	t.Parallel()
	target := upgraded(t, echoing)
	asked := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization"):
		default:
		}
		if r.Host == "refused.example:81" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		to, err := net.Dial("tcp", target) // whoever was asked for
		if err != nil {
			return
		}
		defer to.Close()
		from, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		_, _ = io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n") // not before: net/http may read on until then
		go func() { _, _ = io.Copy(to, from); to.Close() }()
		_, _ = io.Copy(from, to)
	}))
	defer proxy.Close()
	at := strings.TrimPrefix(proxy.URL, "http://")
	if out, said, status := runConnect(t, "x\n", "--proxy", "http://me:secret@"+at, "ws://example.com:8080/"); out != "x\n" || status != 0 ||
		<-asked != "CONNECT example.com:8080 Basic bWU6c2VjcmV0" {
		t.Error(out, said, status)
	}
	if _, said, status := runConnect(t, "", "--proxy", "me:secret@"+at, "ws://refused.example:81/"); status != 1 || !strings.Contains(said, "403") ||
		strings.Contains(said, "secret") || <-asked == "" {
		t.Error(said, status)
	}
	cmd := connecting("ws://example.com:8080/")
	cmd.Env = append(cmd.Env, "http_proxy="+proxy.URL)
	if out, said, status := finish(t, cmd, strings.NewReader("x\n")); out != "x\n" || status != 0 || !strings.HasPrefix(<-asked, "CONNECT example.com:8080") {
		t.Error(out, said, status)
	}
	cmd = connecting("--proxy", "none", "ws://nowhere.invalid:8080/")
	cmd.Env = append(cmd.Env, "http_proxy="+proxy.URL)
	if _, said, status := finish(t, cmd, nil); status != 1 || !strings.Contains(said, "resolve nowhere.invalid") {
		t.Error(said, status)
	}
}

// TestConnectToServe: the two are made for each other: what serve says to type works, by TCP and by a unix socket.
func TestConnectToServe(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "s")
	for _, flags := range [][]string{{"--addr", "127.0.0.1:0"}, {"--addr", ":0"}, {"--addr", "", "--unix", socket}} {
		_, line := listening(t, flags...)
		_, after, _ := strings.Cut(line, `try="gannet connect `)
		args, _, found := strings.Cut(after, `"`)
		if !found {
			t.Fatal(line)
		}
		if out, said, status := runConnect(t, "hello\n", strings.Fields(args)...); out != "hello\n" || status != 0 {
			t.Errorf("%s: %q, %s, %d", args, out, said, status)
		}
	}
}
