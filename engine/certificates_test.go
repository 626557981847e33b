package engine

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
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// issuer signs certificates of the tests.
type issuer struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newIssuer(t testing.TB, name string) *issuer {
	t.Helper()
	i := &issuer{t: t}
	i.key, i.cert, i.pem = i.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(1000 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return i
}

func (i *issuer) sign(what *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate, []byte) {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	what.SerialNumber = big.NewInt(time.Now().UnixNano())
	parent, by := i.cert, i.key
	if parent == nil {
		parent, by = what, key
	}
	der, err := x509.CreateCertificate(rand.Reader, what, parent, key.Public(), by)
	if err != nil {
		i.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue makes a certificate for house.example that is valid from and to so long from now, with the issuer's behind it, and its key.
func (i *issuer) issue(name string, from, to time.Duration) (chain, key []byte) {
	i.t.Helper()
	private, _, leaf := i.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{"house.example"},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to)})
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		i.t.Fatal(err)
	}
	return append(leaf, i.pem...), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// pair is one of a day.
func (i *issuer) pair(name string) (tls.Certificate, []byte, []byte) {
	i.t.Helper()
	chain, key := i.issue(name, -time.Hour, 500*time.Hour)
	c, err := tls.X509KeyPair(chain, key)
	if err != nil {
		i.t.Fatal(err)
	}
	return c, chain, key
}

// shelf is where the files of a test lie, and a clock for who watches them.
type shelf struct {
	t         testing.TB
	dir       string
	cert, key string
	log       sharedLog
	mu        sync.Mutex
	clock     time.Time
}

func newShelf(t testing.TB, chain, key []byte) *shelf {
	dir := t.TempDir()
	s := &shelf{t: t, dir: dir, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), clock: time.Now()}
	s.put(s.cert, chain)
	s.put(s.key, key)
	return s
}

func (s *shelf) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&s.log, nil)) }

func (s *shelf) put(path string, b []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) must(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *shelf) later(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(by)
}

// watch is WatchCertificate by the shelf's clock, with looks that are waited for.
func (s *shelf) watch(cert, key string) *Certificate {
	s.t.Helper()
	k, err := WatchCertificate(cert, key, s.logger())
	if err != nil {
		s.t.Fatal(err)
	}
	k.files.now, k.files.due, k.files.patience = s.now, s.now().Add(lookAgain), timeoutOf(60)
	return k
}

// serves tells what is served when the next look is due.
func (s *shelf) serves(k *Certificate, want string) {
	s.t.Helper()
	s.later(lookAgain)
	s.servesNow(k, want)
}

func (s *shelf) servesNow(k *Certificate, want string) {
	s.t.Helper()
	c, err := k.GetCertificate(nil)
	if err != nil || c.Leaf.Subject.CommonName != want {
		s.t.Errorf("served %v, %v, want %s", c.Leaf.Subject, err, want)
	}
	if own, err := k.GetClientCertificate(nil); err != nil || own != c {
		s.t.Error("a client shows another one:", err)
	}
}

// says tells how often the log has said something.
func (s *shelf) says(text string, times int) {
	s.t.Helper()
	if n := strings.Count(s.log.String(), text); n != times {
		s.t.Errorf("%q was logged %d times, want %d:\n%s", text, n, times, s.log.String())
	}
}

