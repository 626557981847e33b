package incoming

import "github.com/gannet-ws/gannet/codec"

// Error is a limit that the peer has passed, or text that is none. The errors of the protocol itself are codec.Error and
// deflate.Error; each of the three knows the close code that the peer is owed.
type Error uint8

// What a peer can do wrong beyond the frames themselves.
const (
	ErrTooLarge  Error = iota + 1 // a message over MaxMessageSize, or a frame of more than 2147483647 bytes
	ErrFragments                  // a message of more than MaxFragments frames
	ErrText                       // a text message that is not UTF-8 (RFC 6455 8.1)
)

// Code is the close code that the peer is owed.
func (e Error) Code() int {
	switch e {
	case ErrTooLarge:
		return int(codec.StatusMessageTooBig)
	case ErrFragments:
		return int(codec.StatusPolicyViolation)
	}
	return int(codec.StatusInvalidFramePayloadData)
}

func (e Error) Error() string {
	switch e {
	case ErrTooLarge:
		return "incoming: message over MaxMessageSize"
	case ErrFragments:
		return "incoming: message of more than MaxFragments frames"
	}
	return "incoming: text is not UTF-8"
}
