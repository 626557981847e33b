package handshake

import (
	"slices"
	"strconv"
)

// Refusal is the answer to a request that will not become a connection. It is an error whose
// status is the HTTP status to send.
//
// The values this package returns are shared: they must not be changed, and may be compared
// with == or errors.Is.
type Refusal struct {
	Status int           // HTTP status code
	Reason string        // stable slug, one per rule; usable as a counter's key
	Detail string        // one English sentence without its full stop: the body of the answer
	Header []HeaderField // fields the status demands, such as Allow with 405; of a given one, what the handler added

	// Given says that a handler refuses: Detail is its body, to be sent as it is.
	Given bool
}

// Error names the status, the slug and the sentence.
func (r *Refusal) Error() string {
	return "handshake: " + strconv.Itoa(r.Status) + " " + r.Reason + ": " + r.Detail
}

// Reasons returns the slug of every refusal of this package, sorted.
func Reasons() []string {
	slugs := make([]string, 0, len(refusals))
	for _, r := range refusals {
		slugs = append(slugs, r.Reason)
	}
	slices.Sort(slugs)
	return slices.Compact(slugs)
}

// refusals holds every value made by refusal; it is written during initialisation only.
var refusals []*Refusal

func refusal(status int, reason, detail string, header ...HeaderField) *Refusal {
	r := &Refusal{Status: status, Reason: reason, Detail: detail, Header: header}
	refusals = append(refusals, r)
	return r
}

var (
	// RFC 9110 15.5.22: a 426 must say in Upgrade what to upgrade to.
	upgradeWebSocket = HeaderField{"Upgrade", "websocket"}
	// RFC 6455 4.4: a refused version is answered with the versions understood.
	version13 = HeaderField{"Sec-WebSocket-Version", "13"}
	// RFC 9110 15.5.6: a 405 must list the methods that are allowed.
	allowGet = HeaderField{"Allow", "GET"}
)

// The request line.
var (
	errMethod        = refusal(400, "bad-method", "The request does not start with an HTTP method")
	errMethodTooLong = refusal(501, "method-too-long", "The request method is longer than any that is known")
	errLineTooLong   = refusal(414, "request-line-too-long", "The request line is too long")
	errTarget        = refusal(400, "bad-target", "The request target is not a path or an absolute http or ws URL")
	errVersionSyntax = refusal(400, "bad-http-version", "The request line does not end with an HTTP version")
	// RFC 9110 15.6.6: 505 is about the major version.
	errMajorVersion = refusal(505, "http-version", "Only HTTP/1.1 is spoken here; HTTP/2 and later have no Upgrade")
)

// The field lines.
var (
	errTooLong         = refusal(431, "head-too-long", "The request's header fields are too long")
	errTooManyFields   = refusal(431, "too-many-fields", "The request has too many header fields")
	errBareLF          = refusal(400, "bare-lf", "A line of the request ends with LF instead of CR LF")
	errBareCR          = refusal(400, "bare-cr", "The request contains a CR that is not followed by LF")
	errFold            = refusal(400, "folded-field", "A header field is folded over more than one line")
	errSpaceBeforeName = refusal(400, "space-before-colon", "A header field has white space before its colon")
	errFieldName       = refusal(400, "bad-field-name", "A header field's name is not a token followed by a colon")
	errFieldValue      = refusal(400, "bad-field-value", "A header field's value contains a control character")
	errNoHost          = refusal(400, "no-host", "The request has no Host")
	errManyHosts       = refusal(400, "repeated-host", "The request has more than one Host")
	errHost            = refusal(400, "bad-host", "The request's Host is not a host and port")
)

// The handshake itself.
var (
	errNotGet = refusal(405, "method-not-get", "A WebSocket handshake is a GET request", allowGet)
	// RFC 6455 4.2.1 asks for HTTP/1.1 or higher. The status is not 505, which speaks of the
	// major version, and not 101: RFC 9110 7.8 forbids to upgrade an HTTP/1.0 request.
	errHTTP10     = refusal(400, "http-1.0", "A WebSocket handshake needs HTTP/1.1; a proxy in front may have to be told to speak it")
	errNotUpgrade = refusal(426, "not-an-upgrade", "This is a WebSocket endpoint: connect with a WebSocket client",
		upgradeWebSocket, version13)
	// The three are one rule, and one counter.
	errStripped = refusal(426, "upgrade-stripped",
		"The handshake has lost its Upgrade: websocket and Connection: Upgrade; tell the proxy in front to pass both on, over HTTP/1.1",
		upgradeWebSocket, version13)
	errNoUpgrade = refusal(426, "upgrade-stripped",
		"The handshake has lost its Upgrade: websocket; tell the proxy in front to pass that header on",
		upgradeWebSocket, version13)
	errNoConnection = refusal(426, "upgrade-stripped",
		"The handshake has lost its Connection: Upgrade; tell the proxy in front to pass that header on",
		upgradeWebSocket, version13)
	errVersion = refusal(426, "websocket-version", "Only version 13 of the WebSocket protocol is spoken here",
		upgradeWebSocket, version13)
	errManyVersions     = refusal(400, "repeated-websocket-version", "The request has more than one Sec-WebSocket-Version")
	errNoKey            = refusal(400, "no-key", "The request has no Sec-WebSocket-Key")
	errManyKeys         = refusal(400, "repeated-key", "The request has more than one Sec-WebSocket-Key")
	errKey              = refusal(400, "bad-key", "The Sec-WebSocket-Key is not 16 bytes in base64")
	errManyOrigins      = refusal(400, "repeated-origin", "The request has more than one Origin")
	errBody             = refusal(400, "body", "A WebSocket handshake has no body")
	errTooManyProtocols = refusal(431, "too-many-protocols", "Too many sub-protocols are offered")
)

// ErrOrigin is for the engine's origin policy: RFC 6455 4.2.2 names 403 for an Origin that is
// not acceptable. Nothing in this package returns it.
var ErrOrigin = refusal(403, "origin", "Connections from this origin are not allowed")
