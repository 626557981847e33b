package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

// fake does what it is told to, and tells it.
type fake struct {
	share         load.Share
	begin, figure time.Time
	rate          float64
	connections   int
	connectFor    time.Duration
	closed        chan struct{}
	fails         error
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Connect(ctx context.Context) error {
	select {
	case <-time.After(f.connectFor):
	case <-ctx.Done():
	}
	return f.fails
}

func (f *fake) Begin(at, measure time.Time) error {
	f.begin, f.figure = at, measure
	return nil
}

func (f *fake) Turn(rate float64, connections int) error {
	f.rate, f.connections = rate, connections
	return nil
}

func (f *fake) Report() (*load.Tally, error) {
	t := load.NewTally()
	t.Sent, t.Open = 7, int64(f.share.Connections)
	t.Fail(load.Closed, "1006", 2)
	return t, t.Latency.RecordValue(5e6)
}

func (f *fake) End(ctx context.Context) (*load.Tally, error) {
	if f.connectFor > time.Hour {
		<-ctx.Done()
	}
	return f.Report()
}

func (f *fake) Close() error {
	close(f.closed)
	return nil
}

var share = load.Share{Plan: load.Plan{URL: "ws://x/", Connections: 10, ConnectTimeout: load.Duration(time.Minute)}, Index: 1, Of: 2, First: 5, Connections: 5, Rate: 10, ConnectRate: 100}

// between joins a driver with a server in fake time, and waits for the end of both.
func between(t *testing.T, f *fake, drive func(*testing.T, load.Generator)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		f.closed = make(chan struct{})
		served := make(chan error, 1)
		go func() {
			served <- Serve(t.Context(), there, func(s load.Share) (load.Generator, error) {
				f.share = s
				return f, nil
			})
		}()
		g := New("part 2", share, here)
		drive(t, g)
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil && !errors.Is(err, ErrGone) {
			t.Error(err)
		}
		<-f.closed
		if _, err := g.Report(); err == nil {
			t.Error("a report of who is closed")
		}
	})
}

func TestWire(t *testing.T) {
	f := &fake{connectFor: 100 * time.Second}
	between(t, f, func(t *testing.T, g load.Generator) {
		if g.Name() != "part 2" {
			t.Error(g.Name())
		}
		connected := make(chan error, 1)
		go func() { connected <- g.Connect(t.Context()) }()
		for range 3 { // a report beside connect
			time.Sleep(10 * time.Second)
			if tally, err := g.Report(); err != nil || tally.Sent != 7 {
				t.Errorf("%v, %+v", err, tally)
			}
		}
		if err := <-connected; err != nil || f.share.First != 5 || f.share.Plan.URL != "ws://x/" || f.share.Rate != 10 {
			t.Errorf("%v, %+v", err, f.share)
		}
		at := time.Now().Add(time.Second)
		if err := g.Begin(at, at.Add(time.Minute)); err != nil || !f.begin.Equal(at) || !f.figure.Equal(at.Add(time.Minute)) {
			t.Errorf("%v: begins %v, %v", err, f.begin.Sub(at), f.figure.Sub(at))
		}
		if err := g.Turn(12.5, 6); err != nil || f.rate != 12.5 || f.connections != 6 {
			t.Errorf("%v, %+v", err, f)
		}
		for range 100 {
			time.Sleep(time.Second)
			tally, err := g.Report()
			if err != nil || tally.Sent != 7 || tally.Open != 5 || tally.Errors[load.Closed]["1006"] != 2 || tally.Latency.TotalCount() != 1 {
				t.Fatalf("%v, %+v", err, tally)
			}
		}
		if tally, err := g.End(t.Context()); err != nil || tally.Sent != 7 {
			t.Errorf("%v, %+v", err, tally)
		}
	})
}

func TestCancel(t *testing.T) {
	between(t, &fake{connectFor: 1000 * time.Hour}, func(t *testing.T, g load.Generator) {
		for _, call := range []func(context.Context) error{g.Connect, func(ctx context.Context) error { _, err := g.End(ctx); return err }} {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := call(ctx); err != nil || time.Since(began) != 5*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			cancel()
		}
	})
}

