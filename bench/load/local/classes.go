package local

import (
	"errors"
	"strconv"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

// dialClasses are the classes of DialError.Reason; what is not here is Unreachable.
var dialClasses = map[string]load.Class{
	"refused": load.Refused, "timeout": load.TimedOut, "no-ports": load.Exhausted, "too-many-files": load.Exhausted,
	"certificate": load.TLSFailed, "not-tls": load.TLSFailed, "alpn": load.TLSFailed,
}

// classOf is the class of a connection that has not opened, and what it was exactly. It is one error, whatever it was.
func classOf(err error) (load.Class, string, int64) {
	var dial *engine.DialError
	if errors.As(err, &dial) {
		class, known := dialClasses[dial.Reason]
		switch {
		case known:
		case dial.Op == "tls":
			class = load.TLSFailed
		default:
			class = load.Unreachable
		}
		return class, dial.Op + ": " + dial.Reason, 1
	}
	var answer *engine.HandshakeError
	if errors.As(err, &answer) {
		switch answer.Reason {
		case "status":
			return load.Handshake, strconv.Itoa(answer.Status), 1
		case "timeout":
			return load.TimedOut, "handshake", 1
		case "connection-lost":
			return load.Unreachable, "connection lost in the handshake", 1
		}
		return load.Handshake, answer.Reason, 1
	}
	if err == nil {
		return load.Unreachable, "ended before it was open", 1
	}
	return load.Unreachable, err.Error(), 1
}

// closeOf is how a connection ended that was open: its close code, and what rule the server broke if it did.
func closeOf(e engine.CloseEvent) string {
	code := strconv.Itoa(e.Code)
	var ours *engine.CloseError
	if errors.As(e.Err, &ours) && ours.Code != e.Code {
		return code + ", closed from here with " + strconv.Itoa(ours.Code)
	}
	return code
}
