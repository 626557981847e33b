package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strconv"

	"github.com/gannet-ws/gannet/bench/load"
)

// machine is what this one can do, as far as it says. 0: it does not say.
type machine struct {
	descriptors int // that a process may open
	firstPort   int // of those that connections are given, per source address
	lastPort    int
}

// portRange is where Linux says which ports connections are given.
const portRange = "/proc/sys/net/ipv4/ip_local_port_range"

func thisMachine() machine {
	m := machine{descriptors: descriptorLimit()}
	if text, err := os.ReadFile(portRange); err == nil {
		if _, err := fmt.Sscan(string(text), &m.firstPort, &m.lastPort); err != nil {
			m.firstPort, m.lastPort = 0, 0
		}
	}
	return m
}

// spareDescriptors are those that a process needs besides one a connection: loops, pipes, files, names to look up.
const spareDescriptors = 100

// mostProcesses bounds --procs: 1,000 of them have descriptors for more connections than one address has ports for.
const mostProcesses = 1000

// share says how many processes share the connections of a run, and refuses what the machine cannot do.
func (m machine) share(s *scenario) (processes int, err error) {
	most := mostConnections(&s.Plan)
	if err := m.checkPorts(s, most); err != nil {
		return 0, err
	}
	processes, auto, err := s.processes()
	if err != nil {
		return 0, err
	}
	if processes > most {
		return 0, fmt.Errorf("--procs is %d, and there are %d connections to share: a process without any has nothing to do", processes, most)
	}
	if m.descriptors == 0 {
		return max(1, processes), nil
	}
	each := m.descriptors - spareDescriptors
	if each < 1 {
		return 0, fmt.Errorf("a process may open %d descriptors here, and needs %d besides those of its connections: raise the limit with ulimit -n %d",
			m.descriptors, spareDescriptors, most+spareDescriptors)
	}
	enough := (most + each - 1) / each
	switch {
	case auto && enough > mostProcesses:
		return 0, fmt.Errorf("%d connections would need %d processes, as each may open %d descriptors here: %s", most, enough, m.descriptors, raise(most))
	case auto:
		return enough, nil
	case processes < enough:
		return 0, fmt.Errorf("%d connections in %s need %d descriptors in each, and a process may open %d here.\n%s; or give --procs auto (%d processes)",
			most, counted(processes, "process", "processes"), (most+processes-1)/processes+spareDescriptors, m.descriptors,
			raise((most+processes-1)/processes), enough)
	}
	return processes, nil
}

// raise says how to allow more descriptors.
func raise(connections int) string {
	return fmt.Sprintf("Raise the limit, as root and in the shell that starts gannet: ulimit -n %d (or nofile in /etc/security/limits.conf)", connections+spareDescriptors)
}

// checkPorts refuses more connections than there are ports for: each needs one of its source address, as all go to one address.
func (m machine) checkPorts(s *scenario, most int) error {
	if m.firstPort == 0 {
		return nil
	}
	addrs, err := load.SourceAddrs(s.Sources)
	if err != nil {
		return err
	}
	addresses, each := max(1, len(addrs)), m.lastPort-m.firstPort+1
	if most <= addresses*each {
		return nil
	}
	const widest = 65535 - 1024 + 1
	text := fmt.Sprintf("%d connections to one address need as many ports, and there are %d here: %s of %d (%d to %d).\n",
		most, addresses*each, counted(addresses, "source address", "source addresses"), each, m.firstPort, m.lastPort)
	if most <= addresses*widest {
		return fmt.Errorf("%sWiden the range: sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"; or connect from %d addresses: %s",
			text, (most+each-1)/each, sourceFlag(s.URL, (most+each-1)/each))
	}
	if each == widest {
		return fmt.Errorf("%sConnect from %d addresses: %s", text, (most+each-1)/each, sourceFlag(s.URL, (most+each-1)/each))
	}
	return fmt.Errorf("%sConnect from %d addresses: %s; or widen the range, too, and %d are enough: sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\"",
		text, (most+each-1)/each, sourceFlag(s.URL, (most+each-1)/each), (most+widest-1)/widest)
}

// sourceFlag is --source with so many addresses. Loopback has them; other machines have to be given theirs.
func sourceFlag(address string, n int) string {
	if u, err := url.Parse(address); err == nil && isLoopback(u.Hostname()) {
		last := netip.MustParseAddr("127.0.0.1")
		for range n - 1 {
			last = last.Next()
		}
		return "--source 127.0.0.1-" + last.String()
	}
	return fmt.Sprintf("--source FIRST-LAST, %d addresses that this machine has", n)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// mostConnections are those open at once.
func mostConnections(p *load.Plan) int {
	most := p.Connections
	for _, phase := range p.Phases {
		most = max(most, phase.Connections)
	}
	return max(1, most)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
