package handshake

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
)

// RFC 6455 1.3 gives this pair.
func TestAcceptKeyOfTheRFC(t *testing.T) {
	got := string(AcceptKey([]byte("x"), []byte("dGhlIHNhbXBsZSBub25jZQ==")))
	if got != "xs3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %q", got)
	}
	if len(got)-1 != acceptLen {
		t.Errorf("acceptLen is %d", acceptLen)
	}
}

// The strict decoder of encoding/base64 is the oracle, over random keys and over every octet
// in every place of one. It ignores CR and LF, which a key cannot hold.
func TestValidKeyAgainstBase64(t *testing.T) {
	check := func(key []byte) {
		b, err := base64.StdEncoding.Strict().DecodeString(string(key))
		want := err == nil && len(b) == 16 && !strings.ContainsAny(string(key), "\r\n")
		if got := validKey(key); got != want {
			t.Errorf("%q: got %v, want %v", key, got, want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		nonce := make([]byte, 14+rng.IntN(5))
		for i := range nonce {
			nonce[i] = byte(rng.Uint32())
		}
		check([]byte(base64.StdEncoding.EncodeToString(nonce)))
	}
	for place := range keyLen {
		for octet := range 256 {
			key := []byte("q4xkcO32u266gldTuKaSOw==")
			key[place] = byte(octet)
			check(key)
		}
	}
}
