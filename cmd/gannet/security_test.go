package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/cmd/gannet/connect"
	"github.com/gannet-ws/gannet/engine"
)

// gannet serve over TLS, as a process.

// talking is a process whose words are kept.
type talking struct {
	t   *testing.T
	cmd *exec.Cmd
	mu  sync.Mutex
	b   bytes.Buffer
}

func (p *talking) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *talking) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// servingTLS runs gannet serve on a free port of 127.0.0.1, unless the flags name another place.
func servingTLS(t *testing.T, flags ...string) *talking {
	t.Helper()
	if !slices.Contains(flags, "--addr") {
		flags = append(flags, "--addr", "127.0.0.1:0")
	}
	p := &talking{t: t, cmd: gannet(append([]string{"serve"}, flags...)...)}
	p.cmd.Stderr = p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	p.eventually("listening", func() bool { return strings.Contains(p.said(), "msg=listening") })
	return p
}

// eventually waits for what has to come.
func (p *talking) eventually(what string, holds func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("in vain waited for: %s; gannet said: %s", what, p.said())
		}
	}
}

// attr is a word of the line that says where it listens.
func (p *talking) attr(name string) string {
	p.t.Helper()
	m := regexp.MustCompile(` ` + name + `=("(?:[^"\\]|\\.)*"|\S+)`).FindStringSubmatch(p.said())
	if m == nil {
		p.t.Fatalf("no %s in %s", name, p.said())
	}
	if plain, err := strconv.Unquote(m[1]); err == nil {
		return plain
	}
	return m[1]
}

// connects types what the server says to try, with more behind it, and answers the exit status.
func (p *talking) connects(more ...string) (said string, status int) {
	p.t.Helper()
	words := strings.Fields(strings.ReplaceAll(p.attr("try"), " --cert YOURS.pem", ""))
	if words[0] != "gannet" || words[1] != "connect" {
		p.t.Fatal(words)
	}
	out, said, status := runConnect(p.t, "hello\n", append(words[2:], more...)...)
	if status == 0 && out != "hello\n" {
		p.t.Errorf("%q, %s", out, said)
	}
	return said, status
}

