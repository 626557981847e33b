package load

import (
	"errors"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/gannet-ws/gannet/engine"
)

// What a plan may ask for at most: more is a slip of the finger.
const (
	mostConnections = 10_000_000
	mostRate        = 1e9 // messages a second; connections as well
	mostDepth       = 1 << 20
	mostLoops       = 256
	longestRun      = 200 * 24 * time.Hour
)

// faults collects what is wrong with a plan.
type faults []error

// when adds an error if it is so.
func (f *faults) when(so bool, field, format string, args ...any) {
	if so {
		*f = append(*f, refuse(field, format, args...))
	}
}

// Check tells everything that is wrong with a plan that is complete: fields that are out of range, and fields that cannot be together. Each
// error is a [PlanError], all of them joined, and errors.Is tells that it is [ErrPlan]. It reads no file and asks no
// network. Of the machine that sends, its files, descriptors and ports, it knows nothing.
func (p *Plan) Check() error {
	var f faults
	p.checkTarget(&f)
	p.checkScenario(&f)
	p.checkLoad(&f)
	p.checkPhases(&f)
	p.checkPayload(&f)
	p.checkRequest(&f)
	p.checkTimes(&f)
	p.checkThresholds(&f)
	return errors.Join(f...)
}

func (p *Plan) checkTarget(f *faults) {
	u, err := url.Parse(p.URL)
	switch {
	case p.URL == "":
		f.when(true, "url", "which server? Write ws://host:port/path, or wss:// for TLS")
		return
	case err != nil:
		f.when(true, "url", "%w: write ws://host:port/path, or wss:// for TLS", err)
		return
	}
	f.when(u.Scheme != "ws" && u.Scheme != "wss", "url", "%q begins with neither ws:// nor wss://", p.URL)
	f.when(u.Hostname() == "", "url", "%q names no host", p.URL)
	f.when(u.Fragment != "", "url", "%q has a fragment (#%s), which no WebSocket has (RFC 6455 3)", p.URL, u.Fragment)
	f.when(u.Scheme == "ws" && p.TLS != TLS{}, "tls", "the url begins with ws://, which has no TLS: write wss://")
	f.when((p.TLS.CertFile == "") != (p.TLS.KeyFile == ""), "tls.cert", "a client certificate needs both tls.cert and tls.key")
	f.when(p.TLS.Insecure && p.TLS.CAFile != "", "tls.insecure", "any certificate will do, so tls.ca has no effect: set one of them")
	if _, err := SourceAddrs(p.Sources); err != nil {
		*f = append(*f, err)
	}
}

func (p *Plan) checkScenario(f *faults) {
	all := []Scenario{Echo, Fanout, Idle, Storm, Drip, Churn}
	f.when(!slices.Contains(all, p.Scenario), "scenario", "%q is none of echo, fanout, idle, storm, drip, churn", p.Scenario)
	f.when(p.Expect != ExpectEcho && p.Expect != ExpectNone, "expect", "%q is neither echo nor none", p.Expect)
	f.when(p.Scenario == Fanout && p.Expect == ExpectNone, "expect", "a fan-out measures deliveries, so none cannot be expected: leave it out")
	f.when(p.Verify && p.quiet(), "verify", "%s sends no messages, so there is nothing to compare: leave it out", p.Scenario)
	f.when(p.Verify && !p.quiet() && p.Expect == ExpectNone, "verify", "nothing is expected back, so there is nothing to compare: leave verify or expect none out")
	f.when(p.Writers < 0, "writers", "%d is below 0", p.Writers)
	f.when(p.Writers > 0 && p.Scenario != Fanout, "writers", "only a fanout has writers: in %s every connection does the same", p.Scenario)
	f.when(p.Scenario == Fanout && p.Writers > 0 && p.Writers >= p.fewest(), "writers", "%d of %d connections write, so nobody reads: raise connections", p.Writers, p.fewest())
	f.when(p.Scenario == Drip && p.DripRate <= 0, "dripRate", "drip needs the bytes a second that each connection reads: 1000, say")
	f.when(p.Scenario != Drip && p.DripRate != 0, "dripRate", "only drip reads slowly: set scenario drip, or leave it out")
	f.when(p.Scenario == Churn && p.Churn < Duration(time.Millisecond), "churnAfter", "churn needs the time after which a connection leaves: 10s, say, and at least 1ms")
	f.when(p.Scenario != Churn && p.Churn != 0, "churnAfter", "only in churn do connections leave: set scenario churn, or leave it out")
}

