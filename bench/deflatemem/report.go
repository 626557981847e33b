package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// report is all that a run found out.
type report struct {
	machine rig.Machine
	peers   string
	options options
	results []result
}

func newReport(ctx context.Context, o options, t tools, args []string) report {
	return report{
		machine: rig.Describe(ctx, t.root, "go run ./bench/deflatemem", args),
		peers: strings.ReplaceAll(rig.OutputOr(ctx, "go", "-C", filepath.Join(t.root, "bench", "peers"), "list", "-m", "-f", "{{.Path}} {{.Version}}",
			"github.com/lxzan/gws", "github.com/coder/websocket"), "\n", ", "),
		options: o,
	}
}

// What the bar allows a connection beside its window and its history, in each direction.
const allowance = 1024

// defaultHistory is what a sender keeps that is left at package deflate's default.
const defaultHistory = 4096

// bar is how many bytes compressing may add to a connection: 2^bits + 1 KiB in, the history + 1 KiB out.
func bar(bits int) int64 {
	window := int64(1) << bits
	return window + allowance + min(window, defaultHistory) + allowance
}

// each is the growth from one reading to another, for each connection.
func (r result) each(from, to int64) int64 { return (to - from) / int64(r.conns) }

func (r report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Peers: %s.\n\n", r.machine, r.peers)
	fmt.Fprintf(&b, "%d messages of %d bytes of JSON each way on every connection, compressed, both sides keeping context. Bytes of RSS for each connection.\n\n", r.options.messages, r.options.size)
	fmt.Fprint(&b, "| server | window bits | connections | open, idle | after the messages | of it since idle | ")
	if r.options.rest > 0 {
		fmt.Fprintf(&b, "left alone for %v | ", r.options.rest)
	}
	fmt.Fprint(&b, "bar | Gannet's buffers |\n|---|---|---|---|---|---|---|---|")
	if r.options.rest > 0 {
		fmt.Fprint(&b, "---|")
	}
	fmt.Fprintln(&b)
	for _, result := range r.results {
		fmt.Fprintln(&b, result.row())
	}
	fmt.Fprintln(&b, "\nAgreed on: "+r.agreements())
	return b.String()
}

func (r result) row() string {
	cells := []string{r.server, fmt.Sprint(r.bits)}
	if !r.agreed.deflate {
		// With the dashes it has as many cells as any row.
		cells = append(cells, "declines the offer", "-", "-", "-")
		if r.hasRest {
			cells = append(cells, "-")
		}
		return "| " + strings.Join(append(cells, "", ""), " | ") + " |"
	}
	cells = append(cells, fmt.Sprint(r.conns),
		fmt.Sprint(r.each(r.before.rss, r.idle.rss)),
		fmt.Sprint(r.each(r.before.rss, r.after.rss)),
		fmt.Sprint(r.each(r.idle.rss, r.after.rss)))
	if r.hasRest {
		cells = append(cells, fmt.Sprint(r.each(r.before.rss, r.rested.rss)))
	}
	return "| " + strings.Join(append(cells, r.verdict(), r.buffers()), " | ") + " |"
}

// verdict holds Gannet to its bar.
func (r result) verdict() string {
	if !r.hasStats {
		return ""
	}
	word := "met"
	if r.each(r.idle.rss, r.after.rss) > bar(r.bits) {
		word = "missed"
	}
	return fmt.Sprintf("%d: %s", bar(r.bits), word)
}

// buffers is what Gannet's own account says of a connection, after the messages and when it was left alone.
func (r result) buffers() string {
	if !r.hasStats {
		return ""
	}
	text := fmt.Sprint(r.each(0, r.after.buffers))
	if r.hasRest {
		text += ", then " + fmt.Sprint(r.each(0, r.rested.buffers))
	}
	return text
}

// agreements says what each server answered at each window.
func (r report) agreements() string {
	var all []string
	for _, result := range r.results {
		text := "no compression"
		if result.agreed.deflate {
			text = "`" + result.agreed.text + "`"
		}
		all = append(all, fmt.Sprintf("%s at %d: %s", result.server, result.bits, text))
	}
	return strings.Join(all, "; ") + "."
}