// shows is the certificate that the server shows.
func (p *talking) shows() *x509.Certificate {
	p.t.Helper()
	c, err := tls.Dial("tcp", p.attr("addr"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// TestServeSelfSigned: the line that it logs is enough to connect; the page is there over https, and its WebSocket over wss; a
// client without TLS is told so. Each run has another key, which is in no file.
func TestServeSelfSigned(t *testing.T) {
	var pins []string
	for range 2 {
		p := servingTLS(t, "--self-signed")
		if said, status := p.connects(); status != 0 || !strings.Contains(said, "TLS 1.3") || !strings.Contains(said, "wss://127.0.0.1:") {
			t.Errorf("%d: %s", status, said)
		}
		own := p.shows()
		for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
			if err := own.VerifyHostname(name); err != nil {
				t.Error(err)
			}
		}
		if own.IsCA || time.Until(own.NotAfter) > 31*24*time.Hour || time.Until(own.NotAfter) < 24*time.Hour {
			t.Errorf("%v until %v", own.IsCA, own.NotAfter)
		}
		trusting := &http.Transport{TLSClientConfig: trusts(own)}
		web := http.Client{Transport: trusting, Timeout: patience}
		r, err := web.Get(p.attr("url"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != 200 || !bytes.Contains(body, []byte("location.protocol === 'https:' ? 'wss:'")) {
			t.Error(r.Status)
		}
		trusting.CloseIdleConnections()
		plain, err := http.Get("http://" + p.attr("addr") + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ = io.ReadAll(plain.Body)
		plain.Body.Close()
		if plain.StatusCode != 400 || !bytes.Contains(body, []byte("HTTPS")) {
			t.Error(plain.Status, string(body))
		}
		pins = append(pins, connect.PinOf(own).String())
		if !strings.Contains(p.attr("try"), " --pin "+pins[len(pins)-1]+" ") {
			t.Error(p.attr("try"))
		}
	}
	if pins[0] == pins[1] {
		t.Error("two runs have one key")
	}
}

// trusts is for a client that trusts one certificate.
func trusts(own *x509.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(own)
	return &tls.Config{RootCAs: pool}
}

// TestServeSelfSignedElsewhere: the line is enough where the server listens on all addresses, and on a unix socket.
func TestServeSelfSignedElsewhere(t *testing.T) {
	p := servingTLS(t, "--self-signed", "--addr", ":0")
	if said, status := p.connects(); status != 0 || !strings.Contains(said, "wss://localhost:") || !strings.HasPrefix(p.attr("url"), "https://localhost:") {
		t.Errorf("%d: %s", status, said)
	}
	p = servingTLS(t, "--self-signed", "--addr", "", "--unix", filepath.Join(t.TempDir(), "s"))
	if said, status := p.connects(); status != 0 || !strings.Contains(said, "wss://localhost") {
		t.Errorf("%d: %s", status, said)
	}
}

// certificateFiles are a certificate and its key, PEM.
func certificateFiles(t *testing.T, c tls.Certificate) (cert, key []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestServeCertificate: a replaced certificate is used without a restart, one that does not load is not, and the log says so.
func TestServeCertificate(t *testing.T) {
	ca := newAuthority(t)
	old, young := ca.issue(t, false), ca.issue(t, false)
	dir := t.TempDir()
	oldCert, oldKey := certificateFiles(t, old)
	cert, key := write(t, filepath.Join(dir, "cert.pem"), oldCert), write(t, filepath.Join(dir, "key.pem"), oldKey)
	p := servingTLS(t, "--cert", cert, "--key", key)
	if said, status := p.connects(); status != 0 {
		t.Errorf("by its pin: %d: %s", status, said)
	}
	if _, said, status := runConnect(t, "", "--ca", ca.file, "wss://"+p.attr("addr")); status != 0 {
		t.Errorf("by its authority: %d: %s", status, said)
	}
	if !p.shows().Equal(parsed(t, old)) {
		t.Error("another certificate")
	}
	write(t, cert, []byte("no certificate"))
	p.eventually("a certificate that does not load", func() bool {
		return p.shows().Equal(parsed(t, old)) && strings.Contains(p.said(), "a new certificate does not load")
	})
	youngCert, youngKey := certificateFiles(t, young)
	write(t, key, youngKey)
	write(t, cert, youngCert)
	p.eventually("the new certificate, and the line about it", func() bool {
		return p.shows().Equal(parsed(t, young)) && strings.Contains(p.said(), "a new certificate is in use")
	})
	if n := strings.Count(p.said(), "a new certificate is in use"); n != 1 {
		t.Errorf("said %d times: %s", n, p.said())
	}
	both := write(t, filepath.Join(dir, "both.pem"), slices.Concat(youngKey, youngCert))
	if !servingTLS(t, "--cert", both).shows().Equal(parsed(t, young)) {
		t.Error("the key in the same file")
	}
}

func parsed(t *testing.T, c tls.Certificate) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// TestServeClientCA: who shows no certificate of the authority's is refused, which the log and /stats say, and who shows one is served.
func TestServeClientCA(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	identity := func(a *authority) string {
		cert, key := certificateFiles(t, a.issue(t, false))
		return write(t, filepath.Join(t.TempDir(), "own.pem"), append(cert, key...))
	}
	own := identity(ca)
	p := servingTLS(t, "--self-signed", "--client-ca", ca.file)
	if !strings.Contains(p.attr("try"), " --cert YOURS.pem ") {
		t.Error(p.attr("try"))
	}
	if said, status := p.connects("--cert", own); status != 0 {
		t.Errorf("with a certificate: %d: %s", status, said)
	}
	if said, status := p.connects(); status != 1 || !strings.Contains(said, "--cert names it") {
		t.Errorf("without: %d: %s", status, said)
	}
	if said, status := p.connects("--cert", identity(stranger)); status != 1 {
		t.Errorf("with a stranger's: %d: %s", status, said)
	}
	if runtime.GOOS != "linux" {
		return // there is no loop over TLS to count it
	}
	p.eventually("a word in the log", func() bool { return strings.Contains(p.said(), "a TLS handshake failed") })
	pair, err := tls.LoadX509KeyPair(own, own)
	if err != nil {
		t.Fatal(err)
	}
	config := trusts(p.showsTo(pair))
	config.Certificates = []tls.Certificate{pair}
	web := http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: patience}
	defer web.CloseIdleConnections()
	p.eventually("two refusals in /stats", func() bool {
		r, err := web.Get(p.attr("url") + "stats")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var s engine.Stats
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			t.Fatal(err)
		}
		return s.TLS.Failed["certificate"] == 2 && s.TLS.Handshakes >= 2
	})
}

// showsTo is what the server shows to a client that shows its own.
func (p *talking) showsTo(own tls.Certificate) *x509.Certificate {
	p.t.Helper()
	c, err := tls.Dial("tcp", p.attr("addr"), &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{own}})
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// TestServeTLSFlags: what does not go together, or does not load, is said before anything listens.
func TestServeTLSFlags(t *testing.T) {
	cert, key := certificateFiles(t, newAuthority(t).issue(t, false))
	_, other := certificateFiles(t, newAuthority(t).issue(t, false))
	dir := t.TempDir()
	for name, b := range map[string][]byte{"cert": cert, "key": key, "other": other, "none": nil} {
		write(t, filepath.Join(dir, name), b)
	}
	for flags, want := range map[string]string{
		"--key key":                         "--key needs --cert",
		"--self-signed --cert cert":         "give one of them",
		"--self-signed --key key":           "give one of them",
		"--client-ca cert":                  "--client-ca needs TLS",
		"--cert cert --key nowhere":         "--cert and --key: certificate: open",
		"--cert cert":                       "--cert and --key: certificate in",
		"--cert cert --key other":           "does not match",
		"--cert none --key key":             "certificate",
		"--cert= --key key":                 "--cert is empty",
		"--cert cert --key=":                "--key is empty",
		"--self-signed --client-ca=":        "--client-ca is empty",
		"--self-signed --client-ca nowhere": "--client-ca: client authority: open",
		"--self-signed --client-ca key":     "no certificate in it",
		"--self-signed --self-signed":       "self-signed",
		"--cert cert --cert cert --key key": "cert",
		"--self-signed --mode none":         "--mode",
	} {
		cmd := gannet(append([]string{"serve", "--addr", "127.0.0.1:0"}, strings.Fields(flags)...)...)
		cmd.Dir = dir
		cmd.Path, _ = filepath.Abs(cmd.Path)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "listening") || strings.Count(string(out), "gannet: ") != 1 {
			t.Errorf("%s: %v, %s", flags, err, out)
		}
	}
}

func TestConnectLine(t *testing.T) {
	for addr, want := range map[string][2]string{
		"0.0.0.0:80": {"gannet connect :80", "gannet connect --pin x :80"}, "[::]:80": {"gannet connect :80", "gannet connect --pin x :80"},
		"127.0.0.1:443": {"gannet connect ws://127.0.0.1:443", "gannet connect --pin x wss://127.0.0.1:443"},
		"[::1]:8080":    {"gannet connect ws://[::1]:8080", "gannet connect --pin x wss://[::1]:8080"},
	} {
		at, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{connectLine("ws", "", at), connectLine("wss", " --pin x", at)}; got != want {
			t.Errorf("%s: %q", addr, got)
		}
	}
}

// TestNamesOf: what a self-signed certificate is for.
func TestNamesOf(t *testing.T) {
	at := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }
	names, addresses := namesOf("chat.example:8443", []net.Addr{at("192.0.2.1"), at("127.0.0.1"), at("::1"), &net.UnixAddr{Name: "/s"}})
	if !slices.Equal(names, []string{"localhost", "chat.example"}) || len(addresses) != 3 || addresses[2].String() != "192.0.2.1" {
		t.Error(names, addresses)
	}
	names, addresses = namesOf(":8443", []net.Addr{at("::")})
	host, _ := os.Hostname()
	all, _ := net.InterfaceAddrs()
	if host != "" && net.ParseIP(host) == nil && !slices.Contains(names, host) || len(addresses) < 2 {
		t.Error(names, addresses)
	}
	for _, one := range all {
		if prefix, ok := one.(*net.IPNet); ok && !slices.ContainsFunc(addresses, prefix.IP.Equal) {
			t.Error(prefix.IP, "is missing from", addresses)
		}
	}
	if names, addresses = namesOf("127.0.0.1:1", nil); len(names) != 1 || len(addresses) != 2 {
		t.Error(names, addresses)
	}
}
