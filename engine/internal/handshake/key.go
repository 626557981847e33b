package handshake

import (
	"crypto/fips140"
	"crypto/sha1"
	"encoding/base64"
)

const (
	keyLen    = 24                                     // 16 bytes in base64
	acceptLen = 28                                     // 20 bytes in base64
	keyGUID   = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 1.3
)

// validKey checks RFC 6455 4.2.1: a base64 value that decodes to 16 bytes. The alphabet is
// RFC 4648 4; the bits that pad the last byte must be zero (3.5), so that of the 22nd digit
// only the top two bits are free.
func validKey(key []byte) bool {
	if len(key) != keyLen || key[22] != '=' || key[23] != '=' {
		return false
	}
	for _, c := range key[:21] {
		if !isBase64(c) {
			return false
		}
	}
	switch key[21] {
	case 'A', 'Q', 'g', 'w':
		return true
	}
	return false
}

func isBase64(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '+' || c == '/'
}

// AcceptKey appends the Sec-WebSocket-Accept value for a Sec-WebSocket-Key (RFC 6455 4.2.2):
// base64 of the SHA-1 of the key as it was sent and a fixed GUID. Nothing is allocated if dst
// has room for 28 bytes and the key is one that CheckUpgrade passed.
func AcceptKey(dst, key []byte) []byte {
	var room [keyLen + len(keyGUID)]byte
	sum := proof(append(append(room[:0], key...), keyGUID...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// proof is SHA-1, which shows here that the peer has read RFC 6455 and protects nothing: a
// program that runs with GODEBUG=fips140=only must not panic over it.
func proof(b []byte) (sum [sha1.Size]byte) {
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(b) })
	return sum
}
