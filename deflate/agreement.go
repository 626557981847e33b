package deflate

import "github.com/gannet-ws/gannet/pool"

// Agreement is what a handshake agreed on. It is small, comparable and may be copied. The zero value is no agreement.
type Agreement struct {
	Send, Receive Direction
	answer        parameters
}

// Direction is what was agreed on for one direction's compressor.
type Direction struct {
	// WindowBits is the logarithm to base 2 of the window: no distance is longer. 8 to 15.
	WindowBits uint8
	// Takeover: messages may refer to those before them. Without it each stands alone (RFC 7692 7.1.1).
	Takeover bool
}

// String is the extension as the server answers it (RFC 7692 7.1), for Sec-WebSocket-Extensions and for
// Conn.Extensions; empty for no agreement.
func (a Agreement) String() string {
	if a == (Agreement{}) {
		return ""
	}
	var b [MaxText]byte
	return string(a.Append(b[:0]))
}

// MaxText is the most bytes that Append appends.
const MaxText = 160

// Append appends what String returns. It does not allocate where dst has room for MaxText bytes more.
func (a Agreement) Append(dst []byte) []byte {
	if a == (Agreement{}) {
		return dst
	}
	return a.answer.appendTo(dst)
}

// agree is the agreement that an answer stands for, seen from the server or from the client.
func (x *Extension) agree(answer parameters, server bool) Agreement {
	a := Agreement{answer: answer}
	fromServer := Direction{windowOf(answer.serverBits), !answer.serverNoTakeover}
	fromClient := Direction{windowOf(answer.clientBits), !answer.clientNoTakeover}
	if server {
		a.Send, a.Receive = fromServer, fromClient
	} else {
		a.Send, a.Receive = fromClient, fromServer
	}
	// What is agreed on is the most; whoever compresses may keep to less (a client's hints, RFC 7692 7.1.1.2, 7.1.2.2).
	a.Send.WindowBits = min(a.Send.WindowBits, x.sendBits())
	a.Send.Takeover = a.Send.Takeover && x.policy.Takeover != NoTakeover
	return a
}

func windowOf(bits uint8) uint8 {
	if bits < minWindowBits {
		return maxWindowBits
	}
	return bits
}

// Receiver returns a receiver for a connection with this agreement. Its window comes from memory.
func (x *Extension) Receiver(a Agreement, memory *pool.Pool) Receiver {
	return Receiver{
		pool:     memory,
		window:   newWindow(a.Receive.WindowBits),
		takeover: a.Receive.Takeover,
		ratio:    uint32(x.policy.MaxRatio),
	}
}
