package web

import "fmt"

// Routes lists the operations for comparison with the description.
func (s *Server) Routes() []string {
	var all []string
	for _, route := range s.routes() {
		all = append(all, fmt.Sprintf("%s %s role=%s", route.method, route.path, route.role))
	}
	return all
}

// QueryParameters lists the query parameters of each operation, as METHOD path.
func (s *Server) QueryParameters() map[string][]string {
	all := map[string][]string{}
	for _, route := range s.routes() {
		all[route.method+" "+route.path] = route.query
	}
	return all
}
