package seccomp

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite numbers.go")

// extra are calls that the kernel has beside its tables (arm's private ones).
var extra = map[string]string{
	"arm": " breakpoint 983041 cacheflush 983042 usr26 983043 usr32 983044 set_tls 983045",
}

// TestNumbers holds numbers.go to the tables of golang.org/x/sys, which are
// generated from the kernel's headers for every architecture.
func TestNumbers(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("// Code generated from golang.org/x/sys by go test ./internal/seccomp -update; DO NOT EDIT.\n\npackage seccomp\n")
	constant := regexp.MustCompile(`(?m)^\s+SYS_(\w+)\s+= (\d+)$`)
	for _, arch := range []struct{ goarch, name string }{{"386", "i386"}, {"amd64", "amd64"}, {"arm", "arm"}, {"arm64", "arm64"}} {
		file := filepath.Join(strings.TrimSpace(string(dir)), "unix", "zsysnum_linux_"+arch.goarch+".go")
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n// %sNumbers are the system calls of GOARCH=%s.\nconst %sNumbers = `", arch.name, arch.goarch, arch.name)
		width := 0
		for _, m := range constant.FindAllSubmatch(source, -1) {
			if string(m[1]) == "SYSCALL_MASK" {
				continue
			}
			word := strings.ToLower(string(m[1])) + " " + string(m[2])
			if width += len(word) + 1; width > 140 {
				b.WriteByte('\n')
				width = len(word)
			} else if width > len(word)+1 {
				b.WriteByte(' ')
			}
			b.WriteString(word)
		}
		b.WriteString(extra[arch.goarch] + "`\n")
	}
	if *update {
		if err := os.WriteFile("numbers.go", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("numbers.go"); err != nil || !bytes.Equal(got, b.Bytes()) {
		t.Errorf("numbers.go is not what golang.org/x/sys has (%v); run go test ./internal/seccomp -update", err)
	}
}
