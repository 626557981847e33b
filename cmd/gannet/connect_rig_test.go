package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// What the tests of gannet connect have in common: the program in a process of its own, and servers of the test's.

// patience is how long a test waits for what has to come.
const patience = time.Minute

// runConnect runs gannet connect to its end, with input on its stdin.
func runConnect(t *testing.T, input string, args ...string) (out, said string, status int) {
	t.Helper()
	return finish(t, connecting(args...), strings.NewReader(input))
}

// connecting is gannet connect with these arguments, and no proxy from the environment.
func connecting(args ...string) *exec.Cmd {
	cmd := gannet(append([]string{"connect"}, args...)...)
	cmd.Env = append(cmd.Env, "HTTP_PROXY=", "HTTPS_PROXY=", "http_proxy=", "https_proxy=", "NO_PROXY=", "no_proxy=")
	return cmd
}

func finish(t *testing.T, cmd *exec.Cmd, input io.Reader) (out, said string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &stdout, &stderr
	defer time.AfterFunc(patience, func() {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
		}
	}).Stop()
	err := cmd.Run()
	return stdout.String(), stderr.String(), statusOf(t, err)
}

func statusOf(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}

// answering is a server that does for each connection what the test says. It answers where it listens.
func answering(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	acceptAll(t, ln, serve)
	return ln.Addr().String()
}

// acceptAll serves until the test ends.
func acceptAll(t *testing.T, ln net.Listener, serve func(net.Conn)) {
	var serving sync.WaitGroup
	var mu sync.Mutex
	var all []net.Conn
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, c)
			mu.Unlock()
			_ = c.SetDeadline(time.Now().Add(patience))
			serving.Go(func() { defer c.Close(); serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, c := range all {
			c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
}

// upgraded is a server that upgrades each connection, and then does what the test says.
func upgraded(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	return answering(t, func(c net.Conn) {
		if _, err := ws.Upgrade(c); err == nil {
			serve(c)
		}
	})
}

// clientFrame reads a frame of a client, unmasked.
func clientFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if f.Header.Length > 64<<20 || !f.Header.Masked {
		return f, fmt.Errorf("a frame of %d bytes, masked: %v", f.Header.Length, f.Header.Masked)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	ws.Cipher(f.Payload, f.Header.Mask, 0)
	return f, err
}

// untilClose reads frames, hands them over, and answers a Close.
func untilClose(c net.Conn, heard func(ws.Frame)) {
	for {
		f, err := clientFrame(c)
		if err != nil {
			return
		}
		switch f.Header.OpCode {
		case ws.OpClose:
			_ = ws.WriteFrame(c, ws.NewCloseFrame(f.Payload))
			return
		case ws.OpPing:
			_ = ws.WriteFrame(c, ws.NewPongFrame(f.Payload))
		default:
			heard(f)
		}
	}
}

// echoing is what a server of echoes does.
func echoing(c net.Conn) {
	untilClose(c, func(f ws.Frame) { _ = ws.WriteFrame(c, ws.NewFrame(f.Header.OpCode, true, f.Payload)) })
}

// refusing is a server whose answer is no WebSocket. The client is read to its end, so that no reset overtakes the answer.
func refusing(t *testing.T, answer string) (addr string) {
	t.Helper()
	return answering(t, func(c net.Conn) {
		readHead(c)
		_, _ = io.WriteString(c, strings.ReplaceAll(answer, "\n", "\r\n"))
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
}

// readHead reads a request's head.
func readHead(c io.Reader) string {
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		if _, err := c.Read(b); err != nil {
			break
		}
		head = append(head, b[0])
	}
	return string(head)
}

// authority signs certificates; file is its own, PEM.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

// newAuthority is an authority that nobody trusts yet.
func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der := signed(t, template, template, a.key, a.key)
	var err error
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = pemFile(t, "ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// issue signs a certificate for 127.0.0.1 and these names; expired is one of yesterday.
func (a *authority) issue(t *testing.T, expired bool, names ...string) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour)}
	if expired {
		template.NotAfter = time.Now().Add(-24 * time.Hour)
	}
	return tls.Certificate{Certificate: [][]byte{signed(t, template, a.certificate, key, a.key)}, PrivateKey: key}
}

func pemFile(t *testing.T, name string, blocks ...*pem.Block) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// secured is a server of echoes over TLS.
func secured(t *testing.T, k *tls.Config) (addr string) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", k)
	if err != nil {
		t.Fatal(err)
	}
	acceptAll(t, ln, func(c net.Conn) {
		if _, err := ws.Upgrade(c); err == nil {
			echoing(c)
		}
	})
	return ln.Addr().String()
}
