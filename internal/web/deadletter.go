package web

import (
	"net/http"
	"strconv"
	"time"

	"heartbeat/internal/auth"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/httpserver"
	"heartbeat/internal/readmodel"
	"heartbeat/internal/users"
)

type lettersBody struct {
	Reasons []readmodel.ReasonCount `json:"reasons"`
	Letters []readmodel.DeadLetter  `json:"dead_letters"`
	Next    *int64                  `json:"next"` // what to ask for with before=, null on the last page
}

func (s *Server) deadLetters(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	query := readmodel.DeadLetterQuery{
		Before: q.ID("before"), Reason: q.OneOf("reason", reasonNames()...),
		Pending: q.OneOf("pending", "1", "0") == "1", Limit: q.Limit(50, 500),
	}
	if q.Err != nil {
		return q.Err
	}
	reasons, err := s.options.Store.Reasons(r.Context())
	if err != nil {
		return err
	}
	letters, err := s.options.Store.DeadLetters(r.Context(), query)
	if err != nil {
		return err
	}
	body := lettersBody{Reasons: reasons, Letters: letters}
	if len(letters) == query.Limit {
		body.Next = &letters[len(letters)-1].ID
	}
	return httpserver.WriteJSON(w, body)
}

func (s *Server) deadLetter(w http.ResponseWriter, r *http.Request) error {
	id, err := letterIn(r)
	if err != nil {
		return err
	}
	letter, err := s.options.Store.DeadLetter(r.Context(), id)
	if err != nil {
		return err
	}
	if letter.Customer != nil {
		if err := auth.AuditRead(r, *letter.Customer); err != nil {
			return err
		}
	}
	return httpserver.WriteJSON(w, letter)
}

// replay tries to store a dead letter again. Asking twice does no more than asking once.
func (s *Server) replay(w http.ResponseWriter, r *http.Request) error {
	id, err := letterIn(r)
	if err != nil {
		return err
	}
	if s.options.Replayer == nil {
		return httpserver.NewProblem(httpserver.NotOffered, "this console cannot replay: use `heartbeat deadletter replay %d`", id)
	}
	began := time.Now()
	outcome, err := s.options.Replayer.Replay(r.Context(), id)
	if err != nil {
		return err
	}
	s.log.Info("dead letter replayed", "id", id, "actor", users.ActorOf(r.Context()).Name, "outcome", outcome.Outcome, "took", time.Since(began))
	return httpserver.WriteJSON(w, outcome)
}

func letterIn(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, httpserver.NewProblem(httpserver.BadRequest, "%.40q is not a dead letter's number", r.PathValue("id"))
	}
	return id, nil
}

func reasonNames() []string {
	return []string{
		string(heartbeat.Empty), string(heartbeat.TooLarge), string(heartbeat.BadUTF8), string(heartbeat.NotJSON),
		string(heartbeat.NotObject), string(heartbeat.DuplicateField), string(heartbeat.MissingField),
		string(heartbeat.WrongType), string(heartbeat.BadCustomerID), string(heartbeat.BadTimestamp),
		string(heartbeat.TimestampRange), string(heartbeat.RejectedByDatabase),
	}
}
