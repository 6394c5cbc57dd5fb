package live

import "sync"

// lateFrames keeps the frames made since the last beat for viewers that join or are behind, so that many of them, as after
// a restart or on a machine that is short of time, cost what one does. What a kept frame misses of the time since it was made
// is in the next one.
type lateFrames struct {
	mu     sync.Mutex // guards both below; held while a frame is made, so that one viewer makes it for the others
	to     uint64
	frames map[uint64]*Frame // by From
}

// get returns the frame from one beat to another, the newest, making it if nobody has.
func (l *lateFrames) get(from, to uint64, since func(from uint64) *Frame) *Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to != to {
		l.to, l.frames = to, map[uint64]*Frame{}
	}
	frame, made := l.frames[from]
	if !made {
		frame = since(from)
		l.frames[from] = frame
	}
	return frame
}
