package pool

import "testing"

func TestHeapGrowth(t *testing.T) {
	const MiB = 1 << 20
	for _, c := range []struct{ have, need, want int }{
		{1 * MiB, 1*MiB + 1, 2 * MiB},
		{1 * MiB, 5 * MiB, 5 * MiB},
		{64 * MiB, 65 * MiB, 80 * MiB},
		{1800 * MiB, 1801 * MiB, MaxSize},
		{MaxSize - 1, MaxSize, MaxSize},
	} {
		if got := heapGrowth(c.have, c.need); got != c.want {
			t.Errorf("heapGrowth(%d, %d) = %d, want %d", c.have, c.need, got, c.want)
		}
	}
}
