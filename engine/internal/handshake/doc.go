// Package handshake is the WebSocket opening handshake. For a server it parses the request head, decides whether it is
// a legal handshake (RFC 6455 4.2.1), and builds the answer (RFC 6455 4.2.2). For a client it builds the request
// (4.1), parses the answer's head with the same scanner and limits, and decides whether it opens the connection; each thing
// that a server can do wrong has a name (faults.go).
//
// It is pure: no I/O, no clock, no goroutine. A loop hands it the bytes that have arrived and
// asks again when there are more. The order of use:
//
//	n, err := parser.Parse(received, &request, limits) // n == 0: wait for more bytes
//	err = handshake.CheckUpgrade(&request)             // a *Refusal is the answer to send
//	out = handshake.AppendSwitching(out, request.Key, protocol, extensions, date, nil)
//
// and for a client:
//
//	out = handshake.AppendAsk(out, &ask)
//	n, err := parser.Parse(received, &answer, limits)  // an AnswerParser; an error is a *Fault
//	err = handshake.CheckAnswer(&answer, key, offered) // what the server chose has been offered
//
// Where RFC 9112 lets a recipient choose between strict and lenient, the strict reading is
// taken: a bare LF, a folded line, a space before a colon or a second Host is how one request
// is made to look like two different ones to two servers in a row. What is refused is listed,
// each with its status, in refusals.go.
//
// Where nothing of the kind can come of it, requests are read leniently, for clients send them:
//
//   - Sec-WebSocket-Protocol may be empty, have empty elements, commas and white space
//     anywhere, several lines, and a sub-protocol twice. What is no token counts as not offered.
//   - Sec-WebSocket-Extensions may be anything: what is not understood is declined (RFC 7692 7).
//   - Origin may be empty: that is an origin which only the pattern "*" admits.
//   - Upgrade and Connection are lists, over several lines, in any case, with empty elements.
//   - A target may have octets over 0x7f, and a host underscores.
//
// Key, version, Host and Origin come once; a body, and HTTP/1.0, are refused.
//
// Parse and CheckUpgrade allocate nothing once a Request has seen its first head; a refusal
// is a shared value, so a flood of bad requests costs no memory either.
package handshake
