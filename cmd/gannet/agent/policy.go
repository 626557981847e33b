package agent

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

// ErrRefused is why an agent does not do a share that somebody with the token gave it.
var ErrRefused = errors.New("the agent refuses")

// Policy is what an agent does, whoever asks.
type Policy struct {
	Allow          []string      // hosts that may be targets: "example.com" (any port) or "example.com:8080"; none: none
	MaxRate        float64       // messages, pings and attempts to connect a second
	MaxConnections int           // at once
	MaxDuration    time.Duration // of a run, from its plan on
}

// Check says what is wrong with a policy.
func (p Policy) Check() error {
	if len(p.Allow) == 0 {
		return errors.New("no target is allowed: name those that this agent may load, --allow HOST or --allow HOST:PORT")
	}
	for _, a := range p.Allow {
		if host, _, err := hostPort(a, ""); err != nil || host == "" || strings.ContainsAny(host, "*/@") {
			return fmt.Errorf("%q is no host to allow: write example.com, example.com:8080, 192.0.2.1 or [2001:db8::1]:8080", a)
		}
	}
	if !(p.MaxRate >= 1) || p.MaxConnections < 1 || p.MaxDuration <= 0 {
		return fmt.Errorf("at most %v messages a second, %d connections and %v leave nothing to do", p.MaxRate, p.MaxConnections, p.MaxDuration)
	}
	return nil
}

// admit refuses a share that the policy does not cover.
func (p Policy) admit(s load.Share) error {
	for _, check := range []func(load.Share) error{p.target, noFiles, p.amount, possible} {
		if err := check(s); err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return nil
}

// target refuses hosts that are not allowed: where connections go, and whom they ask for there.
func (p Policy) target(s load.Share) error {
	u, err := url.Parse(s.Plan.URL)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return fmt.Errorf("%q is no ws:// or wss:// address", s.Plan.URL)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	if err := p.allowed(u.Host, port, "the target"); err != nil {
		return err
	}
	if name := s.Plan.TLS.ServerName; name != "" {
		if err := p.allowed(name, port, "the TLS server name"); err != nil {
			return err
		}
	}
	for _, h := range s.Plan.Headers {
		if strings.EqualFold(strings.TrimSpace(h.Name), "Host") {
			if err := p.allowed(h.Value, port, "the Host header"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p Policy) allowed(address, port, what string) error {
	host, port, err := hostPort(address, port)
	if err != nil {
		return fmt.Errorf("%s %q: %w", what, address, err)
	}
	for _, a := range p.Allow {
		allowedHost, allowedPort, err := hostPort(a, "")
		if err == nil && host == allowedHost && (allowedPort == "" || allowedPort == port) {
			return nil
		}
	}
	return fmt.Errorf("%s %s is not among the hosts that it allows (--allow): %s", what, net.JoinHostPort(host, port), strings.Join(p.Allow, ", "))
}

// hostPort takes an address apart, in the one form in which addresses can be compared.
func hostPort(address, port string) (string, string, error) {
	host := address
	if h, p, err := net.SplitHostPort(address); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", "", fmt.Errorf("%q is no port", p)
		}
		host, port = h, strconv.FormatUint(n, 10)
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String(), port, nil
	}
	if strings.Contains(host, ":") {
		return "", "", fmt.Errorf("%q is no host", host)
	}
	return strings.TrimSuffix(strings.ToLower(host), "."), port, nil
}

// noFiles refuses names of files: they would be this machine's, and their content would go to the target.
func noFiles(s load.Share) error {
	t := s.Plan.TLS
	for name, file := range map[string]string{"payload": s.Plan.Payload.File, "certificate": t.CertFile, "key": t.KeyFile, "CA": t.CAFile} {
		if file != "" {
			return fmt.Errorf("a plan that names a %s file (%q): an agent reads no files for others", name, file)
		}
	}
	return nil
}

// possible refuses a plan that nobody could do.
func possible(s load.Share) error {
	s.Plan.Complete()
	return s.Plan.Check()
}

// amount refuses more than the caps.
func (p Policy) amount(s load.Share) error {
	plan := s.Plan
	if s.Connections > p.MaxConnections {
		return fmt.Errorf("%d connections are more than its --max-connections, %d", s.Connections, p.MaxConnections)
	}
	if plan.ClosedLoop() {
		return fmt.Errorf("a closed loop (--depth) sends as fast as the server answers, and its --max-rate is %.6g: give a rate", p.MaxRate)
	}
	if s.ConnectRate > p.MaxRate {
		return fmt.Errorf("%.6g connections a second are more than its --max-rate, %.6g", s.ConnectRate, p.MaxRate)
	}
	if rate, besides := s.Rate, p.besides(s, s.Connections); rate+besides > p.MaxRate {
		return fmt.Errorf("%.6g messages a second and %.6g pings and connections are more than its --max-rate, %.6g", rate, besides, p.MaxRate)
	}
	length := time.Duration(plan.Warmup)
	if len(plan.Phases) == 0 {
		length += time.Duration(plan.Duration)
	}
	for _, f := range plan.Phases {
		if length += time.Duration(f.Duration); length < 0 {
			return errors.New("durations that cannot be")
		}
	}
	if length > p.MaxDuration {
		return fmt.Errorf("%v are more than its --max-duration, %v", length, p.MaxDuration)
	}
	if most := 4 * runtime.NumCPU(); plan.Loops < 0 || plan.Loops > most {
		return fmt.Errorf("%d event loops: at most %d", plan.Loops, most)
	}
	return nil
}

// besides is what comes to a share's rate: pings, and attempts to connect while it sends.
func (p Policy) besides(s load.Share, connections int) float64 {
	each := func(every load.Duration) float64 {
		if every <= 0 {
			return 0
		}
		return float64(connections) / time.Duration(every).Seconds()
	}
	more := each(s.Plan.Ping)
	switch {
	case s.Plan.Scenario == load.Storm || grows(s.Plan):
		return more + s.ConnectRate
	case s.Plan.Scenario == load.Churn:
		return more + math.Min(each(s.Plan.Churn), s.ConnectRate)
	}
	return more
}

// grows says whether a plan may open connections while it sends.
func grows(p load.Plan) bool {
	for _, f := range p.Phases {
		if f.Connections != 0 {
			return true
		}
	}
	return false
}

// capped is a generator that keeps within a policy, whatever it is told.
type capped struct {
	load.Generator
	policy Policy
	share  load.Share
}

// Turn does as much of it as is allowed. So a search for a rate finds what the agents can do together.
func (c capped) Turn(rate float64, connections int) error {
	most := c.policy.MaxConnections
	if !grows(c.share.Plan) {
		most = min(most, c.share.Connections)
	}
	connections = min(connections, most)
	return c.Generator.Turn(min(rate, max(0, c.policy.MaxRate-c.policy.besides(c.share, connections))), connections)
}
