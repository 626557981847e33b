package engine

// Planted bugs become data of a test tool: each call leaves with the code it stands in, and this file with the last one.
type bug uint8

const (
	_                 bug = iota
	bugLostWake           // a letter without a wake-up
	bugLostOwed           // the gap in which the lock's holder misses what the loop left
	bugCorkLeak           // the cork stays on
	bugOpenCork           // OnClose leaves its cork to the next connection
	bugStaleFD            // a descriptor is closed while this turn's events can still name it
	bugDoubleClose        // OnClose twice
	bugLeakQueue          // a closed connection keeps its queue
	bugLostDrain          // LowWater is reached and nobody told
	bugEarlyDrain         // OnDrain above LowWater
	bugStaysPaused        // reading does not resume after OnDrain
	bugQueueFront         // a buffer overtakes the one before it
	bugSentTwice          // what a partial write took is sent again
	bugEarlyAmount        // bufferedAmount forgets a message that has not left
	bugEarlyClose         // the Close frame overtakes the queue
	bugIntoWriter         // a message inside another one's fragments
	bugLostDeferred       // the messages behind a writer go with its last frame
	bugTwoPongs           // a ping is answered twice
	bugLostPong           // the newest ping is forgotten while an older pong waits
	bugLostTail           // half a header is forgotten between two reads
	bugLostTurn           // an unfinished turn is never gone on with
	bugBudgetLeak         // a lost connection stays charged to the inbound budget
	bugDeliversClosed     // messages after Close
	bugNoLinger           // the socket is closed at once, and a reset eats the Close frame
	bugTimerOnce          // a timer that fired is not set again
	bugCloseInLong        // the Close frame overtakes a message that is compressed slice by slice
	bugForgotClose        // the Close frame behind such a message is forgotten when another one follows
	bugLostSlices         // a long message is not gone on with when the socket has room again
	bugIntoLong           // a message inside a long one that waited before it
	bugLongDrain          // with a long message's last slice those behind it count no more
	bugPlainHistory       // what was sent as it is enters the history
	bugDropHistory        // a message that was dropped does
	bugUntold             // a prepared message does not, though the peer's window has it
	bugPreparedOwn        // nor the window of a connection's own compressor
	bugNoFlush            // a fragment that the peer cannot inflate before the next one
	bugLeakHistory        // a closed connection keeps its history
	bugLostAhead          // a turn that ended inside a frame forgets how much of it is unmasked
	bugWireLimit          // MaxMessageSize is held against the compressed size
	bugRestForgets        // what the peer may refer to does not outlive a rest
	bugRestsBusy          // a rest in the middle of a message
	bugWriterPasses       // a writer's fragment overtakes the long message before it
	bugWriterLast         // it waits behind what was sent after its writer began
	bugFrameEarly         // a long message leaves in fragments though it is within one frame
	bugFrameLate          // it is collected beyond the longest frame
	bugLeakMade           // what was collected stays when its connection is closed
)

func plantedBug(bug) bool { return false }
