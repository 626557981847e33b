package processes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// answerTime is how long a process has to tell its figures. One that is stopped, or whose machine is far too busy, does not hold up the others'.
const answerTime = 5 * time.Second

// Group are the processes that share a port, as their parent has them. Its methods are for any goroutine.
type Group struct {
	at    net.Addr
	all   []*process
	ended chan *process
}

// process is one of a Group.
type process struct {
	cmd  *exec.Cmd
	asks *rpc.Client // what the group asks of it
	how  error       // it ended: of exec.Cmd.Wait; to be read once it came through Group.ended
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// EndError is the end of a process that nobody had asked to end.
type EndError struct {
	PID int
	How error // of exec.Cmd.Wait; nil: with status 0
}

func (e *EndError) Error() string {
	how := "exit status 0"
	if e.How != nil {
		how = e.How.Error()
	}
	return fmt.Sprintf("process %d ended by itself (%s), so that the others were shut down", e.PID, how)
}

func (e *EndError) Unwrap() error { return e.How }

// SilentError is a process that did not answer in time, as one that was stopped does not.
type SilentError struct{ PID int }

func (e *SilentError) Error() string {
	return fmt.Sprintf("process %d did not answer within %v", e.PID, answerTime)
}

// Start starts count processes of this program, with the arguments of this one, that listen on one TCP address. It returns when all
// of them serve, or with an error and none of them running. The error of one that can not serve is its own to say: it shares stderr, and Start answers an EndError.
// When ctx ends, Start gives up with its error. 1 to MaxCount; Linux only: ErrUnsupported.
func Start(ctx context.Context, addr string, count int) (*Group, error) {
	if count < 1 || count > MaxCount {
		return nil, fmt.Errorf("%d processes, must be 1 to %d", count, MaxCount)
	}
	sockets, at, err := listen(ctx, addr, count)
	if err != nil {
		return nil, err
	}
	defer closeFiles(sockets)
	g := &Group{at: at, ended: make(chan *process, count)}
	for _, socket := range sockets {
		if err := g.start(socket); err != nil {
			g.abandon()
			return nil, err
		}
	}
	if err := g.untilServing(ctx); err != nil {
		g.abandon()
		return nil, err
	}
	return g, nil
}

// start starts a process that is to serve a socket.
func (g *Group) start(socket *os.File) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	asks, asked, err := pair()
	if err != nil {
		return err
	}
	defer asked.Close()
	answers, asking, err := pair()
	if err != nil {
		_ = asks.Close()
		return err
	}
	defer asking.Close()
	p := &process{cmd: exec.Command(program), asks: rpc.NewClient(asks)}
	p.cmd.Args = os.Args
	p.cmd.Env = append(os.Environ(), parentVariable+"="+strconv.Itoa(os.Getpid()))
	p.cmd.Stdout, p.cmd.Stderr = os.Stdout, os.Stderr
	p.cmd.ExtraFiles = []*os.File{socket, asked, asking}
	if err := p.cmd.Start(); err != nil {
		return errors.Join(err, p.asks.Close(), answers.Close())
	}
	g.all = append(g.all, p)
	go g.answer(p, answers)
	go func() {
		p.how = p.cmd.Wait()
		g.ended <- p
	}()
	return nil
}

// untilServing waits until each process answers, which it does once it serves.
func (g *Group) untilServing(ctx context.Context) error {
	ready := make(chan *rpc.Call, len(g.all))
	for _, p := range g.all {
		p.asks.Go(memberStats, nothing(false), new(statsReply), ready)
	}
	for range g.all {
		select {
		case call := <-ready:
			if call.Error != nil { // it ends, and has said why
				p := <-g.ended
				g.ended <- p
				return &EndError{p.pid(), p.how}
			}
		case p := <-g.ended:
			g.ended <- p // for abandon
			return &EndError{p.pid(), p.how}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// abandon ends all processes at once and waits for their end.
func (g *Group) abandon() {
	for _, p := range g.all {
		_ = p.cmd.Process.Kill() // it may not answer yet
		_ = p.asks.Close()
	}
	for range g.all {
		<-g.ended
	}
}

// Addr is where the processes listen.
func (g *Group) Addr() net.Addr { return g.at }

// PIDs are the process ids, in the order of the start, separated by commas.
func (g *Group) PIDs() string {
	var all []string
	for _, p := range g.all {
		all = append(all, strconv.Itoa(p.pid()))
	}
	return strings.Join(all, ",")
}

// Wait returns when all processes have ended. It asks them to when ctx ends or when one of them has ended by itself, and calls
// ending before, with the EndError in the second case. It answers an EndError, what went wrong in a process that was asked to end, or nil.
func (g *Group) Wait(ctx context.Context, ending func(error)) error {
	var errs []error
	left := len(g.all)
	select {
	case p := <-g.ended:
		left--
		errs = append(errs, &EndError{p.pid(), p.how})
		ending(errs[0])
	case <-ctx.Done():
		ending(nil)
	}
	for _, p := range g.all {
		p.asks.Go(memberShutdown, nothing(false), new(nothing), make(chan *rpc.Call, 1)) // who can not hear it has ended
	}
	for range left {
		if p := <-g.ended; p.how != nil {
			errs = append(errs, fmt.Errorf("process %d: %w", p.pid(), p.how))
		}
	}
	return errors.Join(errs...)
}

// statsReply is what a member answers to memberStats.
type statsReply = Figures

// figures asks all processes for theirs.
func (g *Group) figures() (sum Figures, err error) {
	late := time.After(answerTime)
	calls := make([]*rpc.Call, len(g.all))
	for i, p := range g.all {
		calls[i] = p.asks.Go(memberStats, nothing(false), new(statsReply), make(chan *rpc.Call, 1))
	}
	for i, p := range g.all {
		select {
		case call := <-calls[i].Done:
			if call.Error != nil {
				return Figures{}, fmt.Errorf("process %d: %w", p.pid(), call.Error)
			}
		case <-late:
			return Figures{}, &SilentError{p.pid()}
		}
		s := calls[i].Reply.(*statsReply).Stats
		sum.Stats = sum.Stats.Add(s)
		sum.Processes = append(sum.Processes, Process{PID: p.pid(), Conns: s.Connecting + s.Open + s.Closing})
	}
	return sum, nil
}

// answer answers what a process asks, until it ends.
func (g *Group) answer(p *process, from net.Conn) {
	s := rpc.NewServer()
	if err := s.RegisterName("Group", &groupCalls{g, p}); err != nil {
		panic(err) // its methods are ours
	}
	s.ServeConn(from)
}

// groupCalls is what a process may call.
type groupCalls struct {
	g    *Group
	from *process
}

// Figures are those of all processes.
func (c *groupCalls) Figures(_ nothing, all *Figures) (err error) {
	*all, err = c.g.figures()
	return err
}

// Relay gives messages to all other processes, and returns when they have them.
func (c *groupCalls) Relay(said []Message, _ *nothing) error {
	var wait sync.WaitGroup
	for _, p := range c.g.all {
		if p != c.from {
			wait.Go(func() { _ = p.asks.Call(memberDeliver, said, new(nothing)) }) // who does not hear it has ended
		}
	}
	wait.Wait()
	return nil
}

func closeFiles(all []*os.File) {
	for _, f := range all {
		_ = f.Close()
	}
}