// TestCertificateReplaced: however the files are replaced, the new certificate is served at the next look, and that is logged once.
func TestCertificateReplaced(t *testing.T) {
	by := newIssuer(t, "authority")
	_, oldChain, oldKey := by.pair("old")
	_, newChain, newKey := by.pair("new")
	for name, replace := range map[string]func(s *shelf) (step func()){
		"in place": func(s *shelf) func() {
			return func() { s.put(s.cert, newChain); s.put(s.key, newKey) }
		},
		"by rename": func(s *shelf) func() {
			return func() {
				for path, b := range map[string][]byte{s.cert: newChain, s.key: newKey} {
					s.put(path+".new", b)
					s.must(os.Rename(path+".new", path))
				}
			}
		},
		"removed and written": func(s *shelf) func() {
			return func() { s.must(os.Remove(s.cert), os.Remove(s.key)); s.put(s.cert, newChain); s.put(s.key, newKey) }
		},
		"a link for each file": func(s *shelf) func() { // certbot: live/name/cert.pem -> ../../archive/name/cert1.pem
			link := func(path, to string) {
				s.must(os.Symlink(to, path+".link"), os.Rename(path+".link", path))
			}
			at := func(name string, b []byte) string { p := filepath.Join(s.dir, name); s.put(p, b); return p }
			link(s.cert, at("cert1", oldChain))
			link(s.key, at("key1", oldKey))
			return func() { link(s.cert, at("cert2", newChain)); link(s.key, at("key2", newKey)) }
		},
		"a link for the folder": func(s *shelf) func() { // Kubernetes: cert.pem -> ..data/cert.pem, ..data -> ..2026_11_30
			folder := func(name string, chain, key []byte) {
				s.must(os.Mkdir(filepath.Join(s.dir, name), 0o700))
				s.put(filepath.Join(s.dir, name, "cert.pem"), chain)
				s.put(filepath.Join(s.dir, name, "key.pem"), key)
				s.must(os.Symlink(name, filepath.Join(s.dir, "..tmp")), os.Rename(filepath.Join(s.dir, "..tmp"), filepath.Join(s.dir, "..data")))
			}
			folder("..1", oldChain, oldKey)
			for _, path := range []string{s.cert, s.key} {
				s.must(os.Remove(path), os.Symlink(filepath.Join("..data", filepath.Base(path)), path))
			}
			return func() { folder("..2", newChain, newKey) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, oldChain, oldKey)
			step := replace(s)
			k := s.watch(s.cert, s.key)
			s.serves(k, "old")
			step()
			s.servesNow(k, "old") // a look a second
			s.serves(k, "new")
			s.serves(k, "new")
			s.says("a new certificate is in use", 1)
			s.says("does not load", 0)
		})
	}
}

// TestCertificateInSteps: a pair that does not fit yet keeps the old one, whichever file came first, and is served once it fits.
func TestCertificateInSteps(t *testing.T) {
	by := newIssuer(t, "authority")
	_, oldChain, oldKey := by.pair("old")
	_, newChain, newKey := by.pair("new")
	for _, keyFirst := range []bool{false, true} {
		s := newShelf(t, oldChain, oldKey)
		k := s.watch(s.cert, s.key)
		first, then := func() { s.put(s.cert, newChain) }, func() { s.put(s.key, newKey) }
		if keyFirst {
			first, then = then, first
		}
		first()
		s.serves(k, "old")
		s.serves(k, "old")
		s.says("private key does not match", 1)
		then()
		s.serves(k, "new")
		s.says("a new certificate is in use", 1)
	}
}

// TestCertificateInOneFile: certificate, chain and key may stand in one file.
func TestCertificateInOneFile(t *testing.T) {
	by := newIssuer(t, "authority")
	_, oldChain, oldKey := by.pair("old")
	_, newChain, newKey := by.pair("new")
	s := newShelf(t, bytes.Join([][]byte{oldKey, oldChain}, nil), nil)
	k := s.watch(s.cert, "")
	s.put(s.cert, append(newChain, newKey...))
	s.serves(k, "new")
}

