package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// limits are what the machine sets to how many connections both ends of it can hold.
type limits struct {
	Descriptors  int64 // that one process may have
	PortsFrom    int64 // net.ipv4.ip_local_port_range: what one source address may use towards one port
	PortsTo      int64
	AvailableMiB int64
	FileMax      int64 // open files of the machine
	Conntrack    int64 // connections that the packet filter follows; 0: it follows none
}

// readLimits asks the system. What it does not tell sets no limit.
func readLimits() (limits, error) {
	l := limits{PortsFrom: 32768, PortsTo: 60999, FileMax: number("/proc/sys/fs/file-max"), Conntrack: number("/proc/sys/net/netfilter/nf_conntrack_max")}
	var rlimit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &rlimit); err != nil { // Go has raised it to the hard limit
		return l, os.NewSyscallError("getrlimit", err)
	}
	l.Descriptors = int64(min(rlimit.Cur, math.MaxInt32))
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(text), &l.PortsFrom, &l.PortsTo)
	}
	memory, err := meminfo()
	l.AvailableMiB = memory["MemAvailable"] >> 20
	return l, err
}

func number(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil { // fs.file-max may be 2^64-1: no limit
		return 0
	}
	return n
}

const (
	otherDescriptors = 300 // of a process: its own files, requests for /stats, and some to spare
	mostProcesses    = 32  // on each side; more would measure the processes
	mostSources      = 200
	// portShare is how many of an address's ports are taken. connect(2) looks among the even ones first, all of them, before it takes an odd one: when these are gone, each
	// connection costs some milliseconds of the kernel's time. Others use some ports, and some rest in TIME_WAIT.
	portShare = 0.35
	// connectionKiB is what both ends of a connection take on this machine, of the kernel's memory and of both processes', with room to spare: to
	// refuse what cannot fit before it is tried. A run says what it is.
	connectionKiB = 14
	memoryShare   = 0.8 // of what is available
)

// crowd is how many connections are tried, and over how many processes and addresses.
type crowd struct {
	Connections int `json:"connections"`
	Processes   int `json:"processes"` // of the server
	Sources     int `json:"sources"`   // addresses that the generator connects from
}

// shortfall is a limit that lets fewer connections exist than were asked for.
type shortfall struct {
	Most int64  // connections
	Why  string // with what to do
}

// perProcess is how many connections a process holds: the kernel spreads them by a hash, so that one has four standard deviations more than its share only once in thousands of runs.
func (l limits) perProcess() int64 {
	room := float64(l.Descriptors - otherDescriptors)
	return int64(max(0, room-4*math.Sqrt(max(0, room))))
}

func (l limits) perSource() int64 { return int64(portShare * float64(l.PortsTo-l.PortsFrom+1)) }

// fit makes of a wish what the machine can hold, and says what it lacks.
func (l limits) fit(wanted int) (crowd, []shortfall) {
	var lacks []shortfall
	most := int64(wanted)
	lack := func(limit int64, why string) {
		if limit < int64(wanted) {
			lacks = append(lacks, shortfall{limit, why})
			most = min(most, limit)
		}
	}
	lack(mostProcesses*l.perProcess(), fmt.Sprintf(
		"a process may have %d descriptors, and %d processes are the most on each side: raise the hard limit (ulimit -Hn; LimitNOFILE= of systemd, --ulimit nofile= of docker)", l.Descriptors, mostProcesses))
	lack(mostSources*l.perSource(), fmt.Sprintf(
		"an address has %d ports to connect from: sysctl -w net.ipv4.ip_local_port_range='10000 65535'", l.PortsTo-l.PortsFrom+1))
	lack(int64(memoryShare*float64(l.AvailableMiB))*1024/connectionKiB, fmt.Sprintf(
		"%d MiB of memory are available, and a connection takes up to %d KiB, both ends and the kernel's part: use a larger machine, or end what else runs", l.AvailableMiB, connectionKiB))
	if l.FileMax > 0 {
		lack(l.FileMax/2-10_000, fmt.Sprintf("the machine may have %d open files, and a connection has two here: sysctl -w fs.file-max=%d", l.FileMax, 3*wanted))
	}
	if l.Conntrack > 0 {
		lack(l.Conntrack-1_000, fmt.Sprintf("the packet filter follows at most %d connections: sysctl -w net.netfilter.nf_conntrack_max=%d", l.Conntrack, 2*wanted))
	}
	c := crowd{Connections: int(max(0, most))}
	c.Processes = int(max(1, divideUp(most, max(1, l.perProcess()))))
	c.Sources = int(max(1, divideUp(most, max(1, l.perSource()))))
	return c, lacks
}

func divideUp(a, b int64) int64 { return (a + b - 1) / b }

// sources is the generator's flag.
func (c crowd) sources() string { return fmt.Sprintf("127.0.0.1-127.0.0.%d", c.Sources) }

// meminfo is /proc/meminfo in bytes.
func meminfo() (map[string]int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, fmt.Errorf("only Linux tells what this measures: %w", err)
	}
	all := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if n, kilo := strings.CutSuffix(strings.TrimSpace(value), " kB"); kilo {
			kib, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("/proc/meminfo: %w", err)
			}
			all[name] = kib << 10
		}
	}
	return all, nil
}
