package connect

import (
	"fmt"
	"strconv"

	"github.com/gannet-ws/gannet/engine"
)

// How gannet connect ends: its exit statuses, the same for scripts and for people.
const (
	statusNoConnection = 1 // nobody was there, or the handshake was refused
	statusUsage        = 2 // an argument that can not be
	statusErrorCode    = 3 // closed with a code that tells of an error: 1002, 1003, 1007 and up, but for the one that we sent
	statusNotClean     = 4 // ended without a closing handshake: 1006
	statusLocal        = 5 // what was to be sent could not be read or is not UTF-8, or what came could not be written
	statusSignal       = 128
)

// Failure ends the program with a status. Err is what it has to say; nil: all is said.
type Failure struct {
	Status int
	Err    error
}

func (f *Failure) Error() string {
	if f.Err == nil {
		return ""
	}
	return f.Err.Error()
}

// Unwrap gives what it has to say.
func (f *Failure) Unwrap() error { return f.Err }

// ExitStatus is the program's.
func (f *Failure) ExitStatus() int { return f.Status }

func misused(format string, args ...any) error {
	return &Failure{statusUsage, fmt.Errorf(format, args...)}
}

// codeNames are those of RFC 6455 7.4.1 and the IANA registry.
var codeNames = map[int]string{
	engine.StatusNormalClosure: "normal closure", engine.StatusGoingAway: "going away", engine.StatusProtocolError: "protocol error",
	engine.StatusUnsupportedData: "unsupported data", engine.StatusNoStatusRcvd: "no status received",
	engine.StatusAbnormalClosure: "abnormal closure", engine.StatusInvalidFramePayloadData: "invalid frame payload data",
	engine.StatusPolicyViolation: "policy violation", engine.StatusMessageTooBig: "message too big",
	engine.StatusMandatoryExt: "mandatory extension", engine.StatusInternalServerError: "internal server error",
	engine.StatusServiceRestart: "service restart", engine.StatusTryAgainLater: "try again later",
	engine.StatusBadGateway: "bad gateway", engine.StatusTLSHandshake: "TLS handshake",
	3000: "unauthorized", 3003: "forbidden", 3008: "timeout",
}

// codeName is what a close code means.
func codeName(code int) string {
	switch name := codeNames[code]; {
	case name != "":
		return name
	case code >= 4000 && code <= 4999:
		return "an application's own code"
	case code >= 3000 && code <= 3999:
		return "a framework's code"
	}
	return "unknown"
}

// describeClose says how a connection ended.
func describeClose(e engine.CloseEvent) string {
	text := "closed: " + strconv.Itoa(e.Code) + " (" + codeName(e.Code) + ")"
	if e.Reason != "" {
		text += " " + strconv.Quote(e.Reason)
	}
	if e.Err != nil {
		text += ": " + plainError(e.Err)
	}
	return text
}

// statusOf is the exit status for how a connection ended; ours is the code that we closed with, 0: we did not.
func statusOf(e engine.CloseEvent, ours int) int {
	switch {
	case !e.WasClean:
		return statusNotClean
	case e.Code == engine.StatusNormalClosure, e.Code == engine.StatusGoingAway, e.Code == engine.StatusNoStatusRcvd, e.Code == ours:
		return 0
	}
	return statusErrorCode
}
