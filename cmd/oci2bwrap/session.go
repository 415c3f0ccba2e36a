package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/layout"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// session is the way from an IMAGE to a sandbox, as far as a command needs
// it: image, root, Spec, plan. Each step uses what the one before has left.
type session struct {
	flags *containerFlags
	in    *os.File
	err   *os.File

	standing  standing
	inside    *runner.Inside // as of stdio
	cache     string
	temporary *lockedDir // the cache, where it is to be removed
	image     *layout.Image
	root      *layout.Rootfs
	rootfs    convert.Rootfs
	running   bool          // the sandbox is not just described
	kept      *upperDir     // of --upper
	locks     []*os.File    // of other directories that are written to
	script    bool          // the plan is for a script, which has no stage
	commanded bool          // the command is the caller's, not the image's
	storeNote *convert.Note // about the store, where there is something to say
	trees     []*runner.Tree
	host      convert.Host
	result    *convert.Result

	life     *lifecycle // once there is a sandbox
	bwrap    string
	features bwrap.Features
	health   *healthCheck // nil where none is wanted
	planned  *convert.Planned
	command  *bwrap.Command
}

// newSession begins one where the sandbox's ids are what the flags say, which
// may be a user namespace: then all has been done there, and the error is the
// exitStatus of that.
func newSession(f *containerFlags, std stdio, a imageArgs) (*session, error) {
	dir, _ := f.dir()
	limits, err := f.limits()
	if err != nil {
		return nil, err
	}
	if err := f.enter(std, spacesOf(a, limits), dir, f.tty); err != nil {
		return nil, err
	}
	standing, err := f.standing(std)
	return &session{flags: f, in: std.in, err: std.err, standing: standing, inside: std.inside}, err
}

func (s *session) close() {
	s.kept.close()
	for _, lock := range s.locks {
		lock.Close()
	}
	for _, t := range s.trees {
		t.Close()
	}
	if s.root != nil {
		s.root.Close()
	}
	if s.image != nil {
		s.image.Close()
	}
	s.temporary.close()
}

// unpack has the image's files in the cache.
func (s *session) unpack(ctx context.Context, a imageArgs) (err error) {
	if s.cache, err = s.flags.dir(); err != nil && s.flags.noCache {
		err = s.temporaryCache(os.TempDir())
	}
	if err == nil && s.inside != nil && (s.inside.Joined("user") || s.leftOut()) &&
		(os.MkdirAll(s.cache, 0o700) != nil || unix.Access(s.cache, unix.W_OK|unix.X_OK) != nil) {
		// That root need not be anybody who has a home, or a directory for
		// temporary files of its own.
		if err = s.temporaryCache(os.TempDir(), "/tmp", "/var/tmp"); err != nil {
			err = &hinted{err, "name a directory with --cache-dir that " + s.outsideIDs() + " can write to"}
		}
	}
	if err != nil {
		return err
	}
	defer func() { err = s.reached(err) }()
	limits, err := s.flags.limits()
	if err != nil {
		return err
	}
	tell, done := newProgress(stdio{err: s.err}, s.flags.quiet)
	defer done()
	if s.image, err = openImage(&s.flags.imageFlags, a, s.in, tell); err != nil {
		return err
	}
	store := &layout.Store{Dir: s.cache, Ownership: s.standing.ownership(), Limits: limits, Temporary: s.flags.noCache, Progress: tell}
	if s.root, err = store.Rootfs(ctx, s.image); err != nil {
		return err
	}
	if s.rootfs, err = viewOf(s.root, s.standing.root); err != nil {
		return err
	}
	if s.rootfs.Owner, err = s.standing.mappedOwner(s.rootfs.Owner); err != nil {
		return err
	}
	if err := s.upper(); err != nil {
		return err
	}
	if err = s.store(ctx); err == nil && s.rootfs.Store != nil && s.standing.confined {
		s.rootfs.Owner = storeOwner(s.rootfs.Owner)
	}
	return err
}

// viewOf is what convert sees of a root filesystem; owned says that its files
// have the owners that the container sees.
func viewOf(root *layout.Rootfs, owned bool) (convert.Rootfs, error) {
	r := convert.Rootfs{Dirs: root.Dirs, Owned: root.Owned}
	for _, w := range root.Whiteouts {
		r.Whiteouts = append(r.Whiteouts, bwrap.Whiteouts{Lower: w.Dir, Markers: w.Markers, Hidden: w.Hidden, Opaque: w.Opaque})
	}
	var err error
	if len(root.Dirs) == 1 && len(root.Whiteouts) == 0 {
		r.FS, err = openDir(root.Dirs[0])
	} else {
		if len(root.Whiteouts) == 0 {
			for _, dir := range root.Dirs {
				view, err := openDir(dir)
				if err != nil {
					return r, err
				}
				r.Views = append(r.Views, view)
			}
		}
		r.FS, err = merge(root.Dirs, r.Whiteouts)
	}
	if err != nil {
		return r, err
	}
	if owned {
		r.Owner = func(info fs.FileInfo) (int, int) {
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return 0, 0
			}
			return int(st.Uid), int(st.Gid)
		}
	}
	return r, nil
}

