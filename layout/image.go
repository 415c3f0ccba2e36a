package layout

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is an opened image: its documents read and verified, its layers not
// yet touched. It has either Layers or Dirs, or, when it is empty, neither.
type Image struct {
	Name      string      // the argument it was opened by
	Form      string      // what it was opened as: a transport's name
	Digest    v1.Hash     // of the manifest; zero where there is none
	MediaType string      // of the manifest
	Platform  v1.Platform // what it was selected as; the descriptor's wins over the config's
	Tag       string      // "" when it has none
	Config    ispec.Image // RawConfig, decoded
	RawConfig []byte      // the config as stored; its digest is ConfigDigest

	ConfigDigest v1.Hash
	Annotations  map[string]string // the manifest's
	Layers       []Layer           // lowest first

	// Dirs are directories that hold the files of an unpacked image, lowest
	// first: absolute, without symlinks. They are somebody else's.
	Dirs []string

	// StorePaths are the closure of Dirs in the Nix store, as it lies recorded
	// beside them; nil = it is not.
	StorePaths []string

	// Bundle is the config.json of a runtime bundle, a JSON object with an
	// ociVersion. An image with a Bundle has no Config, and its root in Dirs.
	Bundle []byte

	nix []nixLayer // what Layers are made of, where they are nix2container's
	// compose makes the layers when they are to be unpacked, where they are not
	// known before.
	compose func(context.Context) ([]Layer, *rootParts, error)
	parts   *rootParts // what compose said goes with them

	rawManifest []byte // as stored; nil = there is none

	layered bool      // Dirs are layers, with whiteouts
	file    io.Closer // the archive that Layers are in; nil = none
}

// Close closes the archive that the image is in, if it is in one: its layers
// can't be opened any more.
func (i *Image) Close() error {
	if i == nil || i.file == nil {
		return nil
	}
	return i.file.Close()
}

// Layer is one layer of an image.
type Layer struct {
	MediaType string
	Digest    v1.Hash // of the blob as stored; zero where a docker archive doesn't say
	DiffID    v1.Hash // of the whole decompressed stream
	Size      int64   // of the blob in bytes

	open func() (io.ReadCloser, error)
}

// Open returns the blob as stored. Its reader fails at the end, instead of
// io.EOF, if size or digest are not the layer's.
func (l *Layer) Open() (io.ReadCloser, error) { return l.open() }

// label names the layer in messages.
func (l *Layer) label() string {
	if l.Digest.Hex == "" {
		return "diff_id " + l.DiffID.String()
	}
	return l.Digest.String()
}

// ChainID is the image-spec's ChainID over the diff_ids: what the layers
// applied in order amount to. It is the zero Hash of an image without layers.
func (i *Image) ChainID() v1.Hash {
	var chain v1.Hash
	for n, layer := range i.Layers {
		if n == 0 {
			chain = layer.DiffID
			continue
		}
		sum := sha256.Sum256([]byte(chain.String() + " " + layer.DiffID.String()))
		chain = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	}
	return chain
}
