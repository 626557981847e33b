package corpus

import (
	"encoding/base64"
	"encoding/json"
	"hash/crc32"
	"os"
	"testing"
)

// zlib6.txt speaks of these very messages, on this machine too.
func TestZlibSawTheSame(t *testing.T) {
	all := All()
	if len(zlib6()) != len(all) {
		t.Errorf("%d lines for %d corpora", len(zlib6()), len(all))
	}
	for _, c := range all {
		var sum uint32
		for _, m := range c.Messages {
			sum = crc32.Update(sum, crc32.IEEETable, m)
		}
		if want := zlib6()[c.Name].crc32; sum != want {
			t.Errorf("%s: the messages' CRC-32 is %08x, zlib was given %08x: dump them and run make_zlib6.py", c.Name, sum, want)
		}
		if z, plain := c.Zlib6, float64(c.PlainSize()); z.Takeover <= 0 || z.Takeover > z.Alone || z.Alone > plain {
			t.Errorf("%s: %v bytes as %v", c.Name, plain, z)
		}
	}
}

func TestNamed(t *testing.T) {
	if c := Named("json 1 KiB"); c.Name != "json 1 KiB" || c.PlainSize() != 1<<10 || len(c.Messages) != 128 {
		t.Errorf("%s: %d messages of %d bytes", c.Name, len(c.Messages), c.PlainSize())
	}
	defer func() {
		if recover() == nil {
			t.Error("a corpus that is not there")
		}
	}()
	Named("xml")
}

// TestDump writes the corpora where make_zlib6.py reads them, if asked:
//
//	GANNET_DUMP=corpora.json go test ./bench/corpus -run TestDump && python3 bench/corpus/make_zlib6.py bench/corpus/corpora.json
func TestDump(t *testing.T) {
	path := os.Getenv("GANNET_DUMP")
	if path == "" {
		return
	}
	all := map[string][]string{}
	for _, c := range All() {
		for _, m := range c.Messages {
			all[c.Name] = append(all[c.Name], base64.StdEncoding.EncodeToString(m))
		}
	}
	b, err := json.Marshal(all)
	if err == nil {
		err = os.WriteFile(path, b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}
