package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/cmd/gannet/agent"
)

// agentsTime is how long agents are waited for.
const agentsTime = time.Minute

// agents are the machines that do a run, and the NATS server where they meet.
type agents struct {
	Count      int    `yaml:"count"`
	NATS       string `yaml:"nats,omitempty"`
	TokenFile  string `yaml:"tokenFile,omitempty"`
	Subject    string `yaml:"subject,omitempty"`
	Creds      string `yaml:"creds,omitempty"` // files from here on, but for the last
	NKey       string `yaml:"nkey,omitempty"`
	CA         string `yaml:"ca,omitempty"`
	Cert       string `yaml:"cert,omitempty"`
	Key        string `yaml:"key,omitempty"`
	ServerName string `yaml:"serverName,omitempty"`
}

func (a *agents) dial(name string, told func(string)) (*nats.Conn, error) {
	b := agent.Broker{URL: a.NATS, Creds: a.Creds, NKey: a.NKey, CA: a.CA, Cert: a.Cert, Key: a.Key, ServerName: a.ServerName}
	return b.Dial(name, told)
}

// tokenVariable is the environment's way to give a token.
const tokenVariable = "GANNET_LOAD_TOKEN"

const loadAgentDescription = `Waits for runs that gannet load --agents does on several machines, and does a share of each. They meet on a NATS server.

An agent loads the hosts that --allow names and no others, and does not more than --max-rate, --max-connections and --max-duration allow. It does what
those ask who know the token, and one run at a time. The token is the content of --token-file, or ` + tokenVariable + `: at least 16 bytes, the same
here and there.

openssl rand -hex 32 > token
gannet load agent --nats nats://broker:4222 --token-file token --allow example.com:8080          # on two machines
gannet load --agents 2 --nats nats://broker:4222 --token-file token --rate 100k ws://example.com:8080/`

func loadAgentCommand() *cli.Command {
	return &cli.Command{
		Name:                      "agent",
		Usage:                     "do a share of the runs of another machine, within limits",
		Description:               loadAgentDescription,
		OnUsageError:              usageError,
		DisableSliceFlagSeparator: true,
		Flags: append(brokerFlags("Broker"),
			&cli.StringFlag{Name: "name", OnlyOnce: true, Usage: "`name` of this agent in reports; by default the machine's"},
			&cli.StringSliceFlag{Name: "allow", Usage: "`host` that runs may have as their target, or host:port; may be given again"},
			&cli.StringFlag{Name: "max-rate", OnlyOnce: true, Value: "10k", Usage: "most `messages`, pings and attempts to connect a second"},
			&cli.StringFlag{Name: "max-connections", OnlyOnce: true, HideDefault: true, Usage: "most `connections` at once; by default what the limit of descriptors allows"},
			&cli.DurationFlag{Name: "max-duration", OnlyOnce: true, Value: time.Hour, Usage: "longest run"}),
		Action: func(ctx context.Context, c *cli.Command) error {
			err := noArguments(c)
			if err == nil {
				err = runAgent(ctx, c)
			}
			return err
		},
	}
}

// brokerFlags are those of both sides.
func brokerFlags(of string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "nats", Category: of, OnlyOnce: true, Usage: "`URL` of the NATS server: nats://host:4222, tls://host:4222; several with commas in between"},
		&cli.StringFlag{Name: "token-file", Category: of, OnlyOnce: true, Usage: "`file` with what coordinator and agents alone know; or " + tokenVariable + " has it"},
		&cli.StringFlag{Name: "subject", Category: of, OnlyOnce: true, Usage: "`prefix` of the NATS subjects, the same here and there; " + agent.DefaultPrefix + " by default"},
		&cli.StringFlag{Name: "nats-creds", Category: of, OnlyOnce: true, Usage: "`file` of a NATS user's JWT and key"},
		&cli.StringFlag{Name: "nats-nkey", Category: of, OnlyOnce: true, Usage: "`file` of a NATS user's seed"},
		&cli.StringFlag{Name: "nats-ca", Category: of, OnlyOnce: true, Usage: "PEM `file` of those who may sign the NATS server's certificate"},
		&cli.StringFlag{Name: "nats-cert", Category: of, OnlyOnce: true, Usage: "PEM `file` of our own certificate, for the NATS server"},
		&cli.StringFlag{Name: "nats-key", Category: of, OnlyOnce: true, Usage: "PEM `file` of its key"},
		&cli.StringFlag{Name: "nats-server-name", Category: of, OnlyOnce: true, Usage: "`name` that the NATS server's certificate is for, if it is not the URL's"},
	}
}

