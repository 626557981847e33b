package engine

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// The types of a TLS record (RFC 8446, 5.1).
const (
	recordChangeCipherSpec = 20
	recordAlert            = 21
	recordHandshake        = 22
	recordData             = 23
)

// Alerts that an attacker sends, or hears (RFC 8446, 6).
const (
	alertCloseNotify  = 0
	alertUserCanceled = 90
)

// forger is the other end of a TLS connection, and seals its records by hand once the handshake is done, so that it can say what
// crypto/tls never would. It reads as crypto/tls does. It is a net.Conn: what is written is application data.
type forger struct {
	*tls.Conn
	wire   *wiretap
	v13    bool
	hash   func() hash.Hash
	secret []byte // of our records, TLS 1.3
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// forge makes a handshake over nc, as make wants it, and takes over.
func forge(t testing.TB, nc net.Conn, config *tls.Config, side func(net.Conn, *tls.Config) *tls.Conn) *forger {
	t.Helper()
	f, err := forgeOver(nc, config, side)
	if err != nil {
		t.Fatal("the forger's handshake:", err)
	}
	return f
}

func forgeOver(nc net.Conn, config *tls.Config, side func(net.Conn, *tls.Config) *tls.Conn) (*forger, error) {
	var keys keyLog
	config = config.Clone()
	config.KeyLogWriter = &keys
	config.SessionTicketsDisabled = true // they count as records of ours
	config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	f := &forger{wire: &wiretap{Conn: nc}}
	f.Conn = side(f.wire, config)
	if err := f.Handshake(); err != nil {
		return nil, err
	}
	f.wire.setMute()
	state, ours := f.ConnectionState(), "CLIENT"
	serves, random := f.wire.serves()
	if serves {
		ours = "SERVER"
	}
	if f.v13 = state.Version == tls.VersionTLS13; f.v13 {
		f.hash = sha256.New
		if state.CipherSuite == tls.TLS_AES_256_GCM_SHA384 {
			f.hash = sha512.New384
		}
		_, f.secret = keys.find(ours + "_TRAFFIC_SECRET_0")
		f.setKeys13(state.CipherSuite)
		return f, nil
	}
	clientRandom, master := keys.find("CLIENT_RANDOM")
	f.setKeys12(master, append(random, clientRandom...), ours)
	return f, nil
}

// forgeClient is a forger that has connected to a server.
func forgeClient(t testing.TB, s *Server, config *tls.Config) *forger {
	t.Helper()
	return forge(t, dialBare(t, s), config, tls.Client)
}

// dialBare connects to a server and says nothing, of TLS neither.
func dialBare(t testing.TB, s *Server) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// forgeServer is the server's side of the same.
func forgeServer(nc net.Conn, config *tls.Config) (*forger, error) {
	return forgeOver(nc, config, tls.Server)
}

func (f *forger) setKeys13(suite uint16) {
	size := 16
	if suite == tls.TLS_AES_256_GCM_SHA384 {
		size = 32
	}
	f.aead, f.iv, f.seq = gcm(f.expand("key", size)), f.expand("iv", 12), 0
}

// expand is HKDF-Expand-Label of our secret (RFC 8446, 7.1).
func (f *forger) expand(label string, n int) []byte {
	label = "tls13 " + label
	info := append(binary.BigEndian.AppendUint16(nil, uint16(n)), byte(len(label)))
	info = append(append(info, label...), 0)
	key, err := hkdf.Expand(f.hash, f.secret, string(info), n)
	if err != nil {
		panic(err)
	}
	return key
}

// setKeys12 derives the keys of TLS 1.2 (RFC 5246, 6.3). Our Finished was the first record under them.
func (f *forger) setKeys12(master, randoms []byte, ours string) {
	seed := append([]byte("key expansion"), randoms...)
	mac := func(parts ...[]byte) []byte {
		h := hmac.New(sha256.New, master)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	var block []byte
	for a := mac(seed); len(block) < 40; a = mac(a) {
		block = append(block, mac(a, seed)...)
	}
	key, iv := block[:16], block[32:36]
	if ours == "SERVER" {
		key, iv = block[16:32], block[36:40]
	}
	f.aead, f.iv, f.seq = gcm(key), iv, 1
}

func gcm(key []byte) cipher.AEAD {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	g, err := cipher.NewGCM(b)
	if err != nil {
		panic(err)
	}
	return g
}

// record seals one record.
func (f *forger) record(kind byte, p []byte) []byte {
	n := f.seq
	f.seq++
	if f.v13 {
		inner := append(bytes.Clone(p), kind)
		head := recordHead(recordData, len(inner)+16)
		nonce := bytes.Clone(f.iv)
		for i, b := range binary.BigEndian.AppendUint64(nil, n) {
			nonce[4+i] ^= b
		}
		return f.aead.Seal(head, nonce, inner, head)
	}
	head := append(recordHead(kind, 8+len(p)+16), binary.BigEndian.AppendUint64(nil, n)...)
	aad := append(binary.BigEndian.AppendUint64(nil, n), recordHead(kind, len(p))...)
	return f.aead.Seal(head, append(bytes.Clone(f.iv), head[5:]...), p, aad)
}

// recordHead is the header of a record of n bytes.
func recordHead(kind byte, n int) []byte { return []byte{kind, 3, 3, byte(n >> 8), byte(n)} }

// data seals application data, in records of at most so many bytes.
func (f *forger) data(p []byte, most int) (b []byte) {
	for len(p) > 0 {
		n := min(len(p), most)
		b, p = append(b, f.record(recordData, p[:n])...), p[n:]
	}
	return b
}

// alert seals one; a level of 1 is a warning.
func (f *forger) alert(level, what byte) []byte { return f.record(recordAlert, []byte{level, what}) }

// keyUpdate seals one, and takes the new keys (RFC 8446, 4.6.3).
func (f *forger) keyUpdate(requested bool) []byte {
	m := []byte{24, 0, 0, 1, 0}
	if requested {
		m[4] = 1
	}
	b := f.record(recordHandshake, m)
	f.secret = f.expand("traffic upd", f.hash().Size())
	f.setKeys13(f.ConnectionState().CipherSuite)
	return b
}

// Write seals application data.
func (f *forger) Write(p []byte) (int, error) {
	if _, err := f.wire.Conn.Write(f.data(p, 1<<14)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// raw says bytes as they are, below TLS.
func (f *forger) raw(b []byte) error {
	_, err := f.wire.Conn.Write(b)
	return err
}

// Close closes the socket, without a word.
func (f *forger) Close() error { return f.wire.Conn.Close() }

// wiretap is the socket below a forger's handshake. It keeps the first bytes of each direction, and once muted swallows what crypto/tls
// says: its records would have the numbers of the forger's.
type wiretap struct {
	net.Conn
	mu      sync.Mutex
	mute    bool
	in, out []byte
}

const helloRandom = 5 + 4 + 2 // where a hello's random is: behind the heads of record and message, and the version

func (w *wiretap) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.in = hello(w.in, p[:n])
	return n, err
}

func (w *wiretap) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mute {
		return len(p), nil
	}
	w.out = hello(w.out, p)
	return w.Conn.Write(p)
}

func (w *wiretap) setMute() {
	w.mu.Lock()
	w.mute = true
	w.mu.Unlock()
}

func hello(seen, p []byte) []byte { return append(seen, p[:min(len(p), helloRandom+32-len(seen))]...) }

// serves tells whether ours was the ServerHello, and what its random was.
func (w *wiretap) serves() (ours bool, random []byte) {
	const serverHello = 2
	if ours = w.out[5] == serverHello; ours {
		return ours, w.out[helloRandom:]
	}
	return ours, w.in[helloRandom:]
}

// keyLog keeps what crypto/tls says of its keys.
type keyLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (k *keyLog) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.Write(p)
}

// find is a secret, and the client's random that it goes with.
func (k *keyLog) find(label string) (random, secret []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for line := range strings.Lines(k.b.String()) {
		if w := strings.Fields(line); w[0] == label {
			random, _ = hex.DecodeString(w[1])
			secret, _ = hex.DecodeString(w[2])
		}
	}
	return random, secret
}

func TestForgerSpeaksTLS(t *testing.T) {
	for name, version := range tlsVersions {
		t.Run(name, func(t *testing.T) {
			s := startServerTLS(t, echoHandler, Options{})
			config := guestTLS()
			config.MinVersion, config.MaxVersion = version, version
			a := attackOver(t, forgeClient(t, s, config), "/echo")
			for range 3 {
				a.say(t, string(maskedFrame(0x81, []byte("hello"))))
				if f, err := a.hear(); err != nil || string(f.payload) != "hello" {
					t.Fatal(f, err)
				}
			}
		})
	}
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
