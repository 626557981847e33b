// Package procs does a run in several processes of this machine: each has a limit of descriptors of its own.
//
// [Start] is in the process that a person starts. [Serve] is all that each of the others does. They talk over the child's
// standard input and output, as package wire says.
package procs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/bench/load/wire"
)

// endTime is how long a process has to end once its pipe is closed.
const endTime = 10 * time.Second

// longestLine of a child's standard error is passed on as one; of a longer one the rest are lines of their own.
const longestLine = 4 << 10

// Command is how a process is started.
type Command struct {
	Path string   // of the program; it calls Serve
	Args []string // without the name
	Env  []string // as exec.Cmd.Env; nil: this process's

	// Stderr hears what a process says on its standard error, line by line, from a goroutine of each process. Nil: it goes to this process's.
	Stderr func(name, line string)
}

// EndError says how a process ended that should not have.
type EndError struct {
	How  error  // of exec.Cmd.Wait; nil: with status 0
	Last string // the last line that it wrote to its standard error
}

// Error has the process's own last words, if there are any.
func (e *EndError) Error() string {
	how := "it ended by itself"
	if e.How != nil {
		how = e.How.Error()
	}
	if e.Last != "" {
		how += ": " + e.Last
	}
	return how
}

// Unwrap leads to how it ended.
func (e *EndError) Unwrap() error { return e.How }

// Start starts a process for each share. A process ends when its generator is closed, and when this process ends, however it does.
// One that ends by itself is a generator whose calls fail with an [*EndError]. If one cannot be started, none is left running.
// Without Plan.Loops the processes share this machine's processors.
func Start(shares []load.Share, command Command) ([]load.Generator, error) {
	var all []load.Generator
	for i, share := range shares {
		if share.Plan.Loops == 0 {
			share.Plan.Loops = max(1, runtime.NumCPU()/len(shares))
		}
		p, err := start(command, i+1)
		if err != nil {
			for _, g := range all {
				_ = g.Close() // it was asked nothing
			}
			return nil, fmt.Errorf("process %d of %d could not be started: %w", i+1, len(shares), err)
		}
		all = append(all, &generator{wire.New(p.name, share, p), p})
	}
	return all, nil
}

// generator is one in another process.
type generator struct {
	load.Generator
	process *process
}

// Close waits for the process's end.
func (g *generator) Close() error {
	err := g.Generator.Close()
	<-g.process.ended
	return err
}

// process is a child, and the pipe to it.
type process struct {
	name    string
	cmd     *exec.Cmd
	in, out *os.File
	closing sync.Once
	stderr  func(name, line string)

	spoken chan struct{} // closed: last is what it said last
	last   string
	ended  chan struct{} // closed: how is how it ended
	how    error
}

func start(command Command, number int) (*process, error) {
	p := &process{cmd: exec.Command(command.Path, command.Args...), stderr: command.Stderr, ended: make(chan struct{}), spoken: make(chan struct{})}
	p.cmd.Env = command.Env
	if p.stderr == nil {
		p.stderr = func(name, line string) { fmt.Fprintf(os.Stderr, "%s: %s\n", name, line) }
	}
	var files []*os.File
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			files = append(files, r, w)
		}
		return r, w, err
	}
	stdin, in, err1 := pipe()
	out, stdout, err2 := pipe()
	said, stderr, err3 := pipe()
	err := errors.Join(err1, err2, err3)
	if err == nil {
		p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = stdin, stdout, stderr
		err = p.cmd.Start()
	}
	if err != nil {
		closeAll(files)
		return nil, err
	}
	closeAll([]*os.File{stdin, stdout, stderr}) // they are the child's
	p.in, p.out, p.name = in, out, fmt.Sprintf("process %d (pid %d)", number, p.cmd.Process.Pid)
	go p.listen(said)
	go func() {
		p.how = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // a pipe that nothing was written to
	}
}

// listen passes on what the process says on its standard error.
func (p *process) listen(said *os.File) {
	defer close(p.spoken)
	defer said.Close()
	for in := bufio.NewReaderSize(said, longestLine); ; {
		line, _, err := in.ReadLine()
		if err != nil {
			return
		}
		p.last = strings.ToValidUTF8(string(line), "?")
		p.stderr(p.name, p.last)
	}
}

// Read reads what the process answers. At its end it says how the process ended.
func (p *process) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	select {
	case <-p.ended:
		<-p.spoken
		return n, &EndError{p.how, p.last}
	case <-time.After(endTime):
		return n, err
	}
}

func (p *process) Write(b []byte) (int, error) { return p.in.Write(b) }

// Close tells the process to end, and sees to it that it does.
func (p *process) Close() error {
	p.closing.Do(func() {
		closeAll([]*os.File{p.in, p.out})
		go func() {
			select {
			case <-p.ended:
			case <-time.After(endTime):
				_ = p.cmd.Process.Kill() // it has ended, or ends
			}
		}()
	})
	return nil
}

// Serve is what a process does that Start has started: with what make makes of its share, until its parent is gone or has no more to ask.
// It is the last that a process does. Signals that a terminal sends to parent and children alike are the parent's to answer.
func Serve(make func(load.Share) (load.Generator, error)) error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	return wire.Serve(context.Background(), &stdio{exit: os.Exit}, make)
}