// unloadable is what no certificate is in.
func unloadable(t testing.TB, by *issuer) map[string]func(s *shelf) {
	_, chain, key := by.pair("broken")
	_, _, otherKey := by.pair("other")
	legacy := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("?")})
	return map[string]func(s *shelf){
		"no PEM":             func(s *shelf) { s.put(s.cert, []byte("no PEM")) },
		"empty":              func(s *shelf) { s.put(s.cert, nil) },
		"an empty key":       func(s *shelf) { s.put(s.key, nil) },
		"no file":            func(s *shelf) { s.must(os.Remove(s.cert)) },
		"a folder":           func(s *shelf) { s.must(os.Remove(s.cert), os.Mkdir(s.cert, 0o700)) },
		"a link to nowhere":  func(s *shelf) { s.must(os.Remove(s.key), os.Symlink("nowhere", s.key)) },
		"another's key":      func(s *shelf) { s.put(s.cert, chain); s.put(s.key, otherKey) },
		"exchanged":          func(s *shelf) { s.put(s.cert, key); s.put(s.key, chain) },
		"cut in the leaf":    func(s *shelf) { s.put(s.cert, chain[:200]); s.put(s.key, key) },
		"cut in the chain":   func(s *shelf) { s.put(s.cert, chain[:len(chain)-50]); s.put(s.key, key) },
		"an encrypted key":   func(s *shelf) { s.put(s.key, bytes.ReplaceAll(key, []byte("PRIVATE"), []byte("ENCRYPTED PRIVATE"))) },
		"a key encrypted so": func(s *shelf) { s.put(s.key, legacy) },
		"a chain of junk": func(s *shelf) {
			s.put(s.cert, append(chain[:len(chain):len(chain)], junkCertificate...))
			s.put(s.key, key)
		},
		"a certificate of junk": func(s *shelf) { s.put(s.cert, junkCertificate); s.put(s.key, key) },
	}
}

var junkCertificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("junk")})

// TestCertificateDoesNotLoad: the old certificate is served, the log says once which files, why, and what to do; the next good one is served.
func TestCertificateDoesNotLoad(t *testing.T) {
	by := newIssuer(t, "authority")
	_, oldChain, oldKey := by.pair("old")
	_, newChain, newKey := by.pair("new")
	for name, breakIt := range unloadable(t, by) {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, oldChain, oldKey)
			k := s.watch(s.cert, s.key)
			breakIt(s)
			for range 5 {
				s.serves(k, "old")
			}
			s.says("level=ERROR", 1)
			s.says("a new certificate does not load", 1)
			s.says("todo=", 1)
			s.says(filepath.Base(s.cert), 1+strings.Count(s.log.String(), "err=\"open "+s.cert)+strings.Count(s.log.String(), "err=\"read "+s.cert))
			s.must(os.RemoveAll(s.cert), os.RemoveAll(s.key))
			s.put(s.cert, newChain)
			s.put(s.key, newKey)
			s.serves(k, "new")
			s.says("level=ERROR", 1)
			s.says("a new certificate is in use", 1)
		})
	}
}

