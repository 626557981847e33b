package load

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// target watches the processes of a server on this machine, and their children.
type target struct {
	pids  []int
	proc  string // where the kernel tells of processes
	first map[int]float64
	last  map[int]float64
	most  int64
	shown usage
}

// usage is what processes have used since they are watched, and hold.
type usage struct {
	cpu float64 // seconds
	rss int64   // bytes
}

// ErrTarget says that a process of DriveOptions.PIDs cannot be watched.
var ErrTarget = errors.New("the target's process cannot be watched")

func watchTarget(pids []int) (*target, error) {
	t := &target{pids: pids, proc: "/proc", first: map[int]float64{}, last: map[int]float64{}}
	if len(pids) > 0 && runtime.GOOS != "linux" {
		return nil, fmt.Errorf("%w: that needs Linux", ErrTarget)
	}
	for _, pid := range pids {
		if _, _, err := t.process(pid); err != nil {
			return nil, fmt.Errorf("%w: %d: %w", ErrTarget, pid, err)
		}
	}
	t.shown = t.read()
	return t, nil
}

// read sums up what all of them used until now. A process that is gone keeps what it had used when it was last seen.
func (t *target) read() usage {
	var u usage
	for _, pid := range t.family() {
		cpu, rss, err := t.process(pid)
		if err != nil {
			continue // it ended since
		}
		if _, known := t.first[pid]; !known {
			t.first[pid] = cpu
		}
		t.last[pid] = cpu
		u.rss += rss
	}
	for pid, cpu := range t.last {
		u.cpu += cpu - t.first[pid]
	}
	t.most = max(t.most, u.rss)
	return u
}

// family are the processes and their children's children.
func (t *target) family() []int {
	seen := map[int]bool{}
	var all []int
	for queue := append([]int(nil), t.pids...); len(queue) > 0; queue = queue[1:] {
		pid := queue[0]
		if seen[pid] {
			continue
		}
		seen[pid] = true
		all = append(all, pid)
		lists, _ := filepath.Glob(filepath.Join(t.proc, strconv.Itoa(pid), "task", "*", "children")) // an error is of the pattern
		for _, list := range lists {
			b, err := os.ReadFile(list)
			if err != nil {
				continue // the thread ended since
			}
			for _, child := range strings.Fields(string(b)) {
				if n, err := strconv.Atoi(child); err == nil {
					queue = append(queue, n)
				}
			}
		}
	}
	return all
}

// process is the processor time and the memory of one, by proc(5).
func (t *target) process(pid int) (cpu float64, rss int64, err error) {
	b, err := os.ReadFile(filepath.Join(t.proc, strconv.Itoa(pid), "stat"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, errors.New("there is no such process")
	}
	if err != nil {
		return 0, 0, err
	}
	// The name, in brackets, may hold anything. After it come state (field 3), utime (14), stime (15) and rss (24).
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 22 {
		return 0, 0, fmt.Errorf("%q is not what proc(5) says", b)
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	pages, err3 := strconv.ParseInt(fields[21], 10, 64)
	const ticks = 100 // a second: USER_HZ, the same on every architecture that Go knows
	return (user + system) / ticks, pages * int64(os.Getpagesize()), errors.Join(err1, err2, err3)
}

// figures are what the target used since figures began; nil without processes.
func (t *target) figures(since usage, res *Result) *Target {
	if len(t.pids) == 0 {
		return nil
	}
	f := &Target{PIDs: t.pids, CPU: t.shown.cpu - since.cpu, RSS: t.most}
	if reached := res.Rate * res.Duration; reached >= 1 {
		f.CPUEach = f.CPU * 1e6 / reached
	}
	return f
}

// gone names processes that ended before the run did.
func (t *target) gone() []string {
	var gone []string
	for _, pid := range t.pids {
		if _, _, err := t.process(pid); err != nil {
			gone = append(gone, fmt.Sprintf("The target's process %d ended before the run did.", pid))
		}
	}
	return gone
}
