package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"
)

// escapes are what moves the cursor and changes styles.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// loadScreen starts gannet load at a terminal of so many columns.
func loadScreen(t *testing.T, columns uint16, args ...string) *terminal {
	t.Helper()
	cmd := loading(args...)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	keys, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	return watched(t, cmd, keys)
}

// TestLoadScreen: figures change in place under a bar; Ctrl-C ends the run, and the report is all that is left below.
func TestLoadScreen(t *testing.T) {
	t.Parallel()
	addr, _ := target(t)
	x := loadScreen(t, 80, "-c", "5", "--rate", "100", "-d", "1h", addr)
	x.expect("running")
	x.expect(" of 1h0m0s [")
	x.expect("open      5 of 5")
	x.expect("latency   p50 ")
	x.expect("\x1b[") // it goes back up
	x.expect("sending   late ")
	x.typed("\x03")
	x.expect("ending early")
	x.expect("5 connections, open loop")
	x.expect("No errors")
	if status := x.status(); status != 130 {
		t.Errorf("status %d", status)
	}
	<-x.ended
	_, report, _ := strings.Cut(x.all(), "5 connections, open loop")
	if strings.Contains(report, "running") {
		t.Errorf("the screen is drawn over the report: %q", report)
	}
}

// TestLoadScreenNarrow: no row is wider than the terminal, which would break the line and shift all that is drawn over it.
func TestLoadScreenNarrow(t *testing.T) {
	t.Parallel()
	addr, _ := target(t)
	for _, columns := range []uint16{40, 20} {
		x := loadScreen(t, columns, "-c", "5", "--rate", "100", "-d", "1500ms", addr)
		x.expect("running")
		x.expect("sending")
		if status := x.status(); status != 0 {
			t.Errorf("status %d", status)
		}
		<-x.ended
		screen, _, _ := strings.Cut(x.all(), "5 connections")
		for _, row := range strings.FieldsFunc(escapes.ReplaceAllString(screen, ""), func(r rune) bool { return r == '\r' || r == '\n' }) {
			if w := runewidth.StringWidth(row); w > int(columns) && !strings.Contains(row, addr) {
				t.Errorf("at %d columns a row of %d: %q", columns, w, row)
			}
		}
	}
}

// TestLoadScreenDumb: a terminal that knows no cursor gets lines.
func TestLoadScreenDumb(t *testing.T) {
	t.Parallel()
	addr, _ := target(t)
	cmd := loading("--rate", "100", "-d", "300ms", addr)
	cmd.Env = append(cmd.Env, "TERM=dumb")
	keys, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	x := watched(t, cmd, keys)
	x.expect("running")
	if status := x.status(); status != 0 {
		t.Errorf("status %d", status)
	}
	<-x.ended
	if strings.Contains(x.all(), "\x1b") {
		t.Errorf("%q", x.all())
	}
}
