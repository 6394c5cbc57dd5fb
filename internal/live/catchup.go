package live

import "sync"

// catchUpFrames caches the frames made since the last tick for viewers that join or are behind, so that many of them, as
// after a restart, cost one build. The next frame carries whatever a cached frame misses.
type catchUpFrames struct {
	mu     sync.Mutex // guards both below; held while a frame is made, so that one viewer makes it for the others
	to     uint64
	frames map[uint64]*Frame // by From
}

// get returns the frame from one frame to the newest, and makes it if no viewer has asked for it yet.
func (f *catchUpFrames) get(from, to uint64, since func(from uint64) *Frame) *Frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.to != to {
		f.to, f.frames = to, map[uint64]*Frame{}
	}
	frame, made := f.frames[from]
	if !made {
		frame = since(from)
		f.frames[from] = frame
	}
	return frame
}
