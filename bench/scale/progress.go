package main

import (
	"fmt"
	"io"
)

// progressSeconds is how far apart its lines are.
const progressSeconds = 2

// progress tells a person how a run goes on.
type progress struct {
	to       io.Writer
	task     task
	last     sample
	anything bool
}

func (p *progress) show(s sample) {
	if p.anything && s.At-p.last.At < progressSeconds {
		return
	}
	if !p.anything {
		p.last, p.anything = s, true
		return
	}
	span := s.At - p.last.At
	line := fmt.Sprintf("%4.0f s  open %s of %s", s.At, grouped(float64(s.Open)), grouped(float64(p.task.Crowd.Connections)))
	if opened := s.Opened - p.last.Opened; opened > 0 {
		line += fmt.Sprintf(", %s/s more", grouped(float64(opened)/span))
	}
	if out := s.Out - p.last.Out; out > 0 {
		line += fmt.Sprintf(", %s messages/s", grouped(float64(out)/span))
	}
	fmt.Fprintf(p.to, "%s, server %s, generator %s\n", line, mebibytes(s.Server.RSS), mebibytes(s.Generator.RSS))
	p.last = s
}

func mebibytes(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }

// grouped is a number as people read it: 100,000.
func grouped(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
