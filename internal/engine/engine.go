// Package engine runs a command in a container of another tool's, as the
// reference that a sandbox is compared with: runc and crun on a bundle, podman
// and buildah on the image.
//
// No two hosts let these tools run alike. Each engine has several ways of
// being called; the first that leads to the command is kept, and says what it
// had to do.
package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Names are the engines in the order in which they are looked for.
var Names = []string{"runc", "crun", "podman", "buildah"}

// Bundled says that the engine runs a bundle; others run an image.
func Bundled(name string) bool { return name == "runc" || name == "crun" }

// Engine is a reference, ready to run commands. Its fields but the first are
// for one kind of engine each.
type Engine struct {
	Name   string // one of Names
	Dir    string // a directory of the engine's own, for what it keeps
	RunDir string // another, for podman and buildah, of at most 50 bytes

	// Of runc and crun: a directory with rootfs and whatever else the Spec
	// names. The engine writes its config.json, and may write to rootfs.
	Bundle string
	Spec   *specs.Spec

	// Of podman and buildah: the image as they name it ("oci:DIR:TAG"), and
	// the flags of podman run.
	Image string
	Flags []string

	way   int // the first that has not failed
	found bool
	made  bool // buildah's working container
}

// Run is one command in the container.
type Run struct {
	Args  []string
	Probe *os.File // becomes descriptor 3 of the command, which is then run from it; nil is none

	Stdin          *os.File // nil is /dev/null
	Stdout, Stderr io.Writer

	// Began says, after a failure, whether the command was reached: if not
	// the next way is tried. Reset is called before each try.
	Began func() bool
	Reset func() error
}

// ErrUnavailable says that no way of calling the engine led to the command.
var ErrUnavailable = errors.New("can't be run here")

// Find gives the first engine of names that is in PATH.
func Find(names ...string) (string, error) {
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("none of %s is in PATH", strings.Join(names, ", "))
}

// Version is the engine's own word for its version.
func (e *Engine) Version(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, e.Name, "--version").Output()
	if err != nil {
		return e.Name
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.Replace(line, " version", "", 1)
}

// Adapted tells what was done to make the engine run on this host; "" where it
// was called plainly.
func (e *Engine) Adapted() string {
	ways := e.ways()
	if !e.found || e.way >= len(ways) {
		return ""
	}
	return ways[e.way].what
}

// way is one manner of calling an engine.
type way struct {
	what    string // for people; "" is plainly
	prepare func(r Run) error
	argv    func(id string, r Run) []string
	private bool // in namespaces for the step before it
}

// Run runs the command and gives its exit status.
func (e *Engine) Run(ctx context.Context, r Run) (int, error) {
	var faults []string
	ways := e.ways()
	for ; e.way < len(ways); e.way++ {
		if err := r.Reset(); err != nil {
			return 0, err
		}
		status, text, err := e.try(ctx, ways[e.way], r)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if err == nil && (status == 0 || e.found || r.Began()) {
			e.found = true
			return status, nil
		}
		if err != nil {
			text = err.Error()
		}
		if text = lastLine(text); len(faults) == 0 || faults[len(faults)-1] != text {
			faults = append(faults, text)
		}
	}
	return 0, fmt.Errorf("%s %w: %s", e.Name, ErrUnavailable, strings.Join(faults, "; "))
}

// try calls the engine once. text is what it said on stderr.
func (e *Engine) try(ctx context.Context, w way, r Run) (status int, text string, err error) {
	if w.prepare != nil {
		if err := w.prepare(r); err != nil {
			return 0, "", err
		}
	}
	id := fmt.Sprintf("oci2bwrap-parity-%d-%d", os.Getpid(), time.Now().UnixNano())
	argv := w.argv(id, r)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	// Pipes, also for a file, as the sandbox has them.
	cmd.Stdout, cmd.Stderr = io.MultiWriter(r.Stdout), io.MultiWriter(r.Stderr, &said)
	if r.Stdin != nil {
		cmd.Stdin = r.Stdin
	}
	if w.private {
		cmd.SysProcAttr = private()
	}
	if r.Probe != nil {
		cmd.ExtraFiles = []*os.File{r.Probe}
	}
	err = cmd.Run()
	if ctx.Err() != nil {
		e.forget(id)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return exit.ExitCode(), said.String(), nil
	}
	return 0, said.String(), err
}

// forget removes the container of a run that was cut off.
func (e *Engine) forget(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	switch e.Name {
	case "podman":
		exec.CommandContext(ctx, e.Name, append(e.storage(), "rm", "--force", id)...).Run()
	case "runc", "crun":
		exec.CommandContext(ctx, e.Name, "--root", e.state(), "delete", "--force", id).Run()
	}
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