// broker sets what the flags say of one.
func (f *flagsOver) broker(a *agents) {
	c := f.c
	over(f, "nats", &a.NATS, c.String)
	over(f, "token-file", &a.TokenFile, c.String)
	over(f, "subject", &a.Subject, c.String)
	over(f, "nats-creds", &a.Creds, c.String)
	over(f, "nats-nkey", &a.NKey, c.String)
	over(f, "nats-ca", &a.CA, c.String)
	over(f, "nats-cert", &a.Cert, c.String)
	over(f, "nats-key", &a.Key, c.String)
	over(f, "nats-server-name", &a.ServerName, c.String)
}

// token reads the secret.
func (a *agents) token() ([]byte, error) {
	if a.TokenFile == "" {
		text := os.Getenv(tokenVariable)
		if text == "" {
			return nil, fmt.Errorf("--token-file: which token do coordinator and agents know? openssl rand -hex 32 > token makes one; or set %s", tokenVariable)
		}
		return []byte(text), nil
	}
	text, err := os.ReadFile(a.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	return bytes.TrimSpace(text), nil
}

// check refuses what cannot be together.
func (a *agents) check(s *scenario) error {
	switch {
	case a.Count == 0 && *a != (agents{}):
		return errors.New("--nats and --token-file are for --agents: say how many")
	case a.Count == 0:
		return nil
	case a.Count < 0:
		return fmt.Errorf("--agents is %d, must be at least 1", a.Count)
	case a.NATS == "":
		return errors.New("--agents needs --nats, the server where they meet")
	case s.Procs != "":
		return errors.New("--agents and --procs do not go together: agents are processes")
	case a.Count > mostConnections(&s.Plan):
		return fmt.Errorf("--agents is %d, and there are %d connections to share: an agent without any has nothing to do", a.Count, mostConnections(&s.Plan))
	case s.ClosedLoop():
		return errors.New("--agents keep within a rate, and a closed loop (--depth) has none: give --rate as well")
	}
	return nil
}

// gather finds the agents for a run. p becomes a plan as they can do it. free is for after the run.
func (a *agents) gather(ctx context.Context, p *load.Plan, note func(string)) (generators []load.Generator, free func(), err error) {
	token, err := a.token()
	if err != nil {
		return nil, nil, err
	}
	if *p, err = agent.Portable(*p); err != nil {
		return nil, nil, err
	}
	conn, err := a.dial("gannet load", func(line string) { note(plain(line)) })
	if err != nil {
		return nil, nil, &loadFailure{statusFailedRun, err}
	}
	ctx, cancel := context.WithTimeout(ctx, agentsTime)
	defer cancel()
	generators, err = agent.Gather(ctx, conn, *p, agent.GatherOptions{Agents: a.Count, Token: token, Prefix: a.Subject, Waiting: func(ready, busy []string) {
		text := fmt.Sprintf("%d of %d agents: %s", len(ready), a.Count, strings.Join(ready, ", "))
		if len(busy) > 0 {
			text += "; busy: " + strings.Join(busy, ", ")
		}
		note(plain(text))
	}})
	if err != nil {
		conn.Close()
		return nil, nil, &loadFailure{statusFailedRun, err}
	}
	return generators, conn.Close, nil
}

// runAgent is an agent until ctx ends.
func runAgent(ctx context.Context, c *cli.Command) error {
	var a agents
	f := flagsOver{c: c}
	f.broker(&a)
	o := agent.Options{Version: version(), Prefix: a.Subject, Make: func(s load.Share) (load.Generator, error) { return localGenerator(s, os.Stderr) }}
	o.Policy = agent.Policy{MaxConnections: math.MaxInt32, MaxDuration: c.Duration("max-duration"), Allow: c.StringSlice("allow")}
	if most := thisMachine().descriptors - spareDescriptors; most > 0 {
		o.Policy.MaxConnections = most
	}
	read(&f, "max-connections", &o.Policy.MaxConnections, parseAtLeastOne)
	rate, err := parseSomeRate(c.String("max-rate"))
	o.Policy.MaxRate = rate
	host, _ := os.Hostname()
	o.Name = cmp.Or(c.String("name"), host, "agent")
	o.Log = func(line string) { fmt.Fprintln(os.Stderr, time.Now().Format(time.DateTime), plain(line)) }
	if err != nil {
		f.fail("max-rate", err)
	}
	if a.NATS == "" {
		f.fail("nats", errors.New("which NATS server? Give its URL, such as nats://broker:4222"))
	}
	var problem error
	o.Token, problem = a.token()
	if err := errors.Join(f.err, problem, o.Policy.Check()); err != nil {
		return misused(c, err)
	}
	conn, err := a.dial("gannet load agent "+o.Name, o.Log)
	if err != nil {
		return err
	}
	defer conn.Close()
	slices.Sort(o.Policy.Allow)
	o.Log(fmt.Sprintf("agent %s waits at %s for runs against %s", o.Name, conn.ConnectedUrlRedacted(), strings.Join(o.Policy.Allow, ", ")))
	return agent.Run(ctx, conn, o)
}
