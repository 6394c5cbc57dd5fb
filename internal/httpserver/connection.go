package httpserver

import (
	"context"
	"net"
)

// streamBuffer bounds what the kernel holds for a viewer that reads slowly: frames that wait there are old when they are
// read. Other responses keep the default buffer, without which a large one waits for acknowledgements.
const streamBuffer = 32 << 10

type connectionKey struct{}

// withConnection lets a stream find the connection that it is written to.
func withConnection(ctx context.Context, connection net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, connection)
}

// ShortenWriteBuffer shortens the kernel's send buffer of a request's connection. Where that fails, a stalled client is
// only dropped later.
func ShortenWriteBuffer(ctx context.Context) {
	if connection, ok := ctx.Value(connectionKey{}).(*net.TCPConn); ok {
		_ = connection.SetWriteBuffer(streamBuffer)
	}
}
