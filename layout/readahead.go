package layout

import (
	"context"
	"hash"
	"io"
	"sync"
	"sync/atomic"
)

// stage reads ahead of its reader in a goroutine of its own.
type stage struct {
	pool   *chunkPool
	hash   hash.Hash   // over all that was read; valid after io.EOF; may be nil
	spill  *spill      // may be nil
	turn   atomic.Bool // its reader has begun: nothing more is spilled
	full   chan chunk
	free   chan []byte
	done   chan struct{}
	once   sync.Once
	wg     sync.WaitGroup
	ctx    context.Context
	out    []byte // on its way into the spill
	in     []byte // out of it
	buf    []byte // the chunk being read
	unread []byte
	err    error // after unread
}

// chunk is a part of a stream, in memory or in a spill.
type chunk struct {
	b   []byte // nil: in the spill
	at  int64
	n   int
	err error // after it
}

func newStage(ctx context.Context, r io.Reader, h hash.Hash, pool *chunkPool, chunks int, spill *spill) *stage {
	most := chunks
	if spill != nil {
		most += int(spill.most / chunkSize)
	}
	s := &stage{
		pool:  pool,
		hash:  h,
		spill: spill,
		full:  make(chan chunk, most),
		free:  make(chan []byte, chunks),
		done:  make(chan struct{}),
		ctx:   ctx,
	}
	for range chunks {
		s.free <- nil
	}
	s.wg.Go(func() { s.run(r) })
	return s
}

func (s *stage) run(r io.Reader) {
	for {
		b, spills := s.buffer()
		if b == nil {
			return
		}
		n, err := fill(r, b)
		if s.hash != nil {
			s.hash.Write(b[:n])
		}
		c := chunk{b: b[:n], err: err}
		if spills && !s.spillChunk(&c) {
			return
		}
		select {
		case s.full <- c:
		case <-s.done:
			return
		case <-s.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// buffer returns what to read into: a free buffer, or one whose content is
// to be spilled, or nil at the end of the stage.
func (s *stage) buffer() (b []byte, spills bool) {
	select {
	case b = <-s.free:
		return s.allocated(b), false
	default:
	}
	if s.spill == nil || s.turn.Load() || !s.spill.room() {
		b, ok := s.wait()
		if !ok {
			return nil, false
		}
		return s.allocated(b), false
	}
	s.out = s.allocated(s.out)
	return s.out, true
}

// wait waits for a free buffer, which is nil where it was never used; false
// at the end of the stage.
func (s *stage) wait() (b []byte, ok bool) {
	select {
	case b = <-s.free:
		return b, true
	case <-s.done:
		return nil, false
	case <-s.ctx.Done():
		return nil, false
	}
}

func (s *stage) allocated(b []byte) []byte {
	if b == nil {
		return s.pool.get()
	}
	return b[:cap(b)]
}

// spillChunk moves a chunk into the spill, or else waits for a place in memory;
// false at the end of the stage.
func (s *stage) spillChunk(c *chunk) bool {
	if at, ok := s.spill.write(c.b); ok {
		*c = chunk{at: at, n: len(c.b), err: c.err}
		return true
	}
	free, ok := s.wait()
	if ok {
		s.out = free
	}
	return ok
}

// fill reads until b is full or an error, io.EOF included, ends it.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

func (s *stage) Read(p []byte) (int, error) {
	s.turn.Store(true)
	for len(s.unread) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		if s.buf != nil {
			s.free <- s.buf
			s.buf = nil
		}
		select {
		case c := <-s.full:
			s.take(c)
		case <-s.done:
			return 0, context.Canceled
		case <-s.ctx.Done():
			return 0, context.Cause(s.ctx)
		}
	}
	n := copy(p, s.unread)
	s.unread = s.unread[n:]
	return n, nil
}

// take makes a chunk the one that is read.
func (s *stage) take(c chunk) {
	s.buf, s.unread, s.err = c.b, c.b, c.err
	if c.n == 0 {
		return
	}
	s.in = s.allocated(s.in)
	s.unread = s.in[:c.n]
	if err := s.spill.read(s.unread, c.at); err != nil {
		s.unread, s.err = nil, err
	}
}

func (s *stage) stop() { s.once.Do(func() { close(s.done) }) }

// release gives back the buffers of a stage that has ended.
func (s *stage) release() {
	if s.spill != nil {
		s.spill.close()
	}
	for _, b := range [][]byte{s.buf, s.out, s.in} {
		s.give(b)
	}
	s.buf, s.out, s.in, s.unread = nil, nil, nil, nil
	for {
		select {
		case c := <-s.full:
			s.give(c.b)
		case b := <-s.free:
			s.give(b)
		default:
			return
		}
	}
}

func (s *stage) give(b []byte) {
	if b != nil {
		s.pool.put(b[:chunkSize])
	}
}
