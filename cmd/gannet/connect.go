package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/cmd/gannet/connect"
	"github.com/gannet-ws/gannet/engine"
)

func connectCommand() *cli.Command {
	return &cli.Command{
		Name:                      "connect",
		Usage:                     "open a WebSocket, send what is typed or piped in, and show what comes",
		ArgsUsage:                 "URL",
		UsageText:                 connectUsage,
		Description:               connectDescription,
		OnUsageError:              usageError,
		DisableSliceFlagSeparator: true, // a header may hold commas
		Flags:                     connectFlags(),
		Action: func(_ context.Context, c *cli.Command) error {
			s, err := connectSettings(c)
			if err != nil {
				return misused(c, err)
			}
			return connect.Run(s)
		},
	}
}

const connectUsage = `gannet connect [options] URL
gannet connect wss://example.com/chat          type lines, /help for commands
gannet connect :8080                           this machine, ws
echo hello | gannet connect :8080 > answers    a line is a message, both ways`

const connectDescription = `URL may lack its scheme: it is ws:// for this machine and where a port other than 443 is named, and wss://
everywhere else, and where an option asks for TLS. :8080 is localhost.

At a terminal a line is a message, and one that begins with / a command: /help lists them. What comes is shown with "< "; what
could steer the terminal is quoted. Enter alone sends nothing. Ctrl-C closes, a second time at once; Ctrl-D closes once
all has left.

In a pipe each line of stdin is a message, an empty one too, and each message is written to stdout with a new line behind it,
as it is; the rest is said on stderr. With --binary each piece that is read is a binary message, and messages are written
one behind the other. When stdin ends, connect waits for the answers: see --wait.

The proxy is that of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, unless --proxy says otherwise.

Exit status:
  0    closed with 1000, 1001 or no code, or with the code that /close was given
  1    no connection: nobody there, TLS failed, or the handshake was refused
  2    an argument that can not be
  3    closed with another code
  4    ended without a closing handshake (1006)
  5    the input could not be read or is not UTF-8, or the output could not be written
  130  Ctrl-C; 143 SIGTERM, 129 SIGHUP`

func connectFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "protocol", Aliases: []string{"s"}, Usage: "sub-protocols to offer, `names` with commas in between; may be given again"},
		&cli.StringSliceFlag{Name: "header", Aliases: []string{"H"}, Usage: "`field` for the request, 'Name: value'; may be given again"},
		&cli.StringFlag{Name: "origin", Aliases: []string{"o"}, OnlyOnce: true, Usage: "the `origin` that the request names"},
		&cli.StringFlag{Name: "user", Aliases: []string{"u"}, OnlyOnce: true, Usage: "`name:password` for basic authentication, as in the URL"},
		&cli.StringFlag{Name: "proxy", OnlyOnce: true, Usage: "proxy `URL`: http, https, socks5 or socks5h; none: none"},
		&cli.StringFlag{Name: "unix", OnlyOnce: true, Usage: "unix socket `path` to connect to; the URL, if any, says the rest"},
		&cli.BoolFlag{Name: "insecure", Aliases: []string{"k"}, OnlyOnce: true, Usage: "trust any certificate"},
		&cli.StringFlag{Name: "ca", OnlyOnce: true, Usage: "PEM `file` of those who may sign the server's certificate, in place of the system's"},
		&cli.StringFlag{Name: "cert", OnlyOnce: true, Usage: "PEM `file` of our own certificate"},
		&cli.StringFlag{Name: "key", OnlyOnce: true, Usage: "PEM `file` of its key, if it is not in the same one"},
		&cli.StringSliceFlag{Name: "pin", Usage: "`sha256` of the server's public key (SubjectPublicKeyInfo), in base64 or hexadecimal digits, as sha256//...; " +
			"it is then known by its key alone, whoever signed its certificate, unless --ca is given, too; may be given again"},
		&cli.BoolFlag{Name: "deflate", OnlyOnce: true, Usage: "offer permessage-deflate"},
		&cli.IntFlag{Name: "allow-port", OnlyOnce: true, HideDefault: true, Usage: "let through one of the ports that browsers refuse"},
		&cli.DurationFlag{Name: "timeout", OnlyOnce: true, Value: 15 * time.Second, Usage: "how long connecting may take, all in all"},
		&cli.DurationFlag{Name: "ping", OnlyOnce: true, Value: 50 * time.Second, Usage: "ping the server when nothing came for so long, and give up 30s later; negative: never"},
		&cli.Int64Flag{Name: "max-message", OnlyOnce: true, Value: engine.MaxMessage, Usage: "the longest message, either way, in `bytes`"},
		&cli.BoolFlag{Name: "binary", Aliases: []string{"b"}, OnlyOnce: true, Usage: "send binary messages, and write messages to a pipe with nothing in between"},
		&cli.BoolFlag{Name: "json", Aliases: []string{"j"}, OnlyOnce: true, Usage: "show JSON on more than one line, its members in their order and its numbers as they came"},
		&cli.BoolFlag{Name: "timestamps", Aliases: []string{"t"}, OnlyOnce: true, Usage: "begin each message and notice with the time"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, OnlyOnce: true, Usage: "show messages and errors only"},
		&cli.DurationFlag{Name: "wait", Aliases: []string{"w"}, OnlyOnce: true, HideDefault: true, Usage: "after the end of stdin, when all has left, receive for so long and close; " +
			"negative: until the server closes; by default, in a pipe, until the server has answered a ping and nothing came for a second"},
		&cli.BoolFlag{Name: "no-history", OnlyOnce: true, Usage: "keep what is typed for this run alone, and not in " + historyName},
	}
}

