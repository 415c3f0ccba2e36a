package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/internal/engine"
	"github.com/oci2bwrap/oci2bwrap/internal/parity"
	"github.com/oci2bwrap/oci2bwrap/internal/probe"
	"github.com/oci2bwrap/oci2bwrap/layout"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// parityRun is one comparison under way: a session for our side, an engine for
// the other, and a directory for both reports.
type parityRun struct {
	session
	flags *parityFlags
	std   stdio
	args  imageArgs

	dir    string
	engine *engine.Engine
	open   []io.Closer
}

func newParityRun(f *containerFlags, p *parityFlags, std stdio, a imageArgs, dir string) (*parityRun, error) {
	if a.fromStdin() {
		return nil, &hinted{errors.New("an image on stdin can be read once, and is needed twice"), "write it to a file"}
	}
	s, err := newSession(f, std, imageArgs{})
	if err != nil {
		return nil, err
	}
	if !f.quiet {
		printNotes(std.err, f.notEntered(a, "what is compared is a sandbox with one of its own"))
	}
	return &parityRun{session: *s, flags: p, std: std, args: a, dir: dir}, nil
}

func (r *parityRun) close() {
	for _, c := range r.open {
		c.Close()
	}
	if r.engine != nil {
		r.engine.Close()
	}
	r.session.close()
}

// prepare reads the image and makes the Spec, which both sides start from.
func (r *parityRun) prepare(ctx context.Context) error {
	if r.result != nil {
		return nil
	}
	if err := r.unpack(ctx, r.args); err != nil {
		return err
	}
	return r.convert(r.args.command)
}

func (r *parityRun) probe() probe.Options {
	return probe.Options{Args: r.result.Spec.Process.Args, Run: r.args.command != nil}
}

// sandbox runs the probe in a sandbox.
func (r *parityRun) sandbox(ctx context.Context) (*parity.Report, error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.plan(ctx); err != nil {
		return nil, err
	}
	if err := r.judge(); err != nil {
		return nil, err
	}
	if err := r.lockUppers(); err != nil {
		return nil, err
	}
	r.tell()
	r.command.Process.Args = r.probe().Argv("oci2bwrap")
	spool, err := r.spool("sandbox")
	if err != nil {
		return nil, err
	}
	var said strings.Builder
	status, err := r.runProbe(ctx, spool, &said)
	if err != nil {
		return nil, err
	}
	if status != 0 {
		return nil, fmt.Errorf("sandbox: the probe ended with status %d: %s", status, strings.TrimSpace(said.String()))
	}
	return r.report(parity.Side{Name: "sandbox", Engine: "oci2bwrap", Host: r.here()}, spool)
}

// runProbe runs the planned sandbox with stdout and stderr as pipes, which is
// what an engine may give its command whatever it is told.
func (r *parityRun) runProbe(ctx context.Context, out, stderr io.Writer) (int, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	var ends [2]*os.File
	done := make(chan error, 2)
	for i, w := range []io.Writer{out, stderr} {
		from, to, err := os.Pipe()
		if err != nil {
			return 0, err
		}
		defer to.Close()
		ends[i] = to
		go func() {
			_, err := io.Copy(w, from)
			from.Close()
			done <- err
		}()
	}
	sandbox, err := runner.Create(ctx, runner.Config{
		Bwrap: r.bwrap, Command: r.command, Real: r.standing.root, Mapped: r.standing.confined, Private: r.features.Stage, Self: true, Trees: r.trees,
		Stdin: null, Stdout: ends[0], Stderr: ends[1],
	})
	if err != nil {
		return 0, err
	}
	defer sandbox.Close()
	if err := sandbox.Start(); err != nil {
		return 0, err
	}
	status, err := sandbox.Wait()
	for _, to := range ends {
		to.Close()
	}
	for range ends {
		err = errors.Join(err, <-done)
	}
	return status.Code, err
}

// spool is a file for a report.
func (r *parityRun) spool(name string) (*os.File, error) {
	f, err := os.Create(filepath.Join(r.dir, name))
	if err == nil {
		r.open = append(r.open, f)
	}
	return f, err
}

// report reads a spool from its start.
func (r *parityRun) report(side parity.Side, spool *os.File) (*parity.Report, error) {
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return parity.ReadReport(side, spool)
}

// here is what the comparison has to know of this machine.
func (r *parityRun) here() parity.Host {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	h := parity.Host{ID: strings.TrimSpace(string(id)), PIDMax: highestID(), Root: r.standing.root && !r.standing.confined, Namespaces: probe.Namespaces()}
	if r.standing.entered != nil {
		delete(h.Namespaces, "user") // made for the sandbox
	}
	return h
}

// set names what the Spec sets of the things that a process has from its caller
// otherwise, as the probe names them.
func (r *parityRun) set() []string {
	var names []string
	process := r.result.Spec.Process
	for _, l := range process.Rlimits {
		names = append(names, strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_")))
	}
	if process.OOMScoreAdj != nil {
		names = append(names, "oom_score_adj")
	}
	return names
}

// makeBundle gives the engine a root that it may write to, and the files that
// the Spec binds.
func (r *parityRun) makeBundle(ctx context.Context, dir string) error {
	limits, err := r.session.flags.limits()
	if err != nil {
		return err
	}
	o := layout.UnpackOptions{Ownership: r.standing.ownership(), Devices: isRoot(), Limits: limits}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := layout.Unpack(ctx, r.image, filepath.Join(dir, "rootfs"), o); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	return writeBundle(dir, r.result)
}
