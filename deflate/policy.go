package deflate

import (
	"errors"
	"math/bits"
)

// Policy is what an endpoint offers or accepts, and how it compresses. The zero value is a good one: shared compressors
// at the default level, a history of at most 4 KiB for each connection that sends, and whatever window the peer wants.
//
// "Memory" below is per connection, and nothing before its first compressed message in that direction. "CPU" is TestBars'
// for messages of 1 KiB of JSON, where the default costs 1 (6 microseconds on a cloud core with busy neighbours, half of
// that on a quiet one) and inflating costs 0.5.
type Policy struct {
	// Takeover says what our messages may refer to. The zero value is SharedHistory.
	Takeover Takeover

	// PeerNoTakeover asks the peer not to refer to earlier messages (client_no_context_takeover from a server,
	// server_no_context_takeover from a client; RFC 7692 7.1.1). Saves all receive memory between messages; costs the
	// peer's ratio, so more bytes in. CPU: none.
	PeerNoTakeover bool

	// SendWindowBits bounds our own window: 8 to 15, the logarithm of its bytes; 0 means 15. The peer may ask for less.
	// It bounds what the peer has to keep for us, and HistoryBytes. CPU: none at the default level up to 8 KiB; longer
	// messages and other levels cost as at level 5 where they do not fit the window. RFC 7692 7.1.2.
	SendWindowBits int

	// ReceiveWindowBits bounds the peer's window: 8 to 15; 0 means 15. Memory: at most 2^ReceiveWindowBits bytes, as
	// far as the peer's messages fill it. A peer that cannot be told (7.1.2.2) is asked not to take its context over;
	// then it is none between messages, and up to 32 KiB while one is under way. CPU: none.
	ReceiveWindowBits int

	// Level is 1 to 9; 0 means DefaultLevel. Level 1 is an encoder of our own for messages of up to 8 KiB, and
	// klauspost/compress's level 1 above; the others are klauspost/compress's (but for messages under 128 bytes, which
	// those do not look up in the history). CPU, and bytes for 1,024: 1: 1.0, 249; 2: 1.9, 251; 3: 2.0, 245; 5: 2.6,
	// 241; 6: 2.8, 236; zlib's 6 makes 236. 7 to 9 clear 640 KiB for each message and are for megabytes only.
	Level int

	// HistoryBytes is how much of what was sent may be kept to compress the next message with: 256 to 32768 bytes; 0
	// means DefaultHistoryBytes; never more than the window. Another number than a power of two counts as the one below
	// it. What is kept follows the longest message: 512 bytes for messages of up to 410 bytes, else the least power of
	// two that is not below 5/4 of its length. Memory: that. CPU: 0.1 for 1 KiB,
	// as it is looked through again for every message (klauspost/compress's levels: 0.2 to 0.5 for 1 KiB). Level 1 looks
	// at no more than 8 KiB for messages of up to 8 KiB. Only with SharedHistory.
	HistoryBytes int

	// MinSize is the shortest payload that is compressed, in bytes; 0 means DefaultMinSize, or with OwnCompressor 128;
	// 1 tries them all. It does not count for messages in parts. CPU: that of compressing what is not shorter than this.
	// Memory: none.
	MinSize int

	// MaxRatio bounds how many bytes a message may inflate to for each byte received, from 64 KiB on: 2 to 1032, which
	// is DEFLATE's own limit; 0 means no bound. A message over it is ErrRatio (1009). It is judged by what has come so
	// far, at each step: a message that begins with much of one letter may be over it although the whole is not. JSON
	// seldom passes 20; a text of one letter does. CPU and memory: none.
	MaxRatio int

	// FrameBytes is the longest compressed message, in bytes as they leave, that is sent in one frame: 1 to 2147483647; 0 means
	// DefaultFrameBytes. A message is collected while it is compressed, and sent when it is whole. Once more has been collected,
	// that is sent as a first fragment (RFC 6455 5.4), and each slice that follows as another when it is ready. Negative: every
	// message over 128 KiB (32, 16 and 4 at levels 7, 8 and 9) leaves in fragments, each when it is ready. It is for peers that fail on
	// compressed messages in fragments, as Apple's network stack up to iOS and Safari 15 and some devices are reported to.
	// Memory: at most this much for a connection while such a message is compressed, and until it has left; with fragments about
	// 128 KiB where the peer keeps up. Latency: the first byte leaves when the last has been compressed, 4 ms for each MiB of JSON
	// at the default level and 15 at level 6 if nobody else is served meanwhile; with fragments it leaves within a millisecond. CPU: none.
	// What is never in fragments, however long: what is sent as it is, and what is compressed as a whole (Extension.Compress).
	// What is always: a message that its sender wrote in parts.
	FrameBytes int
}

// Takeover is how a sender keeps context between messages (RFC 7692 7.1.1).
type Takeover uint8

const (
	// SharedHistory keeps the last HistoryBytes that were sent, and primes a compressor with them that all connections
	// share. Memory: at most HistoryBytes.
	SharedHistory Takeover = iota
	// NoTakeover compresses every message alone. Memory: none but within a message in parts. CPU: the least.
	NoTakeover
	// OwnCompressor keeps a compressor for each connection, which refers to the whole window and reads nothing twice.
	// Memory: 0.8 MiB at level 1, 0.9 to 1.4 MiB above. CPU: 1.4 at level 1, 1.8 at 6. Messages, and a
	// writer's parts, under 128 bytes make it forget what it knew and become longer by a few bytes, so MinSize is 128
	// unless it is set. For few connections with much alike to say.
	OwnCompressor
)

// The defaults. Level and history are the knee of the curve that TestBars prints: JSON within 10 % of zlib's level 6 at
// a sixth of the cost of a level that equals it; prose in HTML within 20 %, which is what its window of 32 KiB is worth.
const (
	DefaultLevel        = 1
	DefaultHistoryBytes = 4096
	DefaultMinSize      = 64
	DefaultFrameBytes   = 4 << 20
)

const (
	minHistory = 256
	maxHistory = 1 << maxWindowBits
	maxLevel   = 9
	maxRatio   = 1032
	maxFrame   = 1<<31 - 1 // the longest message
)

// What New refuses.
var (
	ErrWindowBits = errors.New("deflate: window bits are not 8 to 15 or 0")
	ErrLevel      = errors.New("deflate: level is not 0 to 9")
	ErrHistory    = errors.New("deflate: history is not 256 to 32768 bytes or 0")
	ErrMinSize    = errors.New("deflate: minimum size is negative")
	ErrMaxRatio   = errors.New("deflate: ratio is not 2 to 1032 or 0")
	ErrTakeover   = errors.New("deflate: unknown kind of takeover")
	ErrFrameBytes = errors.New("deflate: frame bytes are above 2147483647")
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
	if p.Takeover == OwnCompressor {
		setDefault(&p.MinSize, blindUnder)
	}
	setDefault(&p.MinSize, DefaultMinSize)
	setDefault(&p.FrameBytes, DefaultFrameBytes)
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
	case p.FrameBytes > maxFrame:
		return nil, ErrFrameBytes
	}
	// What is between two of the pool's classes would cost the larger.
	p.HistoryBytes = 1 << (bits.Len(uint(p.HistoryBytes)) - 1)
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
