package web

import (
	"net/http"

	"heartbeat/internal/auth"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/users"
)

const minToken = 12

type sessionBody struct {
	auth.State
	Version string `json:"version"`
}

func (s *Server) writeState(w http.ResponseWriter, state auth.State, err error) error {
	if err != nil {
		return err
	}
	return httpserver.WriteJSON(w, sessionBody{State: state, Version: s.options.Version})
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) error {
	state, err := s.auth.State(r)
	return s.writeState(w, state, err)
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	state, err := s.auth.SignIn(w, r)
	return s.writeState(w, state, err)
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	state, err := s.auth.SignOut(w, r)
	return s.writeState(w, state, err)
}

func (s *Server) me(w http.ResponseWriter, r *http.Request) error {
	return httpserver.WriteJSON(w, s.auth.Me(r))
}

// actorName names who sent a request, as the history of alarms and limits keeps it.
func actorName(r *http.Request) string { return users.ActorOf(r.Context()).Name }
