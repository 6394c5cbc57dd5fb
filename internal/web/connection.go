package web

import (
	"context"
	"net"
)

// streamBuffer bounds what the kernel holds for a viewer that reads slowly: frames that wait there are frames that are
// old when they are read. Other answers keep the usual buffer, without which a large one waits for acknowledgements.
const streamBuffer = 32 << 10

type connectionKey struct{}

// withConnection lets a stream find the connection that it is written to.
func withConnection(ctx context.Context, connection net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, connection)
}

// keepShort shortens the queue of a request's connection. It is a hint; without it a stalled viewer is merely dropped later.
func keepShort(ctx context.Context) {
	if connection, ok := ctx.Value(connectionKey{}).(*net.TCPConn); ok {
		_ = connection.SetWriteBuffer(streamBuffer)
	}
}
