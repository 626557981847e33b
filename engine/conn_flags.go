package engine

// flags are facts that only the loop needs. Where one is set or cleared in more than one place, the second says why.
type flags uint32

const (
	// Why the peer is not read. Pausing is told in one place (settlePause, settleHigh, deposit, awaitBroadcasts) and
	// ended in one; besides, closing ends all that the user (but after CloseWrite) or the peer could hold (advanceClosing, lose), and what lingers
	// is read whatever there was (linger, refuse).
	pausedByUser       flags = 1 << iota // Pause; settlePause
	pausedByHigh                         // more than HighWater is queued for the peer; settleHigh, lowAgain. A client's is toldHigh
	pausedByInbox                        // the workers lag; deposit, readPastInbox
	pausedByBroadcasts                   // its broadcasts come first; awaitBroadcasts, releaseBroadcasters
	// pausedByWork: what was read comes first: an unfinished turn (awaitTurn, nextTurn), or, while CONNECTING, a request
	// whose decision is awaited (await, decideLate). discard ends it as well, for nobody will take what was read.
	pausedByWork
	endWaits // the peer's end is known, and the workers have not come that far; endInOrder, serveBits

	writeWanted // the socket is full: tell when it is not; awaitRoom (and refuse, which has no turn), onWritable. Ended too where nothing is to be written any more: lose, linger

	toldHigh // more than HighWater is queued, and a client reads on: settleHigh, lowAgain

	// What never ends.
	sawEnd    // the peer ended its half of the stream; readFailed, and gone, when the transport is
	sawClose  // no frame of the peer counts any more: its Close was received (onCloseFrame), it broke a rule (fail), we do not wait for it (beginOnLoopLocked), or it is gone
	counted   // it counts against MaxConnsPerAddress; adopt, or admitProxied, when the proxy names the address
	bridged   // carried by goroutines; adopt
	overTLS   // wss; adopt, or takeForwarded, when a proxy says how its client came
	alive     // phaseHearing, though the peer is not gone; lose
	unwatched // the poller refused to watch it, and has it no longer; watch
	dialled   // it began here: the peer is a server; newDialled
	stranger  // over the limits: it counts nowhere; turned away as it came

	// What is noted for the loop's work, and is cleared when that comes to it.
	enqueued  // in loop.ready; enqueue, goOn
	restDue   // in loop.resting; restLater, rest
	timerDue  // in loop.ready: its timer has fired; fire, goOn
	hearDue   // in loop.ready: it is behind more broadcasts; hear, goOn
	pingOnWay // a ping of ours is owed, or queued; onPingDue, seePingLocked

	// unread: the peer is not read.
	unread = pausedByUser | pausedByHigh | pausedByInbox | pausedByBroadcasts | pausedByWork | endWaits
)

// held bits: why no message is delivered for the moment. Each has its echo in flags, which the loop sets when it
// has told the handler, and which stops the reading.
const (
	heldByHigh       uint32 = 1 << iota // more than HighWater is queued; tellDueLocked alone. A client's is overHigh
	heldByUser                          // Pause was called; setPaused alone
	heldByBroadcasts                    // its callbacks asked for more broadcasts than are made yet; holdBroadcaster, releaseBroadcasters
	overHigh                            // of a client: more than HighWater is queued, and messages are delivered; tellDueLocked alone

	heldBack = heldByHigh | heldByUser | heldByBroadcasts // no message is delivered
)

// todo bits: work that one side leaves to the other. Any goroutine sets them (notify, and tryLockOr for the holder of
// the lock). They are cleared together, by whoever takes them: serve, and for the lock's holder unlock.
const (
	todoFlush      uint32 = 1 << iota // write what is queued; the lock's holder
	todoHanded                        // calls were handed over; the lock's holder
	todoPing                          // send a ping; the lock's holder, then the loop looks at its clocks
	todoWatch                         // the socket is full: wait for room
	todoHigh                          // HighWater was passed
	todoDrain                         // LowWater was reached
	todoPong                          // answer the ping that waits
	todoClose                         // begin or go on closing
	todoFail                          // the socket refused a write
	todoAbort                         // Terminate
	todoPause                         // Pause or Resume was called
	todoInbox                         // the workers caught up
	todoDecide                        // a late decision about the upgrade
	todoShed                          // the inbound budget chose this connection
	todoTimers                        // the limits changed, or there is something to rest
	todoEnd                           // the workers have run what came before the peer's end
	todoSlice                         // go on with a long message
	todoHear                          // something waits behind a broadcast
	todoMarks                         // the water marks were moved
	todoBroadcasts                    // its callbacks broadcast faster than the loops can
)
