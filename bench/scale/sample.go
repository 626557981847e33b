package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// sample is what a moment of a run looks like from outside.
type sample struct {
	At           float64 // seconds
	Open, Opened int64
	In, Out      int64 // messages
	Server       usage
	Generator    usage
	Kernel       int64 // bytes: slab, page tables, stacks, per-CPU memory of the whole machine
	Buffers      int64 // bytes in TCP's queues
}

// usage is that of some processes together.
type usage struct {
	RSS int64 // bytes
	CPU time.Duration
}

// figures are those of /stats that are read here.
type figures struct {
	Open        int64 `json:"open"`
	Opened      int64 `json:"opened"`
	MessagesIn  int64 `json:"messagesIn"`
	MessagesOut int64 `json:"messagesOut"`
	Processes   []struct {
		PID int `json:"pid"`
	} `json:"processes"`
}

// observer takes samples of a server and a generator.
type observer struct {
	stats  string // its URL
	client http.Client
	began  time.Time
	server []int // process ids
}

// statsTime is how long /stats may take: a machine that is full is slow.
const statsTime = 10 * time.Second

// observe finds the server's processes. parent is the one that was started; it counts as well.
func observe(ctx context.Context, addr string, parent int) (*observer, error) {
	o := &observer{stats: "http://" + addr + "/stats", client: http.Client{Timeout: statsTime}, began: time.Now(), server: []int{parent}}
	f, err := o.figures(ctx)
	for _, p := range f.Processes {
		o.server = append(o.server, p.PID)
	}
	return o, err
}

func (o *observer) figures(ctx context.Context) (f figures, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.stats, nil)
	if err != nil {
		return f, err
	}
	answer, err := o.client.Do(request)
	if err != nil {
		return f, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return f, fmt.Errorf("%s: %s", o.stats, answer.Status)
	}
	return f, json.NewDecoder(answer.Body).Decode(&f)
}

// take is a sample, with what the generator's process and those that it started use; 0: there is none yet.
func (o *observer) take(ctx context.Context, generator int) (s sample, err error) {
	f, err := o.figures(ctx)
	if err != nil {
		return s, err
	}
	s = sample{At: time.Since(o.began).Seconds(), Open: f.Open, Opened: f.Opened, In: f.MessagesIn, Out: f.MessagesOut, Server: usageOf(o.server)}
	if generator != 0 {
		s.Generator = usageOf(withChildren(generator))
	}
	memory, err := meminfo()
	if err != nil {
		return s, err
	}
	s.Kernel = memory["Slab"] + memory["PageTables"] + memory["KernelStack"] + memory["Percpu"]
	s.Buffers, err = tcpBuffers()
	return s, err
}

// usageOf leaves out what has ended.
func usageOf(pids []int) (u usage) {
	for _, pid := range pids {
		if kib, err := rig.ResidentKiB(pid); err == nil {
			u.RSS += kib << 10
		}
		u.CPU += rig.CPUTime(pid)
	}
	return u
}

// withChildren is a process and those that it has started.
func withChildren(pid int) []int {
	all := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is sound
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text), ") ") // behind the name: state and parent
		fields := strings.Fields(after)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			if child, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// tcpBuffers is what TCP's queues hold, in bytes.
func tcpBuffers() (int64, error) {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		for i := 0; i+1 < len(fields) && fields[0] == "TCP:"; i++ {
			if fields[i] == "mem" {
				pages, err := strconv.ParseInt(fields[i+1], 10, 64)
				return pages * int64(os.Getpagesize()), err
			}
		}
	}
	return 0, nil
}
