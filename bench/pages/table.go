package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/results"
	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// Between these marks stands what table makes.
const (
	beginMark = "<!-- peers: begin, by GOWORK=off go -C bench/pages run . -readme -->"
	endMark   = "<!-- peers: end -->"
)

// between replaces what stands between the marks of text.
func between(text, table string) (string, error) {
	before, rest, begun := strings.Cut(text, beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !begun || !ended {
		return "", fmt.Errorf("the marks are missing, %s and after it %s", beginMark, endMark)
	}
	return before + beginMark + "\n" + table + endMark + after, nil
}

// table is Markdown: a row for each cell, a column for each server, and under it where that was measured.
func table(cells []results.Cell) string {
	servers := serversOf(cells)
	var out strings.Builder
	fmt.Fprintf(&out, "| | %s |\n|---|%s\n", strings.Join(servers, " | "), strings.Repeat("---|", len(servers)))
	for _, c := range cells {
		fmt.Fprintf(&out, "| %s |", title(c))
		for _, name := range servers {
			fmt.Fprintf(&out, " %s |", entry(c, name))
		}
		out.WriteByte('\n')
	}
	out.WriteString("\nThe server's CPU time, or its memory; in brackets the least and the most. x: what Gannet takes of what this server does; below 1, Gannet is cheaper.\n")
	for _, run := range runsOf(cells) {
		fmt.Fprintf(&out, "- %s\n", run)
	}
	return out.String()
}

// title says what a row counts.
func title(c results.Cell) string {
	of := "bytes"
	if c[0].BytesPerConn == nil {
		of = "us " + withArticle(c[0].Unit)
	}
	return c[0].Title + ", " + of
}

func withArticle(unit string) string {
	if unit != "" && strings.ContainsAny(unit[:1], "aeiou") {
		return "an " + unit
	}
	return "a " + unit
}

// entry is one server in one cell. Memory has no rounds that could be paired, so its ratio is of the medians.
func entry(c results.Cell, server string) string {
	r := c.Find(server)
	if r == nil {
		return "-"
	}
	if r.BytesPerConn != nil {
		text := fmt.Sprintf("%.0f [%.0f-%.0f]", r.BytesPerConn.Median, r.BytesPerConn.Min, r.BytesPerConn.Max)
		if us := subject(c); us != nil && us != r && r.BytesPerConn.Median > 0 {
			text += fmt.Sprintf(", %.2f x", us.BytesPerConn.Median/r.BytesPerConn.Median)
		}
		return text
	}
	text := r.CPU.Micros()
	if r.GannetToIt != nil {
		text += ", " + ratio(*r.GannetToIt)
	}
	return text
}

func ratio(s rig.Spread) string { return fmt.Sprintf("%.2f x [%.2f-%.2f]", s.Median, s.Min, s.Max) }

// subject is Gannet's record, or nil.
func subject(c results.Cell) *results.Record {
	i := slices.IndexFunc(c, func(r results.Record) bool { return r.Role == "subject" && r.LeftOut == "" })
	if i < 0 {
		return nil
	}
	return &c[i]
}

// serversOf are all that took part anywhere, Gannet first.
func serversOf(cells []results.Cell) (names []string) {
	for _, c := range cells {
		for _, r := range c {
			switch {
			case r.LeftOut != "" || slices.Contains(names, r.Server):
			case r.Role == "subject":
				names = slices.Insert(names, 0, r.Server)
			default:
				names = append(names, r.Server)
			}
		}
	}
	return names
}

// runsOf says of each run which cells it measured, and where.
func runsOf(cells []results.Cell) (lines []string) {
	var machines []rig.Machine
	measured := map[rig.Machine][]string{}
	for _, c := range cells {
		m := c[0].Machine
		if measured[m] == nil {
			machines = append(machines, m)
		}
		measured[m] = append(measured[m], c[0].Cell)
	}
	for _, m := range machines {
		lines = append(lines, fmt.Sprintf("%s: %s.", strings.Join(measured[m], ", "), m))
	}
	return lines
}
