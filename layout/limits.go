package layout

import "cmp"

// Limits bound what foreign input may cost. A zero field means its default.
type Limits struct {
	// Entries is the number of tar entries of all layers together
	// (default 10 million).
	Entries int64

	// JSON is the size in bytes of one document: index, manifest or config
	// (default 4 MiB).
	JSON int64

	// Documents is the number of documents read to open an image
	// (default 1000).
	Documents int64

	// Members is the number of members of an image archive, of directories of
	// an unpacked image, or of descriptors in its indexes (default 100,000).
	Members int64

	// Depth is how deep indexes may nest (default 8).
	Depth int64

	// Ratio is how many times its blob's size a layer may unpack to, checked
	// above 1 GiB (default 200).
	Ratio int64

	// Size is the size in bytes that all layers together may unpack to, as
	// archives, or a compressed archive of an image (default 256 GiB).
	Size int64

	// Sparse is the size in bytes that all sparse files together may claim,
	// holes included: a few bytes of an archive can claim any size, and
	// reading a hole takes time (default 64 GiB).
	Sparse int64
}

// ratioFloor is the unpacked size up to which Limits.Ratio is not checked.
const ratioFloor = 1 << 30

func (l Limits) withDefaults() Limits {
	return Limits{
		Entries:   cmp.Or(l.Entries, 10_000_000),
		JSON:      cmp.Or(l.JSON, 4<<20),
		Documents: cmp.Or(l.Documents, 1000),
		Members:   cmp.Or(l.Members, 100_000),
		Depth:     cmp.Or(l.Depth, 8),
		Ratio:     cmp.Or(l.Ratio, 200),
		Size:      cmp.Or(l.Size, 256<<30),
		Sparse:    cmp.Or(l.Sparse, 64<<30),
	}
}
