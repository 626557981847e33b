package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// serverFlag collects the values of -add: servers that were built elsewhere.
type serverFlag struct{ servers []server }

func (f *serverFlag) String() string { return "" }

func (f *serverFlag) Set(value string) error {
	name, command, ok := strings.Cut(value, "=")
	fields := strings.Fields(command)
	if !ok || name == "" || len(fields) == 0 {
		return fmt.Errorf("want NAME=COMMAND")
	}
	if !strings.Contains(command, "{port}") {
		return fmt.Errorf("the command lacks {port}")
	}
	taken := append(allServers(), f.servers...)
	if slices.ContainsFunc(taken, func(s server) bool { return s.Name == name }) {
		return fmt.Errorf("there is a server %q already", name)
	}
	secured := strings.Contains(command, "{cert}") && strings.Contains(command, "{key}")
	f.servers = append(f.servers, server{Name: name, Role: roleExtra, secured: secured, argv: func(t *toolset, port int, _ settings) []string {
		known := strings.NewReplacer("{port}", strconv.Itoa(port), "{cert}", t.cert, "{key}", t.key)
		argv := slices.Clone(fields)
		for i := range argv {
			argv[i] = known.Replace(argv[i])
		}
		return argv
	}})
	return nil
}

// barFlag collects the values of -bar, as they were given: the servers that they are about may follow.
type barFlag struct{ values []string }

func (f *barFlag) String() string { return "" }

func (f *barFlag) Set(value string) error {
	f.values = append(f.values, value)
	return nil
}

// give reads each NAME=CELL:BAR,... into the bars of the server of that name.
func (f *barFlag) give(servers []server) error {
	for _, value := range f.values {
		name, list, _ := strings.Cut(value, "=")
		i := slices.IndexFunc(servers, func(s server) bool { return s.Name == name })
		if i < 0 {
			return fmt.Errorf("-bar %q: -add gives no server %q", value, name)
		}
		bars, err := parseBars(list)
		if err != nil {
			return fmt.Errorf("-bar %q: %w", value, err)
		}
		servers[i].bars = bars
	}
	return nil
}

func parseBars(list string) (map[string]float64, error) {
	bars := make(map[string]float64)
	for _, entry := range strings.Split(list, ",") {
		cell, text, _ := strings.Cut(entry, ":")
		if !slices.ContainsFunc(echoCells, func(c echoCell) bool { return c.Name == cell }) {
			return nil, fmt.Errorf("there is no echo cell %q, see -list", cell)
		}
		bar, err := strconv.ParseFloat(text, 64)
		if err != nil || !(bar > 0) {
			return nil, fmt.Errorf("%q is no ratio", text)
		}
		bars[cell] = bar
	}
	return bars, nil
}
