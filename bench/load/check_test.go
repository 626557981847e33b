package load

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestCheck: each plan that cannot be is refused, with the field named.
func TestCheck(t *testing.T) {
	good := func() Plan { return Plan{URL: "ws://127.0.0.1:1/x", Connections: 10, Rate: 100} }
	for _, k := range []struct {
		field string
		spoil func(p *Plan)
	}{
		{"url", func(p *Plan) { p.URL = "" }},
		{"url", func(p *Plan) { p.URL = "http://h" }},
		{"url", func(p *Plan) { p.URL = "ws://" }},
		{"url", func(p *Plan) { p.URL = "ws://h:x" }},
		{"url", func(p *Plan) { p.URL = "ws://h/#f" }},
		{"tls", func(p *Plan) { p.TLS.Insecure = true }},
		{"tls.cert", func(p *Plan) { p.URL, p.TLS.CertFile = "wss://h", "c.pem" }},
		{"tls.insecure", func(p *Plan) { p.URL, p.TLS.CAFile, p.TLS.Insecure = "wss://h", "c.pem", true }},
		{"sources", func(p *Plan) { p.Sources = []string{"127.0.0.9-127.0.0.1"} }},
		{"scenario", func(p *Plan) { p.Scenario = "ecko" }},
		{"expect", func(p *Plan) { p.Expect = "all" }},
		{"expect", func(p *Plan) { p.Scenario, p.Expect = Fanout, ExpectNone }},
		{"verify", func(p *Plan) { p.Verify, p.Expect = true, ExpectNone }},
		{"verify", func(p *Plan) { p.Verify, p.Scenario, p.Rate = true, Idle, 0 }},
		{"writers", func(p *Plan) { p.Writers = 1 }},
		{"writers", func(p *Plan) { p.Writers = -1 }},
		{"writers", func(p *Plan) { p.Scenario, p.Writers = Fanout, 10 }},
		{"dripRate", func(p *Plan) { p.Scenario = Drip }},
		{"dripRate", func(p *Plan) { p.DripRate = 1 }},
		{"churnAfter", func(p *Plan) { p.Scenario = Churn }},
		{"churnAfter", func(p *Plan) { p.Churn = Duration(time.Second) }},
		{"connections", func(p *Plan) { p.Connections = -1 }},
		{"connections", func(p *Plan) { p.Connections = 1e9 }},
		{"connectRate", func(p *Plan) { p.ConnectRate = -1 }},
		{"rate", func(p *Plan) { p.Rate = 0 }},
		{"rate", func(p *Plan) { p.Rate = -1 }},
		{"rate", func(p *Plan) { p.Rate = 1e12 }},
		{"rate", func(p *Plan) { p.Scenario = Storm }},
		{"rate", func(p *Plan) { p.Phases = []Phase{{Duration: Duration(time.Second), Rate: 5}} }},
		{"depth", func(p *Plan) { p.Depth = -1 }},
		{"depth", func(p *Plan) { p.Depth, p.Expect = 1, ExpectNone }},
		{"depth", func(p *Plan) { p.Depth, p.Scenario = 1, Fanout }},
		{"loops", func(p *Plan) { p.Loops = 1000 }},
		{"phases", func(p *Plan) { p.Rate, p.Phases = 0, []Phase{{Rate: 5}} }},
		{"findRate", func(p *Plan) { p.FindRate = "p99<" }},
		{"findRate", func(p *Plan) {
			p.Rate, p.FindRate, p.Phases = 0, "p99<5ms", []Phase{{Duration: Duration(time.Second), Rate: 5}}
		}},
		{"duration", func(p *Plan) { p.Duration = -1 }},
		{"duration", func(p *Plan) {
			p.Rate, p.Duration, p.Phases = 0, Duration(time.Hour), []Phase{{Duration: Duration(time.Second), Rate: 5}}
		}},
		{"payload", func(p *Plan) { p.Payload = Payload{Text: "x", Size: 1} }},
		{"payload", func(p *Plan) { p.Payload = Payload{Text: "\xff"} }},
		{"payload", func(p *Plan) { p.Scenario, p.Payload = Fanout, Payload{Text: "x"} }},
		{"payload.size", func(p *Plan) { p.Payload.Size = -1 }},
		{"payload.size", func(p *Plan) { p.Scenario, p.Payload.Size = Fanout, 10 }},
		{"payload.kind", func(p *Plan) { p.Payload.Kind = "words" }},
		{"payload.kind", func(p *Plan) { p.Payload.Kind = "noise" }},
		{"payload.kind", func(p *Plan) { p.Payload = Payload{Text: "x", Kind: "zero"} }},
		{"payload.template", func(p *Plan) { p.Payload.Template = "{{.Sec}}" }},
		{"payload.template", func(p *Plan) { p.Payload.Template = "{{if .Seq}}x{{end}}" }},
		{"payload.template", func(p *Plan) { p.Payload.Template = "{{" }},
		{"headers", func(p *Plan) { p.Headers = []HeaderField{{"A B", "x"}} }},
		{"headers", func(p *Plan) { p.Headers = []HeaderField{{"A", "x\r\ny"}} }},
		{"headers", func(p *Plan) { p.Headers = []HeaderField{{"sec-websocket-key", "x"}} }},
		{"headers", func(p *Plan) { p.Headers = []HeaderField{{"Origin", "x"}} }},
		{"protocols", func(p *Plan) { p.Protocol = []string{"a,b"} }},
		{"protocols", func(p *Plan) { p.Protocol = []string{"a", "A"} }},
		{"origin", func(p *Plan) { p.Origin = "a\nb" }},
		{"ping", func(p *Plan) { p.Ping = 1 }},
		{"connectTimeout", func(p *Plan) { p.ConnectTimeout = -1 }},
		{"fail", func(p *Plan) { p.Fail = []string{"p99"} }},
		{"abortOnFail", func(p *Plan) { p.AbortOnFail = true }},
	} {
		p := good()
		k.spoil(&p)
		p.Complete()
		err := p.Check()
		var named *PlanError
		if !errors.Is(err, ErrPlan) || !errors.As(err, &named) || named.Field != k.field || !strings.HasPrefix(err.Error(), k.field+": ") {
			t.Errorf("%+v: %v, want an error of %s", p, err, k.field)
		}
	}
}

