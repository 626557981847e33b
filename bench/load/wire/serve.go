package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

// server is the side of a pipe that has the generator. Serve's goroutine alone uses it.
type server struct {
	line      *line
	make      func(load.Share) (load.Generator, error)
	generator load.Generator
	answers   chan message // to be sent
	freed     chan string  // what is done
	busy      string       // "", or what is under way
	reporting bool         // beside connect
	ended     bool
	cancel    context.CancelFunc // of what is under way
}

// Serve does what the driver on the other side of a pipe asks for, with a generator that make makes of the driver's share, and returns
// when the driver is gone or silent, breaks the protocol, or ctx ends. Then it closes the generator and the pipe, so that no load
// outlives its driver. A driver that leaves when nothing is under way is no error.
//
// If closing the pipe does not end a Read or Write that waits (standard input), Serve returns all the same.
func Serve(ctx context.Context, pipe io.ReadWriteCloser, make func(load.Share) (load.Generator, error)) error {
	s := newServer(pipe, make)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	requests := s.listen(ctx, stop)
	s.speak(ctx, stop)
	err := s.serve(ctx, requests)
	stop(err)
	s.cancel()
	for s.busy != "" || s.reporting { // Close must not come beside what is under way
		s.free(<-s.freed)
	}
	if s.generator != nil {
		err = errors.Join(err, s.generator.Close())
	}
	_ = pipe.Close() // whatever it says, it is not used any more
	return err
}

func newServer(pipe io.ReadWriteCloser, maker func(load.Share) (load.Generator, error)) *server {
	return &server{line: newLine(pipe), make: maker, answers: make(chan message, 4), freed: make(chan string, 4), cancel: func() {}}
}

// listen hands on what the driver asks for.
func (s *server) listen(ctx context.Context, stop context.CancelCauseFunc) <-chan message {
	requests := make(chan message)
	dog := time.AfterFunc(silence, func() { stop(fmt.Errorf("%w: nothing came for %v", ErrSilent, silence)) })
	go func() {
		defer dog.Stop()
		for first := true; ; first = false {
			m, err := s.line.receive()
			if err == nil && first {
				err = m.greet()
			}
			if err != nil {
				stop(err)
				return
			}
			dog.Reset(silence)
			if m.Do == doAlive || first {
				continue
			}
			select {
			case requests <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return requests
}

// speak sends answers, and once a second that this side lives.
func (s *server) speak(ctx context.Context, stop context.CancelCauseFunc) {
	go func() {
		tick := time.NewTicker(beat)
		defer tick.Stop()
		for m := ours(); ; {
			if err := s.line.send(m); err != nil {
				stop(err)
				return
			}
			select {
			case m = <-s.answers:
			case <-tick.C:
				m = message{Do: doAlive}
			case <-ctx.Done():
			}
			if ctx.Err() != nil { // what was cut short is no answer
				return
			}
		}
	}()
}

// serve takes requests until there is a reason to stop.
func (s *server) serve(ctx context.Context, requests <-chan message) error {
	for {
		select {
		case m := <-requests:
			if err := s.request(ctx, m); err != nil {
				return err
			}
		case what := <-s.freed:
			s.free(what)
		case <-ctx.Done():
			err := context.Cause(ctx)
			if errors.Is(err, ErrGone) && s.busy == "" && (s.ended || s.generator == nil) {
				return nil
			}
			return err
		}
	}
}

// free notes that something is done.
func (s *server) free(what string) {
	if what == doReport && s.reporting {
		s.reporting = false
		return
	}
	s.busy = ""
	s.ended = s.ended || what == doEnd
	s.cancel()
}

// request does one thing. It is an error of the driver's to ask for two at once.
func (s *server) request(ctx context.Context, m message) error {
	for len(s.freed) > 0 {
		s.free(<-s.freed)
	}
	switch {
	case m.Do == doCancel:
		s.cancel()
		return nil
	case m.Do == doReport && s.busy == doConnect && !s.reporting:
		s.reporting = true
	case s.busy != "":
		return fmt.Errorf("%w: %.20q while %s is under way", ErrForeign, m.Do, s.busy)
	case (m.Do == doPrepare) != (s.generator == nil):
		return fmt.Errorf("%w: %.20q out of order", ErrForeign, m.Do)
	case m.Do == doPrepare:
		return s.prepare(ctx, m)
	default:
		s.busy = m.Do
	}
	within := ctx
	if s.busy == m.Do {
		within, s.cancel = context.WithCancel(ctx)
	}
	g := s.generator
	go func() {
		answer := act(within, g, m)
		s.freed <- m.Do // before the answer: the next request may follow it
		select {
		case s.answers <- answer:
		case <-ctx.Done():
		}
	}()
	return nil
}

// prepare makes the generator.
func (s *server) prepare(ctx context.Context, m message) error {
	err := checkShare(m.Share)
	if err == nil {
		s.generator, err = s.make(*m.Share)
	}
	answer := message{ID: m.ID}
	if err != nil {
		s.generator, answer.Error = nil, err.Error()
	}
	select {
	case s.answers <- answer:
	case <-ctx.Done():
	}
	return nil
}

// act does what is asked for, and is the answer.
func act(ctx context.Context, g load.Generator, m message) message {
	answer, err := message{ID: m.ID}, error(nil)
	switch m.Do {
	case doConnect:
		err = g.Connect(ctx)
	case doBegin:
		now := time.Now()
		err = g.Begin(now.Add(m.In), now.Add(m.MeasureIn))
	case doTurn:
		if err = checkLevel(m.Rate, m.Connections); err == nil {
			err = g.Turn(m.Rate, m.Connections)
		}
	case doReport:
		answer.Tally, err = g.Report()
	case doEnd:
		answer.Tally, err = g.End(ctx)
	default:
		err = fmt.Errorf("%w: nobody knows %.20q", ErrForeign, m.Do)
	}
	if err != nil {
		answer.Tally, answer.Error = nil, err.Error()
	}
	return answer
}
