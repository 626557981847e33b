package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// result is one server at one window.
type result struct {
	server   string
	bits     int
	conns    int
	agreed   agreement
	before   reading // the server has started
	idle     reading // all connections are open and have sent nothing
	after    reading // they have exchanged their messages
	rested   reading // they were left alone for a while
	hasRest  bool
	hasStats bool
}

// reading is a server's memory at one moment.
type reading struct {
	rss     int64 // bytes
	buffers int64 // bytes of Gannet's pooled buffers that are in use, by its own account
}

// runaway is where a server's memory ends the run: rather that than the machine's.
const runaway = 16 << 30

// measure starts a server, opens the connections, and reads its memory at four moments.
func measure(ctx context.Context, o options, s server, t tools, ports *rig.Ports, bits int) (result, error) {
	r := result{server: s.name, bits: bits, conns: s.conns(o), hasRest: o.rest > 0, hasStats: s.stats}
	port, err := ports.Take()
	if err != nil {
		return r, err
	}
	p, err := rig.Start(ctx, withGOGC(o.gogc, s.argv(t, port, bits)), port)
	if err != nil {
		return r, err
	}
	defer p.Stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go watch(ctx, cancel, p.PID())
	if err := r.take(ctx, o, port, p.PID()); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return r, cause
		}
		return r, p.WhyEnded(err)
	}
	return r, nil
}

// withGOGC is argv with a pace of the garbage collector. env execs the program, so the process keeps its id.
func withGOGC(percent int, argv []string) []string {
	return append([]string{"env", "GOGC=" + strconv.Itoa(percent)}, argv...)
}

// watch cancels with a reason when the server grows beyond all bounds.
func watch(ctx context.Context, cancel context.CancelCauseFunc, pid int) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(250 * time.Millisecond):
		}
		if kib, err := rig.ResidentKiB(pid); err == nil && kib<<10 > runaway {
			cancel(fmt.Errorf("the server passed %d GiB: take fewer connections", runaway>>30))
		}
	}
}

func (r *result) take(ctx context.Context, o options, port, pid int) (err error) {
	read := func(into *reading) error {
		if err := sleep(ctx, o.settle); err != nil {
			return err
		}
		*into, err = readMemory(ctx, pid, port, r.hasStats)
		return err
	}
	if err := read(&r.before); err != nil {
		return err
	}
	c, err := openCrowd(ctx, rig.LocalAddr(port), r.bits, r.conns)
	if err != nil {
		return err
	}
	defer c.close()
	if r.agreed = c.agreed; !c.agreed.deflate {
		return nil
	}
	if err := read(&r.idle); err != nil {
		return err
	}
	if err := c.talk(ctx, newTexts(o.size), o.messages); err != nil {
		return err
	}
	if err := read(&r.after); err != nil || !r.hasRest {
		return err
	}
	if err := c.rest(ctx, o.rest); err != nil {
		return err
	}
	return read(&r.rested)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func readMemory(ctx context.Context, pid, port int, stats bool) (reading, error) {
	kib, err := rig.ResidentKiB(pid)
	r := reading{rss: kib << 10}
	if err == nil && stats {
		r.buffers, err = readBuffers(ctx, "http://"+rig.LocalAddr(port)+"/stats")
	}
	return r, err
}

// readBuffers asks Gannet what its pooled buffers in use take.
func readBuffers(ctx context.Context, url string) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var stats struct {
		Buffers *struct{ OutBytes int64 } `json:"buffers"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		return 0, fmt.Errorf("%s: %w", url, err)
	}
	if stats.Buffers == nil {
		return 0, errors.New(url + " says nothing of buffers")
	}
	return stats.Buffers.OutBytes, nil
}
