package main

import (
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/bench/load"
)

// TestMachineShares: how many processes there are, and what a machine cannot do, with the command that changes that.
func TestMachineShares(t *testing.T) {
	small, wide := machine{20000, 32768, 60999}, machine{20000, 1024, 65535}
	few := machine{100, 32768, 60999}
	for _, k := range []struct {
		machine     machine
		connections int
		procs       string
		sources     []string
		url         string
		want        int      // processes
		wrong       []string // else
	}{
		{small, 19900, "", nil, "", 1, nil},
		{small, 19901, "", nil, "", 0, []string{"19901 connections in 1 process need 20001 descriptors", "may open 20000", "ulimit -n 20001", "--procs auto (2 processes)"}},
		{small, 19901, "auto", nil, "", 2, nil},
		{small, 100, "auto", nil, "", 1, nil},
		{small, 100, "3", nil, "", 3, nil},
		{small, 2, "3", nil, "", 0, []string{"--procs is 3", "2 connections"}},
		{small, 28232, "auto", nil, "", 2, nil},
		{small, 28233, "auto", nil, "", 0, []string{"28232", "1 source address of 28232 (32768 to 60999)", `sysctl -w net.ipv4.ip_local_port_range="1024 65535"`, "--source 127.0.0.1-127.0.0.2"}},
		{small, 100000, "auto", []string{"127.0.0.1-127.0.0.4"}, "", 6, nil},
		{small, 100000, "auto", nil, "", 0, []string{"4 addresses: --source 127.0.0.1-127.0.0.4", "and 2 are enough"}},
		{small, 100000, "5", []string{"127.0.0.1-127.0.0.4"}, "", 0, []string{"in 5 processes", "20100 descriptors", "--procs auto (6 processes)"}},
		{wide, 100000, "auto", nil, "", 0, []string{"2 addresses: --source 127.0.0.1-127.0.0.2"}},
		{wide, 100000, "auto", nil, "ws://192.0.2.1/", 0, []string{"--source FIRST-LAST"}},
		{few, 10, "", nil, "", 0, []string{"may open 100 descriptors", "ulimit -n 110"}},
		{machine{}, 5000000, "", nil, "", 1, nil}, // it says nothing
		{machine{1100, 0, 0}, 5000000, "auto", nil, "", 0, []string{"5000 processes"}},
		{small, 10, "", []string{"here"}, "", 0, []string{`"here"`}},
	} {
		s := &scenario{Procs: k.procs}
		s.URL, s.Connections, s.Sources = "ws://localhost:8080/"+k.url, k.connections, k.sources
		if k.url != "" {
			s.URL = k.url
		}
		got, err := k.machine.share(s)
		if got != k.want || (err == nil) != (k.wrong == nil) {
			t.Errorf("%+v: %d, %v", k, got, err)
			continue
		}
		for _, part := range k.wrong {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%d on %+v: %v, want %s in it", k.connections, k.machine, err, part)
			}
		}
	}
}

func TestMostConnections(t *testing.T) {
	if got := mostConnections(&load.Plan{Connections: 5, Phases: []load.Phase{{Connections: 9}, {Connections: 3}}}); got != 9 {
		t.Error(got)
	}
}

// TestThisMachine: Linux says all of it.
func TestThisMachine(t *testing.T) {
	if m := thisMachine(); m.descriptors < 64 || m.lastPort < m.firstPort {
		t.Errorf("%+v", m)
	}
}
