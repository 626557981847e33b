package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

const (
	serverCore = 0
	toolCore   = 1
	look       = 250 * time.Millisecond
	// startAndStop is how long a tool may take beside what it is asked for.
	startAndStop = 45 * time.Second
	lastWords    = 1500 // bytes of what a tool said are shown when it did nothing
)

// figures are what the server saw of a tool, and what the tool used.
type figures struct {
	Open    int64   // connections at once
	Rate    float64 // messages a second
	CPU     float64 // processors in use meanwhile
	EachKiB float64 // memory of a connection in the tool, beyond what it takes with one
	Failed  string  // why there are none
	rssKiB  int64   // of the tool, with the most connections
}

// sample is one look at both.
type sample struct {
	at             time.Time
	open, messages int64
	cpu            time.Duration
	rssKiB         int64
}

// measure lets a tool do a job against a server of its own: the server on one core, the tool on another.
func measure(ctx context.Context, gannet string, argv []string, j job) figures {
	server, err := rig.Start(ctx, rig.Pinned(serverCore, []string{
		gannet, "serve", "--addr", rig.LocalAddr(j.Port), "--loops", "1", "--idle", "-1s", "--log", "error",
	}), j.Port)
	if err != nil {
		return figures{Failed: err.Error()}
	}
	defer server.Stop()
	limit := time.Duration(j.Seconds)*time.Second + startAndStop
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var said bytes.Buffer
	pinned := rig.Pinned(toolCore, argv)
	cmd := exec.CommandContext(ctx, pinned[0], pinned[1:]...)
	cmd.Env = append(os.Environ(), j.environment()...)
	cmd.Stdout, cmd.Stderr = &said, &said
	// A group of its own: what the tool starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return figures{Failed: err.Error()}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	samples := watch(cmd.Process.Pid, j.Port, ended)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it may have left
	f := summarize(samples, j)
	if f.Open == 0 || j.Mode == messages && f.Rate == 0 {
		text := said.Bytes()
		f.Failed = fmt.Sprintf("did nothing; it said: %s", text[max(0, len(text)-lastWords):])
	}
	return f
}

// watch looks until the tool has ended.
func watch(group, port int, ended <-chan error) (samples []sample) {
	used := map[int]time.Duration{}
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return samples
		case <-ticker.C:
			s, err := serverFigures(port)
			if err != nil {
				continue // the server is busy: the next look will do
			}
			s.cpu, s.rssKiB = groupUsage(group, used)
			samples = append(samples, s)
		}
	}
}

// statsClient does not keep its connection, which would be one of the server's.
var statsClient = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func serverFigures(port int) (sample, error) {
	response, err := statsClient.Get("http://" + rig.LocalAddr(port) + "/stats")
	if err != nil {
		return sample{}, err
	}
	defer response.Body.Close()
	var stats struct{ Open, MessagesIn int64 }
	err = json.NewDecoder(response.Body).Decode(&stats)
	return sample{at: time.Now(), open: stats.Open, messages: stats.MessagesIn}, err
}

// groupUsage adds up a group's processes. Those that are gone keep what they had used when they were last seen.
func groupUsage(group int, used map[int]time.Duration) (cpu time.Duration, rssKiB int64) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if of, err := syscall.Getpgid(pid); err != nil || of != group {
			continue
		}
		used[pid] = max(used[pid], rig.CPUTime(pid))
		if kib, err := rig.ResidentKiB(pid); err == nil {
			rssKiB += kib
		}
	}
	for _, t := range used {
		cpu += t
	}
	return cpu, rssKiB
}

// settle is left out after the first message: connecting and warming up.
const settle = time.Second

// summarize takes the rate from when messages have flowed for a second to the last one that came.
func summarize(samples []sample, j job) (f figures) {
	var first, last, most sample
	var began time.Time
	for _, s := range samples {
		if s.open > most.open || s.open == most.open && s.rssKiB > most.rssKiB {
			most = s
		}
		switch {
		case s.messages == 0:
		case began.IsZero():
			began = s.at
		case s.at.Sub(began) < settle:
		case first.at.IsZero():
			first, last = s, s
		case s.messages > last.messages:
			last = s
		}
	}
	f.Open, f.rssKiB = most.open, most.rssKiB
	if wall := last.at.Sub(first.at).Seconds(); j.Mode == messages && wall > 0 {
		f.Rate = float64(last.messages-first.messages) / wall
		f.CPU = (last.cpu - first.cpu).Seconds() / wall
	}
	return f
}
