package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Hook is a program that the runtime-spec has run at a point of a container's
// life, in the caller's own namespaces.
type Hook struct {
	Path    string   // absolute
	Args    []string // Args[0] included; nil is Path alone
	Env     []string // all of it
	Timeout time.Duration
}

// Run runs the hook in dir with the state on its stdin. Its output is only
// seen where it fails, in the error. One that has not ended by its timeout, of
// which 0 is none, is killed.
func (h Hook) Run(ctx context.Context, dir string, state []byte) error {
	if h.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.Timeout)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, h.Path)
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	var said bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdin = dir, append([]string{}, h.Env...), bytes.NewReader(state)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = 100 * time.Millisecond // for what a hook leaves behind with our pipe
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success():
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%q: not done after %v", h.Path, h.Timeout)
	}
	if last := lastLine(said.String()); last != "" {
		return fmt.Errorf("%q: %w: %s", h.Path, err, last)
	}
	return fmt.Errorf("%q: %w", h.Path, err)
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
