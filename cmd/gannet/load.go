package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"
)

// The exit statuses of gannet load, besides 128 and the number of a signal.
const (
	statusFailedRun = 1 // no connection, a generator lost, a report that could not be written
	statusUsage     = 2 // an argument that can not be, or that this machine can not do
	statusUnkept    = 3 // a threshold did not hold
)

func loadCommand() *cli.Command {
	return &cli.Command{
		Name:                      "load",
		Usage:                     "put load on a WebSocket server, and say honestly what came of it",
		ArgsUsage:                 "URL",
		UsageText:                 loadUsage,
		Description:               loadDescription,
		OnUsageError:              usageError,
		DisableSliceFlagSeparator: true, // a header may hold commas
		Flags:                     ofThisCommandAlone(loadFlags()),
		Commands:                  []*cli.Command{loadAgentCommand()},
		Action: func(_ context.Context, c *cli.Command) error {
			s, err := loadScenario(c)
			if err != nil {
				return misused(c, err)
			}
			if c.Bool("print-scenario") {
				return s.write(c.Root().Writer)
			}
			return runLoad(s, c.Bool("quiet"))
		},
	}
}

const loadUsage = `gannet load [options] URL

# this machine: 1,000 messages a second on one connection
gannet load :8080
# 10,000 messages a second on 100 connections, however long the server takes
gannet load -c 100 --rate 10k --duration 30s :8080
# closed loop: each connection has 16 messages under way
gannet load -c 100 --depth 16 wss://example.com/ws
# 1,000 a second, then a ramp to 50,000
gannet load -c 50 --phase 10s:1k --phase 60s:50k:ramp :8080
# the highest rate at which that holds
gannet load -c 100 --find-rate 'p99<10ms' :8080
# one writer, 1,000 readers
gannet load -c 1001 --scenario fanout --rate 100 :8080
# 100,000 connections, held
gannet load -c 100k --connect-rate 5k --scenario idle --procs auto --source 127.0.0.1-127.0.0.4 ws://127.0.0.1:8080/
# for CI: exit status 3 unless both hold
gannet load -c 100 --rate 10k --fail 'p99<5ms,errors<0.1%' --json result.json --html report.html :8080
# a file says the rest
gannet load --scenario-file checkout.yaml --rate 2k`

const loadDescription = `URL may lack its scheme, as with gannet connect: :8080 is ws://localhost:8080.

With --rate, --phase or --find-rate the loop is open: each message has a time at which it should leave, and its latency counts from that time, whether or
not the server keeps up. The raw latency, from when it really left, stands beside it. With --depth alone the loop is closed: each connection sends
its next message when an answer has come. Without any of them it is --rate 1000.

A rate is messages a second, of all connections together: 1000, 1000/s, 1.5k, 2M, 600/m. A phase is DURATION:RATE[:CONNECTIONS][:ramp]. It goes to its
figures at once, or with ramp in a straight line from those of the phase before it. The first phase's ramp starts from --rate and --connections.

Progress is shown on stderr, the report on stdout. Ctrl-C ends early, with the whole report; a second one does not wait for answers; a third ends the
program.

An option wins over the same thing in a --scenario-file. A list, such as --header, replaces the file's.

docs/load.md explains what the figures mean.

Exit status:
  0    the run is complete; and every --fail threshold held
  1    the run failed: no connection opened, a process was lost, or a report could not be written
  2    an argument that can not be, or that this machine can not do
  3    a threshold did not hold, or --find-rate found no rate
  130  Ctrl-C; 143 SIGTERM, 129 SIGHUP: the report is of what was until then`

// The groups of flags in the help, which shows them in alphabetical order.
const (
	ofAgents      = "Agents on other machines"
	ofConnections = "Connections"
	ofLoad        = "Load"
	ofMessages    = "Messages"
	ofProcesses   = "Processes"
	ofReports     = "Reports"
	ofScenario    = "Scenario"
	ofThresholds  = "Thresholds"
)

// ofThisCommandAlone keeps flags from the command's own commands, which would take them, and do nothing with them.
func ofThisCommandAlone(flags []cli.Flag) []cli.Flag {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.BoolFlag:
			f.Local = true
		case *cli.DurationFlag:
			f.Local = true
		case *cli.IntFlag:
			f.Local = true
		case *cli.StringFlag:
			f.Local = true
		case *cli.StringSliceFlag:
			f.Local = true
		case *cli.Uint64Flag:
			f.Local = true
		default:
			panic(fmt.Sprintf("a flag of type %T", f))
		}
	}
	return flags
}

