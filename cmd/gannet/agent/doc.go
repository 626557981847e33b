// Package agent does a load run on several machines, which meet on a NATS server.
//
// [Gather] is on the machine that has the plan: it calls, takes so many agents as it needs, and makes a [load.Generator] of each.
// [Run] is on each of the others: it answers calls, and does the share that it is given, within its [Policy].
//
// The subjects, below a common prefix ("gannet.load"):
//
//	PREFIX.call             the coordinator, once a second: who is there?           JSON
//	PREFIX.RUN.offers       an agent: I am, and this is my name and what I may do   JSON
//	PREFIX.RUN.AGENT.down   from the coordinator to this agent                      package wire's lines, in sealed pieces
//	PREFIX.RUN.AGENT.up     and back
//
// Coordinator and agents know a token. It is never sent: from it and an agent's nonce comes a key, with which every piece is sealed
// (HMAC-SHA256 of its direction, number and bytes). So whoever reaches the broker without the token can neither give a plan nor change a
// rate nor forge figures nor send something again. They can read all of it: use TLS and the broker's permissions against that.
//
// docs/decisions/0034-agents.md says why it is like this.
package agent
