// Package processes runs several processes of this program on one TCP port (gannet serve --procs).
//
// A Group is in the process that a person starts: it opens a listening socket for each of the others, starts them, asks them for
// their figures, carries messages between them, and ends them. A Member is in each of those. They talk by net/rpc over two
// socket pairs that a member inherits, one for each direction; nothing of it is on the network. When the group's
// process ends, however it does, the pairs end, and each member ends at once.
package processes

import (
	"errors"

	"github.com/gannet-ws/gannet/engine"
)

// MaxCount is how many processes a Group has at most.
const MaxCount = 1024

// ErrUnsupported is what Start fails with where the system does not spread the connections of a port over processes.
var ErrUnsupported = errors.New("several processes on one port need Linux, whose SO_REUSEPORT spreads the connections over them")

// Figures are those of a server that is one process or several.
type Figures struct {
	engine.Stats
	// Processes are those of a Group, in the order of their start. There are none in the figures of a process that is in no group.
	Processes []Process `json:"processes,omitempty"`
}

// Process is one of a Group.
type Process struct {
	PID   int   `json:"pid"`
	Conns int64 `json:"conns"` // that are CONNECTING, OPEN or CLOSING
}

// Message is what a member tells the others: a message of a connection.
type Message struct {
	Op   byte
	Data []byte
}

// The names by which each side calls the other, and the descriptors that a member inherits.
const (
	parentVariable = "GANNET_PARENT" // the process id of the group's process

	memberStats    = "Member.Stats"
	memberDeliver  = "Member.Deliver"
	memberShutdown = "Member.Shutdown"
	groupFigures   = "Group.Figures"
	groupRelay     = "Group.Relay"

	listenerDescriptor = 3 // the first that is inherited besides stdin, stdout and stderr
	askedDescriptor    = 4 // the group calls the member
	askingDescriptor   = 5 // the member calls the group
)

// nothing is an argument or an answer without content; package gob has no empty struct.
type nothing = bool
