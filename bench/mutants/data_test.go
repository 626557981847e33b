package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sampleBug = `# a comment

= lost wake: nobody comes
test engine TestSim
law  nothing .* delivered
@ a.go
 	put(t)
-	wake()
+	// asleep
 	return
`

const sampleFile = "package a\n\nfunc f() {\n\t\tput(t)\n\t\twake()\n\t\treturn\n}\n"

func TestParseBugs(t *testing.T) {
	all, err := parseBugs("x.txt", sampleBug)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	b := all[0]
	if b.name != "lost wake" || b.about != "nobody comes" || b.folder != "engine" || b.test != "TestSim" || b.at != "x.txt:3" || !b.law.MatchString("nothing was delivered") {
		t.Errorf("%+v", b)
	}
	for _, bad := range []string{
		"test engine TestSim", "= a", "= a\n@ a.go\n-x", "= a\ntest e T\n@ a.go\n+x", "= a\ntest e T\n@ a.go\n x", "= a\nlaw  (\n", "= a\nnothing\n", "= a\nturns x\n",
	} {
		if all, err := parseBugs("x.txt", bad); err == nil {
			t.Errorf("%q is %+v", bad, all)
		}
	}
}

func TestApply(t *testing.T) {
	all, err := parseBugs("x.txt", sampleBug)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct{ text, want, err string }{
		{sampleFile, strings.Replace(sampleFile, "\t\twake()", "\t// asleep", 1), ""},
		{strings.Replace(sampleFile, "wake()", "sleep()", 1), "", "not stand"},
		{sampleFile + sampleFile, "", "twice"},
		{"", "", "not stand"},
	} {
		root := t.TempDir()
		if err := os.WriteFile(filepath.Join(root, "a.go"), []byte(k.text), 0o600); err != nil {
			t.Fatal(err)
		}
		changed, err := all[0].apply(root)
		if k.err != "" {
			if err == nil || !strings.Contains(err.Error(), k.err) {
				t.Errorf("%q: %v", k.text, err)
			}
			continue
		}
		if got := tight(changed["a.go"]); err != nil || string(got) != string(tight([]byte(k.want))) {
			t.Errorf("%q: %v", got, err)
		}
		if same, err := all[0].makes(root, map[string][]byte{"a.go": []byte(k.want)}); !same || err != nil {
			t.Error(same, err)
		}
	}
}

func TestJudge(t *testing.T) {
	all, err := parseBugs("x.txt", sampleBug)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		result
		caught bool
	}{
		{result{said: "nothing was delivered"}, true},
		{result{said: "panic"}, false},
		{result{passed: true, said: "nothing was delivered"}, false},
		{result{late: true, said: "nothing was delivered"}, false},
	} {
		if err := all[0].judge(&k.result); (err == nil) != k.caught {
			t.Errorf("%+v: %v", k.result, err)
		}
	}
}
