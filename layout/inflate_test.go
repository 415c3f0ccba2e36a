package layout

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// gzipAt compresses with the standard library at a level.
func gzipAt(tb testing.TB, level int, b []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		tb.Fatal(err)
	}
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func gunzipAll(r io.Reader) ([]byte, error) {
	z, err := newGunzip(r)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func gzipSamples() map[string][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 700<<10)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	few := make([]byte, 300<<10)
	for i := range few {
		few[i] = "abcdefgh"[min(rnd.IntN(40), 7)]
	}
	// Frequencies that fall like Fibonacci's numbers make the longest codes.
	var long []byte
	for i, a, b := 0, 1, 1; i < 22; i, a, b = i+1, b, a+b {
		for range a {
			long = append(long, byte(i*7))
		}
	}
	rnd.Shuffle(len(long), func(i, j int) { long[i], long[j] = long[j], long[i] })
	var words strings.Builder
	for words.Len() < 600<<10 {
		words.WriteString([]string{"the ", "layer ", "of an image", "\n", "0123456789", "zz"}[rnd.IntN(6)])
	}
	return map[string][]byte{
		"empty": nil, "one": {'x'}, "zeros": make([]byte, 1<<20), "noise": noise, "few": few, "long": long,
		"words": []byte(words.String()), "far": append(append([]byte("first"), noise[:32760]...), "first again"...),
		"pairs": bytes.Repeat([]byte("ab"), 200<<10), "sevens": bytes.Repeat([]byte("abcdefg"), 50<<10),
	}
}

func TestGunzip(t *testing.T) {
	for name, want := range gzipSamples() {
		for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, 1, 6, 9} {
			b := gzipAt(t, level, want)
			for kind, r := range map[string]io.Reader{
				"whole": bytes.NewReader(b), "bytes": iotest.OneByteReader(bytes.NewReader(b)),
				"members": io.MultiReader(bytes.NewReader(b), bytes.NewReader(gzipAt(t, 6, nil)), bytes.NewReader(b)),
			} {
				want := want
				if kind == "members" {
					want = append(want[:len(want):len(want)], want...)
				}
				got, err := gunzipAll(r)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s, level %d, %s: %d bytes of %d, %v", name, level, kind, len(got), len(want), err)
				}
			}
		}
	}
}

// TestGunzipCut takes every part of a stream: none of it but the whole is one.
func TestGunzipCut(t *testing.T) {
	for _, level := range []int{gzip.NoCompression, gzip.HuffmanOnly, 6} {
		b := gzipAt(t, level, []byte(strings.Repeat("what is cut short ", 40)+"is not whole"))
		for n := range b {
			if _, err := gunzipAll(bytes.NewReader(b[:n])); err != io.ErrUnexpectedEOF {
				t.Errorf("level %d, %d of %d: got %v", level, n, len(b), err)
			}
		}
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 0x10
			same(t, bad)
		}
		if _, err := gunzipAll(bytes.NewReader(append(b, "junk"...))); err == nil {
			t.Error("junk was taken")
		}
	}
}

// same holds the decoder to the standard library's: both refuse, or both
// accept and agree.
func same(t *testing.T, b []byte) {
	t.Helper()
	const most = 8 << 20
	got, err := []byte(nil), error(nil)
	if z, zerr := newGunzip(bytes.NewReader(b)); zerr != nil {
		err = zerr
	} else {
		got, err = io.ReadAll(io.LimitReader(z, most))
	}
	var want []byte
	z, werr := gzip.NewReader(bytes.NewReader(b))
	if werr == nil {
		want, werr = io.ReadAll(io.LimitReader(z, most))
	}
	if (err == nil) != (werr == nil) {
		t.Fatalf("got %v, the standard library %v", err, werr)
	}
	if err == nil && !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, which differ from the standard library's %d", len(got), len(want))
	}
}

func FuzzGunzip(f *testing.F) {
	for _, b := range gzipSamples() {
		b = b[:min(len(b), 2000)]
		for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, 1, 9} {
			f.Add(gzipAt(f, level, b))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		same(t, b)
		// As DEFLATE, past the header and its checksum.
		same(t, append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}, b...))
	})
}

// BenchmarkGunzip decompresses what LAYOUT_BENCH_GZIP names, or a sample.
func BenchmarkGunzip(b *testing.B) {
	data := gzipAt(b, 6, gzipSamples()["words"])
	if path := os.Getenv("LAYOUT_BENCH_GZIP"); path != "" {
		var err error
		if data, err = os.ReadFile(filepath.Clean(path)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		z, err := newGunzip(bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, z)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(n)
	}
}
