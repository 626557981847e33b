package engine

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// defaultInboundBudget is a quarter of the memory of the machine, or of its cgroup.
func defaultInboundBudget() int64 {
	total := machineMemory()
	if n := cgroupMemory(); n > 0 && n < total {
		total = n
	}
	return max(total/4, 64<<20)
}

func machineMemory() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return fallbackMemory
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "MemTotal:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return fallbackMemory
}

// cgroupMemory is the smallest memory limit of the process's cgroup (version 2, or 1) and those above it; 0 if there is none.
func cgroupMemory() int64 {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	var least int64
	for line := range strings.Lines(string(b)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		switch {
		case part[0] == "0" && part[1] == "":
			least = lesser(least, limitAbove("/sys/fs/cgroup", part[2], "memory.max"))
		case part[1] == "memory":
			least = lesser(least, limitAbove("/sys/fs/cgroup/memory", part[2], "memory.limit_in_bytes"))
		}
	}
	return least
}

// limitAbove is the least limit on the way from a group up to the root.
func limitAbove(root, group, file string) (least int64) {
	for {
		b, err := os.ReadFile(root + group + "/" + file)
		if err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil {
				least = lesser(least, n)
			}
		}
		cut := strings.LastIndexByte(group, '/')
		if cut < 0 {
			return least
		}
		group = group[:cut]
	}
}

func lesser(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
