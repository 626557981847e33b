package connect

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// TestPins: base64 of both alphabets, padded or not, hexadecimal digits of both cases, with colons or without, and curl's prefix.
func TestPins(t *testing.T) {
	want := Pin(sha256.Sum256([]byte("key 3"))) // its base64 has both characters in which the alphabets differ
	plain, digits := base64.StdEncoding.EncodeToString(want[:]), hex.EncodeToString(want[:])
	if !strings.Contains(plain, "+") || !strings.Contains(plain, "/") {
		t.Fatal(plain)
	}
	var colons []string
	for i := 0; i < len(digits); i += 2 {
		colons = append(colons, digits[i:i+2])
	}
	for _, text := range []string{
		want.String(), plain, strings.TrimRight(plain, "="), base64.URLEncoding.EncodeToString(want[:]), "sha256/" + plain, " " + plain + " ",
		digits, strings.ToUpper(digits), "sha256//" + digits, "SHA256:" + digits, strings.Join(colons, ":"), strings.ToUpper(strings.Join(colons, ":")),
	} {
		if got, err := ParsePin(text); got != want || err != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "sha256//", plain[1:], plain + "AAAA", digits[1:], digits + "0", "md5//" + plain, strings.Repeat("g", 64), "é"} {
		if got, err := ParsePin(text); err == nil || !strings.Contains(err.Error(), "SHA-256") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
