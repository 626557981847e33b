package codec

// Error is one way to break the protocol. It is a number, so that returning it allocates nothing, the decoder can keep
// it in a byte, and errors.Is compares it; its zero value means no error and is never returned as an error value.
//
// Errors with a [Error.Code] were caused by the peer, and the code is what the peer is owed in a Close frame. Errors
// without one were caused by the caller and nothing is sent for them.
type Error uint8

// What a peer can do wrong.
const (
	ErrReservedOpcode    Error = iota + 1 // opcode 3-7 or 11-15
	ErrReservedBits                       // RSV2 or RSV3 set: no extension here gives them a meaning
	ErrCompressedBit                      // RSV1 set without permessage-deflate
	ErrCompressedPart                     // RSV1 set on a control frame or a continuation
	ErrNotMasked                          // a client sent a frame without a mask
	ErrMasked                             // a server sent a frame with a mask
	ErrControlFragment                    // a control frame without FIN
	ErrControlLength                      // a control frame of more than 125 bytes
	ErrNothingToContinue                  // a continuation outside a fragmented message
	ErrMessageInside                      // a new message inside a fragmented one
	ErrLengthNotMinimal                   // a length written in more bytes than it needs
	ErrLengthRange                        // a 64-bit length with its top bit set
	ErrCloseBody                          // a Close body of one byte
	ErrCloseCode                          // a Close code that must not be on the wire
	ErrCloseReason                        // a Close reason that is not UTF-8

	// What a caller can do wrong.

	ErrSendCode       // this side may not send that close code
	ErrSendReason     // a close reason of more than 123 bytes
	ErrSendReasonUTF8 // a close reason that is not UTF-8

	errorCount
)

var errorTable = [errorCount]struct {
	code StatusCode
	rule string
	text string
}{
	0:                    {0, "", "codec: no error"},
	ErrReservedOpcode:    {StatusProtocolError, "RFC 6455 5.2", "codec: reserved opcode"},
	ErrReservedBits:      {StatusProtocolError, "RFC 6455 5.2", "codec: RSV2 or RSV3 set"},
	ErrCompressedBit:     {StatusProtocolError, "RFC 6455 5.2", "codec: RSV1 set without permessage-deflate"},
	ErrCompressedPart:    {StatusProtocolError, "RFC 7692 6", "codec: RSV1 set on a control frame or a continuation"},
	ErrNotMasked:         {StatusProtocolError, "RFC 6455 5.1", "codec: frame from a client is not masked"},
	ErrMasked:            {StatusProtocolError, "RFC 6455 5.1", "codec: frame from a server is masked"},
	ErrControlFragment:   {StatusProtocolError, "RFC 6455 5.5", "codec: fragmented control frame"},
	ErrControlLength:     {StatusProtocolError, "RFC 6455 5.5", "codec: control frame longer than 125 bytes"},
	ErrNothingToContinue: {StatusProtocolError, "RFC 6455 5.4", "codec: continuation of no message"},
	ErrMessageInside:     {StatusProtocolError, "RFC 6455 5.4", "codec: new message inside a fragmented one"},
	ErrLengthNotMinimal:  {StatusProtocolError, "RFC 6455 5.2", "codec: length not in its shortest form"},
	ErrLengthRange:       {StatusProtocolError, "RFC 6455 5.2", "codec: top bit of a 64-bit length set"},
	ErrCloseBody:         {StatusProtocolError, "RFC 6455 5.5.1", "codec: Close body of one byte"},
	ErrCloseCode:         {StatusProtocolError, "RFC 6455 7.4", "codec: Close code that must not be sent"},
	ErrCloseReason:       {StatusInvalidFramePayloadData, "RFC 6455 5.5.1", "codec: Close reason is not UTF-8"},
	ErrSendCode:          {0, "RFC 6455 7.4", "codec: close code not allowed here"},
	ErrSendReason:        {0, "RFC 6455 5.5", "codec: close reason longer than 123 bytes"},
	ErrSendReasonUTF8:    {0, "RFC 6455 5.5.1", "codec: close reason is not UTF-8"},
}

// Code is the close code that the peer is owed: 1002 or 1007; 0 when the mistake is the caller's own and nothing is sent.
func (e Error) Code() StatusCode { return errorTable[e.index()].code }

// Rule names the document and section that e breaks, for logs: "RFC 6455 5.5".
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
