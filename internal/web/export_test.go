package web

import (
	"fmt"

	"heartbeat/internal/live"
)

// Routes lists the operations for comparison with the description.
func (s *Server) Routes() []string {
	var all []string
	for _, route := range s.routes() {
		all = append(all, fmt.Sprintf("%s %s open=%v", route.method, route.path, route.open))
	}
	return all
}

// Codes lists the codes of problems for comparison with the description.
func Codes() []string {
	var all []string
	for _, c := range []code{
		badRequest, unauthorized, wrongToken, forbidden, hostNotAllowed, notFound, notAllowed, tooLarge, tooMany, tooManyViewers,
		unsupported, unavailable, slow, notOffered,
	} {
		all = append(all, string(c))
	}
	return all
}

// EncodeFrame gives tests the data of a frame event.
func EncodeFrame(frame *live.Frame) ([]byte, error) { return encodeFrame(frame) }