func TestErrorOfTheGenerator(t *testing.T) {
	between(t, &fake{fails: errors.New("no descriptors")}, func(t *testing.T, g load.Generator) {
		if err := g.Connect(t.Context()); err == nil || err.Error() != "no descriptors" {
			t.Error(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		go func() {
			_ = Serve(t.Context(), there, func(load.Share) (load.Generator, error) { return nil, errors.New("not here") })
		}()
		g := New("x", share, here)
		if err := g.Connect(t.Context()); err == nil || err.Error() != "not here" {
			t.Error(err)
		}
		_ = g.Close()
	})
}

// lie is what the other side of a driver says: a line for each that it reads, but for those that tell that the driver lives.
func lie(pipe io.ReadWriteCloser, answers ...string) {
	in := bufio.NewScanner(pipe)
	for in.Scan() {
		var m message
		if json.Unmarshal(in.Bytes(), &m) != nil || m.Do == doAlive {
			continue
		}
		if len(answers) == 0 {
			continue
		}
		answer := strings.ReplaceAll(answers[0], "ID", fmt.Sprint(m.ID))
		answers = answers[1:]
		if answer == "EOF" {
			_ = pipe.Close()
			return
		}
		if answer != "" {
			_, _ = io.WriteString(pipe, answer+"\n")
		}
	}
}

const welcome = `{"hello":{"gannetLoad":1,"version":"x"}}`

func TestLyingServer(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		want    error
	}{
		"silent":           {nil, ErrSilent},
		"gone":             {[]string{"EOF"}, ErrGone},
		"gone later":       {[]string{welcome, `{"id":ID}`, "EOF"}, ErrGone},
		"no hello":         {[]string{`{"id":1}`}, ErrForeign},
		"another version":  {[]string{`{"hello":{"gannetLoad":2,"version":"y"}}`}, ErrForeign},
		"no JSON":          {[]string{"HTTP/1.1 400 Bad Request"}, ErrForeign},
		"too long":         {[]string{strings.Repeat("x", maxLine+1)}, ErrForeign},
		"unasked":          {[]string{welcome, `{"id":77}`}, ErrForeign},
		"twice":            {[]string{welcome, `{"id":ID}` + "\n" + `{"id":ID}`}, ErrForeign},
		"silent later":     {[]string{welcome, `{"id":ID}`, `{"id":ID}`, ""}, ErrSilent},
		"no tally":         {[]string{welcome, `{"id":ID}`, `{"id":ID}`, `{"id":ID}`}, ErrForeign},
		"negative":         {[]string{welcome, `{"id":ID}`, `{"id":ID}`, `{"id":ID,"tally":{"Sent":-1}}`}, ErrForeign},
		"too much":         {[]string{welcome, `{"id":ID}`, `{"id":ID}`, `{"id":ID,"tally":{"Sent":9000000000000000000}}`}, ErrForeign},
		"errors":           {[]string{welcome, `{"id":ID}`, `{"id":ID}`, `{"id":ID,"tally":{"Errors":{"close":{"1006":-5}}}}`}, ErrForeign},
		"a bad histogram":  {[]string{welcome, `{"id":ID}`, `{"id":ID}`, `{"id":ID,"tally":{"Latency":"AAAA"}}`}, ErrForeign},
		"an error of them": {[]string{welcome, `{"id":ID}`, `{"id":ID}`, `{"id":ID,"error":"` + strings.Repeat("x", 5000) + `"}`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				go lie(there, c.answers...)
				g := New("liar", share, here)
				began := time.Now()
				err := g.Connect(t.Context())
				if err == nil {
					_, err = g.Report()
				}
				if err == nil || c.want != nil && !errors.Is(err, c.want) || len(err.Error()) > 2*maxText {
					t.Errorf("%v, want %v", err, c.want)
				}
				if took := time.Since(began); took > 3*silence {
					t.Errorf("only after %v", took)
				}
				_ = g.Close()
				_ = there.Close()
			})
		})
	}
}

