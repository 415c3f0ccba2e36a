package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/internal/engine"
	"github.com/oci2bwrap/oci2bwrap/internal/parity"
)

// reference gives the other side's report: an engine's, or a recorded one.
func (r *parityRun) reference(ctx context.Context) (*parity.Report, error) {
	name, isFile, err := r.flags.engine()
	if err != nil {
		return nil, err
	}
	if isFile {
		f, err := os.Open(r.flags.against)
		if err != nil {
			return nil, &hinted{fmt.Errorf("--against: %w", err), "an engine (runc, crun, podman, buildah) or a file that --record wrote"}
		}
		r.open = append(r.open, f)
		rep, err := parity.ReadRecord(f)
		if err != nil {
			return nil, fmt.Errorf("--against: %s: %w", r.flags.against, err)
		}
		return rep, nil
	}
	side, spool, err := r.runReference(ctx, name)
	if err != nil {
		return nil, err
	}
	return r.report(side, spool)
}

// record writes the reference to a file that --against takes.
func (r *parityRun) record(ctx context.Context) (err error) {
	name, isFile, err := r.flags.engine()
	if err != nil {
		return err
	}
	if isFile {
		return errors.New("--record takes an engine for --against, not a file")
	}
	side, spool, err := r.runReference(ctx, name)
	if err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	out, err := os.Create(r.flags.record)
	if err != nil {
		return fmt.Errorf("--record: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return parity.WriteRecord(out, side, spool)
}

// runReference runs the probe in a container of the engine's.
func (r *parityRun) runReference(ctx context.Context, name string) (side parity.Side, spool *os.File, err error) {
	if err := r.prepare(ctx); err != nil {
		return side, nil, err
	}
	if err := r.newEngine(ctx, name); err != nil {
		return side, nil, err
	}
	if spool, err = r.spool("reference"); err != nil {
		return side, nil, err
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return side, nil, err
	}
	defer self.Close()
	const passed = 3 // the number that the first descriptor passed on gets
	o := r.probe()
	o.SelfFD = passed
	if name == "buildah" {
		o.SelfFD = 0
	}
	var said bytes.Buffer
	null, err := os.Open(os.DevNull)
	if err != nil {
		return side, nil, err
	}
	defer null.Close()
	status, err := r.engine.Run(ctx, engine.Run{
		Stdin: null,
		Args:  o.Argv("/proc/self/fd/" + strconv.Itoa(passed)), Probe: self,
		Stdout: spool, Stderr: &said,
		Began: func() bool { info, err := spool.Stat(); return err == nil && info.Size() > 0 },
		Reset: func() error {
			said.Reset()
			_, err := spool.Seek(0, io.SeekStart)
			return errors.Join(err, spool.Truncate(0))
		},
	})
	if err != nil {
		return side, nil, fmt.Errorf("reference: %w", err)
	}
	if status != 0 {
		return side, nil, fmt.Errorf("reference: the probe ended with status %d: %s", status, bytes.TrimSpace(said.Bytes()))
	}
	return parity.Side{Name: r.engine.Version(ctx), Engine: name, Adapted: r.engine.Adapted(), Host: r.here()}, spool, nil
}

func (r *parityRun) newEngine(ctx context.Context, name string) error {
	r.engine = &engine.Engine{Name: name, Dir: filepath.Join(r.dir, name)}
	if err := os.Mkdir(r.engine.Dir, 0o700); err != nil {
		return err
	}
	if engine.Bundled(name) {
		r.engine.Bundle = filepath.Join(r.dir, "bundle")
		r.engine.Spec = r.bundleSpec()
		return r.makeBundle(ctx, r.engine.Bundle)
	}
	err := r.engine.NewRunDir()
	if err != nil {
		return err
	}
	if r.engine.Image, err = engineImage(r.image, r.engine.Dir); err != nil {
		return err
	}
	r.engine.Flags = r.session.flags.engineFlags(name, r.result)
	return nil
}

// bundleSpec is the Spec for a runtime that is started by this process: in a
// user namespace that was entered for the sandbox it makes none.
func (r *parityRun) bundleSpec() *specs.Spec {
	if !r.standing.root || !r.standing.confined {
		return r.result.Spec
	}
	spec, linux := *r.result.Spec, *r.result.Spec.Linux
	linux.UIDMappings, linux.GIDMappings = nil, nil
	linux.Namespaces = slices.DeleteFunc(slices.Clone(linux.Namespaces), func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
	spec.Linux = &linux
	return &spec
}

// referenceOutside runs a reference that makes its own user namespace, as
// podman does, before this program enters one for the sandbox. It is recorded
// in dir, and the arguments of the entry name that record; they are nil where
// a record was all that was asked for.
func referenceOutside(ctx context.Context, f *containerFlags, p *parityFlags, std stdio, a imageArgs, dir string) (stdio, error) {
	entry, err := f.entry()
	if err != nil || entry == nil || std.inside != nil {
		return std, err
	}
	name, isFile, err := p.engine()
	if err != nil || isFile || engine.Bundled(name) {
		return std, err
	}
	out := &parityRun{session: session{flags: f, in: std.in, err: std.err}, flags: p, std: std, args: a, dir: dir}
	defer out.close()
	if out.standing, err = here(nil, true); err != nil {
		return std, err
	}
	// Its root is for the Spec alone.
	q := *p
	if out.flags = &q; q.record == "" {
		q.record = filepath.Join(dir, "record")
	}
	q.against = name
	if err := out.record(ctx); err != nil {
		return std, err
	}
	if p.record != "" {
		std.args = nil
		return std, nil
	}
	std.args = append([]string{"parity", "--against=" + q.record}, without(std.args[1:], "--against")...)
	p.against = q.record
	return std, nil
}

// without leaves a flag and its value out of a command line, up to the first
// word that is no flag's.
func without(args []string, flag string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return append(out, args[i:]...)
		case args[i] == flag:
			i++
		case !strings.HasPrefix(args[i], flag+"="):
			out = append(out, args[i])
		}
	}
	return out
}
