package deflate

import "errors"

// Policy is what an endpoint offers or accepts, and how it compresses. The zero value is a good one: shared compressors
// at the default level, 2 KiB of history for each connection that sends, and whatever window the peer wants.
//
// "Memory" below is per connection and nothing before its first compressed message in that direction. "CPU" is what
// TestBars printed on one core of a 2-core cloud machine for the JSON of 1 KiB that bench uses.
type Policy struct {
	// Takeover says what our messages may refer to. The zero value is SharedHistory.
	Takeover Takeover

	// PeerNoTakeover asks the peer not to refer to earlier messages (client_no_context_takeover from a server,
	// server_no_context_takeover from a client; RFC 7692 7.1.1). Saves all receive memory between messages; costs the
	// peer's ratio, so more bytes in.
	PeerNoTakeover bool

	// SendWindowBits bounds our own window: 8 to 15, the logarithm of its bytes; 0 means 15. The peer may ask for less.
	// It bounds what the peer has to keep for us. Under 15, messages that with their history are longer than the window
	// cost about 1.5 times the CPU. RFC 7692 7.1.2.
	SendWindowBits int

	// ReceiveWindowBits bounds the peer's window: 8 to 15; 0 means 15. Memory: at most 2^ReceiveWindowBits bytes, as
	// far as the peer's messages fill it. A peer that cannot be told (7.1.2.2) is asked not to take its context over.
	ReceiveWindowBits int

	// Level is klauspost/compress's, 1 to 9; 0 means DefaultLevel. 1 to 6 share their cost out over the scale of the
	// table in docs; 7 to 9 clear 640 KiB for every message and are for messages of a megabyte only. Where a window
	// under 15 bits forces a compressor that keeps to it, the level does not count.
	Level int

	// HistoryBytes is how much of what was sent is kept to compress the next message with: 256 to 32768 bytes; 0 means
	// DefaultHistoryBytes. It is memory, and CPU for every message: the compressor reads it again each time, about 1 ns
	// a byte. No more than the window is used. Only with SharedHistory.
	HistoryBytes int

	// MinSize is the shortest payload that is compressed, in bytes; 0 means DefaultMinSize; 1 tries them all.
	MinSize int

	// MaxRatio bounds how many bytes a message may inflate to for each byte received, from 64 KiB on: 2 to 1032, which
	// is DEFLATE's own limit; 0 means no bound. A message over it is ErrRatio (1009). JSON seldom passes 20; a text of
	// one letter does.
	MaxRatio int
}

// Takeover is how a sender keeps context between messages (RFC 7692 7.1.1).
type Takeover uint8

const (
	// SharedHistory keeps the last HistoryBytes that were sent, and primes a compressor with them that all connections
	// share. Memory: HistoryBytes.
	SharedHistory Takeover = iota
	// NoTakeover compresses every message alone. Memory: none. CPU: the least.
	NoTakeover
	// OwnCompressor keeps a compressor for each connection, which refers to the whole window and reads nothing twice.
	// Memory: 0.7 MiB at level 1, 1.1 to 1.6 MiB above. For few connections with much alike to say.
	OwnCompressor
)

// The defaults, with their reasons in docs: the knee of the curve that TestBars prints.
const (
	DefaultLevel        = 1
	DefaultHistoryBytes = 4096
	DefaultMinSize      = 64
)

const (
	minHistory = 256
	maxHistory = 1 << maxWindowBits
	maxLevel   = 9
	maxRatio   = 1032
)

// What New refuses.
var (
	ErrWindowBits = errors.New("deflate: window bits are not 8 to 15 or 0")
	ErrLevel      = errors.New("deflate: level is not 0 to 9")
	ErrHistory    = errors.New("deflate: history is not 256 to 32768 bytes or 0")
	ErrMinSize    = errors.New("deflate: minimum size is negative")
	ErrMaxRatio   = errors.New("deflate: ratio is not 2 to 1032 or 0")
	ErrTakeover   = errors.New("deflate: unknown kind of takeover")
)

// Extension is permessage-deflate under one policy: it negotiates, and makes the senders and receivers of connections.
// It is immutable and serves any number of goroutines; an engine needs one.
type Extension struct{ policy Policy }

// New checks p and fills in its defaults.
func New(p Policy) (*Extension, error) {
	setDefault(&p.SendWindowBits, maxWindowBits)
	setDefault(&p.ReceiveWindowBits, maxWindowBits)
	setDefault(&p.Level, DefaultLevel)
	setDefault(&p.HistoryBytes, DefaultHistoryBytes)
	setDefault(&p.MinSize, DefaultMinSize)
	switch {
	case outside(p.SendWindowBits, minWindowBits, maxWindowBits), outside(p.ReceiveWindowBits, minWindowBits, maxWindowBits):
		return nil, ErrWindowBits
	case outside(p.Level, 1, maxLevel):
		return nil, ErrLevel
	case outside(p.HistoryBytes, minHistory, maxHistory):
		return nil, ErrHistory
	case p.MinSize < 0:
		return nil, ErrMinSize
	case p.MaxRatio != 0 && outside(p.MaxRatio, 2, maxRatio):
		return nil, ErrMaxRatio
	case p.Takeover > OwnCompressor:
		return nil, ErrTakeover
	}
	return &Extension{policy: p}, nil
}

// Policy is the policy with its defaults filled in.
func (x *Extension) Policy() Policy { return x.policy }

func (x *Extension) sendBits() uint8    { return uint8(x.policy.SendWindowBits) }
func (x *Extension) receiveBits() uint8 { return uint8(x.policy.ReceiveWindowBits) }

func setDefault(to *int, n int) {
	if *to == 0 {
		*to = n
	}
}

func outside(n, from, to int) bool { return n < from || n > to }
