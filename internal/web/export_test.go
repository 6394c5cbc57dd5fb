package web

import "fmt"

// Routes lists the operations for comparison with the description.
func (s *Server) Routes() []string {
	var all []string
	for _, route := range s.routes() {
		all = append(all, fmt.Sprintf("%s %s open=%v", route.method, route.path, route.open))
	}
	return all
}
