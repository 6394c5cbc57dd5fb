package stream

import "heartbeat/internal/live"

// EncodeFrame gives tests the data of a frame event.
func EncodeFrame(frame *live.Frame) ([]byte, error) { return encodeFrame(frame) }
