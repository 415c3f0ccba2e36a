package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// chown gives the sources of -v SRC:DST:U, and all in them, to the command's
// user. A failure leaves what has been given as it is, as podman does.
func (s *session) chown(ctx context.Context) error {
	user := s.result.Spec.Process.User
	uid, gid := int(user.UID), int(user.GID)
	if !s.standing.root { // the one id of the sandbox is the caller's
		uid, gid = os.Geteuid(), os.Getegid()
	}
	for _, src := range s.result.Chown {
		if home, err := os.UserHomeDir(); slices.Contains(ofTheSystem[:], src) || err == nil && src == home {
			return fmt.Errorf("-v: %s: option \"U\" would take what belongs to the system, or all that is yours", src)
		}
		if err := chownTree(ctx, src, uid, gid); err != nil {
			return fmt.Errorf("-v: option \"U\": %w", err)
		}
	}
	return nil
}

// ofTheSystem are directories that podman gives to nobody either.
var ofTheSystem = [...]string{
	"/", "/bin", "/boot", "/dev", "/etc", "/etc/passwd", "/etc/pki", "/etc/shadow", "/home", "/lib", "/lib64", "/media", "/opt", "/proc",
	"/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/log",
}

// chownTree follows no link, be it one that appears while it is at work: it
// never leaves the tree.
func chownTree(ctx context.Context, path string, uid, gid int) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return give(path, info, uid, gid, os.Lchown)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone in the meantime
		}
		if err == nil {
			err = give(name, info, uid, gid, root.Lchown)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
}

// give changes the owner of what has another one.
func give(name string, info fs.FileInfo, uid, gid int, lchown func(string, int, int) error) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(st.Uid) == uid && int(st.Gid) == gid {
		return nil
	}
	err := lchown(name, uid, gid)
	if ok && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EINVAL)) {
		return &hinted{
			fmt.Errorf("%q belongs to %d:%d and can't be given to %d:%d: %w", name, st.Uid, st.Gid, uid, gid, err),
			"its owner has to be you or one of your subordinate ids, and so does the new one (--userns range); or have root do it before, and leave U out",
		}
	}
	return err
}

// chownNotes tell of what only run does.
func chownNotes(r *convert.Result) []convert.Note {
	var notes []convert.Note
	for _, src := range r.Chown {
		user := r.Spec.Process.User
		notes = append(notes, convert.Note{Field: "-v", Text: fmt.Sprintf("run gives %s, and all in it, to %d:%d, which has not been done", src, user.UID, user.GID)})
	}
	return notes
}
