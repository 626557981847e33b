// Package outgoing is one connection's way out: messages in, bytes out.
//
// It owns order, limits, what waits behind a writer or a long message, compression, framing, masking, the cork, the
// queue, the flush, bufferedAmount and the water marks. It has no lock, no clock, no goroutine, and calls nobody but
// its Sink: what has come due is returned (Due).
package outgoing
