package load

import (
	"net/netip"
	"strings"
)

// mostSources bounds a range: 64 K addresses have more ports than any machine has memory for.
const mostSources = 1 << 16

// SourceAddrs are the addresses that Plan.Sources names: "127.0.0.1", or a range with both its ends, "127.0.0.1-127.0.0.20".
// An error is an [ErrPlan].
func SourceAddrs(sources []string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, s := range sources {
		from, to, ranged := strings.Cut(s, "-")
		first, err := netip.ParseAddr(strings.TrimSpace(from))
		if err != nil {
			return nil, refuse("sources", "%q is no address, nor a range of them: write 127.0.0.1, or 127.0.0.1-127.0.0.20", s)
		}
		last := first
		if ranged {
			if last, err = netip.ParseAddr(strings.TrimSpace(to)); err != nil {
				return nil, refuse("sources", "%q: the end of the range is no address: write 127.0.0.1-127.0.0.20", s)
			}
		}
		if first.Is4() != last.Is4() || last.Less(first) || first.Zone() != "" && ranged {
			return nil, refuse("sources", "%q runs from nowhere to nowhere: both ends are of one family, the lower one first", s)
		}
		for a := first; ; a = a.Next() {
			if all = append(all, a); len(all) > mostSources {
				return nil, refuse("sources", "%q makes more than %d addresses: name fewer", s, mostSources)
			}
			if a == last {
				break
			}
		}
	}
	return all, nil
}
