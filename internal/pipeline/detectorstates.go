package pipeline

import (
	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
)

// statesPerChunk bounds what growing costs: a chunk is never copied.
const statesPerChunk = 4096

// detectorStates are the detector's states of customers. They lie in chunks, because a map would hold each of them, at 152
// bytes, as a heap object of its own.
type detectorStates struct {
	index     map[heartbeat.CustomerID]uint32
	customers []heartbeat.CustomerID // by slot
	chunks    [][]detect.State
	touched   []uint32 // by slot: the latest round that has changed the state
	count     uint32

	round uint32
	undo  []undoState
}

// undoState is a state before the round.
type undoState struct {
	slot  uint32
	state detect.State
}

func newDetectorStates() detectorStates {
	return detectorStates{index: map[heartbeat.CustomerID]uint32{}, round: 1}
}

// slot returns where the state of a customer is, and whether it was added.
func (s *detectorStates) slot(customer heartbeat.CustomerID) (slot uint32, added bool) {
	if slot, ok := s.index[customer]; ok {
		return slot, false
	}
	slot = s.count
	if int(slot/statesPerChunk) == len(s.chunks) {
		s.chunks = append(s.chunks, make([]detect.State, statesPerChunk))
	}
	s.index[customer] = slot
	s.customers = append(s.customers, customer)
	s.touched = append(s.touched, 0)
	s.count++
	return slot, true
}

// truncate takes back the customers added last.
func (s *detectorStates) truncate(count uint32, added []heartbeat.CustomerID) {
	for _, customer := range added {
		*s.at(s.index[customer]) = detect.State{}
		delete(s.index, customer)
	}
	s.touched, s.customers, s.count = s.touched[:count], s.customers[:count], count
}

func (s *detectorStates) at(slot uint32) *detect.State {
	return &s.chunks[slot/statesPerChunk][slot%statesPerChunk]
}

// touch returns a state to change in this round, and remembers it as it was before.
func (s *detectorStates) touch(slot uint32) *detect.State {
	state := s.at(slot)
	if s.touched[slot] != s.round {
		s.touched[slot] = s.round
		s.undo = append(s.undo, undoState{slot, *state})
	}
	return state
}

// keep ends the round with the states as they are.
func (s *detectorStates) keep() {
	s.undo = s.undo[:0]
	s.round++
	if s.round == 0 { // after 2³² rounds
		clear(s.touched)
		s.round = 1
	}
}

// takeBack ends the round with the states as they were before it.
func (s *detectorStates) takeBack() {
	for i := range s.undo {
		*s.at(s.undo[i].slot) = s.undo[i].state
	}
	s.keep()
}