// quiet tells whether the scenario sends no messages.
func (p *Plan) quiet() bool { return p.Scenario == Idle || p.Scenario == Storm }

// fewest is the least number of connections that the plan ever has.
func (p *Plan) fewest() int {
	n := p.Connections
	for _, h := range p.Phases {
		if h.Connections > 0 {
			n = min(n, h.Connections)
		}
	}
	return n
}

// checkRate refuses what is no rate. 0 is left to others.
func (f *faults) checkRate(field string, rate float64) {
	f.when(!(rate >= 0) || math.IsInf(rate, 1), field, "%v is no number of messages or connections a second", rate)
	f.when(rate > mostRate && !math.IsInf(rate, 1), field, "%v a second is more than any machine does: at most %v", rate, float64(mostRate))
}

func (f *faults) checkConnections(field string, n int) {
	f.when(n < 0 || n > mostConnections, field, "%d: from 1 to %d", n, mostConnections)
}

func (p *Plan) checkLoad(f *faults) {
	f.checkConnections("connections", p.Connections)
	f.checkRate("connectRate", p.ConnectRate)
	f.checkRate("rate", p.Rate)
	f.when(p.Depth < 0 || p.Depth > mostDepth, "depth", "%d: from 1 to %d messages under way on each connection", p.Depth, mostDepth)
	f.when(p.Loops < 0 || p.Loops > mostLoops, "loops", "%d: from 1 to %d, or 0 for one a core", p.Loops, mostLoops)
	f.when(p.quiet() && p.Rate != 0, "rate", "%s sends no messages: leave it out", p.Scenario)
	if p.Depth != 0 {
		f.when(p.quiet(), "depth", "%s sends no messages: leave it out", p.Scenario)
		f.when(p.Scenario == Fanout, "depth", "a fan-out has no answers to wait for: set rate alone")
		f.when(!p.quiet() && p.Expect == ExpectNone, "depth", "it counts messages without an answer, and no answers are expected: set rate alone, or leave expect none out")
		return
	}
	f.when(!p.quiet() && p.Rate == 0 && len(p.Phases) == 0 && p.FindRate == "", "rate",
		"how many messages a second, of all connections together? Set rate, or depth for a closed loop, or findRate")
}

func (p *Plan) checkPhases(f *faults) {
	if len(p.Phases) == 0 {
		return
	}
	var sum Duration
	for _, h := range p.Phases {
		f.when(h.Duration <= 0, "phases", "a phase takes some time: write 30s:1000/s, not %v", time.Duration(h.Duration))
		f.checkRate("phases", h.Rate)
		f.checkConnections("phases", h.Connections)
		f.when(p.quiet() && h.Rate != 0, "phases", "%s sends no messages: phases change connections alone there", p.Scenario)
		sum += h.Duration
	}
	f.when(p.Duration != sum, "duration", "the phases take %v, and the duration says %v: leave duration out", time.Duration(sum), time.Duration(p.Duration))
	f.when(p.Rate != 0 && !p.Phases[0].Ramp, "rate", "the phases have rates of their own, and the first one does not ramp up from this one: leave rate out, or let the first phase ramp")
	f.when(p.FindRate != "", "findRate", "a search chooses its rates itself: leave phases or findRate out")
}

