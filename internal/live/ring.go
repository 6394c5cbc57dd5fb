package live

// ring keeps the newest alerts under consecutive numbers from 1.
type ring struct {
	alerts []Alert
	last   uint64
}

func (r *ring) add(alert Alert) {
	r.last++
	alert.ID = r.last
	r.alerts[r.last%uint64(len(r.alerts))] = alert
}

// after returns at most limit of the newest alerts with a number above id, oldest first, and how many it left out.
func (r *ring) after(id uint64, limit int) (alerts []Alert, missed uint64) {
	pending := r.last - min(id, r.last)
	n := min(pending, uint64(limit), uint64(len(r.alerts)))
	if n == 0 {
		return nil, pending
	}
	alerts = make([]Alert, 0, n)
	for i := r.last - n + 1; i <= r.last; i++ {
		alerts = append(alerts, r.alerts[i%uint64(len(r.alerts))])
	}
	return alerts, pending - n
}
