package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/gannet-ws/gannet/bench/load/report"
)

// The table stands between these lines of a page.
const (
	beginMark = "<!-- others: begin -->"
	endMark   = "<!-- others: end -->"
)

// row is a tool and what was measured of it, by job. Nothing: not measured.
type row struct {
	tool
	missing string
	got     map[mode]figures
}

// document is Markdown: what each tool does, and, if anything was measured, what each reached.
func document(rows []row, measured bool, conditions string) string {
	var b strings.Builder
	b.WriteString("| tool | pace | latency of messages | corrected for what the server held up | permessage-deflate | several machines | load is written as |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		d := r.does
		fmt.Fprintf(&b, "| %s %s | %s |\n", r.Name, r.Version, strings.Join([]string{d.Pace, d.Latency, d.Corrected, d.Deflate, d.Machines, d.Load}, " | "))
	}
	if !measured {
		return b.String()
	}
	b.WriteString("\n| tool | connections held by one core | memory a connection | messages a second by one core | processors used |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		if r.missing != "" {
			fmt.Fprintf(&b, "| %s | %s | | | |\n", r.Name, cell(r.missing))
			continue
		}
		held, sent := r.got[connections], r.got[messages]
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.Name,
			orFailed(held, humanize.Comma(held.Open)), orFailed(held, fmt.Sprintf("%.1f KiB", held.EachKiB)),
			orFailed(sent, humanize.Comma(int64(sent.Rate))), orFailed(sent, fmt.Sprintf("%.2f", sent.CPU)))
	}
	return b.String() + "\n" + conditions + "\n"
}

func orFailed(f figures, value string) string {
	if f.Failed != "" {
		return "failed"
	}
	return value
}

// cell keeps a text from breaking the table.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s)
}

// replaceBetween puts text between the marks of a page.
func replaceBetween(page []byte, text string) ([]byte, error) {
	begin, end := bytes.Index(page, []byte(beginMark)), bytes.Index(page, []byte(endMark))
	if begin < 0 || end < begin {
		return nil, fmt.Errorf("it has no line %s followed by a line %s; write them where the table is to stand", beginMark, endMark)
	}
	return bytes.Join([][]byte{page[:begin+len(beginMark)], []byte("\n" + text), page[end:]}, nil), nil
}

func writeDocument(path, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if page, err = replaceBetween(page, text); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return report.WriteBytes(path, page)
}
