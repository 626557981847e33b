package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// The units that are judged, as benchfmt has them: seconds instead of nanoseconds.
const (
	unitCPU     = "cpu-sec/msg"
	unitMallocs = "mallocs/msg"
)

// The two servers of each cell.
const (
	floorServer = "floor"
	subject     = "gannet"
)

// record is what benchmarks have printed, in their order.
type record []*benchfmt.Result

// read takes benchmark output. Lines of other kinds are passed over, as benchstat does.
func read(r io.Reader, name string) (all record, units []*benchfmt.UnitMetadata, err error) {
	reader := benchfmt.NewReader(r, name)
	for reader.Scan() {
		switch line := reader.Result().(type) {
		case *benchfmt.Result:
			all = append(all, line.Clone())
		case *benchfmt.UnitMetadata:
			units = append(units, line)
		case *benchfmt.SyntaxError:
			return nil, nil, line
		}
	}
	return all, units, reader.Err()
}

// readCommitted reads the figures that a run is compared with.
func readCommitted(file string) (record, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("there are no figures to compare with: %w.\nMake them on a quiet machine, at a commit whose speed is right, and commit them: make bench-gate GATE=-update", err)
	}
	defer f.Close()
	all, _, err := read(f, file)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s has no benchmark in it: renew it with make bench-gate GATE=-update", file)
	}
	return all, err
}

// cellOf splits a benchmark's name: Echo/size=128B/depth=1/server=gannet-2 is server gannet in cell Echo/size=128B/depth=1.
func cellOf(name benchfmt.Name) (cell, server string) {
	base, parts := name.Parts()
	cell = string(base)
	for _, part := range parts {
		if value, ok := strings.CutPrefix(string(part), "/server="); ok {
			server = value
		} else if !strings.HasPrefix(string(part), "-") { // GOMAXPROCS
			cell += string(part)
		}
	}
	return cell, server
}

// of are the figures of a server in a cell, by round.
func (r record) of(cell, server, unit string) (values []float64) {
	for _, result := range r {
		if c, s := cellOf(result.Name); c != cell || s != server {
			continue
		}
		if v, ok := result.Value(unit); ok {
			values = append(values, v)
		}
	}
	return values
}

// ratios are Gannet's to the floor's, inside of each round: both were taken within seconds of each other.
func (r record) ratios(cell, unit string) []float64 {
	values, base := r.of(cell, subject, unit), r.of(cell, floorServer, unit)
	if len(values) != len(base) {
		return nil
	}
	for i := range values {
		values[i] /= base[i]
	}
	return values
}

// config is what all lines of r say of a key, or nothing.
func (r record) config(key string) string {
	if len(r) == 0 {
		return ""
	}
	return r[0].GetConfig(key)
}
