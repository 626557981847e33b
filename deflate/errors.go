package deflate

// Error is one way for a peer to break permessage-deflate. It is a number, so that returning it allocates nothing and
// errors.Is compares it; its zero value means no error and is never returned as an error value.
//
// Which close code a broken message owes follows from what is broken. The payload is the data of a message, so data
// that is no DEFLATE stream is 1007, "data within a message that was not consistent with the type of the message" (RFC
// 6455 7.4.1): the frames around it were right. A distance beyond the agreed window is a promise of the handshake
// broken, which is 1002. A stream that grows too much is 1009, as any message too big to process.
type Error uint8

// What a peer's compressed message can do wrong.
const (
	ErrBlockType   Error = iota + 1 // block type 3 (RFC 1951 3.2.3)
	ErrStoredSize                   // a stored block whose LEN and NLEN disagree (RFC 1951 3.2.4)
	ErrCodeLengths                  // code lengths that make no Huffman code (RFC 1951 3.2.7)
	ErrSymbol                       // a bit pattern or symbol that stands for nothing (RFC 1951 3.2.6)
	ErrDistance                     // a distance that reaches before the first byte (RFC 1951 3.2.5)
	ErrWindow                       // a distance beyond the agreed window (RFC 7692 7.1.2)
	ErrTruncated                    // the message ends inside a block (RFC 7692 7.2.2)
	ErrRatio                        // more output per input than Policy.MaxRatio allows

	// What a server's answer to an offer can do wrong. There is no connection yet to close with a code (RFC 6455 4.1:
	// the client fails it), so Code is 0.

	ErrAnswerSyntax    // not the grammar of RFC 6455 9.1
	ErrAnswerExtension // an extension that was not offered (RFC 6455 4.1)
	ErrAnswerTwice     // permessage-deflate accepted twice
	ErrAnswerParameter // a parameter unknown, repeated, or with a value that it cannot have (RFC 7692 7)
	ErrAnswerWindow    // a window larger than the offered one (RFC 7692 7.1.2)
	ErrAnswerTakeover  // takeover or a window kept though the offer excluded it (RFC 7692 7.1.1.1, 7.1.2.1)

	errorCount
)

const (
	codeProtocolError = 1002
	codeInvalidData   = 1007
	codeTooBig        = 1009
)

var errorTable = [errorCount]struct {
	code int
	rule string
	text string
}{
	0:                  {0, "", "deflate: no error"},
	ErrBlockType:       {codeInvalidData, "RFC 1951 3.2.3", "deflate: reserved block type"},
	ErrStoredSize:      {codeInvalidData, "RFC 1951 3.2.4", "deflate: length of a stored block contradicts itself"},
	ErrCodeLengths:     {codeInvalidData, "RFC 1951 3.2.7", "deflate: code lengths that make no Huffman code"},
	ErrSymbol:          {codeInvalidData, "RFC 1951 3.2.6", "deflate: invalid symbol"},
	ErrDistance:        {codeInvalidData, "RFC 1951 3.2.5", "deflate: distance before the first byte"},
	ErrWindow:          {codeProtocolError, "RFC 7692 7.1.2", "deflate: distance beyond the agreed window"},
	ErrTruncated:       {codeInvalidData, "RFC 7692 7.2.2", "deflate: message ends inside a block"},
	ErrRatio:           {codeTooBig, "RFC 6455 7.4.1", "deflate: message grows more than the ratio limit allows"},
	ErrAnswerSyntax:    {0, "RFC 6455 9.1", "deflate: malformed Sec-WebSocket-Extensions in the server's answer"},
	ErrAnswerExtension: {0, "RFC 6455 4.1", "deflate: the server accepted an extension that was not offered"},
	ErrAnswerTwice:     {0, "RFC 7692 5", "deflate: the server accepted permessage-deflate twice"},
	ErrAnswerParameter: {0, "RFC 7692 7", "deflate: invalid parameter in the server's answer"},
	ErrAnswerWindow:    {0, "RFC 7692 7.1.2", "deflate: the server answered a larger window than offered"},
	ErrAnswerTakeover:  {0, "RFC 7692 7.1", "deflate: the server did not confirm server_max_window_bits or server_no_context_takeover, which Policy.ReceiveWindowBits and PeerNoTakeover asked for"},
}

// Code is the close code that the peer is owed: 1002, 1007 or 1009; 0 for a server's answer, which ends the handshake.
func (e Error) Code() int { return errorTable[e.index()].code }

// Rule names the document and section that e breaks, for logs: "RFC 1951 3.2.5".
func (e Error) Rule() string { return errorTable[e.index()].rule }

// Error describes e for people. Programs compare e itself, or its Code.
func (e Error) Error() string { return errorTable[e.index()].text }

// index is e's place in the table; a number that is none of the errors above says so instead of panicking in a log line.
func (e Error) index() Error {
	if e < errorCount {
		return e
	}
	return 0
}
