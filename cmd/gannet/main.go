// Command gannet serves WebSocket connections, opens them, and puts load on whoever serves them: gannet serve, gannet connect, gannet load.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait
	if err := command().Run(ctx, os.Args); err != nil {
		if said := err.Error(); said != "" {
			fmt.Fprintln(os.Stderr, "gannet:", withoutName(said))
		}
		os.Exit(exitStatus(err))
	}
}

// exitStatus is that of an error which names one, and 1 of others.
func exitStatus(err error) int {
	var of interface{ ExitStatus() int }
	if errors.As(err, &of) {
		return of.ExitStatus()
	}
	return 1
}

// withoutName takes out what the engine's own errors begin with, here or inside of another: a path may end with it as well.
func withoutName(said string) string {
	return strings.NewReplacer(": gannet: ", ": ", "\ngannet: ", "\n").Replace(strings.TrimPrefix(said, "gannet: "))
}

// command is what the arguments of gannet are for. Its errors are main's to say, once.
func command() *cli.Command {
	return &cli.Command{
		Name:  "gannet",
		Usage: "a WebSocket engine: a server, a client to try it with, and a load tool",
		Description: "gannet serve is a server of echoes, with a page to try it; gannet connect :8080 in another terminal is a client of it, and gannet load :8080 measures it.\n" +
			"gannet COMMAND --help says what each of them can do.",
		Version:      version(),
		Commands:     []*cli.Command{serveCommand(), connectCommand(), loadCommand(), loadPartCommand(), versionCommand()},
		OnUsageError: usageError,
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return cli.ShowRootCommandHelp(c)
		},
	}
}

// usageError is package cli's way to tell of a wrong flag: by itself it would say all of the help, and the error a second time.
func usageError(_ context.Context, c *cli.Command, err error, _ bool) error { return misused(c, err) }

// misused adds to an error how to find out what is right.
func misused(c *cli.Command, err error) error {
	arguments := ""
	if c.ArgsUsage != "" {
		arguments = " " + c.ArgsUsage
	}
	return usageFailure{fmt.Errorf("%w\nusage: %s [options]%s; %s --help lists them", err, c.FullName(), arguments, c.FullName())}
}

// usageFailure is an argument that can not be.
type usageFailure struct{ error }

func (usageFailure) ExitStatus() int { return 2 }

func (f usageFailure) Unwrap() error { return f.error }

// noArguments refuses what stands behind a command and its flags.
func noArguments(c *cli.Command) error {
	if !c.Args().Present() {
		return nil
	}
	what := "takes no arguments"
	if c.Root() == c {
		what = "has no such command"
	}
	return misused(c, fmt.Errorf("%s %s: %q", c.FullName(), what, c.Args().First()))
}