// convert makes the Spec, or takes that of a bundle.
func (s *session) convert(command []string) error {
	o, err := s.flags.options(command)
	if err != nil {
		return err
	}
	o.NoAccounts = !s.flags.passwd
	if s.flags.userns == "keep-id" {
		if o.User == "" && s.image.Config.Config.User == "" {
			o.User = s.standing.caller() // as podman does
		}
		o.Caller = s.standing.account()
	}
	if s.host, err = readHost(s.standing); err != nil {
		return err
	}
	if s.host.Capabilities, err = s.flags.given(); err != nil {
		return err
	}
	if s.image.Bundle != nil {
		s.result, err = bundleResult(s.image, s.flags, command)
	} else {
		s.result, err = convert.Spec(s.image.Config, s.rootfs, s.host, o)
	}
	if err != nil {
		return err
	}
	s.host.Joined = joinedPaths(s.standing, s.inside, s.result.Spec)
	s.singleNote()
	s.rootNote()
	s.mapIDs()
	return lookAt(&s.host, s.result.Spec, s.outsideIDs())
}

// plan makes the plan and lowers it to what this host can do.
func (s *session) plan(ctx context.Context) (err error) {
	if s.bwrap, err = runner.Find(os.Getenv("PATH")); err != nil {
		return err
	}
	stage, err := s.stageDir()
	if err != nil {
		return err
	}
	probe := runner.Prober{Bwrap: s.bwrap, StageDir: stage, CacheDir: s.cache, Real: s.standing.root, Mapped: s.standing.confined,
		FuseOverlay: runner.FindFuseOverlay(os.Getenv("PATH"))}
	if s.features, err = probe.Features(ctx); err != nil {
		return err
	}
	if s.script {
		s.features.Stage, s.features.StageOverlay, s.features.Reason = false, false, scriptReason
	}
	s.planned, err = convert.Plan(s.result.Spec, s.rootfs, s.host, convert.PlanOptions{
		Features: s.features, Files: s.result.Files, Origin: s.result.Origin, StopSignal: s.result.StopSignal, Init: s.flags.init,
		KeepOrder: s.image.Bundle != nil,
	})
	if err != nil {
		return err
	}
	s.planned.Notes = append(s.result.Notes, s.planned.Notes...)
	if s.storeNote != nil {
		s.planned.Notes = append(s.planned.Notes, *s.storeNote)
	}
	s.mountNote()
	if !s.running {
		s.planned.Notes = append(s.planned.Notes, chownNotes(s.result)...)
	}
	if s.script {
		return nil
	}
	s.command, err = bwrap.Lower(s.planned.Plan, bwrap.Target{Features: s.features, StageDir: stage})
	return err
}

// stageDir is an empty directory for the stage to cover. Nothing is written
// to it: what the stage mounts there nobody else sees.
func (s *session) stageDir() (string, error) {
	dir := filepath.Join(s.cache, "stage")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", &hinted{err, "name a directory that can be written to with --cache-dir"}
	}
	return dir, nil
}

// judge refuses a gap that weakens isolation, or under --strict any, unless it
// was allowed by name.
func (s *session) judge() error {
	var fatal []error
	for _, g := range s.planned.Gaps {
		if !s.fatal(g) {
			continue
		}
		text := fmt.Sprintf("%s: %s (%s)", g.Field, g.Reason, g.Effect)
		hint := "--allow-gap " + g.Field + " runs without it"
		if g.Remedy != "" {
			hint = g.Remedy + "; or " + hint
		}
		fatal = append(fatal, &hinted{errors.New(text), hint})
	}
	return errors.Join(fatal...)
}

func (s *session) fatal(g convert.Gap) bool {
	return !convert.GapFields(s.flags.allowGaps).Has(g) && (s.flags.strict || g.Effect == convert.Weakens)
}

// tell prints the gaps that are not fatal, and the notes. It is for when all
// else has gone well: who gets an error needs that alone.
func (s *session) tell() {
	if s.flags.quiet {
		return
	}
	for _, g := range s.planned.Gaps {
		if s.fatal(g) {
			continue
		}
		text := g.Field + ": " + g.Reason
		if g.Remedy != "" {
			text += " (remedy: " + g.Remedy + ")"
		}
		fmt.Fprintf(s.err, "oci2bwrap: gap: %s\n", printable(text))
	}
	printNotes(s.err, s.planned.Notes)
}