// TestCertificateMustLoadFirst: what does not load in the beginning is an error that says why.
func TestCertificateMustLoadFirst(t *testing.T) {
	by := newIssuer(t, "authority")
	_, chain, key := by.pair("old")
	for name, breakIt := range unloadable(t, by) {
		s := newShelf(t, chain, key)
		breakIt(s)
		if k, err := WatchCertificate(s.cert, s.key, s.logger()); err == nil || k != nil || !strings.HasPrefix(err.Error(), "gannet: certificate") ||
			!strings.Contains(err.Error(), s.dir) || s.log.String() != "" {
			t.Errorf("%s: %v, %v, %s", name, k, err, s.log.String())
		}
		_, err := WatchClientCAs(s.cert, nil)
		if broken := name != "an empty key" && !strings.Contains(name, "key encrypted") && !strings.Contains(name, "encrypted key") &&
			name != "a link to nowhere" && name != "another's key"; (err != nil) != broken {
			t.Errorf("client authorities, %s: %v", name, err)
		}
	}
	if _, err := WatchCertificate(filepath.Join(t.TempDir(), "none"), "", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := WatchCertificate("", "", nil); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
	if _, err := WatchClientCAs("", nil); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
}

// TestCertificateExpiry: what has expired, is not valid yet or expires soon is served, and said when it loads, when that changes, and once a day.
func TestCertificateExpiry(t *testing.T) {
	const day = 24 * time.Hour
	by := newIssuer(t, "authority")
	for _, k := range []struct {
		from, to   time.Duration
		says, next string // now, and 16 days later
	}{
		{-day, 89 * day, "", ""},
		{-77 * day, 13 * day, "expires soon", "has expired"},
		{-61 * day, 29 * day, "", "expires soon"},
		{-3 * day, 3 * day, "", "has expired"}, // half of a short life
		{-5 * day, day, "expires soon", "has expired"},
		{-90 * day, -time.Hour, "has expired", "has expired"},
		{day, 90 * day, "is not valid yet", ""},
	} {
		chain, key := by.issue("clock", k.from, k.to)
		s := newShelf(t, chain, key)
		c := s.watch(s.cert, s.key)
		count := func(of string) int { return strings.Count(s.log.String(), "the certificate "+of) }
		if n := count(""); n != min(1, len(k.says)) || k.says != "" && count(k.says) != 1 {
			t.Errorf("valid for %v: %s", k.to, s.log.String())
		}
		for range 20 {
			s.serves(c, "clock")
		}
		if n := count(""); n != min(1, len(k.says)) {
			t.Errorf("valid for %v, again at once: %s", k.to, s.log.String())
		}
		s.later(16 * day)
		before := count(k.next)
		for range 20 {
			s.serves(c, "clock")
		}
		if k.next != "" && count(k.next) != before+1 || k.next == "" && count("") != min(1, len(k.says)) {
			t.Errorf("valid for %v, 16 days later: %s", k.to, s.log.String())
		}
	}
}

// TestCertificateRenewed: a renewed certificate ends the warnings; one that expires soon as well is warned of at once.
func TestCertificateRenewed(t *testing.T) {
	by := newIssuer(t, "authority")
	chain, key := by.issue("old", -100*time.Hour, time.Hour)
	s := newShelf(t, chain, key)
	k := s.watch(s.cert, s.key)
	s.says("expires soon", 1)
	s.put(s.cert, junkCertificate)
	s.serves(k, "old") // said for the old one, which stays
	chain, key = by.issue("middle", -100*time.Hour, 2*time.Hour)
	s.put(s.cert, chain)
	s.put(s.key, key)
	s.serves(k, "middle")
	s.says("expires soon", 2)
	chain, key = by.issue("new", -100*time.Hour, 5000*time.Hour)
	s.put(s.cert, chain)
	s.put(s.key, key)
	s.serves(k, "new")
	s.later(48 * time.Hour)
	s.serves(k, "new")
	s.says("expires soon", 2)
}

// TestCertificateLateDisk: handshakes do not wait for files that cannot be read just now, and not for each other.
func TestCertificateLateDisk(t *testing.T) {
	by := newIssuer(t, "authority")
	_, oldChain, oldKey := by.pair("old")
	_, newChain, newKey := by.pair("new")
	s := newShelf(t, oldChain, oldKey)
	k := s.watch(s.cert, s.key)
	k.files.patience = time.Millisecond
	parse, hangs := k.files.parse, make(chan struct{})
	k.files.parse = func(contents [][]byte) (*tls.Certificate, validity, error) {
		<-hangs
		return parse(contents)
	}
	s.put(s.cert, newChain)
	s.put(s.key, newKey)
	s.serves(k, "old")
	s.serves(k, "old") // the look is under way: nobody else begins one
	close(hangs)
	within(t, timeoutOf(5), "the new one", func() bool {
		c, _ := k.GetCertificate(nil)
		return c.Leaf.Subject.CommonName == "new"
	})
}

// TestCertificateAtOnce: many handshakes while the files change see the old or the new certificate, each with its key.
func TestCertificateAtOnce(t *testing.T) {
	by := newIssuer(t, "authority")
	_, chain, key := by.pair("name")
	s := newShelf(t, chain, key)
	k := s.watch(s.cert, s.key)
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s.later(lookAgain)
				c, _ := k.GetCertificate(nil)
				if !c.Leaf.PublicKey.(*ecdsa.PublicKey).Equal(c.PrivateKey.(*ecdsa.PrivateKey).Public()) {
					t.Error("a certificate with another's key")
					return
				}
			}
		})
	}
	for range 20 {
		_, chain, key := by.pair("name")
		s.put(s.key, key)
		s.put(s.cert, chain)
	}
	close(stop)
	all.Wait()
}
