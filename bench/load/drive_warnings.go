package load

import (
	"fmt"
	"net"
	"net/url"
	"runtime"
)

const (
	busyShare = 0.9 // of a generator's processors: above it the generator may be what is slow
	lateP99   = 1.0 // milliseconds after its time that one message in a hundred leaves
	shortOf   = 0.99
)

// warnings say in plain words why figures may be the generator's and not the server's, and what to do.
func (r *run) warnings(res *Result) []string {
	var w []string
	say := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	for _, g := range res.Generators {
		if g.Lost {
			say("%s was lost: what it did since its last report is missing, and its part of the load as well.", g.Name)
			continue
		}
		if g.CPUShare > busyShare {
			say("%s used %.0f %% of its processors: rate and latency are the generator's as well as the server's. Lower the rate, or give it more processors or machines.",
				g.Name, 100*g.CPUShare)
		}
		if g.Lateness.P99 > lateP99 {
			say("%s sent one message in a hundred %.1f ms or more after its time: latency (which counts from that time) is partly its own; compare it with raw latency. Lower the rate, or give it more processors.",
				g.Name, g.Lateness.P99)
		}
	}
	if m := res.Messages; m.Unsent > 0 {
		say("%d of %d messages had their time and were not sent, because their connection was not open or the server did not read: latency does not count them.", m.Unsent, m.Due)
	}
	if asked := res.RateAsked; asked > 0 && res.SentRate < shortOf*asked {
		say("%.4g messages a second were asked for, and %.4g sent.", asked, res.SentRate)
	}
	w = append(w, r.shared(res)...)
	return append(w, r.target.gone()...)
}

// shared warns of processors of this machine that the generators share, with the target or with each other.
func (r *run) shared(res *Result) []string {
	cores, targetIsHere := runtime.NumCPU(), isHere(r.plan.URL)
	if cores == 1 && targetIsHere {
		return []string{"The generator and the target share one processor: each slows the other down. Use two machines, or two processors and taskset."}
	}
	if res.Duration == 0 {
		return nil
	}
	used, here := 0.0, 0
	for i, g := range res.Generators {
		if !r.crew.members[i].elsewhere() {
			used += g.CPU / res.Duration
			here++
		}
	}
	most := busyShare * float64(cores)
	if here > 1 && used > most {
		return []string{fmt.Sprintf("The generators together used %.1f of this machine's %d processors: rate and latency are theirs as well as the server's. Lower the rate, or use more machines (--agents).", used, cores)}
	}
	if res.Target == nil || !targetIsHere {
		return nil
	}
	if used += res.Target.CPU / res.Duration; used > most {
		return []string{fmt.Sprintf("The generator and the target together used %.1f of this machine's %d processors: each slows the other down. Lower the rate, or use two machines.", used, cores)}
	}
	return nil
}

// isHere says whether a URL is of this machine.
func isHere(target string) bool {
	u, err := url.Parse(target)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
