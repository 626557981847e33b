// Package deflate is permessage-deflate, RFC 7692: what is offered and agreed on in the handshake, and compressed
// messages in both directions.
//
// It is pure: no I/O, clock, goroutine or lock; it knows neither frames nor sockets. Short messages are compressed and
// all are inflated by code of its own; long messages, higher levels and messages in parts by klauspost/compress's flate
// behind shared encoders.
//
//   - policy.go: what an endpoint wants and what that costs ([Policy], [Extension]).
//   - scanner.go, parameters.go: Sec-WebSocket-Extensions to offers; negotiate.go: the server's answer; accept.go: the
//     client's offer and what it accepts; agreement.go: what both ends have then.
//   - sender.go: one connection's messages out, with a history (history.go), in parts (stream.go), by encoders that
//     connections share: encoder.go for klauspost's, short.go, block.go, codes.go, lengths.go for ours.
//   - receiver.go: one connection's messages in, step by step, into the caller's memory; window.go: what they may refer
//     to; pack.go: the same while a connection is idle.
//   - inflate.go, dynamic.go, symbols.go, huffman.go: RFC 1951, resumable at every bit and every byte.
//   - errors.go: every error, its close code and the rule it stands for.
//
// A connection costs nothing before its first compressed message but a [Sender] and a [Receiver], which are small and
// may be made then.
package deflate