func (p *Plan) checkPayload(f *faults) {
	y := &p.Payload
	kinds := 0
	for _, set := range []bool{y.Text != "", y.File != "", y.Template != "", y.Size != 0} {
		if set {
			kinds++
		}
	}
	f.when(kinds > 1, "payload", "set one of size, text, file and template")
	f.when(y.Size < 0 || y.Size > engine.MaxMessage, "payload.size", "%d bytes: from 1 to %d", y.Size, engine.MaxMessage)
	f.when(y.Kind != "" && y.Size == 0, "payload.kind", "it says how size is filled, and has no effect on text, file and template")
	if kinds > 1 || y.Size < 0 || y.Size > engine.MaxMessage || y.File != "" {
		return
	}
	small := *p
	small.Payload.Size = min(y.Size, 1<<10) // as good as the whole, and cheaper
	if _, err := NewRecipe(&small); err != nil {
		*f = append(*f, err)
	}
}

// ownFields are the handshake's.
var ownFields = []string{"Upgrade", "Connection", "Content-Length", "Transfer-Encoding", "Proxy-Authorization"}

func (p *Plan) checkRequest(f *faults) {
	for _, h := range p.Headers {
		f.when(!httpguts.ValidHeaderFieldName(h.Name), "headers", "%q is no header's name: write Name: value", h.Name)
		f.when(!httpguts.ValidHeaderFieldValue(h.Value) || !ascii(h.Value), "headers", "%s: %q cannot be a value: ASCII without line ends", h.Name, h.Value)
		own := slices.ContainsFunc(ownFields, func(n string) bool { return strings.EqualFold(n, h.Name) })
		f.when(own || len(h.Name) > 14 && strings.EqualFold(h.Name[:14], "Sec-WebSocket-"), "headers", "%s belongs to the handshake itself (sub-protocols are in protocols): leave it out", h.Name)
		f.when(strings.EqualFold(h.Name, "Origin"), "headers", "the origin is a field of its own: set origin")
	}
	for i, name := range p.Protocol {
		f.when(!httpguts.ValidHeaderFieldName(name), "protocols", "%q is no sub-protocol: letters, digits and a few signs, without spaces or commas", name)
		f.when(slices.ContainsFunc(p.Protocol[:i], func(n string) bool { return strings.EqualFold(n, name) }), "protocols", "%q is there twice", name)
	}
	f.when(!httpguts.ValidHeaderFieldValue(p.Origin) || !ascii(p.Origin), "origin", "%q cannot be sent: ASCII without line ends", p.Origin)
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 126 })
}

func (p *Plan) checkTimes(f *faults) {
	for _, t := range []struct {
		field    string
		d, least Duration
	}{
		{"duration", p.Duration, Duration(time.Millisecond)}, {"warmup", p.Warmup, 0}, {"ping", p.Ping, 0},
		{"connectTimeout", p.ConnectTimeout, Duration(time.Millisecond)}, {"answerTimeout", p.AnswerTimeout, Duration(time.Millisecond)},
	} {
		f.when(t.d < t.least || t.d > Duration(longestRun), t.field, "%v: from %v to 200 days", time.Duration(t.d), time.Duration(t.least))
	}
	f.when(p.Ping > 0 && p.Ping < Duration(time.Millisecond), "ping", "%v: at least 1ms from ping to ping, or 0 for none", time.Duration(p.Ping))
}

func (p *Plan) checkThresholds(f *faults) {
	if _, err := thresholds(p.Fail...); err != nil {
		f.when(true, "fail", "%w", err)
	}
	f.when(p.AbortOnFail && len(p.Fail) == 0, "abortOnFail", "there is no threshold that could fail: set fail")
	if p.FindRate == "" {
		return
	}
	if _, err := thresholds(p.FindRate); err != nil {
		f.when(true, "findRate", "%w", err)
	}
	f.when(p.quiet(), "findRate", "%s sends no messages, so there is no rate to find", p.Scenario)
}