// TestAliveAndIdle: to live is not enough, a request must be answered.
func TestAliveAndIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		go lie(there, welcome)
		var living sync.WaitGroup
		living.Go(func() {
			for {
				time.Sleep(time.Second)
				if _, err := io.WriteString(there, `{"do":"alive"}`+"\n"); err != nil {
					return
				}
			}
		})
		if err := New("idler", share, here).Connect(t.Context()); !errors.Is(err, ErrSlow) || !strings.Contains(err.Error(), doPrepare) {
			t.Error(err)
		}
		_ = there.Close()
		living.Wait()
	})
}

// TestDeafServer: a driver whose lines nobody reads does not hang.
func TestDeafServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		if err := New("deaf", share, here).Connect(t.Context()); !errors.Is(err, ErrSilent) {
			t.Error(err)
		}
		_ = there.Close()
	})
}

func TestLyingDriver(t *testing.T) {
	prepare := `{"id":1,"do":"prepare","share":{"Of":1,"connections":1}}`
	for name, c := range map[string]struct {
		lines []string
		want  error
	}{
		"nothing":         {nil, ErrSilent},
		"no hello":        {[]string{prepare}, ErrForeign},
		"another version": {[]string{`{"hello":{"gannetLoad":9}}`}, ErrForeign},
		"too long":        {[]string{strings.Repeat("x", maxLine+1)}, ErrForeign},
		"out of order":    {[]string{welcome, `{"id":1,"do":"connect"}`}, ErrForeign},
		"prepared twice":  {[]string{welcome, prepare, prepare}, ErrForeign},
		"two at once":     {[]string{welcome, prepare, `{"id":2,"do":"connect"}`, `{"id":3,"do":"begin"}`}, ErrForeign},
		"then silent":     {[]string{welcome, prepare, `{"id":2,"do":"connect"}`}, ErrSilent},
		"then gone":       {[]string{welcome, prepare, `{"id":2,"do":"connect"}`, "EOF"}, ErrGone},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				f := &fake{closed: make(chan struct{}), connectFor: 1000 * time.Hour}
				made := false
				go func() { _, _ = io.Copy(io.Discard, here) }()
				go func() {
					for _, l := range c.lines {
						if l == "EOF" {
							_ = here.Close()
							return
						}
						_, _ = io.WriteString(here, l+"\n")
					}
				}()
				began := time.Now()
				err := Serve(t.Context(), there, func(load.Share) (load.Generator, error) { made = true; return f, nil })
				if !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if took := time.Since(began); took > 3*silence {
					t.Errorf("only after %v", took)
				}
				if made {
					<-f.closed // no load is left
				}
				_ = here.Close()
			})
		})
	}
}

// TestServeEndsWithItsContext: an agent that is told to stop stops.
func TestServeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		here, there := net.Pipe()
		f := &fake{closed: make(chan struct{}), connectFor: 1000 * time.Hour}
		served := make(chan error, 1)
		go func() {
			served <- Serve(ctx, there, func(load.Share) (load.Generator, error) { return f, nil })
		}()
		time.AfterFunc(5*time.Second, cancel)
		if err := New("x", share, here).Connect(t.Context()); !errors.Is(err, ErrGone) {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		<-f.closed
	})
}

func TestBadShares(t *testing.T) {
	for _, s := range []*load.Share{nil, {}, {Of: 1, Index: 1}, {Of: 1, Connections: -1}, {Of: 1, Rate: -1}} {
		if checkShare(s) == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

func TestTooLongAShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := share
		long.Plan.Payload.Text = strings.Repeat("x", maxLine)
		here, there := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, there) }()
		if err := New("x", long, here).Connect(t.Context()); err == nil || !strings.Contains(err.Error(), "a message of") {
			t.Error(err)
		}
		_ = there.Close()
	})
}
