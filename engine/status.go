package engine

import (
	"errors"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// The close codes of RFC 6455 7.4.1 and of the IANA registry, under the registry's names. They have no type, so that they
// go wherever a code goes: CloseWith, CloseEvent.Code, CloseError.Code, the keys of Stats. An application's own codes
// are 4000 to 4999, those of registered libraries and frameworks 3000 to 3999 (RFC 6455 7.4.2).
const (
	StatusNormalClosure           = 1000 // the purpose is fulfilled; what Close sends
	StatusGoingAway               = 1001 // a server shuts down, a browser leaves the page
	StatusProtocolError           = 1002 // the peer broke the protocol
	StatusUnsupportedData         = 1003 // a kind of message that this end does not take, binary for instance
	StatusNoStatusRcvd            = 1005 // the peer's Close frame had no code; is never sent
	StatusAbnormalClosure         = 1006 // there was no Close frame; is never sent
	StatusInvalidFramePayloadData = 1007 // text that is not UTF-8, compressed data that cannot be inflated
	StatusPolicyViolation         = 1008 // a message that breaks a rule of the application, when no other code fits
	StatusMessageTooBig           = 1009 // a message that is too big to process
	StatusMandatoryExt            = 1010 // a client misses an extension; a server does not send it
	StatusInternalServerError     = 1011 // the server failed; a handler that panics closes with it
	StatusServiceRestart          = 1012 // the server restarts: come back after a pause
	StatusTryAgainLater           = 1013 // the server has too much to do, or the peer is too slow: come back later
	StatusBadGateway              = 1014 // a gateway got an invalid answer from the server behind it
	StatusTLSHandshake            = 1015 // the TLS handshake failed; is never sent
)

// CloseStatus is the close code that err carries, wrapped or not; -1 if it carries none. It is the code that the peer was
// sent, or would have been sent had it listened. A *CloseError carries one, which OnError and CloseEvent.Err give, and so does an
// error of the packages codec and deflate that says which rule a peer broke. The code that the peer itself sent is CloseEvent.Code.
func CloseStatus(err error) int {
	if e, ok := errors.AsType[*CloseError](err); ok {
		return e.Code
	}
	if e, ok := errors.AsType[codec.Error](err); ok && e.Code() != 0 {
		return int(e.Code())
	}
	if e, ok := errors.AsType[deflate.Error](err); ok && e.Code() != 0 {
		return e.Code()
	}
	return -1
}

// closeCodeOf is the code a peer is sent for err.
func closeCodeOf(err error) int {
	if code := CloseStatus(err); code != -1 {
		return code
	}
	return StatusInternalServerError
}
