package connect

import "bytes"

// deepest is how far JSON is indented: what lies deeper would be more blanks than text, and a peer could have few
// bytes make very many.
const deepest = 64

// prettyJSON gives JSON that is valid a line for each member and element, piece by piece. Members, numbers and strings stay
// as they came, and in their order. A piece is a token or what stands between two.
func prettyJSON(p []byte, piece func([]byte)) {
	depth := 0
	newLine := func() { piece(lineIndents[:1+2*min(depth, deepest)]) }
	for i := 0; i < len(p); {
		switch b := p[i]; b {
		case ' ', '\t', '\r', '\n':
			i++
		case '{', '[':
			i++
			for i < len(p) && bytes.IndexByte([]byte(" \t\r\n"), p[i]) >= 0 {
				i++
			}
			if p[i] == b+2 { // the end of the same kind: nothing in between
				piece([]byte{b, b + 2})
				i++
				continue
			}
			piece([]byte{b})
			depth++
			newLine()
		case '}', ']':
			depth--
			newLine()
			piece([]byte{b})
			i++
		case ',':
			piece([]byte{','})
			newLine()
			i++
		case ':':
			piece([]byte(": "))
			i++
		default:
			n := tokenLength(p[i:])
			piece(p[i : i+n])
			i += n
		}
	}
}

// lineIndents is a new line and the deepest indentation.
var lineIndents = append([]byte{'\n'}, bytes.Repeat([]byte("  "), deepest)...)

// tokenLength is the length of the string, number or name that p begins with.
func tokenLength(p []byte) int {
	if p[0] != '"' {
		if n := bytes.IndexAny(p, " \t\r\n,:]}"); n >= 0 {
			return n
		}
		return len(p)
	}
	for i := 1; i < len(p); i++ {
		switch p[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(p)
}
