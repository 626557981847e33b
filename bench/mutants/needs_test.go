package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestNeedless(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"a_test.go": "package a\nfunc TestA(t *testing.T) { help(t); x.unused() }\n",
		"b_test.go": "package a\nfunc help(t *testing.T) { rig{lamp: 1}.start() }\ntype rig struct{ lamp int }\n",
		"c_test.go": "package a\nfunc (r *rig) start() { most++ }\n",
		"d_test.go": "package a\nvar most = 1\n",
		"e_test.go": "package a\nfunc TestE(t *testing.T) { help(t) }\nfunc unused() {}\nvar lamp int\n",
		"f_test.go": "package a_test\nfunc help() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := needless(root, ".", "TestA")
	if want := []string{"./e_test.go", "./f_test.go"}; err != nil || !slices.Equal(got, want) {
		t.Error(got, err)
	}
	if got, err := needless(root, ".", "TestB"); err == nil {
		t.Error(got)
	}
}
