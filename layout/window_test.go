package layout

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// windowed is b in a frame that asks for a window of size bytes, a power of two.
func windowed(tb testing.TB, b []byte, size uint64) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithSingleSegment(false))
	if err != nil {
		tb.Fatal(err)
	}
	half := len(b) / 2
	for _, part := range [][]byte{b[:half], b[half:]} {
		if _, err := w.Write(part); err != nil {
			tb.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	frame := out.Bytes()
	var h zstd.Header
	if err := h.Decode(frame); err != nil || h.WindowSize != 1<<20 {
		tb.Fatalf("window is %d (%v), want 1 MiB", h.WindowSize, err)
	}
	for at := uint64(1 << 20); at < size; at *= 2 {
		frame[5] += 1 << 3 // the exponent (RFC 8878, 3.1.1.1.2)
	}
	if err := h.Decode(frame); err != nil || h.WindowSize != size {
		tb.Fatalf("window is %d (%v), want %d", h.WindowSize, err, size)
	}
	return frame
}

// TestWindows unpacks layers of several windows, read ahead of their turn or not,
// beside each other and in one layer.
func TestWindows(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		windows [][]uint64 // of each layer's frames, in MiB
		err     string
	}{
		"small":               {windows: [][]uint64{{8}, {8}, {8}, {8}, {8}}},
		"large":               {windows: [][]uint64{{64}, {64}, {128}, {32}, {64}}},
		"large after small":   {windows: [][]uint64{{8}, {1, 8, 64, 1}, {1, 32}}},
		"small after large":   {windows: [][]uint64{{64, 8}, {8, 64}}},
		"too large":           {windows: [][]uint64{{256}}, err: "zstd: window size exceeded: a frame may ask for 128 MiB"},
		"too large afterward": {windows: [][]uint64{{1}, {64, 256}}, err: "zstd: window size exceeded: a frame may ask for 128 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			var layers []stored
			var want []string
			for i, windows := range test.windows {
				f := "file" + strconv.Itoa(i)
				plain := archive(t, file(f, string(bytes.Repeat([]byte(f), 100_000))))
				want = append(want, f)
				var blob []byte
				for j, window := range windows {
					part := plain[len(plain)*j/len(windows) : len(plain)*(j+1)/len(windows)]
					blob = append(blob, windowed(t, part, window*mib)...)
				}
				layers = append(layers, stored{ociLayer + "+zstd", blob, plain})
			}
			root := filepath.Join(tempDir(t), "root")
			err := Unpack(t.Context(), imageOf(t, layers...), root, UnpackOptions{})
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range want {
				content := string(bytes.Repeat([]byte(f), 100_000))
				if got, err := os.ReadFile(filepath.Join(root, f)); string(got) != content {
					t.Errorf("layer %d: %d bytes (%v), want %d", i, len(got), err, len(content))
				}
			}
		})
	}
}

// TestWindowsMemory holds the memory of layers with the largest windows to one
// window, however many they are.
func TestWindowsMemory(t *testing.T) {
	var layers []stored
	for i := range 5 {
		plain := archive(t, file("file"+strconv.Itoa(i), "text"))
		layers = append(layers, stored{ociLayer + "+zstd", windowed(t, plain, maxWindow), plain})
	}
	img := imageOf(t, layers...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := Unpack(t.Context(), img, filepath.Join(tempDir(t), "root"), UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > maxWindow*3/2 {
		t.Errorf("allocated %d MiB for windows of %d MiB", got>>20, maxWindow>>20)
	}
}

// FuzzBlob reads a blob as layers that are read ahead of their turn: the plain
// content is what the decompressors give at once, or both fail.
func FuzzBlob(f *testing.F) {
	plain := bytes.Repeat([]byte("text and more of it\n"), 200)
	half := len(plain) / 2
	for _, blob := range [][]byte{
		plain[:600], gzipped(plain), zstded(plain), windowed(f, plain, 32<<20), windowed(f, plain, 256<<20),
		append(gzipped(plain[:half]), gzipped(plain[half:])...), append(zstded(plain[:half]), windowed(f, plain[half:], 64<<20)...),
		append([]byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'h', 'i'}, windowed(f, plain, 32<<20)...),
	} {
		f.Add(blob)
	}
	const most = 1 << 20
	f.Fuzz(func(t *testing.T, blob []byte) {
		read := func(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, most)) }
		var want []byte
		z, err := decompress(bytes.NewReader(blob), new(windows).zstd)
		if err == nil {
			want, err = read(z)
			z.Close()
		}
		whole := len(want) < most // or else the rest is not looked at
		layer := stored{ociLayer, blob, want}
		img := imageOf(t, layer, layer, layer)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		streams := newAhead(ctx, img.Layers, Limits{}.withDefaults(), newMeter(nil, Unpacking, img.Layers, 1), -1)
		defer streams.close()
		for range img.Layers {
			s, serr := streams.stream()
			if serr != nil {
				t.Fatal(serr)
			}
			got, serr := read(s)
			if serr == nil && whole {
				serr = s.verify()
			}
			s.close()
			if (err == nil) != (serr == nil) || err == nil && !bytes.Equal(got, want) {
				t.Fatalf("got %d bytes and %v, want %d and %v", len(got), serr, len(want), err)
			}
		}
	})
}
