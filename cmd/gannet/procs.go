package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/cmd/gannet/processes"
	"github.com/gannet-ws/gannet/engine"
)

// gannet serve --procs: see docs/decisions/0035.

// minInboundBudget is the least that engine.Options.InboundBudget may be.
const minInboundBudget = 1 << 20

// procsSaidRight refuses a number that can not be, and what several processes can not share.
func procsSaidRight(c *cli.Command) error {
	n := c.Int("procs")
	switch {
	case n < 1 || n > processes.MaxCount:
		return fmt.Errorf("--procs is %d, must be 1 to %d", n, processes.MaxCount)
	case n == 1:
	case c.IsSet("unix"):
		return errors.New("--unix does not go with --procs: processes share a TCP port, and nothing spreads the connections of a unix socket over them")
	case c.String("addr") == "":
		return errors.New("--addr is empty, and --procs needs a TCP port to share")
	case c.Bool("self-signed"):
		return errors.New("--self-signed does not go with --procs: each process would make a certificate of its own; give --cert and --key")
	}
	return nil
}

// runGroup starts the processes that serve, and waits for their end. This one serves nobody.
func (s *service) runGroup(ctx context.Context, c *cli.Command) error {
	opened, err := engine.SystemdListeners()
	if err != nil {
		return err
	}
	if len(opened) > 0 {
		for _, o := range opened {
			_ = o.Listener.Close()
		}
		return errors.New("systemd has opened the sockets to listen on, and --procs opens one for each process: they do not go together")
	}
	g, err := processes.Start(ctx, c.String("addr"), int(c.Int("procs")))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // it was to end, and has
	case err != nil:
		return fmt.Errorf("--procs: %w", err)
	}
	s.logListening(g.Addr(), "procs", c.Int("procs"), "pids", g.PIDs())
	return g.Wait(ctx, func(err error) {
		if err != nil {
			s.log.Error("shutting down", "err", err)
			return
		}
		s.log.Info("shutting down")
	})
}

// runMember serves what the group has given to this process, until the group says otherwise or is no more.
func (s *service) runMember(m *processes.Member) error {
	s.member = m
	failed := make(chan error, 1)
	go func() { failed <- s.serve(m.Listener()) }()
	m.Answer(s)
	go func() {
		<-m.Orphaned()
		os.Exit(1) // whatever a handler, or a peer that takes its time, is at
	}()
	select {
	case err := <-failed:
		_ = s.Close()
		return err
	case <-m.Told():
		return s.shutDown()
	}
}

// allFigures are those of all processes.
func (s *service) allFigures() (processes.Figures, error) {
	if s.member != nil {
		return s.member.Figures()
	}
	return processes.Figures{Stats: s.Stats()}, nil
}

const (
	// deliveredBytes is how much of what other processes have said may be under way here before they have to wait.
	deliveredBytes = 4 << 20
	// deliveredInterval is how often it is asked whether that has left: about the time in which a loop sends a part of it.
	deliveredInterval = time.Millisecond
)

// Deliver broadcasts what a connection of another process has said.
func (s *service) Deliver(m processes.Message) {
	p, err := engine.Prepare(engine.Opcode(m.Op), m.Data)
	if err != nil {
		s.log.Error("a message of another process can not be sent", "err", err)
		return
	}
	s.Broadcast(p, nil)
	for s.Stats().BroadcastBytes > deliveredBytes {
		time.Sleep(deliveredInterval)
	}
}
