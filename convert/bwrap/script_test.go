package bwrap_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// fakeBwrap prints its arguments, NUL after each, and what descriptor 3 holds.
const fakeBwrap = "#!/bin/sh\nprintf '%s\\0' \"$@\"\nprintf '#'\ncat <&3\n"

// FuzzScript runs a script with a bwrap that shows what it was given: every
// word arrives as it was, whatever a shell might make of it.
func FuzzScript(f *testing.F) {
	for _, s := range []string{"plain", "it's", "$(touch x)`id`", "a\nb\n", "-- \\ \"", "*?[a]~ #", "\xff\xfe", "EOF", "", "!x &|;<>", "\t \r\n"} {
		f.Add(s, "content\n", "arg")
		f.Add("v", s, s)
		f.Add("v", s+"\nEOF\n", s)
	}
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bwrap"), []byte(fakeBwrap), 0o755); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value, content, arg string) {
		if strings.ContainsRune(value+arg, 0) || len(value+content+arg) > 1<<14 {
			t.Skip("no argument of a process")
		}
		plan := &bwrap.Plan{Version: bwrap.PlanVersion, Process: bwrap.Process{
			Args: []string{"/bin/cmd", value, "default"}, Env: []string{"NAME=" + value}, Cwd: "/",
		}, Steps: []bwrap.Step{{Op: bwrap.File{Dst: "/file", Mode: 0o644, Data: []byte(content)}}}}
		script, err := plan.Script(bwrap.Script{Defaults: 1})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "script")
		if err := os.WriteFile(file, script, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{arg, ""}, nil} {
			cmd := exec.CommandContext(t.Context(), "sh", append([]string{file}, args...)...)
			cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s\n%s", err, out, script)
			}
			if args == nil {
				args = []string{"default"}
			}
			want := strings.Join(append([]string{"--", "/bin/cmd", value}, args...), "\x00") + "\x00#" + content
			if !bytes.HasSuffix(out, []byte("\x00"+want)) {
				t.Errorf("got %q, want it to end in %q\n%s", out, want, script)
			}
			if !bytes.Contains(out, []byte("\x00--setenv\x00NAME\x00"+value+"\x00")) {
				t.Errorf("got %q, want the environment's %q\n%s", out, value, script)
			}
		}
	})
}
