package layout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"
)

// Memory that a zstd frame may ask for, its window (RFC 8878, 3.1.1.1.2).
const (
	// maxWindow is what "zstd --ultra --long" makes and its decoder takes without
	// being told.
	maxWindow = 128 << 20

	// aheadWindow is what a layer has before its turn. Builders of images ask for
	// 8 MiB.
	aheadWindow = 16 << 20
)

// windows lends the one decoder of large windows, so that there are never two of
// them, one of them garbage.
type windows struct{ z *zstd.Decoder }

// zstd decodes r with windows of any size that is allowed, until it is closed.
func (w *windows) zstd(r io.Reader) (io.ReadCloser, error) {
	if w.z == nil {
		z, err := newZstd(maxWindow)
		if err != nil {
			return nil, err
		}
		w.z = z
	}
	if err := w.z.Reset(r); err != nil {
		return nil, err
	}
	return lent{w.z}, nil
}

// lent is a decoder that is used again.
type lent struct{ *zstd.Decoder }

func (l lent) Read(p []byte) (int, error) {
	n, err := l.Decoder.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = fmt.Errorf("%w: a frame may ask for %d MiB", err, maxWindow>>20)
	}
	return n, err
}

func (l lent) Close() error { return l.Reset(nil) }

// aheadZstd decodes r if its windows are small.
func aheadZstd(r io.Reader) (io.ReadCloser, error) {
	z, err := newZstd(aheadWindow)
	if err != nil {
		return nil, err
	}
	if err := z.Reset(r); err != nil {
		return nil, err
	}
	return z.IOReadCloser(), nil
}

func newZstd(window uint64) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderMaxMemory(math.MaxInt64))
}

// decompressor is the plain content of a layer's blob; it reads nothing before it
// is read. Where the blob wants a large window, it waits for the layer's turn and
// begins again with one.
type decompressor struct {
	ctx     context.Context
	blob    *stage
	again   func() (io.ReadCloser, error) // opens the blob once more
	turn    <-chan struct{}               // closed when it has come
	windows *windows

	taken  int64 // bytes of blob
	n      int64 // bytes of plain
	plain  io.ReadCloser
	second io.ReadCloser // the blob once more
}

func (d *decompressor) Read(p []byte) (n int, err error) {
	if d.plain == nil {
		if d.plain, err = decompress(taker{d}, aheadZstd); err != nil {
			return 0, err
		}
	}
	n, err = d.plain.Read(p)
	d.n += int64(n)
	if d.second != nil || !errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return n, err
	}
	if n > 0 {
		return n, nil // the error stays
	}
	if err := d.enlarge(); err != nil {
		return 0, err
	}
	return d.plain.Read(p)
}

// enlarge waits for the layer's turn and decompresses what was read once more, with
// large windows.
func (d *decompressor) enlarge() (err error) {
	select {
	case <-d.turn:
	case <-d.blob.done:
		return context.Canceled
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	}
	if d.second, err = d.again(); err != nil {
		return err
	}
	_ = d.plain.Close()
	whole := io.MultiReader(io.LimitReader(d.second, d.taken), d.blob)
	if d.plain, err = decompress(whole, d.windows.zstd); err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, d.plain, d.n)
	return err
}

func (d *decompressor) Close() error {
	for _, c := range []io.Closer{d.plain, d.second} {
		if c != nil {
			_ = c.Close()
		}
	}
	return nil
}

// taker reads the blob and counts.
type taker struct{ *decompressor }

func (t taker) Read(p []byte) (int, error) {
	n, err := t.blob.Read(p)
	t.taken += int64(n)
	return n, err
}
