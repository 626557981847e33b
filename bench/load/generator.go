package load

import (
	"context"
	"time"
)

// Generator is one share of a run: it opens its connections and sends on them. One goroutine calls it, in this order:
// Connect, Begin, any number of Turn and Report, End. Report alone may come beside Connect too, from another goroutine: connecting takes
// long, and people want to see how it goes on. Close may come at any time after that, from the same goroutine, and ends whatever is left.
//
// [Share] says which part of a plan is whose.
type Generator interface {
	// Connect opens the share's connections and returns when each is open or has failed, or when ctx ends. A connection that
	// fails is in the tally and no error; an error is of the generator itself (it cannot be reached, it has no descriptors).
	Connect(ctx context.Context) error

	// Begin starts to send at the time at, which is the same for all generators of a run. What has its time before measure is
	// warm-up: it is sent, and counts in no figure but Tally.Warmup.
	Begin(at, measure time.Time) error

	// Turn sets rate and connections from now on: ramps, phases, and the search for a rate. rate is this share's messages a
	// second. Connections that are too many are closed in order, those that lack are opened at the plan's ConnectRate.
	Turn(rate float64, connections int) error

	// Report is what happened since the last Report. It is called about once a second.
	Report() (*Tally, error)

	// End stops sending, waits for answers for as long as the plan says or until ctx ends, closes the connections in order, and
	// is the last report.
	End(ctx context.Context) (*Tally, error)

	// Close frees everything at once.
	Close() error

	// Name tells generators apart in reports: "this process", "process 2 (pid 4711)", "agent ams-3".
	Name() string
}

// Share is a part of a plan: connections First to First+Connections-1 of all, and as much of the rate.
type Share struct {
	Plan        Plan    `json:"plan"`
	Index, Of   int     // which share of how many
	First       int     `json:"first"`
	Connections int     `json:"connections"`
	Writers     int     `json:"writers"` // of these connections, from the first on
	Rate        float64 `json:"rate"`
	ConnectRate float64 `json:"connectRate"`
}
