package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"

	"github.com/gannet-ws/gannet/bench/load"
)

// longestForeign is how many characters of a text from the peer are shown.
const longestForeign = 200

// oneLine is the beginning of a text that may come from the peer, as [harmless] has it.
func oneLine(s string) string {
	n := 0
	for i := range s {
		if n++; n > longestForeign {
			return harmless(s[:i]) + "..."
		}
	}
	return harmless(s)
}

// harmless makes a text harmless to a terminal and to the direction of writing: what does not print is shown as \x1b or \u202e.
func harmless(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

func count(n int64) string { return humanize.Comma(n) }

// rate is messages a second: a fraction only where there are few.
func rate(v float64) string {
	if v < 100 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return humanize.Comma(int64(v + 0.5))
}

func bytesOf(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// percent of a share: as many digits as say something.
func percent(n, of float64) string {
	if of == 0 {
		return "0 %"
	}
	switch p := n / of * 100; {
	case p == 0 || p >= 99.995:
		return fmt.Sprintf("%.0f %%", p)
	case p < 0.01:
		return "< 0.01 %"
	case p < 10 || p > 99:
		return fmt.Sprintf("%.2f %%", p)
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}

// milliseconds have as many digits as a histogram keeps.
func milliseconds(v float64) string {
	switch {
	case v < 1:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return humanize.Comma(int64(v + 0.5))
	}
}

func seconds(v float64) string {
	return time.Duration(v * float64(time.Second)).Round(100 * time.Millisecond).String()
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// headline says in a line what the run was.
func headline(r *load.Result) string {
	p := r.Plan
	parts := []string{plural(r.Connections.Asked, "connection", "connections")}
	switch {
	case p.Scenario == load.Idle || p.Scenario == load.Storm:
	case p.Depth > 0:
		parts = append(parts, "closed loop, depth "+count(int64(p.Depth)))
	case r.RateAsked > 0:
		parts = append(parts, "open loop, "+rate(r.RateAsked)+" messages/s asked for")
	}
	parts = append(parts, seconds(r.Duration)+" measured")
	if p.Warmup > 0 {
		parts = append(parts, "after "+time.Duration(p.Warmup).String()+" of warm-up")
	}
	scenario := p.Scenario
	if scenario == "" {
		scenario = load.Echo
	}
	return oneLine(string(scenario)) + ": " + strings.Join(parts, ", ")
}

// advice says what an error of a class means and what to do.
func advice(c load.Class) string {
	switch c {
	case load.Refused:
		return "Nobody listened there, or the server's accept queue was full. Is it up, and is this its port? If it is, lower --connect-rate or raise net.core.somaxconn and the server's backlog."
	case load.TimedOut:
		return "The server did not answer in time. Lower --connect-rate or the rate, or allow more with --connect-timeout or --answer-timeout."
	case load.Unreachable:
		return "No connection came about: no such name, no route, or a reset before the handshake was done. Check the URL, the network, and what the server logs."
	case load.TLSFailed:
		return "TLS failed. Name the server's CA with --ca, the server's name with --server-name, or do not check it with --insecure."
	case load.Handshake:
		return "The server did not open a WebSocket. Check the path, --header, --protocol and --origin; the status says what the server did not like."
	case load.Closed:
		return "The server, or something between, ended open connections. 1006 is without a Close frame: a crash, a reset, a proxy's idle time-out. Look into the server's log."
	case load.Verify:
		return "What came back is not what was sent. The server does not echo, or changes or mixes up messages."
	case load.Unasked:
		return "More came back than was sent. The server does not only echo: does --scenario fanout or --expect none fit?"
	case load.Exhausted:
		return "This machine ran out of descriptors, ports or memory. Raise ulimit -n and net.ipv4.ip_local_port_range, or use --source and --procs."
	case load.Lost:
		return "A generator is gone, and with it what it did since its last report. Look into its log and its machine's memory."
	default:
		return "Look into the server's log."
	}
}
