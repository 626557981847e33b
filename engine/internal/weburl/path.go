package weburl

import (
	"strings"
	"unicode/utf8"
)

// setPath sets the path to the segments before, and those of rest.
func (u *URL) setPath(before []string, rest string) {
	var room [8]string
	path := append(room[:0], before...)
	for {
		i := strings.IndexAny(rest, "/\\")
		last := i < 0
		segment := rest
		if !last {
			segment, rest = rest[:i], rest[i+1:]
		}
		switch dotsOf(segment) {
		case 2:
			path = path[:max(len(path)-1, 0)]
			if last {
				path = append(path, "")
			}
		case 1:
			if last {
				path = append(path, "")
			}
		default:
			path = append(path, encode(segment, inPath))
		}
		if last {
			break
		}
	}
	u.Path = "/" + strings.Join(path, "/")
}

// dotsOf tells whether a segment is one dot or two, each perhaps percent-encoded; else it is 0.
func dotsOf(s string) (n int) {
	for s != "" {
		switch {
		case s[0] == '.':
			s = s[1:]
		case len(s) >= 3 && s[0] == '%' && s[1] == '2' && s[2]|0x20 == 'e':
			s = s[3:]
		default:
			return 0
		}
		if n++; n > 2 {
			return 0
		}
	}
	return n
}

// part is a part of a URL with a percent-encode set of its own.
type part string

// What is encoded in each part, besides control characters, the space and what is not ASCII.
const (
	inQuery    part = "\"#<>'"
	inPath     part = "\"#<>?^`{}"
	inUserinfo part = "\"#<>?^`{}/:;=@[\\]|"
)

// encode percent-encodes what the part cannot hold. What is not UTF-8 becomes U+FFFD, as everywhere in a browser.
func encode(s string, p part) string {
	if !needsEncoding(s, p) {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if mustEncode(c, p) {
				b = appendEncoded(b, c)
			} else {
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		for _, c := range utf8.AppendRune(nil, r) {
			b = appendEncoded(b, c)
		}
		i += n
	}
	return string(b)
}

func needsEncoding(s string, p part) bool {
	for i := 0; i < len(s); i++ {
		if mustEncode(s[i], p) {
			return true
		}
	}
	return false
}

func mustEncode(c byte, p part) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte(string(p), c) >= 0
}

func appendEncoded(b []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(b, '%', hex[c>>4], hex[c&15])
}

// decode undoes percent-encoding; a percent sign that begins none stays.
func decode(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if high, low := unhex(s[i+1]), unhex(s[i+2]); high >= 0 && low >= 0 {
				b = append(b, byte(high<<4|low))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) int {
	switch d := c | 0x20; {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= d && d <= 'f':
		return int(d-'a') + 10
	}
	return -1
}
