package runner

import (
	"context"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// TestMain lets the test binary be what oci2bwrap is to its sandboxes, and
// the victim of TestKilled.
func TestMain(m *testing.M) {
	Main(os.Args)
	if len(os.Args) == 3 && os.Args[1] == "victim" {
		os.Exit(victim(os.Args[2]))
	}
	if _, err := config("true"); errors.Is(err, errUnfit) && os.Getenv("CI") != "true" {
		flag.Parse()
		fmt.Fprintln(os.Stderr, "examples are skipped:", err)
		flag.Set("test.skip", "^Example") // which can't skip themselves
	}
	if len(os.Args) == 2 && os.Args[1] == "forger" {
		os.Exit(forge())
	}
	os.Exit(m.Run())
}

// victim runs a sandbox that does not end by itself.
func victim(marker string) int {
	c, err := config("sh", "-c", "exec sleep "+marker)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 125
	}
	s, err := Create(context.Background(), *c)
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 125
	}
	s.Wait()
	return 0
}

var errUnfit = errors.New("needs bwrap in PATH, user namespaces and a static test binary (CGO_ENABLED=0)")

// config is a sandbox that shows the host's files, read-only.
func config(args ...string) (*Config, error) {
	path, err := Find(os.Getenv("PATH"))
	if err != nil {
		return nil, errUnfit
	}
	dir := os.TempDir()
	real := os.Geteuid() == 0
	f, err := Prober{Bwrap: path, StageDir: dir, Real: real}.Features(context.Background())
	if err != nil {
		return nil, err
	}
	caps := []string{"CAP_CHOWN", "CAP_KILL", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"}
	plan := &bwrap.Plan{
		Process: bwrap.Process{
			Args: args, Env: []string{"PATH=/usr/bin:/bin", "ODD=\xff\n="}, Cwd: "/usr", Umask: 0o022,
			Capabilities: bwrap.Capabilities{Bounding: caps, Effective: caps, Permitted: caps},
		},
		Namespaces: bwrap.Namespaces{PID: true, IPC: true, User: !real},
		Steps: []bwrap.Step{
			{Op: bwrap.Bind{Src: "/", Dst: "/", ReadOnly: true}},
			{Op: bwrap.Proc{Dst: "/proc"}},
			{Op: bwrap.Dev{Dst: "/dev"}},
			{Op: bwrap.Tmpfs{Dst: "/tmp", Mode: 0o1777}},
		},
	}
	c, err := bwrap.Lower(plan, bwrap.Target{Features: f, StageDir: dir})
	if err != nil {
		return nil, err
	}
	return &Config{Bwrap: path, Command: c, Real: real, Private: f.Stage}, nil
}

// sandbox is config for a test, which is skipped where there can be none.
func sandbox(t *testing.T, args ...string) *Config {
	t.Helper()
	c, err := config(args...)
	if err == nil && isDynamic(t) {
		err = errUnfit
	}
	if errors.Is(err, errUnfit) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// isDynamic tells whether the test binary needs an interpreter, which the
// in-sandbox init can't count on.
func isDynamic(t *testing.T) bool {
	t.Helper()
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}
