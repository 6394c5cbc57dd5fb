package producer

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Compression names how batches are compressed.
type Compression string

// The compressions. Gzip is the only one that clients of every language read without a further package.
const (
	Gzip   Compression = "gzip"
	Zstd   Compression = "zstd"
	LZ4    Compression = "lz4"
	Snappy Compression = "snappy"
	None   Compression = "none"
)

// gzipLevel is the fastest. Events compress well at any level, and a producer must not become the bottleneck.
const gzipLevel = 1

// preference lists the codecs to try in turn: brokers older than the codec get the next best.
func (c Compression) preference() ([]kgo.CompressionCodec, error) {
	switch c {
	case Gzip:
		return []kgo.CompressionCodec{kgo.GzipCompression().WithLevel(gzipLevel)}, nil
	case Zstd:
		return []kgo.CompressionCodec{kgo.ZstdCompression(), kgo.Lz4Compression(), kgo.NoCompression()}, nil
	case LZ4:
		return []kgo.CompressionCodec{kgo.Lz4Compression(), kgo.NoCompression()}, nil
	case Snappy:
		return []kgo.CompressionCodec{kgo.SnappyCompression(), kgo.NoCompression()}, nil
	case None:
		return []kgo.CompressionCodec{kgo.NoCompression()}, nil
	default:
		return nil, fmt.Errorf("compression %q: want gzip, zstd, lz4, snappy or none", string(c))
	}
}
