// Package sim is a machine that exists only in memory: pollers, sockets and a clock
// behind netio.System, all drawn from one seed, so that a run which breaks a law of
// the engine can be run again, step for step.
//
// A World holds what the loops share: descriptors, the network and time. Each loop
// has a System; whoever drives the simulation calls Turn, which is one turn of a
// poller, and moves the peers in between, all on one goroutine. (Run exists too, and
// every call may come from any goroutine, for runs under the race detector; those are
// not repeatable.)
//
// Connections come in both ways: a peer dials a listening descriptor (Dial), or the engine connects to an address, and
// what comes of that is decided by a function of the simulation's (SetNetwork, Route).
//
// A peer may speak TLS (OverTLS): then what it writes and reads is plaintext, and what the network carries are records.
//
// The machine is as unkind as the contract of netio allows: it takes part of what is
// written and gives part of what has arrived, reports readiness in any order, twice,
// too early or late, lets a wake-up wait, reuses each descriptor as soon as it can, and
// gives other goroutines a chance to act in the middle of a system call (Preempt). It also
// watches its caller: what the contract forbids (a call on a closed descriptor, a second
// close, a close while this turn's events can still name the descriptor) is a Breach.
package sim
