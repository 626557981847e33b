// Package results is what comparisons leave for others to read: one line of JSON for each server in each cell of a run, with
// the machine, the commit and the command beside the figures, since none means anything without them.
package results

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// Record is one server in one cell of one run. A run has one Machine, by whose Time its records are known.
type Record struct {
	Machine   rig.Machine `json:"machine"` // its Command names no folder of a machine: see WithoutPaths
	Cell      string      `json:"cell"`
	Title     string      `json:"title"`
	Unit      string      `json:"unit"` // what CPU is counted by: echoed message, connection ...
	Server    string      `json:"server"`
	Role      string      `json:"role"`   // floor, subject (Gannet), peer, foreign or extra
	Rounds    int         `json:"rounds"` // interleaved; of memory: processes
	Void      bool        `json:"void"`   // the floor moved too far: nothing of it may be quoted
	FloorMove float64     `json:"floor_move"`
	LeftOut   string      `json:"left_out,omitempty"` // why the server did not take part; then there are no figures

	CPU          *rig.Spread `json:"cpu_us,omitempty"`         // of the server, microseconds a unit
	ToFloor      *rig.Spread `json:"to_floor,omitempty"`       // CPU in floors, taken inside of each round
	GannetToIt   *rig.Spread `json:"gannet_to_it,omitempty"`   // Gannet's CPU by this server's: below 1, Gannet is cheaper
	BytesPerConn *rig.Spread `json:"bytes_per_conn,omitempty"` // resident memory of a connection

	PerSecond  float64 `json:"per_s,omitempty"` // units, the median of the rounds; so are the times
	P50Micros  float64 `json:"p50_us,omitempty"`
	P99Micros  float64 `json:"p99_us,omitempty"`
	P999Micros float64 `json:"p999_us,omitempty"`
}

// MinRounds is how many rounds a figure needs before it may be quoted; of memory, how many processes.
const MinRounds, MinProcesses = 9, 3

// Sound tells whether r may be quoted: the floor held still, and there were rounds enough.
func (r Record) Sound() bool {
	if r.BytesPerConn != nil {
		return r.Rounds >= MinProcesses
	}
	return !r.Void && r.Rounds >= MinRounds
}

// inFolder is a path from the root, after what a command line may have before one: its last element is the second group.
var inFolder = regexp.MustCompile(`(^|[\s='":,])/(?:[^\s/'":,]+/)*([^\s/'":,]+)`)

// WithoutPaths is a command line whose absolute paths are cut down to their last elements: where things lie on one machine is
// no use on another.
func WithoutPaths(command string) string { return inFolder.ReplaceAllString(command, "$1$2") }

// Append adds records to a file, one line each, and makes it and its folder when they are not there.
func Append(path string, records []Record) error {
	var lines bytes.Buffer
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("%s in %s: %w", r.Server, r.Cell, err)
		}
		lines.Write(append(line, '\n'))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(lines.Bytes())
	return errors.Join(err, file.Close())
}

// ErrNone: nothing has been measured yet.
var ErrNone = errors.New("no results yet: make bench-peers measures some")

// Read reads what Append wrote, the oldest first.
func Read(path string) ([]Record, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNone)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var records []Record
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", path, n, err)
		}
		records = append(records, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrNone)
	}
	return records, nil
}

// Cell is one cell of one run: its records, in the order of a round.
type Cell []Record

// Newest is, for each cell, what the newest run that keep likes found; in the order in which the cells first came.
func Newest(records []Record, keep func(Cell) bool) []Cell {
	var names []string
	newest := map[string]Cell{}
	for _, run := range runs(records) {
		name := run[0].Cell
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if keep(run) {
			newest[name] = run
		}
	}
	var cells []Cell
	for _, name := range names {
		if found := newest[name]; found != nil {
			cells = append(cells, found)
		}
	}
	return cells
}

// runs parts records wherever another cell or another run begins.
func runs(records []Record) (parts []Cell) {
	for i, r := range records {
		if i == 0 || r.Cell != records[i-1].Cell || r.Machine != records[i-1].Machine {
			parts = append(parts, nil)
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], r)
	}
	return parts
}

// Any keeps every run, also one that may not be quoted.
func Any(Cell) bool { return true }

// Sound keeps runs of which each figure may be quoted.
func Sound(c Cell) bool {
	return !slices.ContainsFunc(c, func(r Record) bool { return r.LeftOut == "" && !r.Sound() })
}

// Find is the record of a server that took part, or nil.
func (c Cell) Find(server string) *Record {
	for i := range c {
		if c[i].Server == server && c[i].LeftOut == "" {
			return &c[i]
		}
	}
	return nil
}
