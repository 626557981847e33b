package connect

import (
	"bufio"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// What a peer sends does not reach a terminal as it is: escape sequences in it could rewrite what stands there, or have the
// terminal type. Control characters are quoted as in Go's strings, so are those that turn the direction of writing or are not to be
// seen, and bytes that are no UTF-8. Tabs stay, and a new line is one.

// appendPrintable appends p as a terminal may have it. Each line but the first begins with indent.
func appendPrintable(dst, p []byte, indent string) []byte {
	for len(p) > 0 {
		n := 0
		for n < len(p) && p[n] >= ' ' && p[n] < 0x7f {
			n++
		}
		dst, p = append(dst, p[:n]...), p[n:]
		if len(p) > 0 {
			r, size := utf8.DecodeRune(p)
			dst = appendRune(dst, r, p[:size], p[size:], indent)
			p = p[size:]
		}
	}
	return dst
}

// appendRune appends one character, which is written as, and comes before rest.
func appendRune(dst []byte, r rune, as, rest []byte, indent string) []byte {
	switch {
	case r == '\n':
		return append(append(dst, '\n'), indent...)
	case r == '\r' && len(rest) > 0 && rest[0] == '\n': // the line ends there
		return dst
	case r == '\t':
		return append(dst, '\t')
	case r == utf8.RuneError && len(as) == 1:
		return append(dst, '\\', 'x', hexDigits[as[0]>>4], hexDigits[as[0]&15])
	case isHarmful(r):
		quoted := strconv.AppendQuoteRuneToASCII(nil, r)
		return append(dst, quoted[1:len(quoted)-1]...)
	}
	return append(dst, as...)
}

const hexDigits = "0123456789abcdef"

// isHarmful: control characters, separators that some terminals take for a new line, marks of direction (a text that
// reads otherwise than it is), and tags.
func isHarmful(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) || r >= 0xe0000 && r <= 0xe007f
}

// printable is a text as a terminal may have it.
func printable(text string) string { return string(appendPrintable(nil, []byte(text), "")) }

// stepBytes is about how much of a message is made printable at a time.
const stepBytes = 32 << 10

// writePrintable writes p as a terminal may have it.
func writePrintable(w *bufio.Writer, p []byte, indent string) {
	for len(p) > 0 {
		n := min(len(p), stepBytes)
		for n < len(p) && (!utf8.RuneStart(p[n]) || p[n] == '\n') { // whole characters, and a CR with its LF
			n++
		}
		_, _ = w.Write(appendPrintable(w.AvailableBuffer(), p[:n], indent)) // Flush answers what went wrong
		p = p[n:]
	}
}
