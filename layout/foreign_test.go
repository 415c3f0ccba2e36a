package layout

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLayersThatLackContent has directories as overlayfs leaves them with
// redirect_dir and metacopy: without what lies elsewhere they are refused, and
// not taken for empty directories and files of zeros.
func TestLayersThatLackContent(t *testing.T) {
	for name, test := range map[string]struct {
		xattrs []string // FILE NAME VALUE
		want   string
		plain  bool // also of a directory that is no layer
	}{
		"renamed":              {[]string{"new redirect /old"}, "layers/1/new: overlayfs has renamed this directory", false},
		"metadata":             {[]string{". impure y", "f metacopy "}, "layers/1/f: overlayfs has put only this file's mode", true},
		"metadata below":       {[]string{"new impure y", "new/f metacopy "}, "layers/1/new/f: overlayfs has put only", true},
		"merely copied":        {[]string{". impure y", "f origin x"}, "", false},
		"names of many xattrs": {[]string{"new " + strings.Repeat("x", 200) + " y", "new " + strings.Repeat("y", 200) + " y", "new " + strings.Repeat("z", 200) + " y", "new " + strings.Repeat("v", 200) + " y", "new " + strings.Repeat("w", 200) + " y", "new redirect /old"}, "renamed", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := makeTree(t, tempDir(t), "config.json="+wholeConfig, "layers/0/old/g=g", "layers/1/f=f", "layers/1/new/f=f")
			for _, x := range test.xattrs {
				w := strings.SplitN(x, " ", 3)
				err := unix.Setxattr(filepath.Join(dir, "layers/1", w[0]), "user.overlay."+w[1], []byte(w[2]), 0)
				if errors.Is(err, unix.EOPNOTSUPP) {
					skip(t, "%v", err)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			img, err := openAMD64(t, dir, "")
			if err != nil {
				t.Fatal(err)
			}
			dest := filepath.Join(tempDir(t), "root")
			for what, use := range map[string]func() error{
				"used":   func() error { _, err := (&Store{}).Rootfs(t.Context(), img); return err },
				"copied": func() error { return Unpack(t.Context(), img, dest, UnpackOptions{}) },
			} {
				err := use()
				if test.want == "" && err == nil {
					continue
				}
				var hint interface{ Hint() string }
				if err == nil || !strings.Contains(err.Error(), test.want) || !errors.As(err, &hint) {
					t.Errorf("%s: got %v, want %q with a hint", what, err, test.want)
				} else if n := strings.Count(err.Error(), dir); n != 1 {
					t.Errorf("%s: %v names the directory %d times", what, err, n)
				}
			}
			if _, err := os.Lstat(dest); test.want != "" && err == nil {
				t.Error("something was left")
			}
			_, err = dirLayer(context.Background(), filepath.Join(dir, "layers/1"), dirRules{}, io.Discard)
			if test.plain != (err != nil) {
				t.Errorf("as no layer: %v", err)
			}
		})
	}
}