func loadFlags() []cli.Flag {
	var all []cli.Flag
	for _, some := range [][]cli.Flag{agentsFlags(), connectionFlags(), loadShapeFlags(), messageFlags(), processFlags(), reportFlags(), scenarioFlags(), thresholdFlags()} {
		all = append(all, some...)
	}
	return all
}

func agentsFlags() []cli.Flag {
	how := &cli.IntFlag{Name: "agents", Category: ofAgents, OnlyOnce: true, HideDefault: true, Usage: "how `many` gannet load agent share the run; this machine coordinates"}
	return append([]cli.Flag{how}, brokerFlags(ofAgents)...)
}

func connectionFlags() []cli.Flag {
	of := ofConnections
	return []cli.Flag{
		&cli.StringFlag{Name: "connections", Aliases: []string{"c"}, Category: of, OnlyOnce: true, HideDefault: true, Usage: "how `many`: 100, 20k; 1 by default"},
		&cli.StringFlag{Name: "connect-rate", Category: of, OnlyOnce: true, HideDefault: true, Usage: "connections begun a second, all together; 1k by default"},
		&cli.DurationFlag{Name: "connect-timeout", Category: of, OnlyOnce: true, HideDefault: true, Usage: "how long one may take, handshakes included"},
		&cli.StringSliceFlag{Name: "source", Category: of, Usage: "local `address` or range to connect from, 127.0.0.1-127.0.0.20, with commas in between; may be given again"},
		&cli.StringSliceFlag{Name: "protocol", Aliases: []string{"s"}, Category: of, Usage: "sub-protocols to offer, `names` with commas in between; may be given again"},
		&cli.StringSliceFlag{Name: "header", Aliases: []string{"H"}, Category: of, Usage: "`field` for the request, 'Name: value'; may be given again"},
		&cli.StringFlag{Name: "origin", Aliases: []string{"o"}, Category: of, OnlyOnce: true, Usage: "the `origin` that the request names"},
		&cli.BoolFlag{Name: "deflate", Category: of, OnlyOnce: true, Usage: "offer permessage-deflate"},
		&cli.DurationFlag{Name: "ping", Category: of, OnlyOnce: true, HideDefault: true, Usage: "ping on each connection once in so long, and report how long pongs took"},
		&cli.StringFlag{Name: "cert", Category: of, OnlyOnce: true, Usage: "PEM `file` of our own certificate, for wss"},
		&cli.StringFlag{Name: "key", Category: of, OnlyOnce: true, Usage: "PEM `file` of its key, if it is not in the same one"},
		&cli.StringFlag{Name: "ca", Category: of, OnlyOnce: true, Usage: "PEM `file` of those who may sign the server's certificate"},
		&cli.StringFlag{Name: "server-name", Category: of, OnlyOnce: true, Usage: "`name` that the server's certificate is for, if it is not the URL's"},
		&cli.BoolFlag{Name: "insecure", Aliases: []string{"k"}, Category: of, OnlyOnce: true, Usage: "trust any certificate"},
	}
}

func loadShapeFlags() []cli.Flag {
	of := ofLoad
	return []cli.Flag{
		&cli.StringFlag{Name: "rate", Aliases: []string{"r"}, Category: of, OnlyOnce: true, Usage: "open loop: messages a second, all connections together: 1000, 1000/s, 200k"},
		&cli.IntFlag{Name: "depth", Category: of, OnlyOnce: true, HideDefault: true, Usage: "`messages` that each connection has under way at most; without --rate that is a closed loop: each answer brings the next message"},
		&cli.DurationFlag{Name: "duration", Aliases: []string{"d"}, Category: of, OnlyOnce: true, HideDefault: true, Usage: "how long figures are taken; 10s by default"},
		&cli.DurationFlag{Name: "warmup", Category: of, OnlyOnce: true, HideDefault: true, Usage: "how long messages are sent before that, which count in no figure"},
		&cli.StringSliceFlag{Name: "phase", Category: of, Usage: "instead of --duration: a `phase`, such as 30s:1000/s:20000 or 1m:50k:ramp; given again, the next one"},
		&cli.StringFlag{Name: "find-rate", Category: of, OnlyOnce: true, Usage: "look for the highest rate at which `thresholds` hold: 'p99<10ms'"},
		&cli.DurationFlag{Name: "answer-timeout", Category: of, OnlyOnce: true, HideDefault: true, Usage: "how long answers are waited for at the end; 5s by default"},
	}
}

