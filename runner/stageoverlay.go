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

// overlay mounts an overlay whose upper layer is on the stage's tmpfs, or in
// the directory that keeps the writes.
func (m *stageMounter) overlay(o bwrap.Overlay) error {
	if o.Merged {
		o.Lower = []string{filepath.Join(m.root, o.Dst)}
	}
	if len(o.Whiteouts) > 0 {
		lower, err := m.whiteouts(o)
		if err != nil {
			return fmt.Errorf("whiteouts: %w", err)
		}
		o.Lower = lower
	}
	l, err := m.layers(o)
	if err != nil {
		return err
	}
	if !l.filled {
		if err := l.fill(o); err != nil {
			return err
		}
	}
	short, release, err := l.short()
	if err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	defer release()
	opts, err := short.options(m.userNamespace)
	if err != nil {
		return err
	}
	err = m.mount(o.Dst, "overlay", mountFlags(o.Attr), opts)
	if err != nil && m.fuse != "" && !l.kept { // which has whiteouts of its own kind
		return m.fuseOverlay(o, l)
	}
	if err != nil {
		return l.explain(err)
	}
	if l.filled {
		return m.points(o)
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
	if !p.File {
		return mirrorAll(upper, o.Lower, rel)
	}
	if err := mirrorAll(upper, o.Lower, filepath.Dir(rel)); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(upper, rel), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o444)
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
