// Package reconnect has a client's connection come back: when it is lost, or an attempt fails, the next attempt comes after a delay.
//
// Start makes a Conn, which lives until Close, and has one engine.Conn after the other. A Handler hears when it is open, first or
// again, what comes, what was lost and when the next attempt is, and in the end that it is over.
//
// # Delays
//
// They grow from attempt to attempt, from FirstDelay to MaxDelay, each twice the one before, and each is drawn between 0 and
// that (full jitter): a thousand clients that a server loses at once do not come back at once. They start again
// when a connection was open for StableAfter, and so not when a server accepts and drops.
//
// A server can say more. Retry-After of an answer that refuses is waited for (RFC 9110 10.2.3), up to
// MaxRetryAfter, and the drawn delay is added. After 1012, Service Restart, the delay is drawn between a sixth of MaxDelay and
// MaxDelay, which are the 5 to 30 seconds that the IANA registry's entry asks for. After 1013, Try Again Later,
// it is between MaxDelay and twice that.
//
// # No further attempt
//
// There is none after Close, and after the end of the context. There is none where the server says that this client is not
// wanted: an answer with a status of 400 to 499, but for 408, 425 and 429, and a Close with 1008, 1003 or 1010. Options.Again decides otherwise.
// MaxAttempts and MaxElapsed bound the rest.
//
// # What was lost
//
// Nothing is kept and sent later: Send answers ErrNotConnected where there is no connection. Only the program
// knows whether a message is still worth sending. Loss.Unsent counts what Send had accepted and what never left. What had left may
// have been lost on the way as well: only an answer of the server's tells that it has come.
package reconnect
