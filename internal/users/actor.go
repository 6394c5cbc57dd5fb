package users

import "context"

// Method is how an actor signed in.
type Method string

// The methods.
const (
	Password Method = "password"
	Token    Method = "token" // HEARTBEAT_TOKEN, as a bearer token or through the sign-in page
	Proxy    Method = "proxy" // a trusted proxy's header
	Local    Method = "local" // on the loopback address, without signing in
)

// Actor is who sends a request.
type Actor struct {
	Name   string
	Role   Role
	Method Method
}

type actorKey struct{}

// WithActor returns a context that carries an actor.
func WithActor(ctx context.Context, actor Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// ActorOf returns the actor of a context. Without one it is the zero Actor, which may do nothing.
func ActorOf(ctx context.Context) Actor {
	actor, _ := ctx.Value(actorKey{}).(Actor)
	return actor
}
