package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/runner"
)

// lifecycle runs the hooks of a bundle in their order, as the runtime-spec's
// Lifecycle has it. One without hooks does nothing.
type lifecycle struct {
	hooks specs.Hooks
	state specs.State
}

func (s *session) lifecycle() (*lifecycle, error) {
	l := &lifecycle{}
	if s.result.Spec.Hooks == nil || s.image.Bundle == nil {
		return l, nil
	}
	l.hooks = *s.result.Spec.Hooks
	for _, list := range []struct {
		name  string
		hooks []specs.Hook
	}{
		//lint:ignore SA1019 bundles still have them
		{"prestart", l.hooks.Prestart},
		{"createRuntime", l.hooks.CreateRuntime}, {"startContainer", l.hooks.StartContainer},
		{"poststart", l.hooks.Poststart}, {"poststop", l.hooks.Poststop},
	} {
		for i, h := range list.hooks {
			if !filepath.IsAbs(h.Path) {
				return nil, fmt.Errorf("hooks.%s[%d].path: %q is not absolute", list.name, i, h.Path)
			}
			if h.Timeout != nil && *h.Timeout <= 0 {
				return nil, fmt.Errorf("hooks.%s[%d].timeout: %d is not greater than zero", list.name, i, *h.Timeout)
			}
		}
	}
	dir, err := bundleDir(s.image)
	if err != nil {
		return nil, err
	}
	l.state = specs.State{
		Version: specs.Version, ID: fmt.Sprintf("oci2bwrap-%d", os.Getpid()), Bundle: dir, Annotations: s.result.Spec.Annotations,
	}
	return l, nil
}

// doc is the state that a hook reads.
func (l *lifecycle) doc(status specs.ContainerState, pid int) ([]byte, error) {
	st := l.state
	st.Status, st.Pid = status, pid
	return json.Marshal(st)
}

// created runs what comes before the start.
func (l *lifecycle) created(ctx context.Context, pid int) error {
	//lint:ignore SA1019 bundles still have them
	prestart := l.hooks.Prestart
	if err := l.all(ctx, "prestart", prestart, specs.StateCreating, pid); err != nil {
		return err
	}
	return l.all(ctx, "createRuntime", l.hooks.CreateRuntime, specs.StateCreating, pid)
}

// inside is the state that the hooks in the sandbox read; nil where there are
// none.
func (l *lifecycle) inside() func(pid int) ([]byte, error) {
	if len(l.hooks.StartContainer) == 0 {
		return nil
	}
	return func(pid int) ([]byte, error) { return l.doc(specs.StateCreated, pid) }
}

// start starts the command. Hooks may take their time over it, in which a
// signal ends the sandbox.
func (s *session) start(ctx context.Context, cancel context.CancelFunc, signals <-chan os.Signal, sandbox *runner.Sandbox) error {
	if len(s.life.hooks.StartContainer)+len(s.life.hooks.Poststart) == 0 {
		return sandbox.Start()
	}
	stop := context.AfterFunc(ctx, func() { sandbox.Close() })
	defer stop()
	_, err := interruptible(cancel, signals, func() (*runner.Sandbox, error) {
		if err := sandbox.Start(); err != nil {
			return nil, err
		}
		return nil, s.life.started(ctx, sandbox.PID())
	})
	return err
}

func (l *lifecycle) started(ctx context.Context, pid int) error {
	return l.all(ctx, "poststart", l.hooks.Poststart, specs.StateRunning, pid)
}

// stopped runs the last hooks. One that fails is told, and the next run.
func (l *lifecycle) stopped(w io.Writer) {
	for i := range l.hooks.Poststop {
		// Whatever ended the sandbox, these are run.
		if err := l.all(context.Background(), "poststop", l.hooks.Poststop[i:i+1], specs.StateStopped, 0); err != nil {
			fmt.Fprintf(w, "oci2bwrap: warning: %s\n", printable(err.Error()))
		}
	}
}

func (l *lifecycle) all(ctx context.Context, name string, hooks []specs.Hook, status specs.ContainerState, pid int) error {
	for _, h := range hooks {
		doc, err := l.doc(status, pid)
		if err != nil {
			return err
		}
		hook := runner.Hook{Path: h.Path, Args: h.Args, Env: h.Env}
		if h.Timeout != nil {
			hook.Timeout = time.Duration(*h.Timeout) * time.Second
		}
		if err := hook.Run(ctx, l.state.Bundle, doc); err != nil {
			return fmt.Errorf("hooks.%s: %w", name, err)
		}
	}
	return nil
}
