// Command gannet serves WebSocket connections: gannet serve.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait
	if err := command().Run(ctx, os.Args); err != nil {
		fmt.Fprintln(os.Stderr, "gannet:", err)
		os.Exit(1)
	}
}

func command() *cli.Command {
	return &cli.Command{
		Name:     "gannet",
		Usage:    "a WebSocket engine",
		Commands: []*cli.Command{serveCommand()},
	}
}
