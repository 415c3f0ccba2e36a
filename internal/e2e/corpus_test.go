package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/oci2bwrap/oci2bwrap/fixtures"
	"github.com/oci2bwrap/oci2bwrap/fixtures/hostile"
)

// TestCorpus runs every hostile image that is about a run: each has its verdict,
// and nothing outside changes. The other cases are layout's.
func TestCorpus(t *testing.T) {
	needImages(t)
	userland, err := fixtures.Userland()
	if err != nil {
		t.Fatal(err)
	}
	var base hostile.Layer
	for _, e := range userland.Entries {
		base.Entries = append(base.Entries, hostile.Entry{Header: e.Header, Body: string(e.Body)})
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		dir := workDir(t)
		env := environment(t, bwrapDir, dir)
		count, refused := 0, 0
		for _, c := range hostile.Cases() {
			// What is refused is refused before any bubblewrap is started.
			if c.Run == nil || c.Refused != "" && c.Refused != hostile.Any && bwrapDir == shared("newer/bin") {
				continue
			}
			count++
			if c.Refused != "" {
				refused++
			}
			t.Run(c.ID(), func(t *testing.T) { runCase(t, &c, base, env) })
		}
		t.Logf("%d cases, %d to be refused", count, refused)
		verify := exec.Command(shared("bin/oci2bwrap"), "cache", "verify")
		verify.Env = env
		if out, err := verify.CombinedOutput(); err != nil {
			t.Errorf("the cache after all cases: %v: %s", err, out)
		}
	})
}

func runCase(t *testing.T, c *hostile.Case, base hostile.Layer, env []string) {
	dir := workDir(t)
	image, err := c.Prepare(dir, &base)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "canary"), 0o777); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, shared("bin/oci2bwrap"), append(append([]string{"run", "--quiet"}, c.Run.Flags...), append([]string{image}, c.Run.Command...)...)...)
	cmd.Env = env
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	judgeRun(t, c, cmd.ProcessState.ExitCode(), strings.TrimSuffix(out.String(), "\n"), complaint.String())
	if err := hostile.CheckCanary(dir); err != nil {
		t.Error(err)
	}
}

func judgeRun(t *testing.T, c *hostile.Case, status int, out, complaint string) {
	t.Helper()
	if status >= 125 {
		checkMessages(t, complaint)
	}
	switch {
	case c.Refused == hostile.Any && (status == 0 || status == 125):
	case c.Refused != "":
		if status != 125 || out != "" || !strings.Contains(complaint, c.Refused) || !strings.HasPrefix(complaint, "oci2bwrap: ") {
			t.Errorf("status %d, %q, %q; want 125 and a message with %q", status, out, complaint, c.Refused)
		}
	case status != c.Run.Status || c.Run.Output != hostile.Any && out != c.Run.Output:
		t.Errorf("status %d, %q, %q; want %d, %q", status, out, complaint, c.Run.Status, c.Run.Output)
	}
}

// checkMessages wants lines of oci2bwrap's own that nothing can be hidden in, and a
// hint only as the last.
func checkMessages(t *testing.T, complaint string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(complaint, "\n"), "\n")
	for n, line := range lines {
		hint := strings.HasPrefix(line, "hint: ") && n > 0 && n == len(lines)-1
		if !hint && !strings.HasPrefix(line, "oci2bwrap: ") {
			t.Errorf("not a line of ours: %q in %q", line, complaint)
		}
		if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(line) {
			t.Errorf("does not print: %q", complaint)
		}
	}
}
