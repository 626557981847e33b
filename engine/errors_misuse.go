package engine

import (
	"fmt"

	"github.com/gannet-ws/gannet/codec"
)

// A call with an argument that it cannot take is told, in words for a person, what it was given, and what to give or to
// call instead.

// misused is an error that is ErrSyntax, and what the format wraps.
func misused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSyntax}, args...)...)
}

// checkOpcode tells whether op is a message's, and if not, what to call for it.
func checkOpcode(op Opcode) error {
	instead := "there is no such opcode (RFC 6455 5.2)"
	switch op {
	case OpText, OpBinary:
		return nil
	case OpPing:
		instead = "call Conn.Ping"
	case OpPong:
		instead = "the engine answers pings itself"
	case OpClose:
		instead = "call Conn.Close or Conn.CloseWith"
	case codec.OpContinuation:
		instead = "call Conn.NewWriter for a message in fragments"
	}
	return misused("a message is OpText or OpBinary, and this opcode is %d: %s", op, instead)
}

func checkPing(payload []byte) error {
	if n := len(payload); n > codec.MaxControlPayload {
		return misused("a ping carries at most %d bytes (RFC 6455 5.5), and these are %d: send more in a message", codec.MaxControlPayload, n)
	}
	return nil
}

// checkClose tells whether a handler may close with code and reason.
func (c *Conn) checkClose(code int, reason string) error {
	if err := codec.CheckSendCode(code, c.role()); err != nil {
		return fmt.Errorf("%w: a %s closes with %s or 3000 to 4999 (an application's own are 4000 to 4999), not with %s: %w",
			ErrInvalidAccess, roleNames[c.role()], roleCodes[c.role()], closeCodeText(code), err)
	}
	err := codec.CheckSendReason(reason)
	switch err {
	case nil:
		return nil
	case codec.ErrSendReason:
		return misused("a close reason has at most %d bytes (RFC 6455 5.5), and this one has %d: shorten it, or send a message before: %w",
			codec.MaxCloseReason, len(reason), err)
	}
	return misused("a close reason is UTF-8 (RFC 6455 5.5.1): %w: %w", err, checkText([]byte(reason)))
}

// What each side may close with (RFC 6455 7.4, WHATWG WebSockets close).
var (
	roleNames = map[codec.Role]string{codec.RoleServer: "server", codec.RoleClient: "client"}
	roleCodes = map[codec.Role]string{codec.RoleServer: "1000 to 1003, 1007 to 1009, 1011 to 1014", codec.RoleClient: "1000"}
)

// closeCodeText is a code that may not be sent, with what to call instead where there is such a thing.
func closeCodeText(code int) string {
	switch code {
	case StatusNoStatusRcvd:
		return "1005 (for a Close frame without a code call CloseNoStatus)"
	case StatusAbnormalClosure:
		return "1006 (to end without a Close frame call Terminate)"
	}
	return fmt.Sprint(code)
}