// TestCheckGood: what is right is not refused, and Complete is done once.
func TestCheckGood(t *testing.T) {
	for _, p := range []Plan{
		{Rate: 1}, {Depth: 4}, {Rate: 10, Depth: 1}, {FindRate: "p99<10ms"}, {Scenario: Idle, Connections: 5}, {Scenario: Storm, Connections: 5},
		{Scenario: Fanout, Rate: 1, Connections: 3}, {Scenario: Fanout, Rate: 1, Connections: 3, Payload: Payload{Template: "x{{.Stamp}}"}},
		{Scenario: Drip, Rate: 1, DripRate: 1}, {Scenario: Churn, Rate: 1, Churn: Duration(time.Second)}, {Rate: 1, Expect: ExpectNone},
		{Phases: []Phase{{Duration: Duration(time.Second), Rate: 5}, {Duration: Duration(time.Second), Rate: 9, Ramp: true, Connections: 4}}},
		{Rate: 1, Payload: Payload{File: "not read yet"}}, {Rate: 1, Binary: true}, {Rate: 1, Payload: Payload{Kind: "json"}},
		{Rate: 1, Headers: []HeaderField{{"Host", "x"}, {"Cookie", "a=b"}}, Protocol: []string{"a", "b"}, Origin: "https://x"},
	} {
		p.URL = "ws://127.0.0.1:80"
		p.Complete()
		if err := p.Check(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
