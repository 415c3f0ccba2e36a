package layout

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A layer is read by a chain of stages, each a goroutine: blob and its digest,
// decompression, the diff_id; whoever applies the entries is the last. What
// may be under way between two of them is chunkCount chunks, and before the last
// what a spill keeps besides.
const (
	chunkSize  = 256 << 10
	chunkCount = 6
	aheadCount = 16 // before the last stage, so that a layer can be read ahead of its turn
)

// stream is the decompressed content of a layer, verified at its end.
type stream struct {
	layer  *Layer
	pool   *chunkPool
	turn   chan struct{} // closed when the layer is the one that is applied
	stages []*stage
	last   *stage
	closer []io.Closer
}

// open starts reading a layer. Its stages end with ctx, or by close.
// What it reads ahead and has no memory for is kept in the directory dirFD.
func (a *ahead) open(layer *Layer) (*stream, error) {
	diff, err := v1.Hasher(layer.DiffID.Algorithm)
	if err != nil {
		return nil, err
	}
	blob, err := layer.Open()
	if err != nil {
		return nil, err
	}
	s := &stream{layer: layer, pool: a.pool, turn: make(chan struct{}), closer: []io.Closer{blob}}
	compressed := s.add(a.ctx, a.count.reader(blob), nil, chunkCount, nil)
	plain := &decompressor{ctx: a.ctx, blob: compressed, again: layer.Open, turn: s.turn, windows: &a.windows}
	s.closer = append(s.closer, plain)
	bounded := &boundedReader{r: plain, max: mostFor(layer.Size, a.limits.Ratio), all: &a.count.plain, limits: a.limits}
	s.add(a.ctx, bounded, nil, chunkCount, nil)
	s.add(a.ctx, s.last, diff, aheadCount, newSpill(a.dirFD))
	return s, nil
}

// add starts a stage that reads r up to chunks ahead, and returns it.
func (s *stream) add(ctx context.Context, r io.Reader, h hash.Hash, chunks int, spill *spill) *stage {
	st := newStage(ctx, r, h, s.pool, chunks, spill)
	s.stages = append(s.stages, st)
	s.last = st
	return st
}

func (s *stream) Read(p []byte) (int, error) { return s.last.Read(p) }

// verify reads to the end and checks size, digest and diff_id.
func (s *stream) verify() error {
	if _, err := io.Copy(io.Discard, s.last); err != nil {
		return s.cause(err)
	}
	// A decompressor may stop before the end of what it reads.
	switch n, err := io.Copy(io.Discard, s.stages[0]); {
	case err != nil:
		return err
	case n > 0:
		return fmt.Errorf("%d bytes of junk after the compressed stream", n)
	}
	if got := hex.EncodeToString(s.last.hash.Sum(nil)); got != s.layer.DiffID.Hex {
		return fmt.Errorf("wrong diff_id: content is %s:%s, config says %s", s.layer.DiffID.Algorithm, got, s.layer.DiffID)
	}
	return nil
}

// cause finds what is behind err, with which reading has ended: a blob that
// has another digest than it should explains what is wrong inside it.
func (s *stream) cause(err error) error {
	var blob *blobError
	var spill *spillError
	if s.last.ctx.Err() != nil || errors.As(err, &blob) || errors.As(err, &spill) {
		return err
	}
	for _, st := range s.stages[1:] {
		st.wg.Wait() // ended by err, or soon to be
	}
	if _, blobErr := io.Copy(io.Discard, s.stages[0]); blobErr != nil {
		return blobErr
	}
	return err
}

// close ends the stages and waits for them. What closing a file that was read
// has to say is of no use.
func (s *stream) close() {
	for _, st := range s.stages {
		st.stop()
	}
	for _, st := range s.stages {
		st.wg.Wait()
	}
	// Only now: a stage reads the one before it.
	for _, st := range s.stages {
		st.release()
	}
	for _, c := range s.closer {
		_ = c.Close()
	}
}

// mostFor is what a blob of size bytes may unpack to.
func mostFor(size, ratio int64) int64 {
	if ratio > 0 && size > math.MaxInt64/ratio {
		return math.MaxInt64
	}
	return max(ratioFloor, size*ratio)
}

// boundedReader refuses a stream that grows out of proportion to its blob, or
// beyond what all layers may have.
type boundedReader struct {
	r      io.Reader
	n, max int64
	all    *atomic.Int64 // of all layers so far
	limits Limits
}

func (r *boundedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if r.n += int64(n); r.n > r.max {
		return 0, &LimitError{"Ratio", fmt.Sprintf("unpacks to more than %d bytes, out of proportion to its blob", r.max), r.limits.Ratio}
	}
	if r.all.Add(int64(n)) > r.limits.Size {
		return 0, &LimitError{"Size", "layers unpack to too many bytes", r.limits.Size}
	}
	return n, err
}
