package handshake

import "slices"

// Fault is what is wrong with a server's answer: the connection fails, and never was OPEN (RFC 6455 4.1). The values that this
// package returns are shared: they must not be changed, and may be compared with == or errors.Is.
type Fault struct {
	Reason string // stable slug, one per rule; usable as a counter's key
	Detail string // one English sentence as it stands within another: no capital, no full stop
}

// Error is the sentence.
func (f *Fault) Error() string { return f.Detail }

// FaultReasons returns the slug of every fault, sorted.
func FaultReasons() []string {
	slugs := make([]string, 0, len(faults))
	for _, f := range faults {
		slugs = append(slugs, f.Reason)
	}
	slices.Sort(slugs)
	return slugs
}

// faults holds every value made by fault; it is written during initialisation only.
var faults []*Fault

func fault(reason, detail string) *Fault {
	f := &Fault{reason, detail}
	faults = append(faults, f)
	return f
}

// What is no head of an HTTP response, or one that is too large.
var (
	faultNotHTTP    = fault("not-http", "the server does not answer in HTTP/1.1: is this its port?")
	faultTLS        = fault("tls", "the server speaks TLS there: dial wss, not ws")
	faultStatusLine = fault("bad-status-line", "the answer's status line is not a version, three digits and a reason")
	faultHTTP10     = fault("http-1.0", "the server answers in HTTP/1.0, which knows no upgrade; a proxy on the way may have to be told to speak HTTP/1.1")
	faultTooLong    = fault("head-too-long", "the answer's header fields are too long")
	faultManyFields = fault("too-many-fields", "the answer has too many header fields")
	faultBareLF     = fault("bare-lf", "a line of the answer ends with LF instead of CR LF")
	faultBareCR     = fault("bare-cr", "the answer contains a CR that is not followed by LF")
	faultFold       = fault("folded-field", "a header field of the answer is folded over more than one line")
	faultSpace      = fault("space-before-colon", "a header field of the answer has white space before its colon")
	faultFieldName  = fault("bad-field-name", "the name of a header field of the answer is not a token followed by a colon")
	faultFieldValue = fault("bad-field-value", "the value of a header field of the answer contains a control character")
)

// What is an answer, and opens no WebSocket.
var (
	faultStatus        = fault("status", "the server answers with another status than 101")
	faultUpgrade       = fault("no-upgrade", "the answer's Upgrade is not websocket")
	faultConnection    = fault("no-connection-upgrade", "the answer's Connection does not contain Upgrade")
	faultNoAccept      = fault("no-accept", "the answer has no Sec-WebSocket-Accept")
	faultManyAccepts   = fault("repeated-accept", "the answer has more than one Sec-WebSocket-Accept")
	faultAccept        = fault("wrong-accept", "the answer's Sec-WebSocket-Accept does not belong to the key that was sent")
	faultNoProtocol    = fault("no-protocol", "the server chose none of the sub-protocols that were offered")
	faultManyProtocols = fault("repeated-protocol", "the server chose more than one sub-protocol")
	faultProtocol      = fault("wrong-protocol", "the server chose a sub-protocol that was not offered")
	faultUnasked       = fault("protocol-unasked", "the server chose a sub-protocol, and none was offered")
)

// ErrExtension is for the engine, which knows what was offered: RFC 6455 4.1 fails a connection whose server agrees to an
// extension that was not. Nothing in this package returns it.
var ErrExtension = fault("extension", "the server agreed to an extension, or a parameter of one, that was not offered")

// faultOfHead is what a fault of a head's form is in an answer; what reads requests finds it in answers as well.
var faultOfHead = map[*Refusal]*Fault{
	errLineTooLong:     faultTooLong,
	errTooLong:         faultTooLong,
	errTooManyFields:   faultManyFields,
	errBareLF:          faultBareLF,
	errBareCR:          faultBareCR,
	errFold:            faultFold,
	errSpaceBeforeName: faultSpace,
	errFieldName:       faultFieldName,
	errFieldValue:      faultFieldValue,
}
