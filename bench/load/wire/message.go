package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

const (
	protocol = 1       // a side refuses another one's number
	maxLine  = 4 << 20 // bytes: a tally with five full histograms is less than half of it
	maxText  = 1000    // bytes of an error
	maxCount = 1 << 50 // of anything in a tally: more is a lie, and sums of it would overflow
	maxKinds = 1000    // of errors in a tally

	beat    = time.Second
	silence = 30 * time.Second // a machine under load may be late, but not by that much
)

// Version is the version of this program, which the other side's errors name. Set it before anything else.
var Version = "unknown"

// What can go wrong with the other side. Errors of its generator itself are none of these.
var (
	ErrGone    = errors.New("the other side is gone")          // its end of the pipe is closed
	ErrSilent  = errors.New("the other side is silent")        // nothing came for 30 seconds
	ErrSlow    = errors.New("a request was not answered")      // though the other side lives
	ErrForeign = errors.New("the other side speaks otherwise") // another version, or no such protocol at all
	ErrClosed  = errors.New("closed")                          // by this side
)

// What a driver asks for.
const (
	doPrepare = "prepare"
	doConnect = "connect"
	doBegin   = "begin"
	doTurn    = "turn"
	doReport  = "report"
	doEnd     = "end"
	doCancel  = "cancel"
	doAlive   = "alive"
)

// message is a line.
type message struct {
	Hello *hello `json:"hello,omitempty"`
	ID    int    `json:"id,omitempty"`

	// Of a driver.
	Do          string        `json:"do,omitempty"`
	Share       *load.Share   `json:"share,omitempty"`
	In          time.Duration `json:"in,omitempty"`        // nanoseconds until sending begins
	MeasureIn   time.Duration `json:"measureIn,omitempty"` // until figures begin
	Rate        float64       `json:"rate,omitempty"`
	Connections int           `json:"connections,omitempty"`

	// Of the other side.
	Tally *load.Tally `json:"tally,omitempty"`
	Error string      `json:"error,omitempty"`
}

type hello struct {
	Protocol int    `json:"gannetLoad"`
	Version  string `json:"version"`
}

// line is a pipe of messages. Any goroutine may send.
type line struct {
	pipe io.ReadWriteCloser
	in   *bufio.Scanner

	mu sync.Mutex // of writing
}

func newLine(pipe io.ReadWriteCloser) *line {
	l := &line{pipe: pipe, in: bufio.NewScanner(pipe)}
	l.in.Buffer(nil, maxLine)
	return l
}

func (l *line) send(m message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(b) >= maxLine {
		return fmt.Errorf("a message of %d bytes; at most %d can be told to another process or machine", len(b), maxLine)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err = l.pipe.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return nil
}

// receive waits for a message.
func (l *line) receive() (m message, err error) {
	if !l.in.Scan() {
		switch err := l.in.Err(); {
		case errors.Is(err, bufio.ErrTooLong):
			return m, fmt.Errorf("%w: a line of more than %d bytes", ErrForeign, maxLine)
		case err != nil:
			return m, fmt.Errorf("%w: %w", ErrGone, err)
		}
		return m, ErrGone
	}
	if err := json.Unmarshal(l.in.Bytes(), &m); err != nil {
		return m, fmt.Errorf("%w: %w: %.60q", ErrForeign, err, l.in.Bytes())
	}
	return m, nil
}

// greet checks the first message of the other side.
func (m message) greet() error {
	switch {
	case m.Hello == nil:
		return fmt.Errorf("%w: it did not say hello", ErrForeign)
	case m.Hello.Protocol != protocol:
		return fmt.Errorf("%w: gannet %.40s speaks version %d of this protocol, and gannet %s version %d; run the same gannet on both sides",
			ErrForeign, m.Hello.Version, m.Hello.Protocol, Version, protocol)
	}
	return nil
}

// ours is what a side says first.
func ours() message { return message{Hello: &hello{Protocol: protocol, Version: Version}} }

// checkTally refuses what no generator can have done.
func checkTally(t *load.Tally) error {
	if t == nil {
		return fmt.Errorf("%w: a report without figures", ErrForeign)
	}
	for _, n := range []int64{
		t.Open, t.Attempted, t.Opened, t.Failed, t.Ended, t.Warmup, t.Due, t.Sent, t.Received, t.Answered, t.SentBytes, t.ReceivedBytes,
		t.Late, t.Unsent, t.Unanswered, t.BufferedAmount, t.RSS, int64(t.Loops),
	} {
		if n < 0 || n > maxCount {
			return fmt.Errorf("%w: a count of %d", ErrForeign, n)
		}
	}
	if t.CPU < 0 || t.CPU > maxCount {
		return fmt.Errorf("%w: %v s of processor time", ErrForeign, t.CPU)
	}
	kinds := 0
	for class, errors := range t.Errors {
		for what, n := range errors {
			if kinds++; kinds > maxKinds || len(class) > maxText || len(what) > maxText || n < 0 || n > maxCount {
				return fmt.Errorf("%w: impossible counts of errors", ErrForeign)
			}
		}
	}
	return nil
}

// checkShare refuses what is no part of a plan.
func checkShare(s *load.Share) error {
	switch {
	case s == nil:
		return errors.New("no share")
	case s.Of < 1 || s.Index < 0 || s.Index >= s.Of || s.First < 0 || s.Connections < 0 || s.Writers < 0:
		return fmt.Errorf("share %d of %d with %d connections from %d on cannot be", s.Index, s.Of, s.Connections, s.First)
	}
	return checkLevel(s.Rate, s.Connections)
}

func checkLevel(rate float64, connections int) error {
	if math.IsNaN(rate) || rate < 0 || connections < 0 {
		return fmt.Errorf("%v messages a second on %d connections cannot be", rate, connections)
	}
	return nil
}
