package deflate

// scanner reads the value of Sec-WebSocket-Extensions, which is a list (RFC 6455 9.1):
//
//	extension-list  = 1#extension
//	extension       = extension-token *( ";" extension-param )
//	extension-param = token [ "=" ( token | quoted-string ) ]
//
// with the list rule and the implied white space of RFC 2616 2.1: empty elements count for nothing, and space and tab
// may stand around every separator.
type scanner struct {
	text   []byte
	at     int
	number [3]byte // a value unescaped: two digits, and one too many
}

// element is one extension of the list.
type element struct {
	name       []byte
	parameters parameters // read if the name is ours
	malformed  bool       // not the grammar: the element counts for nothing
	invalid    bool       // a parameter of ours is unknown, repeated or has a value it cannot have
}

const extensionName = "permessage-deflate"

// next returns the next element, or false at the end. It costs time linear in the bytes it passes.
func (s *scanner) next() (e element, ok bool) {
	for s.space(); s.skip(','); s.space() {
	}
	if s.at == len(s.text) {
		return e, false
	}
	e.name = s.token()
	e.malformed = len(e.name) == 0
	ours := string(e.name) == extensionName
	for !e.malformed {
		s.space()
		if s.at == len(s.text) || s.text[s.at] == ',' {
			return e, true
		}
		if !s.skip(';') {
			break
		}
		name, value, ok := s.parameter()
		if !ok {
			break
		}
		if ours && !e.parameters.set(name, value) {
			e.invalid = true
		}
	}
	e.malformed = true
	s.recover()
	return e, true
}

// value is what follows a parameter's "=".
type value struct {
	given bool
	text  []byte // until the next parameter; of an unescaped one the first three bytes, as a longer one is no number
}

func (s *scanner) parameter() (name []byte, v value, ok bool) {
	s.space()
	if name = s.token(); len(name) == 0 {
		return nil, v, false
	}
	s.space()
	if !s.skip('=') {
		return name, v, true
	}
	s.space()
	v.given = true
	if s.skip('"') {
		v.text, ok = s.quoted()
	} else {
		v.text = s.token()
		ok = len(v.text) != 0
	}
	return name, v, ok
}

// quoted reads the rest of a quoted-string. Unescaped it has to be a token (RFC 6455 9.1).
func (s *scanner) quoted() ([]byte, bool) {
	n, from := 0, s.at
	escapes := false
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		if c == '"' {
			if escapes {
				return s.number[:min(n, len(s.number))], n > 0
			}
			return s.text[from : s.at-1], n > 0
		}
		if c == '\\' && s.at < len(s.text) {
			escapes = true
			c = s.text[s.at]
			s.at++
		}
		if !isToken[c] {
			s.at = from // let recover find the end of the string
			s.inString()
			return nil, false
		}
		if n < len(s.number) {
			s.number[n] = c
		}
		n++
	}
	return nil, false
}

// inString moves behind a quoted-string that is not a token.
func (s *scanner) inString() {
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch c {
		case '\\':
			s.at = min(s.at+1, len(s.text))
		case '"':
			return
		}
	}
}

// recover moves to the comma that ends a malformed element, so that the elements after it are read as they are meant.
func (s *scanner) recover() {
	for s.at < len(s.text) && s.text[s.at] != ',' {
		s.at++
		if s.text[s.at-1] == '"' {
			s.inString()
		}
	}
}

func (s *scanner) space() {
	for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == '\t') {
		s.at++
	}
}

func (s *scanner) skip(c byte) bool {
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) token() []byte {
	from := s.at
	for s.at < len(s.text) && isToken[s.text[s.at]] {
		s.at++
	}
	return s.text[from:s.at]
}

// isToken holds the characters of a token (RFC 2616 2.2, RFC 9110 5.6.2).
var isToken = func() (t [256]bool) {
	for c := '!'; c <= '~'; c++ {
		t[c] = true
	}
	for _, c := range `()<>@,;:\"/[]?={}` {
		t[c] = false
	}
	return t
}()
