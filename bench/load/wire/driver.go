package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

// How long a request may take, though the other side lives.
const (
	answerIn = time.Minute // prepare, begin, turn, report
	grace    = time.Minute // beyond what the plan says: connect and end
)

// driver is a Generator whose work the other side of a pipe does.
type driver struct {
	name  string
	share load.Share
	line  *line

	failed chan struct{} // closed: err is set, and nothing works any more
	dog    *time.Timer   // barks when the other side is silent

	mu      sync.Mutex
	err     error
	began   bool
	id      int
	waiting map[int]chan message
}

// New is a generator that does a share on the other side of a pipe, where [Serve] must run. It has the pipe for itself, and closes it.
// Nothing is said before Connect. Closing the pipe must end a Read and a Write that wait.
func New(name string, share load.Share, pipe io.ReadWriteCloser) load.Generator {
	return &driver{name: name, share: share, line: newLine(pipe), failed: make(chan struct{}), waiting: map[int]chan message{}}
}

func (d *driver) Name() string { return d.name }

func (d *driver) Connect(ctx context.Context) error {
	if d.begin() {
		if err := d.line.send(ours()); err != nil {
			d.fail(err)
		}
		go d.beat()
	}
	if _, err := d.ask(context.Background(), message{Do: doPrepare, Share: &d.share}, answerIn); err != nil {
		return err
	}
	within := grace + 2*time.Duration(d.share.Plan.ConnectTimeout)
	if d.share.ConnectRate > 0 {
		within += time.Duration(min(1e6, 2*float64(d.share.Connections)/d.share.ConnectRate) * 1e9)
	}
	_, err := d.ask(ctx, message{Do: doConnect}, within)
	return err
}

func (d *driver) Begin(at, measure time.Time) error {
	_, err := d.ask(context.Background(), message{Do: doBegin, In: time.Until(at), MeasureIn: time.Until(measure)}, answerIn)
	return err
}

func (d *driver) Turn(rate float64, connections int) error {
	_, err := d.ask(context.Background(), message{Do: doTurn, Rate: rate, Connections: connections}, answerIn)
	return err
}

func (d *driver) Report() (*load.Tally, error) {
	return d.tally(context.Background(), message{Do: doReport}, answerIn)
}

func (d *driver) End(ctx context.Context) (*load.Tally, error) {
	return d.tally(ctx, message{Do: doEnd}, grace+time.Duration(d.share.Plan.AnswerTimeout))
}

// Close says nothing: that the pipe is closed says all.
func (d *driver) Close() error {
	d.fail(ErrClosed)
	return nil
}

// begin starts to listen, once.
func (d *driver) begin() (first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.began || d.err != nil {
		return false
	}
	d.began = true
	d.dog = time.AfterFunc(silence, func() { d.fail(fmt.Errorf("%w: nothing came for %v", ErrSilent, silence)) })
	go d.listen()
	return true
}

// listen hands out answers until the pipe ends.
func (d *driver) listen() {
	for first := true; ; first = false {
		m, err := d.line.receive()
		if err == nil && first {
			err = m.greet()
		}
		if err != nil {
			d.fail(err)
			return
		}
		d.dog.Reset(silence)
		if m.Do == doAlive || first {
			continue
		}
		d.mu.Lock()
		to := d.waiting[m.ID]
		delete(d.waiting, m.ID)
		d.mu.Unlock()
		if to == nil {
			d.fail(fmt.Errorf("%w: an answer that nobody asked for", ErrForeign))
			return
		}
		to <- m
	}
}

// beat tells that this side lives.
func (d *driver) beat() {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := d.line.send(message{Do: doAlive}); err != nil {
				d.fail(err)
			}
		case <-d.failed:
			return
		}
	}
}

// fail ends everything: all calls that wait, and all later ones, answer err.
func (d *driver) fail(err error) {
	d.mu.Lock()
	first := d.err == nil
	if first {
		d.err = err
		close(d.failed)
	}
	d.mu.Unlock()
	if first {
		if d.dog != nil {
			d.dog.Stop()
		}
		_ = d.line.pipe.Close() // whatever it says, it is not used any more
	}
}

// ask sends a request and waits for its answer. When ctx ends, the other side is told, and still has to answer.
func (d *driver) ask(ctx context.Context, m message, within time.Duration) (message, error) {
	answer := make(chan message, 1)
	d.mu.Lock()
	if d.err != nil {
		defer d.mu.Unlock()
		return message{}, d.err
	}
	d.id++
	m.ID = d.id
	d.waiting[m.ID] = answer
	d.mu.Unlock()
	late := time.AfterFunc(within, func() { d.fail(fmt.Errorf("%w: %s, for %v", ErrSlow, m.Do, within)) })
	defer late.Stop()
	if err := d.line.send(m); err != nil {
		d.fail(err)
	}
	cancelled := ctx.Done()
	for {
		select {
		case got := <-answer:
			if got.Error != "" {
				return got, errors.New(cut(got.Error))
			}
			return got, nil
		case <-cancelled:
			cancelled = nil
			late.Reset(answerIn)
			if err := d.line.send(message{Do: doCancel}); err != nil {
				d.fail(err)
			}
		case <-d.failed:
			d.mu.Lock()
			defer d.mu.Unlock()
			return message{}, d.err
		}
	}
}

// tally asks for figures.
func (d *driver) tally(ctx context.Context, m message, within time.Duration) (*load.Tally, error) {
	got, err := d.ask(ctx, m, within)
	if err == nil {
		err = checkTally(got.Tally)
	}
	if err != nil {
		return nil, err
	}
	return got.Tally, nil
}

// cut is so much of a text as a report has room for.
func cut(s string) string {
	if len(s) > maxText {
		return s[:maxText] + "..."
	}
	return s
}
