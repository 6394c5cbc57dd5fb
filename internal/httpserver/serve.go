package httpserver

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// shutdownGrace is how long requests under way may go on after the context has ended.
const shutdownGrace = 3 * time.Second

// Serve answers on a listener until the context ends, then gives requests under way a moment. Streams end at once, since
// their context is the given one.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger) error {
	return ServeTLS(ctx, listener, handler, nil, logger)
}

// streamsPerConnection bounds the requests under way on one connection of HTTP/2.
const streamsPerConnection = 32

// ServeTLS is Serve with TLS, unless encryption is nil.
func ServeTLS(ctx context.Context, listener net.Listener, handler http.Handler, encryption *tls.Config, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      90 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ConnContext:       withConnection,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		TLSConfig:         encryption,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: streamsPerConnection},
	}
	ended := make(chan error, 1)
	go func() { // ends with Shutdown or Close below
		if encryption == nil {
			ended <- server.Serve(listener)
		} else {
			ended <- server.ServeTLS(listener, "", "")
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close()
	}
	<-ended
	return nil
}
