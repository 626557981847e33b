package handshake

import "bytes"

// Answer is the head of a server's response. Every slice is a view of the bytes given to Parse and lives as long as they
// stay in place; what is to be kept is copied. The zero value is ready, and one Answer may serve any number of Parse
// calls, which reuse its arrays.
type Answer struct {
	Status int // 100 to 999
	Reason []byte
	// Protocol is the first Sec-WebSocket-Protocol field's value; nil: there is none.
	Protocol []byte
	// Extensions are the Sec-WebSocket-Extensions values, one a line, not looked into.
	Extensions [][]byte
	// Headers are all fields in order, those above included.
	Headers []Field

	accept         []byte // Sec-WebSocket-Accept, the first
	upgrade        []byte // Upgrade, the first
	seen           seen
	connectionAsks bool // "upgrade" among the Connection options
	http10         bool
}

const (
	seenAccept seen = 1 << iota
	seenProtocol
	seenUpgrade
)

// AnswerParser remembers how far an unfinished head was looked at; see Parser. The zero value is ready, and it is
// zero again after a head has ended or was refused.
type AnswerParser struct {
	head    Parser
	started bool
}

// Parse looks for a whole response head in b, as Parser.Parse does for a request's. An error is always a *Fault.
func (p *AnswerParser) Parse(b []byte, a *Answer, l Limits) (n int, err error) {
	if !startsAsHTTP(b) {
		*p = AnswerParser{}
		return 0, faultOfGreeting(b[0])
	}
	if !p.started {
		p.started, p.head.method = true, true // an answer begins with no method
	}
	end, refused := p.head.scan(b, l.effective())
	if end == 0 && refused == nil {
		return 0, nil
	}
	*p = AnswerParser{}
	if refused != nil {
		return 0, faultOfHead[refused]
	}
	if f := a.parse(b[:end:end]); f != nil {
		return 0, f
	}
	return end, nil
}

// startsAsHTTP refuses at the first byte that begins no HTTP/1 response: a TLS alert or a greeting of another protocol need
// not time out.
func startsAsHTTP(b []byte) bool {
	const begin = "HTTP/1."
	n := min(len(b), len(begin))
	return string(b[:n]) == begin[:n]
}

// tlsAlert begins what a TLS server says to a request that is not encrypted (RFC 8446 5.1), and begins no text.
const tlsAlert = 21

func faultOfGreeting(first byte) *Fault {
	if first == tlsAlert {
		return faultTLS
	}
	return faultNotHTTP
}

// Reset forgets the answer and every view of its bytes, and keeps the arrays for the next.
func (a *Answer) Reset() {
	clear(a.Headers)
	clear(a.Extensions)
	*a = Answer{Headers: a.Headers[:0], Extensions: a.Extensions[:0]}
}

// parse fills a from a whole head, of which scan has made sure what Request.parse relies on.
func (a *Answer) parse(head []byte) *Fault {
	a.Reset()
	at := bytes.IndexByte(head, '\n') + 1
	if f := a.parseStatusLine(head[:at-2]); f != nil {
		return f
	}
	for end := len(head) - 2; at < end; {
		field, next, refused := cutField(head, at)
		if refused != nil {
			return faultOfHead[refused]
		}
		a.add(field)
		at = next
	}
	return nil
}

// parseStatusLine takes HTTP-version SP status-code SP [reason-phrase] apart (RFC 9112 4). The space behind the code is left
// out by some; a client should not mind.
func (a *Answer) parseStatusLine(line []byte) *Fault {
	const before = len("HTTP/1.1 ")
	if len(line) < before+3 || !isHTTPVersion(line[:before-1]) || line[before-1] != ' ' {
		return faultStatusLine
	}
	a.http10 = line[7] == '0'
	for _, c := range line[before : before+3] {
		if !isDigit(c) {
			return faultStatusLine
		}
		a.Status = 10*a.Status + int(c-'0')
	}
	rest := line[before+3:]
	if a.Status < 100 || len(rest) > 0 && rest[0] != ' ' || valueEnd(rest, 0) != len(rest) {
		return faultStatusLine
	}
	if len(rest) > 0 {
		a.Reason = rest[1:]
	}
	return nil
}

// add records one field.
func (a *Answer) add(f Field) {
	a.Headers = append(a.Headers, f)
	switch {
	case equalFold(f.Name, "Upgrade"):
		if a.seen.add(seenUpgrade) {
			a.upgrade = f.Value
		}
	case equalFold(f.Name, "Connection"):
		a.connectionAsks = a.connectionAsks || listHas(f.Value, "upgrade")
	case equalFold(f.Name, "Sec-WebSocket-Accept"):
		if a.seen.add(seenAccept) {
			a.accept = f.Value
		}
	case equalFold(f.Name, "Sec-WebSocket-Protocol"):
		if a.seen.add(seenProtocol) {
			a.Protocol = f.Value
		}
	case equalFold(f.Name, "Sec-WebSocket-Extensions"):
		a.Extensions = append(a.Extensions, f.Value)
	}
}

// Header returns the value of the first field of that name, compared without case, or nil if there is none.
func (a *Answer) Header(name string) []byte {
	for i := range a.Headers {
		if equalFold(a.Headers[i].Name, name) {
			return a.Headers[i].Value
		}
	}
	return nil
}

// CheckAnswer decides whether a server's answer opens the connection (RFC 6455 4.1). key is the Sec-WebSocket-Key that was
// sent, and offered the sub-protocols. It returns nil or a *Fault. None chosen though some were offered is a
// fault, as it is in browsers (WHATWG WebSockets 2.2), though RFC 6455 would let it pass.
//
// What it leaves to the caller: the extensions.
func CheckAnswer(a *Answer, key []byte, offered []string) error {
	if f := a.check(key); f != nil {
		return f
	}
	if f := a.checkProtocol(offered); f != nil {
		return f
	}
	return nil
}

func (a *Answer) check(key []byte) *Fault {
	var room [acceptLen]byte
	switch {
	case a.Status != 101:
		return faultStatus
	case a.http10:
		return faultHTTP10
	case a.seen.repeated(seenUpgrade) || !equalFold(a.upgrade, "websocket"):
		return faultUpgrade
	case !a.connectionAsks:
		return faultConnection
	case a.seen&seenAccept == 0:
		return faultNoAccept
	case a.seen.repeated(seenAccept):
		return faultManyAccepts
	case !bytes.Equal(a.accept, AcceptKey(room[:0], key)):
		return faultAccept
	}
	return nil
}

func (a *Answer) checkProtocol(offered []string) *Fault {
	switch {
	case a.seen&seenProtocol == 0 && len(offered) == 0:
		return nil
	case a.seen&seenProtocol == 0:
		return faultNoProtocol
	case len(offered) == 0:
		return faultUnasked
	case a.seen.repeated(seenProtocol) || bytes.IndexByte(a.Protocol, ',') >= 0:
		return faultManyProtocols
	}
	for _, p := range offered {
		if string(a.Protocol) == p { // case counts
			return nil
		}
	}
	return faultProtocol
}
