package codec

//go:generate env GOWORK=off go -C _asm run . -out ../utf8_amd64.s -stubs ../utf8_amd64.go -pkg codec

// UTF8 validates a text that arrives in pieces: the fragments of a message, or
// the reads of a fragment (RFC 6455 5.6 and 8.1: a text message is UTF-8 as a
// whole, its fragments need not be). It refuses at the first byte that cannot
// continue any valid text, so a peer is answered with 1007 before the rest of
// its code point, frame or message has been read.
//
// Valid means RFC 3629 section 4: no overlong form, no surrogate, nothing above
// U+10FFFF. Noncharacters and a byte-order mark are valid.
//
// The zero value is ready for the first byte of a text. It is four bytes, holds
// no reference to what it has seen, and belongs to one goroutine at a time.
type UTF8 struct {
	need   uint8 // continuation bytes the last code point still lacks
	lo, hi uint8 // what the next of them must lie in; an empty range after a failure
}

// Write validates the next bytes of the text. It returns len(p) and true when
// they can all belong to a valid text, and otherwise the index in p of the
// first byte that cannot, and false. That byte may be in the middle of a code
// point which an earlier Write began. p is only read, and not kept.
//
// After a failure every Write returns 0 and false until Reset.
func (v *UTF8) Write(p []byte) (at int, ok bool) {
	if v.need != 0 {
		return v.resume(p)
	}
	if at = utf8Prefix(p); at == len(p) {
		return at, true
	}
	return v.reread(p, at)
}

// Complete reports whether the text so far ends where a code point ends. A text
// message whose last fragment leaves it false is invalid (1007). It is true for
// an empty text and false after a failure.
func (v *UTF8) Complete() bool { return v.need == 0 }

// Reset makes v ready for the first byte of another text.
func (v *UTF8) Reset() { *v = UTF8{} }

// ValidUTF8 reports whether p is wholly valid UTF-8, which is to say that a
// Write of p succeeds and leaves the text complete. It agrees with
// unicode/utf8.Valid on every input, and is safe for concurrent use.
func ValidUTF8(p []byte) bool { return utf8Prefix(p) == len(p) }
