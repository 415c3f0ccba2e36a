package e2e_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the scripts of testdata. They may use, besides testscript's own:
//
//	status N PROGRAM [ARG...]   run it; it must end with the status N
//	complains REGEXP            the last stderr is one "oci2bwrap: " line that
//	                            matches, and at most one "hint: " line after it
//	hints REGEXP                the last stderr has a "hint: " line that matches
//	silent                      the last stderr is empty
//	cache-is-empty              oci2bwrap's cache holds no file system tree
//	[user] [root]               who runs the tests
//	[nix]                       the store has what fixtures/nix describes
//	[ids]                       that user has subordinate ids
//	[missing:PROGRAM]           it is not installed; an error in CI
func TestScripts(t *testing.T) {
	if !hasImages() {
		lacks(t, "no busybox to make images of: apt-get install busybox-static")
	}
	eachBwrap(t, func(t *testing.T, bwrapDir string) {
		testscript.Run(t, testscript.Params{
			Dir: shared("testdata"),
			Setup: func(env *testscript.Env) error {
				for _, variable := range environment(t, bwrapDir, env.WorkDir) {
					name, value, _ := strings.Cut(variable, "=")
					env.Setenv(name, value)
				}
				return nil
			},
			Condition: condition,
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"status":         scriptStatus,
				"complains":      scriptComplains,
				"hints":          scriptHints,
				"silent":         scriptSilent,
				"cache-is-empty": scriptCacheIsEmpty,
			},
		})
	})
}

func condition(condition string) (bool, error) {
	if program, ok := strings.CutPrefix(condition, "missing:"); ok {
		_, err := exec.LookPath(program)
		if err != nil && os.Getenv("CI") == "true" {
			return false, err
		}
		return err != nil, nil
	}
	switch condition {
	case "nix":
		return hasNix(), nil
	case "root":
		return os.Getuid() == 0, nil
	case "ids":
		return hasIDs()
	case "user":
		return os.Getuid() != 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", condition)
}

func scriptStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	// A run that hangs must not take the other tests' time. The command comes by
	// its path, as scripts may have a PATH of their own.
	timeout, err := exec.LookPath("timeout")
	ts.Check(err)
	got := 0
	if err := ts.Exec(timeout, append([]string{"--kill-after=5", "60"}, args[1:]...)...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		if got = exit.ExitCode(); got < 0 {
			ts.Fatalf("ended by itself: %v", err)
		}
	}
	if got != want && got == 124 {
		ts.Fatalf("timed out")
	}
	if got != want {
		ts.Fatalf("status is %d, want %d", got, want)
	}
}

func scriptComplains(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: complains REGEXP")
	}
	lines := strings.Split(strings.TrimSuffix(said(ts), "\n"), "\n")
	if len(lines) > 2 || len(lines) == 2 && !strings.HasPrefix(lines[1], "hint: ") {
		ts.Fatalf("stderr is not one line and at most one hint")
	}
	message, ok := strings.CutPrefix(lines[0], "oci2bwrap: ")
	if !ok {
		ts.Fatalf(`stderr does not begin with "oci2bwrap: "`)
	}
	if !regexp.MustCompile(args[0]).MatchString(message) {
		ts.Fatalf("%q does not match %q", message, args[0])
	}
}

// said is the last stderr without the notes that a user with a single id gets
// of every image that has other owners than root.
func said(ts *testscript.TestScript) string {
	var left strings.Builder
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		if !strings.HasPrefix(line, "oci2bwrap: note: --userns: ") {
			left.WriteString(line)
		}
	}
	return left.String()
}

func scriptHints(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hints REGEXP")
	}
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		if hint, ok := strings.CutPrefix(line, "hint: "); ok && regexp.MustCompile(args[0]).MatchString(hint) {
			return
		}
	}
	ts.Fatalf("no hint that matches %q", args[0])
}

func scriptSilent(ts *testscript.TestScript, _ bool, _ []string) {
	if stderr := said(ts); stderr != "" {
		ts.Fatalf("stderr is not empty")
	}
}

// scriptCacheIsEmpty accepts what is no image's: locks, and what is known of
// bwrap.
func scriptCacheIsEmpty(ts *testscript.TestScript, _ bool, _ []string) {
	cache := filepath.Join(ts.Getenv("HOME"), ".cache", "oci2bwrap")
	err := filepath.WalkDir(cache, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		inside := strings.TrimPrefix(path, cache) + "/"
		if strings.Contains(inside, "/srv/") || strings.Contains(inside, "/bin/") || entry.Type()&fs.ModeSymlink != 0 {
			return fmt.Errorf("%s is left in the cache", path)
		}
		if info, err := entry.Info(); err == nil && info.Size() > 64<<10 {
			return fmt.Errorf("%s of %d bytes is left in the cache", path, info.Size())
		}
		return nil
	})
	ts.Check(err)
}