// historyName is where the history is, for people.
const historyName = "$XDG_STATE_HOME/gannet/connect_history (~/.local/state)"

// connectSettings are what the flags say.
func connectSettings(c *cli.Command) (*connect.Settings, error) {
	if n := c.Args().Len(); n > 1 {
		return nil, fmt.Errorf("%s takes one URL, and %q is a second one; options stand before or behind it", c.FullName(), c.Args().Get(1))
	}
	s := &connect.Settings{
		Address: c.Args().First(), Headers: c.StringSlice("header"), Origin: c.String("origin"), User: c.String("user"),
		Proxy: c.String("proxy"), Unix: c.String("unix"), Deflate: c.Bool("deflate"), Timeout: c.Duration("timeout"),
		TLS:  connect.TLS{Insecure: c.Bool("insecure"), CA: c.String("ca"), Cert: c.String("cert"), Key: c.String("key")},
		Ping: c.Duration("ping"), PingsSet: c.IsSet("ping"), MaxMessage: c.Int64("max-message"),
		Binary: c.Bool("binary"), JSON: c.Bool("json"), Timestamps: c.Bool("timestamps"), Quiet: c.Bool("quiet"),
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
	}
	if !c.Bool("no-history") {
		s.HistoryFile = connect.HistoryPath()
	}
	if c.IsSet("wait") {
		wait := c.Duration("wait")
		s.Wait = &wait
	}
	for _, list := range c.StringSlice("protocol") {
		for _, p := range strings.Split(list, ",") {
			s.Protocols = append(s.Protocols, strings.TrimSpace(p))
		}
	}
	for _, text := range c.StringSlice("pin") {
		p, err := connect.ParsePin(text)
		if err != nil {
			return nil, fmt.Errorf("--pin: %w", err)
		}
		s.TLS.Pins = append(s.TLS.Pins, p)
	}
	return s, setNumbers(c, s)
}

// longestPing is the engine's limit on its clocks.
const longestPing = 200 * 24 * time.Hour

// setNumbers refuses numbers that can not be, and a 0 that the engine would take for its default.
func setNumbers(c *cli.Command, s *connect.Settings) error {
	port := c.Int("allow-port")
	switch {
	case c.IsSet("allow-port") && (port < 1 || port > math.MaxUint16):
		return fmt.Errorf("--allow-port is %d, must be 1 to 65535", port)
	case s.Timeout <= 0 || s.Timeout > 24*time.Hour:
		return fmt.Errorf("--timeout is %v, must be above 0, at most 24h", s.Timeout)
	case s.Ping == 0 || s.Ping > longestPing:
		return fmt.Errorf("--ping is %v, must be a time of at most %v, or negative for never", s.Ping, longestPing)
	case s.MaxMessage < 1 || s.MaxMessage > engine.MaxMessage:
		return fmt.Errorf("--max-message is %d, must be 1 to 2147483647 bytes", s.MaxMessage)
	}
	s.AllowPort = uint16(port)
	return nil
}
