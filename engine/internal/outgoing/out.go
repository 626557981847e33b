package outgoing

import (
	"sync/atomic"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// Out is one connection's way out. The zero value is ready. Whoever calls it holds its connection's lock.
type Out struct {
	busy     *busy           // nil while nothing waits
	sender   *deflate.Sender // made with the first message that it compresses
	buffered uint64
	heard    uint32 // the number of the last broadcast that has come here
	due      Due
	closed   bool // the Close frame is placed, or the connection is CLOSED: nothing follows
}

// Call is what holds for one call: what an Out does not keep, because a million of them are idle.
type Call struct {
	Lane   *Lane
	Limits *Limits
	ID     int    // the descriptor, for the Sink
	After  uint32 // the number of the newest broadcast when the call was made: it comes behind that
	Corked bool   // a callback of this connection is running: what is sent may wait for its end
	Spare  *Spare // nil, or the caller's alone for this call
}

// Limits bound what waits. All are bytes; High and Low are the water marks.
type Limits struct {
	MaxBuffered int64 // negative: no limit
	High, Low   int64
	Drop        bool // a message over MaxBuffered is dropped; else the verdict is Slow
}

// Verdict is what becomes of a message.
type Verdict uint8

const (
	// Sent: it is accepted and counts in Buffered until it has left.
	Sent Verdict = iota
	// Full: it is over MaxBuffered, and was dropped. High is passed, so Low will be due.
	Full
	// Slow: it is over MaxBuffered, and the connection is to be closed.
	Slow
	// Closed: the Close frame was placed before it. It counts in Buffered, and is not sent.
	Closed
)

// Due is what the caller has to see to when it has let go of the lock. See the table in the package's doc.
type Due uint16

const (
	Room    Due = 1 << iota // tell HasRoom when the sink has room
	Broken                  // the sink refused a write: nothing leaves any more
	High                    // the high water mark was passed
	Low                     // the low water mark was reached
	Pong                    // the pong that was refused may be sent now
	Closing                 // closing may go on: the Close frame is placed, or all has left behind it
	Slices                  // call Slice
	Asking                  // ask the connection for the broadcasts that it has not heard
	Used                    // the compressor was used: it may rest after a while
	Corked                  // something waits in the cork of a Timed lane
)

// Due returns what has come due since it was called last.
func (o *Out) Due() Due {
	d := o.due
	o.due = 0
	return d
}

// HasDue tells whether Due would return something.
func (o *Out) HasDue() bool { return o.due != 0 }

// Sink takes the bytes. It answers how many have left for the network, and Lane.Full when it has no room for more. It
// may have taken more than it answers: what it did not answer is presented again, first and unchanged, but perhaps from
// another place, and with more or less behind it.
type Sink interface {
	Write(id int, p []byte) (int, error)
	Writev(id int, v [][]byte) (int, error)
}

// Lane is what the connections of one loop share. Whoever makes one sets its fields; nobody changes them afterwards.
type Lane struct {
	Sink  Sink
	Full  error // what Sink answers when it has no room
	Pool  *pool.Pool
	Mask  func() [4]byte // makes a client's masking keys, from a CSPRNG (RFC 6455 5.3); nil: a server masks nothing
	Timed bool           // a callback may take long: control frames do not wait for its end, and Corked is due

	Deflate *deflate.Extension // nil: nothing is compressed
	Slice   int                // how much of a long message is compressed in one turn (SliceAt)
	Frame   int64              // the longest compressed frame of one; negative: each slice is a frame
	Places  int                // how many long messages are collected at the same time

	Counts Counts
	places atomic.Int32 // taken
}

// Counts are what has left through a lane, and what waits in it. Any goroutine may read them.
type Counts struct {
	Messages, Bytes atomic.Uint64 // payload
	Dropped         atomic.Uint64 // messages, with the verdict Full
	Waiting         atomic.Int64  // bytes, of all connections (busy.waiting), but what a call that is under way changes
	Deflated        struct {
		Messages atomic.Uint64
		Wire     atomic.Uint64 // bytes made
		Bytes    atomic.Uint64 // of so many
	}
}

// Add takes what t has counted.
func (c *Counts) Add(t *Tally) {
	if t.Messages != 0 {
		c.sent(int(t.Messages), t.Bytes)
		*t = Tally{}
	}
}

func (c *Counts) sent(messages int, payload uint64) {
	if messages != 0 {
		c.Messages.Add(uint64(messages))
		c.Bytes.Add(payload)
	}
}

// deflated counts a compressed frame, and with its last one the message.
func (c *Counts) deflated(wire, bytes int, last bool) {
	if last {
		c.Deflated.Messages.Add(1)
	}
	c.Deflated.Wire.Add(uint64(wire))
	c.Deflated.Bytes.Add(uint64(bytes))
}

// Collecting is how many long messages are being collected.
func (l *Lane) Collecting() int { return int(l.places.Load()) }

// Buffered is the payload of the messages that were accepted and have not wholly left.
func (o *Out) Buffered() uint64 { return o.buffered }

// Count adds n bytes to Buffered that will never leave.
func (o *Out) Count(n int) { o.buffered += uint64(n) }

// Idle tells whether nothing waits, and nothing is kept for it.
func (o *Out) Idle() bool { return o.busy == nil }

// AllLeft tells whether nothing is still to leave, as far as messages and writers have ended.
func (o *Out) AllLeft() bool { return o.busy == nil || o.busy.queued() == 0 && !o.busy.unfinished() }

// Account is all that waits, and how far it has come.
type Account struct {
	Left      uint64 // bytes that have left since the connection was idle last
	Queued    uint64 // framed, and have not left
	Cost      uint64 // what MaxBuffered compares with: Queued, what is deferred, and what is being compressed
	Mark      uint64 // what the water marks compare with
	Deferred  int    // messages and places that wait to be framed
	Unframed  uint64 // what those cost
	Long      uint64 // bytes of a long message that are to be compressed yet
	Collected uint64 // bytes that the others became, as far as they are kept until all is compressed
	Blocked   bool   // the sink is full
	Failed    bool   // it is broken
	Turns     bool   // Slice, or a broadcast that comes, has something to do
	Awaits    bool   // what was sent first of all that is deferred is a broadcast that has not come
	Stuck     bool   // something deferred waits behind nothing: our mistake
	Collects  bool   // a long message is collected
	Place     bool   // it has one of its lane's places
}

// Account looks at what waits.
func (o *Out) Account() Account {
	b := o.busy
	if b == nil {
		return Account{}
	}
	return Account{
		Left: b.left, Queued: b.queued(), Cost: b.cost(), Mark: b.markCost(), Deferred: len(b.deferred), Unframed: b.deferredBytes,
		Long: b.long.rest(), Collected: b.long.collected(), Blocked: b.blocked, Failed: b.failed, Turns: b.unfinished(),
		Awaits: b.awaitsBroadcast(), Collects: b.long.making() && !b.long.begun, Place: b.long.place,
		Stuck: b.releasable() && !b.unfinished(),
	}
}
