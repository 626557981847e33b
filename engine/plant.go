package engine

// Planted bugs: the simulator must catch each of them (TestPlantedBugs). Without the
// tag gannetplant plantedBug is a constant false, and the code it guards is gone. About
// a third of them were in the engine once, until the simulator found them.
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
	bugs
)
