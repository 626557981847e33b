// Package outgoing is one connection's way out: messages in, bytes out.
//
// It owns order, limits, what waits behind a writer or a long message, compression, framing, masking, the cork, the
// queue, the flush, bufferedAmount and the water marks. It has no lock, no clock, no goroutine and no log, and calls
// nobody but its Sink. Its caller holds the connection's lock, hands in what holds for the call ([Call]), and sees to
// what has come due ([Out.Due]) when it lets go of the lock.
//
// A message's way, in file order:
//
//	message.go   Send: limits; then it is made, or waits
//	straight.go  the shortest way, for what a callback sends to its own connection
//	deferred.go  what waits: behind a writer (writer.go), a long message (long.go), a broadcast (hear.go)
//	compress.go  compressed if that makes it shorter; long.go a slice a turn; prepared.go once for all
//	frame.go     framed, masked, placed; control.go control frames, which pass what waits, and the Close frame, which does not
//	flush.go     to the sink; marks.go what has left, and the water marks
//	busy.go      where all that is kept, while there is something; out.go the types and the account
//
// # What may follow what
//
// A connection's bytes are in two places, and leave in this order: the queue, then the cork. A frame goes into the cork
// while nothing is queued, else behind the queue. Bytes are queued when the sink has no room for them; then the sink
// counts as full (blocked), and nothing is written before HasRoom.
//
// Messages that cannot be framed yet are deferred, in the order in which they were sent. What is at the front of them
// waits for one of these, and all that is sent afterwards waits behind it:
//
//	an open writer          until End frames its last fragment
//	a long message          until Slice has compressed the last of it
//	broadcasts not heard    until Hear has brought the last of those that were announced before
//	our turn                a turn's worth is framed at once; Slice goes on with the rest
//
// Control frames pass what is deferred. The Close frame does not: it waits for the last of these turns. With it an open
// writer is aborted: if its message has begun, what is deferred behind it is never sent. After the Close frame, and after
// Drop, a message only counts. After a write that failed, or Fail, it does so without a verdict: nobody knows yet.
//
// # What is due when
//
//	Room     the sink was full, or a flush has written its share: call HasRoom when there is room
//	Broken   the sink refused a write
//	High     more than Limits.High waits and the sink is full or something is deferred; or a message was dropped
//	Low      Limits.Low was reached after that (0 if less waited when a message was dropped)
//	Pong     the pong before the one that was refused has left
//	Closing  the Close frame was placed; or all has left behind it
//	Slices   a long message began, or a turn's worth of what was deferred was framed and there is more
//	Asking   something waits behind broadcasts that the connection has not heard
//	Used     the compressor was used
//	Corked   something waits in the cork of a Timed lane
//
// # The words
//
//	placed    put into the stream: the cork or the queue. Its offset in the stream is known
//	left      handed to the network, as the sink answered
//	queued    placed and not left
//	deferred  accepted and not framed
//	made      of a long message: compressed. Collected: made, and kept until all of it is
//	cost      what counts of all that waits: queued, deferred, and what of a long message is to be compressed or is collected
//	buffered  the payload of messages that were accepted and have not wholly left (WHATWG bufferedAmount)
//	mark      where in the stream a message ends, and its payload; the water marks are High and Low
//	lent      a payload that is the caller's; what the sink does not take of it is kept when the lock is free
//	plain     what the straight path has put into the cork: whole, uncompressed, unmasked, without a mark
package outgoing
