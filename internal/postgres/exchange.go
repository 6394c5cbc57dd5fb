package postgres

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// exchange is a number of statements that go to the server in one piece, COPY and its rows among them, and are answered one
// after the other. The driver waits for the server's word before the rows of each COPY: twice for a table, and that is
// more than the rows cost where there are few.
//
// After a statement that fails, the transaction refuses those that follow, and the server skips their rows.
type exchange struct {
	steps []string // name what the answers are to
	out   net.Buffers
	err   error // of adding a statement
}

// copyChunk is how many bytes of rows go into one message, so that the server reads and writes in turns.
const copyChunk = 64 << 10

func (x *exchange) add(messages ...pgproto3.FrontendMessage) {
	var encoded []byte
	for _, message := range messages {
		var err error
		if encoded, err = message.Encode(encoded); err != nil {
			x.err = cmp.Or(x.err, err)
		}
	}
	x.out = append(x.out, encoded)
}

// query adds a statement without parameters.
func (x *exchange) query(step, sql string) {
	x.steps = append(x.steps, step)
	x.add(&pgproto3.Query{String: sql})
}

// execute adds a prepared statement, with parameters in binary.
func (x *exchange) execute(step string, statement *pgconn.StatementDescription, parameters [][]byte) {
	x.steps = append(x.steps, step)
	x.add(
		&pgproto3.Bind{PreparedStatement: statement.Name, ParameterFormatCodes: binaryFormat, Parameters: parameters},
		&pgproto3.Execute{}, &pgproto3.Sync{},
	)
}

// copy adds a COPY with its rows, which must stay as they are until the exchange is over.
func (x *exchange) copy(step, sql string, rows []byte) {
	x.query(step, sql)
	for len(rows) > 0 {
		size := min(len(rows), copyChunk)
		x.out = append(x.out, binary.BigEndian.AppendUint32([]byte{'d'}, uint32(size+4)), rows[:size])
		rows = rows[size:]
	}
	x.add(&pgproto3.CopyDone{})
}

// run sends everything and returns the tags of the statements, or the first error. It gives the session up when it does not
// know any more what the server will say next.
func (x *exchange) run(ctx context.Context, conn *pgx.Conn) (tags []string, err error) {
	if x.err != nil {
		return nil, x.err
	}
	session := conn.PgConn()
	if session.IsClosed() {
		return nil, net.ErrClosed
	}
	if err := session.SyncConn(ctx); err != nil {
		return nil, err
	}
	unblock := context.AfterFunc(ctx, func() { _ = session.Conn().SetDeadline(time.Unix(1, 0)) })
	tags, refusal, err := x.converse(session)
	if !unblock() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		abandon(session)
		return nil, err
	}
	return tags, refusal
}

// converse reads one answer for each step. A refusal is the server's; after any other error nothing can be told about the session.
func (x *exchange) converse(session *pgconn.PgConn) (tags []string, refusal, err error) {
	if _, err := x.out.WriteTo(session.Conn()); err != nil {
		return nil, nil, fmt.Errorf("send: %w", err)
	}
	for _, step := range x.steps {
		tag, refused, err := answer(session)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", step, err)
		}
		if refused != nil && refusal == nil {
			refusal = fmt.Errorf("%s: %w", step, refused)
		}
		tags = append(tags, tag)
	}
	return tags, refusal, nil
}

// answer reads until the server is ready for the next statement.
func answer(session *pgconn.PgConn) (tag string, refusal, err error) {
	for {
		message, err := session.ReceiveMessage(context.Background())
		if err != nil {
			return "", nil, err
		}
		switch message := message.(type) {
		case *pgproto3.CommandComplete:
			tag = string(message.CommandTag)
		case *pgproto3.ErrorResponse:
			refusal = pgconn.ErrorResponseToPgError(message)
		case *pgproto3.ReadyForQuery:
			return tag, refusal, nil
		}
	}
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
