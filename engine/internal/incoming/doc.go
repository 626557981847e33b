// Package incoming makes events of the bytes that one connection receives: it cuts them into frames, holds them to the
// protocol and to the limits, assembles and inflates messages and checks their text.
//
// It is pulled. The caller gives [In.Next] what it has read; Next uses some of it, says how much, and fills in one
// [Event], or answers an error that knows its close code. Nothing here waits, locks, looks at a clock, logs or calls back. What
// takes time is inflation: a call does one bounded step of it and says how many bytes of work that was, so whoever owns
// the clock can stop between any two calls and go on later, with the same bytes at another place.
//
// # What may follow what
//
// An In is in one of these states; "→" names what the next call of Next does.
//
//	between messages   nothing is kept, and any connection of the lane may use the In: Idle is true.
//	                   → a whole message is an event at once, a view of b: the state stays.
//	                   → the first fragment, or the first piece of a frame: inside a message.
//	                   → a header that is not all there: inside a header.
//	inside a header    its bytes are kept, b is used up.
//	                   → with the missing bytes: as if the header had come whole, but the payload is a piece of its own.
//	inside a message   some of it is kept (assembled, inflated), or was delivered in chunks.
//	                   → more of it: the state stays, or a chunk is delivered.
//	                   → its end: the message, or its last chunk, is an event; between messages.
//	                   → a control frame between its fragments: Ping, Pong or Close; the state stays.
//	inside a step      inflation was stopped by its bound, in the middle of a piece: More is true, and the rest of that
//	                   piece, already unmasked, is at the start of b; b may be empty.
//	                   → the next step; or, when discarding, the rest of the piece is used up.
//	failed             Next has answered an error: nothing may follow but Release.
//
// After a Close event the caller stops (RFC 6455 5.5.1: nothing is processed behind it). [In.Discard] is allowed in
// every state: from then on data frames are checked and dropped, and only control frames are events.
//
// [In.Room] and [In.Filled] are Next for the rest of a large frame: the caller reads it straight to where it
// belongs. They are for a state inside a message alone, and Room says when.
package incoming
