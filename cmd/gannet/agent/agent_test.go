package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/bench/load/wire"
)

var token = []byte("0123456789abcdef")

// broker runs a NATS server in this process.
func broker(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", -1, true, true
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	return s
}

func dial(t *testing.T, b Broker) *nats.Conn {
	t.Helper()
	c, err := b.Dial("test", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// fake is a generator that counts.
type fake struct {
	share  load.Share
	turned chan load.Phase
	closed chan struct{}
	big    bool
}

func (f *fake) Name() string                  { return "fake" }
func (f *fake) Connect(context.Context) error { return nil }
func (f *fake) Begin(_, _ time.Time) error    { return nil }

func (f *fake) Turn(rate float64, connections int) error {
	f.turned <- load.Phase{Rate: rate, Connections: connections}
	return nil
}

func (f *fake) Report() (*load.Tally, error) {
	t := load.NewTally()
	t.Sent, t.Answered, t.Open, t.Loops = 10, 10, int64(f.share.Connections), 1
	t.Opened = int64(f.share.Connections)
	if f.big { // more than a piece
		for v := int64(1000); v < 3e12; v += v / 1000 {
			for range 3 {
				_ = t.Latency.RecordValues(v, v)
				_ = t.Raw.RecordValues(v, v*3)
			}
		}
	}
	return t, t.Latency.RecordValue(1e6)
}

func (f *fake) End(context.Context) (*load.Tally, error) { return f.Report() }

func (f *fake) Close() error { close(f.closed); return nil }

// crew runs agents on a broker until the test ends.
type crew struct {
	url    string
	mu     sync.Mutex
	fakes  []*fake
	logged []string
	heard  chan string
}

var policy = Policy{Allow: []string{"target.example"}, MaxRate: 1000, MaxConnections: 100, MaxDuration: time.Hour}

func (c *crew) options(name string) Options {
	return Options{Name: name, Version: "test", Token: token, Policy: policy,
		Make: func(s load.Share) (load.Generator, error) {
			f := &fake{share: s, turned: make(chan load.Phase, 10), closed: make(chan struct{}), big: true}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.fakes = append(c.fakes, f)
			return f, nil
		},
		Log: func(line string) { c.heard <- line },
	}
}

// start starts an agent, and returns what ends it.
func (c *crew) start(t *testing.T, o Options) (stop func()) {
	t.Helper()
	conn := dial(t, Broker{URL: c.url})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, conn, o) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// await waits until an agent logs something with this in it.
func (c *crew) await(t *testing.T, what string) {
	t.Helper()
	for {
		select {
		case line := <-c.heard:
			if strings.Contains(line, what) {
				return
			}
		case <-time.After(time.Minute):
			t.Fatalf("nobody logged %q", what)
		}
	}
}

func newCrew(url string) *crew { return &crew{url: url, heard: make(chan string, 1000)} }

func planFor(url string) load.Plan {
	p := load.Plan{URL: url, Connections: 10, Rate: 100, ConnectRate: 100, Duration: load.Duration(2 * time.Second)}
	p.Complete()
	return p
}

func TestAgents(t *testing.T) {
	c := newCrew(broker(t, server.Options{}).ClientURL())
	c.start(t, c.options("b"))
	c.start(t, c.options("a"))
	conn := dial(t, Broker{URL: c.url})
	plan := planFor("ws://target.example/")
	for range 2 { // agents are there for the next run, too
		generators, err := Gather(t.Context(), conn, plan, GatherOptions{Agents: 2, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		if generators[0].Name() != "agent a" || generators[1].Name() != "agent b" {
			t.Errorf("%s, %s", generators[0].Name(), generators[1].Name())
		}
		res, err := load.Drive(t.Context(), plan, generators, load.DriveOptions{})
		if err != nil || res.Ended != "done" || len(res.Errors) != 0 {
			t.Fatalf("%v, %+v", err, res)
		}
		if n := res.Messages.Sent; n%10 != 0 || n < 40 || res.Connections.Open != 10 || res.Latency.Count < 1e9 {
			t.Errorf("%+v, %+v, %d latencies", res.Messages, res.Connections, res.Latency.Count)
		}
		c.await(t, "done")
		c.await(t, "done")
	}
	if len(c.fakes) != 4 || c.fakes[0].share.Connections != 5 {
		t.Errorf("%d shares", len(c.fakes))
	}
	for _, f := range c.fakes {
		<-f.closed
	}
}

func TestTooFewAgents(t *testing.T) {
	c := newCrew(broker(t, server.Options{}).ClientURL())
	c.start(t, c.options("only"))
	ctx, cancel := context.WithCancel(t.Context())
	o := GatherOptions{Agents: 2, Token: token, Waiting: func(ready, _ []string) {
		if slices.Equal(ready, []string{"only"}) {
			cancel()
		}
	}}
	conn := dial(t, Broker{URL: c.url})
	if _, err := Gather(ctx, conn, planFor("ws://target.example/"), o); !errors.Is(err, ErrTooFew) || !strings.Contains(err.Error(), "1 of 2 (only)") {
		t.Error(err)
	}
}

func TestBusyAgent(t *testing.T) {
	c := newCrew(broker(t, server.Options{}).ClientURL())
	c.start(t, c.options("x"))
	conn := dial(t, Broker{URL: c.url})
	plan := planFor("ws://target.example/")
	first, err := Gather(t.Context(), conn, plan, GatherOptions{Agents: 1, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if err := first[0].Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o := GatherOptions{Agents: 1, Token: token, Waiting: func(_, busy []string) {
		if slices.Equal(busy, []string{"x"}) {
			cancel()
		}
	}}
	if _, err := Gather(ctx, conn, plan, o); !errors.Is(err, ErrTooFew) || !strings.Contains(err.Error(), "busy with another run: x") {
		t.Error(err)
	}
	if err := first[0].Close(); err != nil {
		t.Error(err)
	}
	c.await(t, "the run was ended")
	<-c.fakes[0].closed
	second, err := Gather(t.Context(), conn, plan, GatherOptions{Agents: 1, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	_ = second[0].Close()
}

// TestAnotherToken: who has not the token gets an answer, and no work.
func TestAnotherToken(t *testing.T) {
	c := newCrew(broker(t, server.Options{}).ClientURL())
	c.start(t, c.options("x"))
	conn := dial(t, Broker{URL: c.url})
	plan := planFor("ws://target.example/")
	wrong, err := Gather(t.Context(), conn, plan, GatherOptions{Agents: 1, Token: []byte("0123456789abcdeF")})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- wrong[0].Connect(t.Context()) }()
	// The agent hears that one first, and does this one.
	right, err := Gather(t.Context(), conn, plan, GatherOptions{Agents: 1, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if err := right[0].Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.fakes) != 1 {
		t.Errorf("%d shares were made", len(c.fakes))
	}
	_ = right[0].Close()
	_ = wrong[0].Close()
	if err := <-answered; !errors.Is(err, wire.ErrClosed) {
		t.Error(err)
	}
}

// TestForeignPieces: what others put in, or send again, on a session's subjects is heard by nobody.
func TestForeignPieces(t *testing.T) {
	c := newCrew(broker(t, server.Options{}).ClientURL())
	c.start(t, c.options("x"))
	conn, enemy := dial(t, Broker{URL: c.url}), dial(t, Broker{URL: c.url})
	again, err := enemy.Subscribe(DefaultPrefix+".*.*.*", func(m *nats.Msg) {
		_ = enemy.Publish(m.Subject, append([]byte{}, m.Data...)) // once more: this one too is heard, and sent again, until it is cut
		forged := append([]byte{}, m.Data...)
		forged[len(forged)-1] ^= 1
		_ = enemy.Publish(m.Subject, forged)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(again.AutoUnsubscribe(40), enemy.Flush()); err != nil {
		t.Fatal(err)
	}
	generators, err := Gather(t.Context(), conn, planFor("ws://target.example/"), GatherOptions{Agents: 1, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	g := generators[0]
	defer g.Close()
	if err := g.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := g.Turn(float64(i), 10); err != nil {
			t.Fatal(err)
		}
		if p := <-c.fakes[0].turned; p.Rate != float64(i) {
			t.Errorf("turn %d came as %v", i, p.Rate)
		}
	}
}

func TestAgentIsLost(t *testing.T) {
	c := newCrew(broker(t, server.Options{}).ClientURL())
	c.start(t, c.options("a"))
	stop := c.start(t, c.options("b"))
	conn := dial(t, Broker{URL: c.url})
	plan := planFor("ws://target.example/")
	generators, err := Gather(t.Context(), conn, plan, GatherOptions{Agents: 2, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	reports := 0
	res, err := load.Drive(t.Context(), plan, generators, load.DriveOptions{Progress: func(s load.Snapshot) {
		if reports++; s.Stage == "running" {
			stop()
		}
	}})
	if err != nil || res.Ended != "done" || !res.Generators[1].Lost || res.Generators[0].Lost {
		t.Fatalf("%v, %+v", err, res)
	}
	if e := res.Errors; len(e) != 1 || !strings.HasPrefix(e[0].String(), "lost: agent b: ") {
		t.Errorf("%+v", e)
	}
	<-c.fakes[1].closed
}

// TestCoordinatorIsGone: without its last word, too, a load ends when its coordinator is not heard any more. That takes 30 seconds.
func TestCoordinatorIsGone(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for 30 seconds")
	}
	c := newCrew(broker(t, server.Options{}).ClientURL())
	c.start(t, c.options("x"))
	conn := dial(t, Broker{URL: c.url})
	generators, err := Gather(t.Context(), conn, planFor("ws://target.example/"), GatherOptions{Agents: 1, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if err := generators[0].Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	<-c.fakes[0].closed
	c.await(t, wire.ErrSilent.Error())
}

func TestMaxDuration(t *testing.T) {
	c := newCrew(broker(t, server.Options{}).ClientURL())
	o := c.options("x")
	o.Policy.MaxDuration = 10 * time.Millisecond
	c.start(t, o)
	conn := dial(t, Broker{URL: c.url})
	plan := planFor("ws://target.example/")
	plan.Duration = load.Duration(time.Millisecond)
	generators, err := Gather(t.Context(), conn, plan, GatherOptions{Agents: 1, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	_ = generators[0].Connect(t.Context()) // it may be over before
	c.await(t, ErrTooLong.Error())
	_ = generators[0].Close()
}

func TestSmallPayload(t *testing.T) {
	c := newCrew(broker(t, server.Options{MaxPayload: 1024, MaxPending: 1 << 20}).ClientURL())
	c.start(t, c.options("x"))
	conn := dial(t, Broker{URL: c.url})
	generators, err := Gather(t.Context(), conn, planFor("ws://target.example/"), GatherOptions{Agents: 1, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	defer generators[0].Close()
	if err := generators[0].Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tally, err := generators[0].Report(); err != nil || tally.Latency.TotalCount() < 1e9 {
		t.Error(err)
	}
}

func TestCredentials(t *testing.T) {
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := key.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	url := broker(t, server.Options{Nkeys: []*server.NkeyUser{{Nkey: public}}}).ClientURL()
	if !dial(t, Broker{URL: url, NKey: file}).IsConnected() {
		t.Error("not connected")
	}
	for _, b := range []Broker{{URL: url}, {URL: url, NKey: "nowhere"}, {URL: url, Creds: "nowhere"}, {URL: url, Cert: "x"}, {URL: url, CA: "nowhere"}} {
		if c, err := b.Dial("test", func(string) {}); err == nil {
			c.Close()
			t.Errorf("%+v was let in", b)
		}
	}
}

func TestTLS(t *testing.T) {
	cert, key, pair := certificate(t)
	url := broker(t, server.Options{TLS: true, TLSTimeout: 60, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}).ClientURL()
	if _, err := (Broker{URL: url}).Dial("test", func(string) {}); err == nil {
		t.Error("a certificate that nobody signed was taken")
	}
	for _, b := range []Broker{{URL: url, CA: cert, ServerName: "broker.example"}, {URL: url, CA: cert, ServerName: "broker.example", Cert: cert, Key: key}} {
		if !dial(t, b).TLSRequired() {
			t.Error("not over TLS")
		}
	}
	if _, err := (Broker{URL: url, CA: cert, ServerName: "other.example"}).Dial("test", func(string) {}); err == nil {
		t.Error("another name was taken")
	}
}

func TestBadOptions(t *testing.T) {
	conn := dial(t, Broker{URL: broker(t, server.Options{}).ClientURL()})
	plan := planFor("ws://target.example/")
	for _, o := range []GatherOptions{{Agents: 1}, {Agents: 1, Token: []byte("short")}, {Token: token}, {Agents: 1, Token: token, Prefix: "a.*"}, {Agents: 1001, Token: token}} {
		if _, err := Gather(t.Context(), conn, plan, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	for _, o := range []Options{{}, {Token: token}, {Token: []byte("short"), Policy: policy}, {Token: token, Policy: policy, Prefix: "a b"}} {
		if err := Run(t.Context(), conn, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

func TestReadable(t *testing.T) {
	for name, want := range map[string]string{"ams-3": "ams-3", "": "without a name", "a\x1b[31m\nb": "a[31mb", strings.Repeat("é", 100): strings.Repeat("é", mostName), "\xff": "without a name"} {
		if got := readable(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestNamesTwice(t *testing.T) {
	known := map[string]offer{}
	for i := range 3 {
		known[fmt.Sprint(i)] = offer{Agent: fmt.Sprint(i), Name: "x"}
	}
	all := chosen(known, 3)
	if all[0].Name != "x" || all[1].Name != "x (2)" || all[2].Name != "x (3)" {
		t.Errorf("%+v", all)
	}
}
