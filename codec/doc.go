// Package codec turns bytes into WebSocket frames and frames into bytes (RFC 6455 section 5, RFC 7692 section 6).
//
// It is pure: no I/O, clock, goroutine, lock or callback, and no state but the 24 bytes of a [Decoder]. The caller owns
// every byte slice; codec reads it, unmasks it in place, and returns views of it.
//
//   - header.go: what a frame header is, how long it is, and how its length is read.
//   - legality.go: which headers are legal where ([CheckHeader]), once as a function and once as a table made from it.
//   - decoder.go: [Decoder.Next], bytes to pieces of frames.
//   - encoder.go: headers and frames to bytes.
//   - close.go: the body of a Close frame, and who may send which code.
//   - utf8.go: text checked as it arrives, refused at the first byte that cannot be right.
//   - errors.go: every error, its close code and the rule it stands for.
//
// Nothing here is safe for concurrent use of one value, and nothing here needs more than that: a connection's bytes
// arrive in one order.
package codec
