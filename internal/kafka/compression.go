package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Compression names how batches are compressed.
type Compression string

// The compressions, from smallest to fastest.
const (
	Zstd   Compression = "zstd"
	LZ4    Compression = "lz4"
	Snappy Compression = "snappy"
	None   Compression = "none"
)

// preference lists the codecs to try in turn: brokers older than the codec get the next best.
func (c Compression) preference() ([]kgo.CompressionCodec, error) {
	switch c {
	case Zstd:
		return []kgo.CompressionCodec{kgo.ZstdCompression(), kgo.Lz4Compression(), kgo.NoCompression()}, nil
	case LZ4:
		return []kgo.CompressionCodec{kgo.Lz4Compression(), kgo.NoCompression()}, nil
	case Snappy:
		return []kgo.CompressionCodec{kgo.SnappyCompression(), kgo.NoCompression()}, nil
	case None:
		return []kgo.CompressionCodec{kgo.NoCompression()}, nil
	default:
		return nil, fmt.Errorf("compression %q: want zstd, lz4, snappy or none", string(c))
	}
}
