package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/bench/load/wire"
)

const (
	callEvery    = time.Second
	mostOffers   = 4096 // of one run: more are noise
	longestReady = 1000 // agents
)

// GatherOptions say which agents to take.
type GatherOptions struct {
	Agents int    // how many, 1 to 1,000
	Token  []byte // that they know, at least 16 bytes
	Prefix string // of subjects; "": DefaultPrefix

	// Waiting hears who is there, each time that somebody came, from Gather's goroutine. It may be nil.
	Waiting func(ready, busy []string)
}

// ErrTooFew says that not so many agents answered as were asked for, before ctx ended.
var ErrTooFew = errors.New("too few agents answered")

// Gather calls agents until so many have answered as were asked for, and makes a generator of each: generator i does share i of
// load.Shares(plan, o.Agents). The agents' own errors come with the generators' first call. Close all of them, also those of a run
// that does not take place. When ctx ends before, the error is an ErrTooFew.
//
// The plan must be complete and portable: see [Portable].
func Gather(ctx context.Context, conn *nats.Conn, plan load.Plan, o GatherOptions) ([]load.Generator, error) {
	o.Prefix = cmp.Or(o.Prefix, DefaultPrefix)
	if err := errors.Join(checkToken(o.Token), checkPrefix(o.Prefix)); err != nil {
		return nil, err
	}
	if o.Agents < 1 || o.Agents > longestReady {
		return nil, fmt.Errorf("%d agents: 1 to %d can do a run", o.Agents, longestReady)
	}
	run := nats.NewInbox()
	run = run[strings.LastIndexByte(run, '.')+1:]
	offers, err := gather(ctx, conn, run, o)
	if err != nil {
		return nil, err
	}
	var all []load.Generator
	for i, share := range load.Shares(plan, o.Agents) {
		f := offers[i]
		s, err := newSession(conn, o.Prefix, run, f.Agent, keyOf(o.Token, run, f.Agent, f.Nonce), true)
		if err != nil {
			for _, g := range all {
				_ = g.Close() // it was asked nothing
			}
			return nil, err
		}
		all = append(all, elsewhere{wire.New("agent "+f.Name, share, s)})
	}
	return all, nil
}

// gather are the offers of so many agents, by name.
func gather(ctx context.Context, conn *nats.Conn, run string, o GatherOptions) ([]offer, error) {
	heardFrom := make(chan *nats.Msg, 256)
	sub, err := conn.ChanSubscribe(o.Prefix+"."+run+".offers", heardFrom)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	tick := time.NewTicker(callEvery)
	defer tick.Stop()
	known := map[string]offer{}
	for {
		if err := conn.Publish(o.Prefix+".call", said(call{protocol, run})); err != nil {
			return nil, err
		}
		for waiting := true; waiting; {
			select {
			case m := <-heardFrom:
				f, ok := anOffer(m.Data)
				if before, again := known[f.Agent]; !ok || again && before.Busy == f.Busy || len(known) >= mostOffers {
					continue
				}
				known[f.Agent] = f
				ready, busy := names(known)
				if o.Waiting != nil {
					o.Waiting(ready, busy)
				}
				if len(ready) >= o.Agents {
					return chosen(known, o.Agents), nil
				}
			case <-tick.C:
				waiting = false
			case <-ctx.Done():
				return nil, tooFew(known, o)
			}
		}
	}
}

// anOffer is one that can be taken: another protocol's agents cannot.
func anOffer(b []byte) (offer, bool) {
	var f offer
	ok := heard(b, &f) == nil && f.Protocol == protocol && anID.MatchString(f.Agent) && len(f.Nonce) == nonceLength
	f.Name = readable(f.Name)
	return f, ok
}

func names(of map[string]offer) (ready, busy []string) {
	for _, f := range of {
		if f.Busy {
			busy = append(busy, f.Name)
		} else {
			ready = append(ready, f.Name)
		}
	}
	slices.Sort(ready)
	slices.Sort(busy)
	return ready, busy
}

// chosen are so many of those that are ready, each with a name of its own.
func chosen(known map[string]offer, n int) []offer {
	var all []offer
	for _, f := range known {
		if !f.Busy {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b offer) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Agent, b.Agent)) })
	all = all[:n]
	seen := map[string]int{}
	for i := range all {
		name := all[i].Name
		if seen[name]++; seen[name] > 1 {
			all[i].Name = fmt.Sprintf("%s (%d)", name, seen[name])
		}
	}
	return all
}

func tooFew(known map[string]offer, o GatherOptions) error {
	ready, busy := names(known)
	err := fmt.Errorf("%w: %d of %d", ErrTooFew, len(ready), o.Agents)
	if len(ready) > 0 {
		err = fmt.Errorf("%w (%s)", err, strings.Join(ready, ", "))
	}
	if len(busy) > 0 {
		err = fmt.Errorf("%w; busy with another run: %s", err, strings.Join(busy, ", "))
	}
	return fmt.Errorf("%w. Start gannet load agent on the other machines, with the same --nats and --subject", err)
}

// Portable is a plan as other machines can do it: a payload file's content stands in it. What cannot be is an error: agents read no
// files for others.
func Portable(plan load.Plan) (load.Plan, error) {
	t := plan.TLS
	if t.CertFile != "" || t.KeyFile != "" || t.CAFile != "" {
		return plan, errors.New("agents read no files for others: a run with --agents has no client certificate and no CA of its own (put the CA among the agents' system's, or use --insecure)")
	}
	if file := plan.Payload.File; file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return plan, err
		}
		if !utf8.Valid(b) || len(b) == 0 {
			return plan, fmt.Errorf("%s is not text: agents are given the content of a payload file in JSON, which holds text alone", file)
		}
		plan.Payload.File, plan.Payload.Text = "", string(b)
	}
	return plan, nil
}
