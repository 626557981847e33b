package handshake

import "bytes"

// Field is one header field line of a request. Both are views; white space around the value
// is not part of it.
type Field struct {
	Name, Value []byte
}

// Request is a parsed request head. Every slice is a view of the bytes given to Parse and
// lives as long as they stay in place; what is to be kept is copied. The zero value is ready,
// and one Request may serve any number of Parse calls, which reuse its arrays.
//
// A field that the request does not have is nil; one that is empty is not.
type Request struct {
	Method, Target, Proto []byte

	// Host is the authority the request is for: the Host field's value or, in an
	// absolute-form target, what is there (RFC 9112 3.2.2: Host is then ignored). It has
	// been checked to be a host and optional port, and may be empty.
	Host []byte
	// Key and Origin are the first such fields' values, as they came.
	Key, Origin []byte
	// Protocols are the sub-protocols offered, in order, those of several
	// Sec-WebSocket-Protocol lines together; what is no token is left out, for no answer could
	// name it. It is whole only when CheckUpgrade passed.
	Protocols [][]byte
	// Extensions are the Sec-WebSocket-Extensions values, one a line, not looked into.
	Extensions [][]byte
	// Headers are all fields in order, those above included.
	Headers []Field

	// Upgrade tells whether the request asks for a WebSocket: "upgrade" is in Connection and
	// "websocket" in Upgrade. It is set whatever the method and version, so that CheckUpgrade
	// can say what is wrong with them.
	Upgrade bool
	// HasBody tells whether bytes of content may follow the head: a Content-Length that is
	// not zero (or not a number), or a Transfer-Encoding.
	HasBody bool

	version          []byte // Sec-WebSocket-Version, the first
	seen             seen
	manyProtocols    bool // more than maxProtocols
	connectionAsks   bool // "upgrade" among the Connection options
	upgradeNames     bool // "websocket" among the Upgrade protocols
	minorVersionZero bool // HTTP/1.0
}

// seen tells which of the fields that may come only once came, and which came again.
type seen uint8

const (
	seenHost seen = 1 << iota
	seenKey
	seenOrigin
	seenVersion

	seenAgain = 4 // a field's bit, shifted by this, is set when it came again
)

func (s *seen) add(field seen) (first bool) {
	if *s&field == 0 {
		*s |= field
		return true
	}
	*s |= field << seenAgain
	return false
}

func (s seen) repeated(field seen) bool { return s&(field<<seenAgain) != 0 }

// IsHandshake tells whether the request means to be an opening handshake: it asks for the
// upgrade, or it has a field that nothing but a handshake has, as when a proxy has taken Upgrade
// or Connection away.
func (r *Request) IsHandshake() bool { return r.Upgrade || r.seen&(seenKey|seenVersion) != 0 }

// Header returns the value of the first field of that name, compared without case, or nil if
// there is none.
func (r *Request) Header(name string) []byte {
	for i := range r.Headers {
		if equalFold(r.Headers[i].Name, name) {
			return r.Headers[i].Value
		}
	}
	return nil
}

// Offers tells whether the request offers that sub-protocol. Case counts (RFC 6455 11.3.4:
// the answer must be one of the values sent).
func (r *Request) Offers(protocol string) bool {
	for _, p := range r.Protocols {
		if string(p) == protocol {
			return true
		}
	}
	return false
}

// Reset forgets the request and every view of its bytes, and keeps the arrays for the next.
func (r *Request) Reset() {
	clear(r.Headers)
	clear(r.Protocols)
	clear(r.Extensions)
	*r = Request{
		Headers:    r.Headers[:0],
		Protocols:  r.Protocols[:0],
		Extensions: r.Extensions[:0],
	}
}

// add records one field. The lengths route each name to the few it can be, so that a field of
// no interest costs one comparison at most.
func (r *Request) add(name, value []byte) *Refusal {
	r.Headers = append(r.Headers, Field{name, value})
	switch len(name) {
	case 4:
		if equalFold(name, "host") {
			return r.addHost(value)
		}
	case 6:
		if equalFold(name, "origin") && r.seen.add(seenOrigin) {
			r.Origin = value
		}
	case 7:
		if equalFold(name, "upgrade") {
			r.upgradeNames = r.upgradeNames || listHas(value, "websocket")
		}
	case 10:
		if equalFold(name, "connection") {
			r.connectionAsks = r.connectionAsks || listHas(value, "upgrade")
		}
	case 14:
		if equalFold(name, "content-length") {
			r.HasBody = r.HasBody || len(value) == 0 || len(bytes.Trim(value, "0")) > 0
		}
	case 17:
		switch {
		case equalFold(name, "sec-websocket-key"):
			if r.seen.add(seenKey) {
				r.Key = value
			}
		case equalFold(name, "transfer-encoding"):
			r.HasBody = true
		}
	case 21:
		if equalFold(name, "sec-websocket-version") && r.seen.add(seenVersion) {
			r.version = value
		}
	case 22:
		if equalFold(name, "sec-websocket-protocol") {
			r.addProtocols(value)
		}
	case 24:
		if equalFold(name, "sec-websocket-extensions") {
			r.Extensions = append(r.Extensions, value)
		}
	}
	return nil
}

// addHost refuses what RFC 9112 3.2 tells a server to answer with 400, upgrade or not.
func (r *Request) addHost(value []byte) *Refusal {
	if !r.seen.add(seenHost) {
		return errManyHosts
	}
	if !validAuthority(value) {
		return errHost
	}
	r.Host = value
	return nil
}

// addProtocols splits one Sec-WebSocket-Protocol value. RFC 6455 11.3.4: several lines are one
// list; 4.1: its elements are tokens and unique. Lists that are empty, have empty elements,
// repeat one or hold what is no token harm nobody, and clients send them: they are read for what
// they offer.
func (r *Request) addProtocols(list []byte) {
	for !r.manyProtocols {
		var p []byte
		if p, list = nextElement(list); len(p) == 0 {
			return
		}
		if !isToken(p) {
			continue
		}
		if r.manyProtocols = len(r.Protocols) == maxProtocols; !r.manyProtocols {
			r.Protocols = append(r.Protocols, p)
		}
	}
}
