package layout

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// blob is one that is being written, under a name of no blob.
type blob struct {
	f   *os.File
	dir string // blobs/
	n   int64
	sum hash.Hash // sha256
}

func (e *exporter) newBlob() (*blob, error) {
	dir := filepath.Join(e.dir, ispec.ImageBlobsDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".new.")
	if err != nil {
		return nil, err
	}
	return &blob{f: f, dir: dir, sum: sha256.New()}, nil
}

func (b *blob) Write(p []byte) (int, error) {
	n, err := b.f.Write(p)
	b.n += int64(n)
	b.sum.Write(p[:n])
	return n, err
}

func (b *blob) digest() digest.Digest {
	return digest.NewDigestFromEncoded(digest.SHA256, hex.EncodeToString(b.sum.Sum(nil)))
}

// finish gives the blob its name, or removes it if writing it has failed.
func (b *blob) finish(name digest.Digest, err error) error {
	err = cmp.Or(err, b.f.Chmod(0o644))
	err = also(err, b.f.Close())
	dir := filepath.Join(b.dir, name.Algorithm().String())
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.Rename(b.f.Name(), filepath.Join(dir, name.Encoded()))
	}
	if err != nil {
		_ = os.Remove(b.f.Name())
	}
	return err
}

// layer writes a layer as it is stored, or compressed where it isn't and is
// wished to be.
func (e *exporter) layer(ctx context.Context, l *Layer, count *meter) (ispec.Descriptor, error) {
	var d ispec.Descriptor
	r, err := l.Open()
	if err != nil {
		return d, err
	}
	defer r.Close()
	in := bufio.NewReaderSize(&cancelled{ctx, count.reader(r)}, 256<<10)
	head, err := in.Peek(8)
	if err != nil && err != io.EOF {
		return d, err
	}
	kind := compressionOf(head)
	b, err := e.newBlob()
	if err != nil {
		return d, err
	}
	if kind == "" && e.Compress != "" {
		d.MediaType = ispec.MediaTypeImageLayer + "+" + e.Compress
		err = e.compress(b, in, l.DiffID)
		d.Digest = b.digest()
	} else {
		if d.MediaType, err = layerType(l.MediaType, kind); err == nil {
			_, err = io.Copy(b, in)
		}
		d.Digest = b.digest()
		if l.Digest.Hex != "" {
			d.Digest = specDigest(l.Digest) // which reading has verified
		}
	}
	d.Size = b.n
	return d, b.finish(d.Digest, err)
}

// compress writes the compressed content of in, which must have the diff_id.
func (e *exporter) compress(out io.Writer, in io.Reader, want v1.Hash) error {
	h, err := v1.Hasher(want.Algorithm)
	if err != nil {
		return err
	}
	var w io.WriteCloser = gzip.NewWriter(out)
	if e.Compress == "zstd" {
		if w, err = zstd.NewWriter(out); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.MultiWriter(w, h), in); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want.Hex {
		return fmt.Errorf("wrong diff_id: content is %s:%s, config says %s", want.Algorithm, got, want)
	}
	return w.Close()
}

// layerType is OCI's media type of a layer, by what it is compressed with.
func layerType(mediaType, kind string) (string, error) {
	base := ispec.MediaTypeImageLayer
	if strings.Contains(mediaType, "nondistributable") || strings.Contains(mediaType, ".foreign.") {
		base = "application/vnd.oci.image.layer.nondistributable.v1.tar"
	}
	switch kind {
	case "":
		return base, nil
	case "gzip", "zstd":
		return base + "+" + kind, nil
	}
	return "", errors.New("is compressed with " + kind + ", for which OCI has no media type")
}

// cancelled is a reader that ends with its context.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// cancelledWriter is a writer that does, also within a file of any size.
type cancelledWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c *cancelledWriter) Write(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.w.Write(p)
}
