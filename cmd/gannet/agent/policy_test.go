package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

// aShare is one that the policy below admits.
func aShare() load.Share {
	return load.Share{Of: 1, Connections: 50, Rate: 500, ConnectRate: 100, Plan: load.Plan{URL: "ws://target.example:8080/x", Connections: 100, Rate: 1000, Duration: load.Duration(time.Minute)}}
}

var narrow = Policy{Allow: []string{"target.example:8080", "Other.Example", "192.0.2.1", "[2001:db8::1]:443"}, MaxRate: 1000, MaxConnections: 100, MaxDuration: 2 * time.Minute}

func TestPolicy(t *testing.T) {
	minute := load.Duration(time.Minute)
	for name, c := range map[string]struct {
		change func(*load.Share)
		says   string // "": it is admitted
	}{
		"as it is":           {func(*load.Share) {}, ""},
		"another port":       {func(s *load.Share) { s.Plan.URL = "ws://target.example/" }, "target.example:80 is not among"},
		"another host":       {func(s *load.Share) { s.Plan.URL = "ws://target.example.org:8080/" }, "not among"},
		"any port":           {func(s *load.Share) { s.Plan.URL = "ws://OTHER.example.:99/" }, ""},
		"an address":         {func(s *load.Share) { s.Plan.URL = "ws://192.0.2.1/" }, ""},
		"a mapped address":   {func(s *load.Share) { s.Plan.URL = "ws://[::ffff:192.0.2.1]/" }, ""},
		"another address":    {func(s *load.Share) { s.Plan.URL = "ws://192.0.2.2/" }, "not among"},
		"IPv6":               {func(s *load.Share) { s.Plan.URL = "wss://[2001:0db8::1]/" }, ""},
		"IPv6, other port":   {func(s *load.Share) { s.Plan.URL = "ws://[2001:db8::1]/" }, "not among"},
		"a user":             {func(s *load.Share) { s.Plan.URL = "ws://target.example:8080@evil.example/" }, "not among"},
		"http":               {func(s *load.Share) { s.Plan.URL = "http://target.example:8080/" }, "no ws://"},
		"no host":            {func(s *load.Share) { s.Plan.URL = "ws:///x" }, "no ws://"},
		"Host":               {func(s *load.Share) { s.Plan.Headers = []load.HeaderField{{Name: "hOST", Value: "evil.example"}} }, "the Host header evil.example:8080"},
		"Host, allowed":      {func(s *load.Share) { s.Plan.Headers = []load.HeaderField{{Name: "Host", Value: "other.example"}} }, ""},
		"another header":     {func(s *load.Share) { s.Plan.Headers = []load.HeaderField{{Name: "X", Value: "evil.example"}} }, ""},
		"server name":        {func(s *load.Share) { s.Plan.TLS.ServerName = "evil.example" }, "the TLS server name"},
		"a file":             {func(s *load.Share) { s.Plan.Payload.File = "/etc/passwd" }, "reads no files"},
		"a key":              {func(s *load.Share) { s.Plan.TLS.KeyFile = "/etc/passwd" }, "reads no files"},
		"connections":        {func(s *load.Share) { s.Connections = 101 }, "--max-connections"},
		"rate":               {func(s *load.Share) { s.Rate = 1001 }, "--max-rate"},
		"connect rate":       {func(s *load.Share) { s.ConnectRate = 1001 }, "--max-rate"},
		"pings":              {func(s *load.Share) { s.Plan.Ping = load.Duration(50 * time.Millisecond) }, "500 messages a second and 1000 pings"},
		"storm":              {func(s *load.Share) { s.Plan.Scenario, s.ConnectRate = load.Storm, 501 }, "--max-rate"},
		"churn":              {func(s *load.Share) { s.Plan.Scenario, s.Plan.Churn, s.ConnectRate = load.Churn, 1, 501 }, "--max-rate"},
		"slow churn":         {func(s *load.Share) { s.Plan.Scenario, s.Plan.Churn, s.ConnectRate = load.Churn, minute, 501 }, ""},
		"a closed loop":      {func(s *load.Share) { s.Plan.Depth, s.Plan.Rate = 1, 0 }, "closed loop"},
		"a depth":            {func(s *load.Share) { s.Plan.Depth = 1 }, ""},
		"an impossible plan": {func(s *load.Share) { s.Plan.Payload.Size = -1 }, "payload.size"},
		"duration":           {func(s *load.Share) { s.Plan.Warmup = 2 * minute }, "--max-duration"},
		"phases":             {func(s *load.Share) { s.Plan.Phases = []load.Phase{{Duration: minute}, {Duration: 2 * minute}} }, "--max-duration"},
		"phases that wrap":   {func(s *load.Share) { s.Plan.Phases = []load.Phase{{Duration: 1<<63 - 1}, {Duration: 1<<63 - 1}} }, "cannot be"},
		"a negative phase":   {func(s *load.Share) { s.Plan.Phases = []load.Phase{{Duration: 9 * minute}, {Duration: -9 * minute}} }, "a phase takes some time"},
		"growing phases":     {func(s *load.Share) { s.Plan.Phases, s.ConnectRate = []load.Phase{{Connections: 60}}, 600 }, "--max-rate"},
		"thousands of loops": {func(s *load.Share) { s.Plan.Loops = 10000 }, "event loops"},
	} {
		s := aShare()
		c.change(&s)
		err := narrow.admit(s)
		if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

func TestCapped(t *testing.T) {
	f := &fake{turned: make(chan load.Phase, 1)}
	s := aShare()
	s.Plan.Ping = load.Duration(time.Second)
	for _, c := range []struct{ rate, want float64 }{{10, 10}, {950, 950}, {1e9, 950}} {
		if err := (capped{f, narrow, s}).Turn(c.rate, 1000); err != nil {
			t.Fatal(err)
		}
		if p := <-f.turned; p.Rate != c.want || p.Connections != 50 {
			t.Errorf("%v/s became %v/s on %d connections", c.rate, p.Rate, p.Connections)
		}
	}
	s.Plan.Phases = []load.Phase{{Connections: 1000}}
	if err := (capped{f, narrow, s}).Turn(1e9, 1000); err != nil {
		t.Fatal(err)
	}
	if p := <-f.turned; p.Rate != 800 || p.Connections != 100 { // 100 pings and 100 attempts a second besides
		t.Errorf("%v/s on %d connections", p.Rate, p.Connections)
	}
}

func TestBadPolicies(t *testing.T) {
	for _, p := range []Policy{
		{}, {Allow: []string{"*"}, MaxRate: 1, MaxConnections: 1, MaxDuration: 1}, {Allow: []string{"ws://x/"}, MaxRate: 1, MaxConnections: 1, MaxDuration: 1},
		{Allow: []string{"x:99999"}, MaxRate: 1, MaxConnections: 1, MaxDuration: 1}, {Allow: []string{""}, MaxRate: 1, MaxConnections: 1, MaxDuration: 1},
		{Allow: []string{"x"}, MaxConnections: 1, MaxDuration: 1}, {Allow: []string{"x"}, MaxRate: 1, MaxDuration: 1}, {Allow: []string{"x"}, MaxRate: 1, MaxConnections: 1},
	} {
		if p.Check() == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	if err := narrow.Check(); err != nil {
		t.Error(err)
	}
}

func TestPortable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(file, []byte("héllo"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Portable(load.Plan{Payload: load.Payload{File: file}})
	if err != nil || p.Payload.File != "" || p.Payload.Text != "héllo" {
		t.Errorf("%v, %+v", err, p.Payload)
	}
	if err := os.WriteFile(file, []byte{0xff}, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []load.Plan{{Payload: load.Payload{File: file}}, {Payload: load.Payload{File: "nowhere"}}, {TLS: load.TLS{CAFile: "x"}}, {TLS: load.TLS{CertFile: "x", KeyFile: "y"}}} {
		if _, err := Portable(p); err == nil {
			t.Errorf("%+v can be done elsewhere", p)
		}
	}
}
