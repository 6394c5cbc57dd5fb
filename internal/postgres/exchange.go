package postgres

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

// exchange is a number of statements that go to the server in one piece, COPY and its rows among them, and are answered in
// one piece. The driver waits for the server's word before the rows of each COPY and again behind them, and each wait costs
// both sides a turn at the processor: where there are few rows, far more than the rows do.
//
// After a statement that fails, the server skips everything that follows.
type exchange struct {
	conn    *pgx.Conn
	steps   []string    // names of the statements, in order
	text    []byte      // messages
	out     net.Buffers // pieces of it, and rows between them
	flushed int         // how much of text is in out
	cuts    []cut
	err     error // of adding a statement
}

// cut is where a test may kill the process: before what follows is sent.
type cut struct {
	before int // index of out
	point  crashpoint.Point
}

// refusal is the server's error about one statement. The transaction is not committed, and the session as good as before.
type refusal struct {
	step string
	err  *pgconn.PgError
}

func (r *refusal) Error() string { return r.step + ": " + r.err.Error() }

func (r *refusal) Unwrap() error { return r.err }

func newExchange(conn *pgx.Conn) *exchange { return &exchange{conn: conn} }

// reset makes an exchange ready for a session, with the memory it has.
func (x *exchange) reset(conn *pgx.Conn) {
	*x = exchange{conn: conn, steps: x.steps[:0], text: x.text[:0], out: x.out[:0], cuts: x.cuts[:0]}
}

// copyChunk is how many bytes of rows go into one message, so that the server reads and writes in turns.
const copyChunk = 64 << 10

// fewBytes of rows are copied among the messages: a piece of their own would cost more.
const fewBytes = 8 << 10

// execute adds a statement, with parameters in binary. A session prepares it when it first meets its name.
func (x *exchange) execute(ctx context.Context, name, sql string, parameters ...[]byte) {
	if x.err != nil {
		return
	}
	if _, err := x.conn.Prepare(ctx, name, sql); err != nil {
		x.err = fmt.Errorf("prepare %s: %w", name, err)
		return
	}
	x.steps = append(x.steps, name)
	bind := pgproto3.Bind{PreparedStatement: name, Parameters: parameters}
	if len(parameters) > 0 {
		bind.ParameterFormatCodes = binaryFormat
	}
	x.add(&bind, &pgproto3.Execute{})
}

// copy adds a COPY with its rows, which must stay as they are until the exchange is over.
func (x *exchange) copy(ctx context.Context, name, sql string, rows []byte) {
	x.execute(ctx, name, sql)
	for len(rows) > 0 {
		size := min(len(rows), copyChunk)
		x.text = binary.BigEndian.AppendUint32(append(x.text, 'd'), uint32(size+4))
		if size <= fewBytes {
			x.text = append(x.text, rows[:size]...)
		} else {
			x.flush()
			x.out = append(x.out, rows[:size])
		}
		rows = rows[size:]
	}
	x.add(&pgproto3.CopyDone{})
}

// reach marks where a crash point lies. In a normal build that is nowhere.
func (x *exchange) reach(point crashpoint.Point) {
	if crashpoint.Armed {
		x.flush()
		x.cuts = append(x.cuts, cut{len(x.out), point})
	}
}

func (x *exchange) add(messages ...pgproto3.FrontendMessage) {
	for _, message := range messages {
		text, err := message.Encode(x.text)
		if err != nil {
			x.err = err
			return
		}
		x.text = text
	}
}

// flush ends a piece of messages.
func (x *exchange) flush() {
	if len(x.text) > x.flushed {
		x.out = append(x.out, x.text[x.flushed:])
		x.flushed = len(x.text)
	}
}

// commit adds COMMIT and runs the exchange. Its error is a *refusal, after which nothing is committed, or a *commitError. The
// points are reached when everything is sent.
func (x *exchange) commit(ctx context.Context, points ...crashpoint.Point) error {
	x.execute(ctx, "commit", `COMMIT`)
	x.add(&pgproto3.Sync{})
	for _, point := range points {
		x.reach(point)
	}
	last, sent, err := x.converse(ctx)
	if last == "COMMIT" {
		return nil
	}
	if _, refused := errors.AsType[*refusal](err); refused {
		return err
	}
	if err == nil {
		err = fmt.Errorf("the server answered %s", last)
	}
	return &commitError{err, sent}
}

// run ends the exchange where it is and has it answered, without a word on the transaction.
func (x *exchange) run(ctx context.Context) error {
	x.add(&pgproto3.Sync{})
	_, _, err := x.converse(ctx)
	return err
}

// converse sends everything and returns the tag of the last statement that was completed. Its error is a *refusal when a
// statement fails. After any other it gives the session up, for nobody knows what the server will say next; sent then tells
// whether everything was on its way.
func (x *exchange) converse(ctx context.Context) (last string, sent bool, err error) {
	if x.err != nil {
		return "", false, x.err
	}
	session := x.conn.PgConn()
	if session.IsClosed() {
		return "", false, net.ErrClosed
	}
	if err := session.SyncConn(ctx); err != nil {
		return "", false, err
	}
	x.flush()
	unblock := context.AfterFunc(ctx, func() { _ = session.Conn().SetDeadline(time.Unix(1, 0)) })
	if err = x.send(session.Conn()); err == nil {
		sent = true
		last, err = x.answers(session)
	}
	if !unblock() {
		abandon(session)
		return last, sent, cmp.Or(err, ctx.Err())
	}
	if _, refused := errors.AsType[*refusal](err); err != nil && !refused {
		abandon(session)
	}
	return last, sent, err
}

func (x *exchange) send(to net.Conn) error {
	write := func(pieces net.Buffers) error {
		if _, err := pieces.WriteTo(to); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		return nil
	}
	begin := 0
	for _, cut := range x.cuts {
		if err := write(x.out[begin:cut.before]); err != nil {
			return err
		}
		begin = cut.before
		crashpoint.Reach(cut.point)
	}
	return write(x.out[begin:])
}

// answers reads until the server is ready for something else.
func (x *exchange) answers(session *pgconn.PgConn) (last string, err error) {
	var refused error
	for done := 0; ; {
		message, err := session.ReceiveMessage(context.Background())
		if err != nil {
			return last, fmt.Errorf("%s: %w", x.step(done), err)
		}
		switch message := message.(type) {
		case *pgproto3.CommandComplete:
			last = string(message.CommandTag)
			done++
		case *pgproto3.ErrorResponse:
			refused = &refusal{x.step(done), pgconn.ErrorResponseToPgError(message)}
		case *pgproto3.ReadyForQuery:
			return last, refused
		}
	}
}

// step names the statement that comes after so many.
func (x *exchange) step(done int) string {
	if done < len(x.steps) {
		return x.steps[done]
	}
	return "sync"
}

// abandonTime is how long it may take to tell the server that a session is over.
const abandonTime = time.Second

// abandon ends a session in the middle of something. The server stops what it does there, and lets go of its locks.
func abandon(session *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), abandonTime)
	defer cancel()
	_ = session.CancelRequest(ctx)
	_ = session.Close(ctx)
}
