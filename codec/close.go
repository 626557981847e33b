package codec

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// StatusCode is the code of a Close frame (RFC 6455 section 7.4).
type StatusCode = ws.StatusCode

// The codes of RFC 6455 section 7.4.1 and those that IANA has registered since (1012-1014). 1005, 1006 and 1015 tell an
// application what happened and never stand in a frame.
const (
	StatusNormalClosure           = ws.StatusNormalClosure           // 1000
	StatusGoingAway               = ws.StatusGoingAway               // 1001
	StatusProtocolError           = ws.StatusProtocolError           // 1002
	StatusUnsupportedData         = ws.StatusUnsupportedData         // 1003
	StatusNoStatusRcvd            = ws.StatusNoStatusRcvd            // 1005
	StatusAbnormalClosure         = ws.StatusAbnormalClosure         // 1006
	StatusInvalidFramePayloadData = ws.StatusInvalidFramePayloadData // 1007
	StatusPolicyViolation         = ws.StatusPolicyViolation         // 1008
	StatusMessageTooBig           = ws.StatusMessageTooBig           // 1009
	StatusMandatoryExt            = ws.StatusMandatoryExt            // 1010
	StatusInternalServerError     = ws.StatusInternalServerError     // 1011
	StatusServiceRestart          = StatusCode(1012)
	StatusTryAgainLater           = StatusCode(1013)
	StatusBadGateway              = StatusCode(1014)
	StatusTLSHandshake            = ws.StatusTLSHandshake // 1015
)

const closeCodeSize = 2

// MaxCloseReason is the longest close reason in bytes of UTF-8: what a control frame leaves beside the code.
const MaxCloseReason = MaxControlPayload - closeCodeSize

// CloseBody is what a Close frame says.
type CloseBody struct {
	Code   StatusCode // 1005 (StatusNoStatusRcvd) for an empty body
	Reason string     // valid UTF-8, at most MaxCloseReason bytes; a copy
}

// ParseClose reads the unmasked payload of a Close frame. Its errors are ErrCloseBody and ErrCloseCode (1002),
// ErrCloseReason (1007), and ErrControlLength (1002) for a body that no control frame could have carried.
func ParseClose(body []byte) (CloseBody, error) {
	switch {
	// RFC 6455 7.1.5: a Close frame without a code is reported as 1005.
	case len(body) == 0:
		return CloseBody{Code: StatusNoStatusRcvd}, nil
	// RFC 6455 5.5.1: if there is a body, it begins with a two-byte code.
	case len(body) < closeCodeSize:
		return CloseBody{}, ErrCloseBody
	case len(body) > MaxControlPayload:
		return CloseBody{}, ErrControlLength
	}
	code := binary.BigEndian.Uint16(body)
	if !onWire(int(code)) {
		return CloseBody{}, ErrCloseCode
	}
	// RFC 6455 5.5.1: the rest is UTF-8; 8.1 and 7.4.1 make its failure a 1007.
	reason := body[closeCodeSize:]
	if !utf8.Valid(reason) {
		return CloseBody{}, ErrCloseReason
	}
	return CloseBody{Code: StatusCode(code), Reason: string(reason)}, nil
}

// AppendCloseBody appends the payload of a Close frame and returns the extended slice. 1005 (StatusNoStatusRcvd) stands
// for the empty body, as in [ParseClose], and takes no reason.
//
// What it writes, ParseClose accepts: it panics on a code that must not be on the wire, and on a reason that
// [CheckSendReason] refuses. Codes and reasons that come from users are checked before they get here.
func AppendCloseBody(dst []byte, code int, reason string) []byte {
	if code == int(StatusNoStatusRcvd) && reason == "" {
		return dst
	}
	if !onWire(code) {
		panic("codec: close code that must not be sent")
	}
	if CheckSendReason(reason) != nil {
		panic("codec: unchecked close reason")
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// CheckSendCode says whether user code on the given side may close with code: ErrSendCode or nil. Both sides may send
// 1000 and 3000-4999, a server also 1001-1003, 1007-1009 and 1011-1014: what a browser's close() allows, and what only
// the side that runs the service has reason to say. 1010 is said by a client whose extensions were not accepted, so by
// an engine and not by its user (RFC 6455 7.4.1).
//
// The code is an int and not a StatusCode because a conversion would make 1000 of 66536.
func CheckSendCode(code int, role Role) error {
	switch {
	case code == 1000 || 3000 <= code && code <= 4999:
		return nil
	case role != RoleServer:
		return ErrSendCode
	case 1001 <= code && code <= 1003, 1007 <= code && code <= 1009, 1011 <= code && code <= 1014:
		return nil
	}
	return ErrSendCode
}

// CheckSendReason says whether reason fits a Close frame: ErrSendReason if it is longer than MaxCloseReason bytes,
// ErrSendReasonUTF8 if it is not UTF-8, else nil.
func CheckSendReason(reason string) error {
	switch {
	case len(reason) > MaxCloseReason:
		return ErrSendReason
	case !utf8.ValidString(reason):
		return ErrSendReasonUTF8
	}
	return nil
}

// onWire reports whether code may stand in a Close frame.
func onWire(code int) bool {
	switch {
	// RFC 6455 7.4.2: below 1000 nothing is in use; from 5000 nothing is defined.
	case code < 1000 || code > 4999:
		return false
	// RFC 6455 7.4.1: 1004 has no meaning, 1005 and 1006 are set by no endpoint.
	case 1004 <= code && code <= 1006:
		return false
	// RFC 6455 7.4.1: the same for 1015; 7.4.2: what follows waits for the protocol's future versions.
	case 1015 <= code && code <= 2999:
		return false
	}
	return true
}
