package netio

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// updater seals a TLS 1.3 client's records by hand, so that it can ask for key updates (RFC 8446 4.6.3), which crypto/tls never does.
type updater struct {
	*line
	secret []byte
	seq    uint64
}

func newUpdater(t *testing.T) *updater {
	t.Helper()
	var keys strings.Builder
	config := serverConfig()
	config.KeyLogWriter = &keys
	l := newLineOf(t, config, clientConfig(tls.VersionTLS13), true)
	if s, _ := l.s.State(lineFD); s.CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("the updater does not speak %s", tls.CipherSuiteName(s.CipherSuite))
	}
	u := &updater{line: l}
	for _, at := range strings.Split(keys.String(), "\n") {
		if words := strings.Fields(at); len(words) == 3 && words[0] == "CLIENT_TRAFFIC_SECRET_0" {
			u.secret, _ = hex.DecodeString(words[2])
		}
	}
	return u
}

// expand is HKDF-Expand-Label (RFC 8446 7.1).
func (u *updater) expand(label string, n int) []byte {
	label = "tls13 " + label
	info := append([]byte{byte(n >> 8), byte(n), byte(len(label))}, label...)
	p, err := hkdf.Expand(sha256.New, u.secret, string(append(info, 0)), n)
	if err != nil {
		u.t.Fatal(err)
	}
	return p
}

func (u *updater) record(kind byte, p []byte) {
	block, _ := aes.NewCipher(u.expand("key", 16))
	aead, _ := cipher.NewGCM(block)
	nonce := u.expand("iv", 12)
	for i, b := range binary.BigEndian.AppendUint64(nil, u.seq) {
		nonce[4+i] ^= b
	}
	u.seq++
	n := len(p) + 1 + aead.Overhead()
	head := []byte{23, 3, 3, byte(n >> 8), byte(n)}
	u.sock.in = append(u.sock.in, aead.Seal(head, nonce, append(bytes.Clone(p), kind), head)...)
}

// update asks for new keys of ours as well.
func (u *updater) update() {
	u.record(recordHandshake, []byte{24, 0, 0, 1, 1})
	u.secret, u.seq = u.expand("traffic upd", 32), 0
}

// The answer to a key update comes between what was sealed before and what is sealed later, and the accounts stay right.
func TestSecureKeyUpdate(t *testing.T) {
	u := newUpdater(t)
	stream := randomBytes(200_000)
	left := 0
	var heard []byte
	for left < len(stream) {
		u.sock.room = 9000 // crypto/tls does not take 16 answers without data
		n, err := u.s.Write(lineFD, stream[left:])
		if err != nil && err != ErrAgain {
			t.Fatal(err)
		}
		left += n
		u.update()
		u.record(23, []byte("x"))
		if p, err := u.read(100); string(p) != "x" || err != nil {
			t.Fatalf("%q, %v", p, err)
		}
		all, err := u.hear()
		if err != nil {
			t.Fatal(err)
		}
		if heard = append(heard, all...); len(heard) < left {
			t.Fatalf("%d bytes were answered, and the peer can open %d", left, len(heard))
		}
	}
	if !bytes.Equal(heard, stream) {
		t.Fatal("the peer has read something else")
	}
	u.update() // without data
	u.turn()
	if p, err := u.read(100); len(p) != 0 || err != ErrAgain {
		t.Fatal(len(p), err)
	}
	if u.k.pending.Load() != 0 {
		t.Fatal("the answer waits, and there is room")
	}
}

// A peer that asks for key updates and does not read is not read any more, so that the answers do not fill our memory.
func TestSecureKeyUpdateFlood(t *testing.T) {
	u := newUpdater(t)
	u.sock.room = 0
	const asked = 2000
	for range asked {
		u.update()
		u.record(23, []byte("x"))
	}
	got := 0
	u.onRead = func() {
		p, err := u.read(1 << 16)
		if err != nil && err != ErrAgain {
			t.Error(err)
		}
		got += len(p)
	}
	for range 100 {
		u.turn()
	}
	if got == 0 || got == asked || len(u.k.out.b) > 2*ownLimit {
		t.Fatalf("%d of %d were read, %d bytes wait", got, asked, len(u.k.out.b))
	}
	if u.sock.watched != Writable {
		t.Fatalf("watched for %b", u.sock.watched)
	}
	for turns := 0; got < asked; turns++ {
		if turns > 100*asked {
			t.Fatalf("%d of %d were read", got, asked)
		}
		u.sock.room = 100
		u.turn()
	}
}
