package main

import (
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/gannet-ws/gannet/bench/load"
)

// screen is for terminals: a bar of where the run is, and rows of figures under it, which change in place.
type screen struct {
	rows    *mpb.Progress
	bar     *mpb.Bar
	watched bool
	steps   steps

	mu  sync.Mutex
	now load.Snapshot
}

// refreshEvery is how often the screen is drawn.
const refreshEvery = 200 * time.Millisecond

func newScreen(to *os.File, watched bool) *screen {
	x := &screen{watched: watched}
	x.rows = mpb.New(mpb.WithOutput(to), mpb.WithRefreshRate(refreshEvery))
	x.bar = x.rows.New(0, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return stageOf(x.snapshot()) })),
		mpb.BarExtender(mpb.BarFillerFunc(x.figures), false))
	return x
}

func (x *screen) snapshot() load.Snapshot {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.now
}

func (x *screen) show(s load.Snapshot) {
	if line := x.steps.line(s); line != "" {
		x.note(line)
	}
	x.mu.Lock()
	x.now = s
	x.mu.Unlock()
	at, of := int64(s.Elapsed), int64(s.Of)
	if s.Stage == "connecting" {
		at, of = s.Opened+s.Failed, s.Asked
	}
	x.bar.SetTotal(max(of, 1)+1, false) // a bar that is full would be complete, and leave
	x.bar.SetCurrent(min(at, of))
}

func (x *screen) note(text string) { _, _ = io.WriteString(x.rows, text+"\n") }

func (x *screen) end() {
	x.bar.Abort(true)
	x.rows.Wait()
}

// figures writes the rows under the bar.
func (x *screen) figures(w io.Writer, at decor.Statistics) error {
	var text strings.Builder
	for _, f := range factsOf(x.snapshot(), x.watched) {
		for _, row := range f.rows(at.AvailableWidth) {
			text.WriteString(row + "\n")
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// nameWidth is that of the longest name of a fact, and a space.
const nameWidth = len("generator ")

// rows are a fact in rows of a width: as many items in each as go in, and longer ones are cut.
func (f fact) rows(width int) []string {
	width = max(width-1, nameWidth+1) // the last column stays free: some terminals begin a new line there
	row, used := f.name+strings.Repeat(" ", nameWidth-len(f.name)), 0
	var all []string
	for _, item := range f.items {
		if used > 0 && runewidth.StringWidth(row)+2+runewidth.StringWidth(item) > width {
			all, row, used = append(all, row), strings.Repeat(" ", nameWidth), 0
		}
		if used > 0 {
			row += "  "
		}
		row, used = row+item, used+1
	}
	all = append(all, row)
	for i, row := range all {
		all[i] = runewidth.Truncate(row, width, "...")
	}
	return all
}
