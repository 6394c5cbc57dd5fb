package pgwire

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"heartbeat/internal/crashpoint"
)

// Pipeline sends a sequence of statements, including COPY and its rows, in one write and reads all replies afterwards. pgx's own
// COPY adds two round trips, which dominate small batches, and pgx's pipeline mode does not support COPY.
//
// After a failed statement the server skips all later ones up to Sync. A Pipeline belongs to one goroutine.
type Pipeline struct {
	conn       *pgx.Conn
	statements []string    // names, in order
	text       []byte      // encoded messages
	out        net.Buffers // what to send: slices of text, and rows between them
	flushed    int         // length of the part of text that is in out
	cuts       []cut
	err        error // of adding a statement
}

// cut is where a crash point lies: before out[before] is sent.
type cut struct {
	before int
	point  crashpoint.Point
}

// NewPipeline returns an empty pipeline on a session.
func NewPipeline(conn *pgx.Conn) *Pipeline { return &Pipeline{conn: conn} }

// Reset empties the pipeline for use on a session and keeps its memory.
func (p *Pipeline) Reset(conn *pgx.Conn) {
	*p = Pipeline{conn: conn, statements: p.statements[:0], text: p.text[:0], out: p.out[:0], cuts: p.cuts[:0]}
}

const (
	// copyChunk is the size of a CopyData message: the server inserts one while the next arrives.
	copyChunk = 64 << 10
	// minSlice is the size above which rows are sent from their own memory; smaller ones are copied among the messages.
	minSlice = 8 << 10
)

// Execute adds a statement with binary parameters. A session prepares each name on first use.
func (p *Pipeline) Execute(ctx context.Context, name, sql string, parameters ...[]byte) {
	if p.err != nil {
		return
	}
	if _, err := p.conn.Prepare(ctx, name, sql); err != nil {
		p.err = fmt.Errorf("prepare %s: %w", name, err)
		return
	}
	p.statements = append(p.statements, name)
	bind := pgproto3.Bind{PreparedStatement: name, Parameters: parameters}
	if len(parameters) > 0 {
		bind.ParameterFormatCodes = binaryFormat
	}
	p.add(&bind, &pgproto3.Execute{})
}

// Copy adds a COPY FROM STDIN with its rows. The rows must not change until the pipeline has run.
func (p *Pipeline) Copy(ctx context.Context, name, sql string, rows []byte) {
	p.Execute(ctx, name, sql)
	for len(rows) > 0 {
		size := min(len(rows), copyChunk)
		p.text = binary.BigEndian.AppendUint32(append(p.text, 'd'), uint32(size+4))
		if size <= minSlice {
			p.text = append(p.text, rows[:size]...)
		} else {
			p.flush()
			p.out = append(p.out, rows[:size])
		}
		rows = rows[size:]
	}
	p.add(&pgproto3.CopyDone{})
}

// Reach marks a crash point between two statements. It does nothing in a normal build.
func (p *Pipeline) Reach(point crashpoint.Point) {
	if crashpoint.Armed {
		p.flush()
		p.cuts = append(p.cuts, cut{len(p.out), point})
	}
}

func (p *Pipeline) add(messages ...pgproto3.FrontendMessage) {
	for _, message := range messages {
		text, err := message.Encode(p.text)
		if err != nil {
			p.err = err
			return
		}
		p.text = text
	}
}

// flush moves the messages encoded so far to out.
func (p *Pipeline) flush() {
	if len(p.text) > p.flushed {
		p.out = append(p.out, p.text[p.flushed:])
		p.flushed = len(p.text)
	}
}

// Commit adds COMMIT and runs the pipeline. It fails with a *StatementError when nothing was committed, and with a *CommitError
// otherwise. The crash points are reached after everything is sent.
func (p *Pipeline) Commit(ctx context.Context, points ...crashpoint.Point) error {
	p.Execute(ctx, "commit", `COMMIT`)
	p.add(&pgproto3.Sync{})
	for _, point := range points {
		p.Reach(point)
	}
	tag, sent, err := p.roundTrip(ctx)
	if tag == "COMMIT" {
		return nil
	}
	if _, failed := errors.AsType[*StatementError](err); failed {
		return err
	}
	if err == nil {
		err = fmt.Errorf("the server answered %s", tag)
	}
	return &CommitError{err, sent}
}

// Run runs the pipeline without ending the transaction.
func (p *Pipeline) Run(ctx context.Context) error {
	p.add(&pgproto3.Sync{})
	_, _, err := p.roundTrip(ctx)
	return err
}

// roundTrip sends everything and returns the command tag of the last statement that completed. It fails with a *StatementError when a
// statement fails. Any other error leaves the protocol in an unknown state, so it closes the session; sent reports whether
// everything was written to the socket.
func (p *Pipeline) roundTrip(ctx context.Context) (tag string, sent bool, err error) {
	if p.err != nil {
		return "", false, p.err
	}
	session := p.conn.PgConn()
	if session.IsClosed() {
		return "", false, net.ErrClosed
	}
	if err := session.SyncConn(ctx); err != nil {
		return "", false, err
	}
	p.flush()
	unblock := context.AfterFunc(ctx, func() { _ = session.Conn().SetDeadline(time.Unix(1, 0)) })
	if err = p.send(session.Conn()); err == nil {
		sent = true
		tag, err = p.receive(session)
	}
	if !unblock() {
		abandon(session)
		return tag, sent, cmp.Or(err, ctx.Err())
	}
	if _, failed := errors.AsType[*StatementError](err); err != nil && !failed {
		abandon(session)
	}
	return tag, sent, err
}

func (p *Pipeline) send(to net.Conn) error {
	write := func(pieces net.Buffers) error {
		if _, err := pieces.WriteTo(to); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		return nil
	}
	begin := 0
	for _, cut := range p.cuts {
		if err := write(p.out[begin:cut.before]); err != nil {
			return err
		}
		begin = cut.before
		crashpoint.Reach(cut.point)
	}
	return write(p.out[begin:])
}

// receive reads replies up to ReadyForQuery.
func (p *Pipeline) receive(session *pgconn.PgConn) (tag string, err error) {
	var failed error
	for completed := 0; ; {
		message, err := session.ReceiveMessage(context.Background())
		if err != nil {
			return tag, fmt.Errorf("%s: %w", p.name(completed), err)
		}
		switch message := message.(type) {
		case *pgproto3.CommandComplete:
			tag = string(message.CommandTag)
			completed++
		case *pgproto3.ErrorResponse:
			failed = &StatementError{p.name(completed), pgconn.ErrorResponseToPgError(message)}
		case *pgproto3.ReadyForQuery:
			return tag, failed
		}
	}
}

// name returns the name of the statement that follows so many completed ones.
func (p *Pipeline) name(completed int) string {
	if completed < len(p.statements) {
		return p.statements[completed]
	}
	return "sync"
}

// abandonTimeout bounds the attempt to cancel and close a session.
const abandonTimeout = time.Second

// abandon cancels what the server does for a session and closes the session, so that the server releases its locks.
func abandon(session *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), abandonTimeout)
	defer cancel()
	_ = session.CancelRequest(ctx)
	_ = session.Close(ctx)
}
