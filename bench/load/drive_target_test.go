package load

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// process writes what the kernel tells of one.
func process(t *testing.T, proc string, pid, ticks, pages int, children string) {
	t.Helper()
	dir := filepath.Join(proc, strconv.Itoa(pid))
	task := filepath.Join(dir, "task", strconv.Itoa(pid))
	if err := os.MkdirAll(task, 0o777); err != nil {
		t.Fatal(err)
	}
	stat := fmt.Sprintf("%d (a) b (c) S 1 1 1 0 -1 4194560 1 0 0 0 %d %d 0 0 20 0 5 0 100 1000000 %d 18446744073709551615", pid, ticks, ticks, pages)
	for name, content := range map[string]string{filepath.Join(dir, "stat"): stat, filepath.Join(task, "children"): children} {
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTarget(t *testing.T) {
	proc := t.TempDir()
	process(t, proc, 10, 100, 1, "11 ")
	process(t, proc, 11, 50, 2, "")
	w := &target{pids: []int{10}, proc: proc, first: map[int]float64{}, last: map[int]float64{}}
	page := int64(os.Getpagesize())
	if u := w.read(); u.cpu != 0 || u.rss != 3*page {
		t.Errorf("at first %+v", u)
	}
	since := w.read()
	process(t, proc, 10, 150, 1, "11 ")
	process(t, proc, 11, 100, 5, "")
	if u := w.read(); u.cpu != 2 || u.rss != 6*page {
		t.Errorf("%+v, want 2 s and 6 pages", u)
	}
	if err := os.RemoveAll(filepath.Join(proc, "11")); err != nil {
		t.Fatal(err)
	}
	w.shown = w.read()
	f := w.figures(since, &Result{Rate: 100, Duration: 10})
	if f.CPU != 2 || f.CPUEach != 2000 || f.RSS != 6*page {
		t.Errorf("the child that ended is forgotten: %+v", f)
	}
	if g := w.gone(); len(g) != 0 {
		t.Errorf("%q", g)
	}
	if err := os.RemoveAll(filepath.Join(proc, "10")); err != nil {
		t.Fatal(err)
	}
	if g := w.gone(); len(g) != 1 || !strings.Contains(g[0], "10 ended") {
		t.Errorf("%q", g)
	}
}

func TestTargetIsThere(t *testing.T) {
	own, err := watchTarget([]int{os.Getpid()})
	if runtime.GOOS != "linux" {
		if !errors.Is(err, ErrTarget) {
			t.Error(err)
		}
		return
	}
	if err != nil || own.shown.rss == 0 {
		t.Errorf("%v, %+v", err, own)
	}
	if _, err := watchTarget([]int{1 << 30}); !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), "no such process") {
		t.Error(err)
	}
}
