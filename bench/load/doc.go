// Package load puts load on a WebSocket server, and says honestly what came of it.
//
// A [Plan] says what to do. [Drive] does it with one or more generators and returns a [Result].
// A [Generator] is what opens the connections and sends: one in this process, one in each of several processes, or one on each of
// several machines. Drive does not know which. It leads through the stages of a run, adds up what the generators
// tell it, and decides what depends on all of them: phases, the search for a rate, thresholds, when to give up.
//
// A run is open loop unless it has a depth and no rate: each message has a time at which it should leave, and its latency counts
// from that time, whether or not the sender kept it. So a server that stalls is charged for all that it held up. The time since a
// message really left stands beside it, as raw latency.
//
// Reading order: plan.go, generator.go, tally.go, result.go; then drive.go, and package local for what a generator does.
package load
