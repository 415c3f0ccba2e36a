package layout

import (
	"archive/tar"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// nixTime is the time that every file of a store has, and of an image of it.
var nixTime = time.Unix(1, 0).UTC()

// writeNix writes the layer that the tree stands for: names sorted in each
// directory, absolute, directories without a slash at the end, the header's
// form as plain as it can be. A digest that was pinned years ago depends on
// every one of these.
func writeNix(ctx context.Context, out io.Writer, root *nixNode) error {
	w := tar.NewWriter(&cancelledWriter{ctx, out})
	if err := root.write(ctx, w, ""); err != nil {
		return err
	}
	return w.Close()
}

// write writes all below a directory.
func (n *nixNode) write(ctx context.Context, w *tar.Writer, base string) error {
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		place := path.Join(base, name)
		if name == "" {
			place = "/"
		}
		child := n.children[name]
		if err := child.writeEntry(w, place); err != nil {
			return err
		}
		if err := child.write(ctx, w, place); err != nil {
			return err
		}
	}
	return nil
}

// writeEntry writes the file, directory or symlink itself.
func (n *nixNode) writeEntry(w *tar.Writer, place string) error {
	a := n.attributes()
	hdr := &tar.Header{
		Typeflag: tar.TypeDir, Name: place, Mode: a.mode, Uid: a.uid, Gid: a.gid, Uname: a.uname, Gname: a.gname, ModTime: nixTime,
	}
	var err error
	switch {
	case n.info == nil || n.info.IsDir():
	case n.info.Mode()&fs.ModeSymlink != 0:
		hdr.Typeflag = tar.TypeSymlink
		if hdr.Linkname, err = os.Readlink(n.source); err != nil {
			return err
		}
	case n.info.Mode().IsRegular():
		hdr.Typeflag, hdr.Size = tar.TypeReg, n.info.Size()
	default:
		return fmt.Errorf("%s: is %s, which a store can't hold", n.source, n.info.Mode().Type())
	}
	if err := w.WriteHeader(hdr); err != nil || hdr.Typeflag != tar.TypeReg {
		return err
	}
	if err := writeFileTo(w, n.source, hdr.Size); err != nil {
		return fmt.Errorf("%s: %w", n.source, err)
	}
	return nil
}

// writeFileTo writes size bytes of a regular file.
func writeFileTo(w io.Writer, file string, size int64) error {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(w, f, size); err == io.EOF {
		return errors.New("became shorter while it was read")
	} else if err != nil {
		return err
	}
	return nil
}

// stream is the layer as nix2container writes it when the image is pushed. It
// fails at its end if it is not the one that the JSON names.
func (l *nixLayer) stream(layer Layer) (io.ReadCloser, error) {
	hash, err := v1.Hasher(layer.Digest.Algorithm)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	tree, err := l.tree(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	r, w := io.Pipe()
	go func() {
		n := new(tally)
		err := writeNix(ctx, io.MultiWriter(w, hash, n), tree)
		if got := hex.EncodeToString(hash.Sum(nil)); err == nil && got != layer.Digest.Hex {
			err = &blobError{&hinted{
				fmt.Errorf("wrong digest: its store paths make %s:%s (%d bytes), not %s (%d)", layer.Digest.Algorithm, got, *n, layer.Digest, layer.Size),
				"the paths are not what they were when the image was built: nix-store --verify-path shows which, building the image anew mends it",
			}}
		}
		w.CloseWithError(err)
	}()
	return &stopReader{r, stop}, nil
}

// stopReader ends what writes to its pipe when it is closed.
type stopReader struct {
	*io.PipeReader
	stop context.CancelFunc
}

func (r *stopReader) Close() error {
	r.stop()
	return r.PipeReader.Close()
}

// specDigest is a Hash in image-spec's type.
func specDigest(h v1.Hash) digest.Digest { return digest.Digest(h.String()) }
