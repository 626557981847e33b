package main

import (
	"fmt"
	"io"
	"math"
)

// generatorBar is what a connection may cost the generator, in bytes of RSS.
const generatorBar = 1536

// report tells a person what came of make scale.
func report(w io.Writer, wanted int, l level, lacks []shortfall) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-30s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintln(w)
	line("connections", "%s open of %s, %v", grouped(float64(l.Open)), grouped(float64(wanted)), l.Crowd)
	line("server, a connection", "%s B of RSS when all are open, %s B after the echoes", grouped(l.ServerEach()), grouped(l.ServerEndEach()))
	line("kernel, a connection", "%s B for both ends; TCP's queues hold %s", grouped(l.KernelEach()), mebibytes(l.Buffers))
	line("generator, a connection", "%s", l.generatorVerdict())
	line("connect rate", "%s a second", grouped(l.ConnectRate))
	line("connect time", "%s", l.ConnectTime)
	line("echo latency", "%s", l.Latency)
	line("messages", "%s a second of %s; %s us of the server's CPU each", grouped(l.Rate), grouped(l.RateAsked), significant(l.CPUEach))
	if l.Open < int64(wanted) || len(l.Troubles) > 0 {
		fmt.Fprintln(w, "\nWhat was not reached, or may not be the server's, and why:")
	}
	if l.Open < int64(wanted) {
		fmt.Fprintf(w, "- %s of %s connections\n", grouped(float64(l.Open)), grouped(float64(wanted)))
	}
	tellLacks(w, lacks)
	for _, t := range l.Troubles {
		fmt.Fprintf(w, "- %s\n", t)
	}
}

func (l level) generatorVerdict() string {
	verdict := "within"
	switch {
	case l.Generator == 0:
		return fmt.Sprintf("needs %s connections to tell", grouped(slopeFrom))
	case l.Generator > generatorBar:
		verdict = "above"
	}
	return fmt.Sprintf("%s B of RSS for each after the first %s: %s the bar of %s B", grouped(l.Generator), grouped(float64(l.Open/10)), verdict, grouped(generatorBar))
}

// tellLacks says what the machine lacks for what was asked, and what to do.
func tellLacks(w io.Writer, lacks []shortfall) {
	for _, s := range lacks {
		fmt.Fprintf(w, "- at most %s connections: %s\n", grouped(float64(s.Most)), s.Why)
	}
}

func (t times) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, p99.9 %s, longest %s ms", significant(t.P50), significant(t.P99), significant(t.P999), significant(t.Max))
}

// significant has three digits, or all before the point.
func significant(f float64) string {
	if f == 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Sprintf("%.0f", f)
	}
	after := 2 - int(math.Floor(math.Log10(math.Abs(f))))
	if after <= 0 {
		return grouped(f)
	}
	return fmt.Sprintf("%.*f", after, f)
}

// String says over what the connections are spread.
func (c crowd) String() string {
	return fmt.Sprintf("server in %s, clients on %s", counted(c.Processes, "process"), counted(c.Sources, "address"))
}

// counted is for words that take -es.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ses", n, what)
}