func messageFlags() []cli.Flag {
	of := ofMessages
	return []cli.Flag{
		&cli.IntFlag{Name: "size", Category: of, OnlyOnce: true, HideDefault: true, Usage: "`bytes` of each message; 128 by default"},
		&cli.StringFlag{Name: "kind", Category: of, OnlyOnce: true, Usage: "`what` fills them: letters (the default of text), noise (of binary), json or zero"},
		&cli.StringFlag{Name: "message", Category: of, OnlyOnce: true, Usage: "`text` that each message is"},
		&cli.StringFlag{Name: "payload", Category: of, OnlyOnce: true, Usage: "`file` that each message is"},
		&cli.StringFlag{Name: "template", Category: of, OnlyOnce: true, Usage: "Go `template` of each message: '{\"id\":{{.Seq}},\"from\":{{.Conn}},\"at\":{{.Now}}}'"},
		&cli.BoolFlag{Name: "text", Category: of, OnlyOnce: true, Usage: "send text messages: the default"},
		&cli.BoolFlag{Name: "binary", Aliases: []string{"b"}, Category: of, OnlyOnce: true, Usage: "send binary messages"},
		&cli.BoolFlag{Name: "verify", Category: of, OnlyOnce: true, Usage: "compare what comes back with what was sent"},
		&cli.StringFlag{Name: "expect", Category: of, OnlyOnce: true, Usage: "what comes back: echo, one for each, in order (the default); or none: nothing is waited for"},
		&cli.Uint64Flag{Name: "seed", Category: of, OnlyOnce: true, HideDefault: true, Usage: "`number` that payloads, and who sends when, are drawn from; 1 by default"},
	}
}

func processFlags() []cli.Flag {
	of := ofProcesses
	return []cli.Flag{
		&cli.StringFlag{Name: "procs", Category: of, OnlyOnce: true, Usage: "processes that share the connections: a `number`, or auto: as many as the limit of descriptors asks for; 1 by default"},
		&cli.IntFlag{Name: "loops", Category: of, OnlyOnce: true, HideDefault: true, Usage: "event loops of each process; by default one a core"},
		&cli.StringSliceFlag{Name: "pid", Category: of, Usage: "process `id` of the server, on this machine: what it and its children use is shown and reported; with commas in between, or given again"},
	}
}

func reportFlags() []cli.Flag {
	of := ofReports
	return []cli.Flag{
		&cli.StringFlag{Name: "json", Category: of, OnlyOnce: true, Usage: "`file` for the whole result; - is stdout, in place of the report"},
		&cli.StringFlag{Name: "hdr", Category: of, OnlyOnce: true, Usage: "`file` for the latencies, as HdrHistogram's tools read them"},
		&cli.StringFlag{Name: "csv", Category: of, OnlyOnce: true, Usage: "`file` for a line a second"},
		&cli.StringFlag{Name: "html", Category: of, OnlyOnce: true, Usage: "`file` for a page with charts, that needs no network"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Category: of, OnlyOnce: true, Usage: "show no progress"},
	}
}

func scenarioFlags() []cli.Flag {
	of := ofScenario
	return []cli.Flag{
		&cli.StringFlag{Name: "scenario", Category: of, OnlyOnce: true, Usage: "`what` connections do: echo (the default), fanout, idle, storm, drip or churn"},
		&cli.IntFlag{Name: "writers", Category: of, OnlyOnce: true, HideDefault: true, Usage: "fanout: how `many` of the connections send; 1 by default"},
		&cli.DurationFlag{Name: "churn-after", Category: of, OnlyOnce: true, HideDefault: true, Usage: "churn: how long a connection stays until it leaves and comes back"},
		&cli.IntFlag{Name: "drip-rate", Category: of, OnlyOnce: true, HideDefault: true, Usage: "drip: `bytes` that each connection reads a second"},
		&cli.StringFlag{Name: "scenario-file", Aliases: []string{"f"}, Category: of, OnlyOnce: true, Usage: "YAML or JSON `file` that says what these options say; options win over it"},
		&cli.BoolFlag{Name: "print-scenario", Category: of, Usage: "write such a file to stdout, of all that was said, and do nothing else"},
	}
}

func thresholdFlags() []cli.Flag {
	of := ofThresholds
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "fail", Category: of, Usage: "`thresholds` that have to hold, 'p99<5ms,errors<0.1%'; may be given again; else the exit status is 3"},
		&cli.BoolFlag{Name: "abort-on-fail", Category: of, OnlyOnce: true, Usage: "end the run as soon as one of them does not"},
	}
}

// loadFailure ends the program with a status. Err is what it has to say; nil: all is said.
type loadFailure struct {
	status int
	err    error
}

func (f *loadFailure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

func (f *loadFailure) Unwrap() error   { return f.err }
func (f *loadFailure) ExitStatus() int { return f.status }

func failedRun(format string, args ...any) error {
	return &loadFailure{statusFailedRun, fmt.Errorf(format, args...)}
}
