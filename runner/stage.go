package runner

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// mountStage makes what the stage describes in the mount namespace of the
// calling thread, which must be a private one.
func mountStage(s *bwrap.Stage, userNamespace bool) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("stage: make / a slave: %w", err)
	}
	if err := unix.Mount("tmpfs", s.Dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("stage: tmpfs on %s: %w", s.Dir, err)
	}
	old := unix.Umask(0)
	defer unix.Umask(old)
	for i, t := range s.Trees {
		dir := s.Path(i)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("stage: %w", err)
		}
		var err error
		if t.Overlay != nil {
			err = mountOverlay(dir, *t.Overlay, userNamespace)
		} else {
			err = mountTmpfs(dir, *t.Tmpfs)
		}
		if err != nil {
			return fmt.Errorf("stage: %w", err)
		}
	}
	return nil
}

func mountTmpfs(dir string, t bwrap.Tmpfs) error {
	opts := fmt.Sprintf("mode=%04o,uid=%d,gid=%d", unixMode(t.Mode), t.UID, t.GID)
	if t.Size > 0 {
		opts += fmt.Sprintf(",size=%d", t.Size)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, opts); err != nil {
		return fmt.Errorf("tmpfs for %s: %w", t.Dst, err)
	}
	return nil
}

// mountOverlay mounts the overlay at dir, its upper layer beside it on the
// stage's tmpfs. The upper layer decides owner and mode of what it holds, so
// it repeats those of the directories below it.
func mountOverlay(dir string, o bwrap.Overlay, userNamespace bool) error {
	upper, work := dir+".upper", dir+".work"
	if err := os.Mkdir(work, 0o700); err != nil {
		return err
	}
	if err := mirror(upper, o.Lower, "."); err != nil {
		return fmt.Errorf("overlay for %s: %w", o.Dst, err)
	}
	if err := os.Chmod(upper, o.Mode); err != nil {
		return err
	}
	for _, p := range o.Points {
		if err := makePoint(upper, o, p); err != nil {
			return fmt.Errorf("mount point %s: %w", p.Path, err)
		}
	}
	lower := slices.Clone(o.Lower)
	slices.Reverse(lower) // overlayfs wants the topmost first
	for i, l := range lower {
		lower[i] = escapeOverlay(l)
	}
	opts := "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + escapeOverlay(upper) + ",workdir=" + escapeOverlay(work)
	if userNamespace {
		opts += ",userxattr"
	}
	if len(opts) > 4000 {
		// mount(2) copies one page and cuts the rest off without a word.
		return fmt.Errorf("overlay for %s: %d layers make an option string of %d bytes, more than mount(2) takes", o.Dst, len(lower), len(opts))
	}
	if err := unix.Mount("overlay", dir, "overlay", unix.MS_NOSUID|unix.MS_NODEV, opts); err != nil {
		return fmt.Errorf("overlay for %s: %w", o.Dst, err)
	}
	return nil
}

// makePoint makes a mount point in the upper layer, and the directories on
// the way to it as they are below.
func makePoint(upper string, o bwrap.Overlay, p bwrap.Point) error {
	rel, err := filepath.Rel(o.Dst, p.Path)
	if err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("outside of %s", o.Dst)
	}
	for i, r := range rel {
		if r != '/' {
			continue
		}
		if err := mirror(upper, o.Lower, rel[:i]); err != nil {
			return err
		}
	}
	at := filepath.Join(upper, rel)
	if !p.File {
		return mirror(upper, o.Lower, rel)
	}
	f, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// mirror makes upper/rel a directory that looks like the topmost one of that
// name in lower, or a plain 0755 one where there is none. One that is already
// there stays.
func mirror(upper string, lower []string, rel string) error {
	at := filepath.Join(upper, rel)
	if _, err := os.Lstat(at); err == nil {
		return nil
	}
	var like fs.FileInfo
	for _, l := range slices.Backward(lower) {
		if info, err := os.Lstat(filepath.Join(l, rel)); err == nil {
			like = info
			break
		}
	}
	if like == nil {
		return os.Mkdir(at, 0o755)
	}
	if !like.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: rel, Err: unix.ENOTDIR}
	}
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	st := like.Sys().(*unixStat)
	// An owner that the user namespace does not map can't be given on.
	if err := os.Lchown(at, int(st.Uid), int(st.Gid)); err != nil && !isUnmapped(err) {
		return err
	}
	if err := os.Chmod(at, like.Mode()&^fs.ModeType); err != nil {
		return err
	}
	return os.Chtimes(at, like.ModTime(), like.ModTime())
}

// escapeOverlay hides the bytes that mean something in overlayfs' options.
func escapeOverlay(path string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`, `,`, `\,`).Replace(path)
}
